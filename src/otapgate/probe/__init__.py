"""Looking at hosts over SSH: are they apart from production, who can log in, what they are.

`connection` and `remote` reach the hosts, `on_host/` is what runs there, and one module a
question compares the answers: `isolation`, `access`, `resemblance`. Nothing on a host is
changed, and what can't be told is unknown, never fine.
"""

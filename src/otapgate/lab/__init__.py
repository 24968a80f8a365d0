"""The lab: a street's hosts as namespaces of this machine's kernel, each with a real sshd.

`lab_file` is the form of lab.yml, `plan` what is made of it, `running` starts and ends a
lab, `supervisor` is the process that everything in a lab hangs on, `host` what the first
process of a host does. Nothing else of otapgate knows the lab, but for the command line.
"""

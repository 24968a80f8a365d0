"""Use cases: what a person does with otapgate, one module a subject.

Each takes an opened `Workspace`, asks the pure parts, and records an entry. The command
line and the web page call these and nothing below them.
"""

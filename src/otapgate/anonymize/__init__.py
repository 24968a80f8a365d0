"""Anonymised test data: a plan, keyed transforms, checks, and one replacement at the end.

`plan` reads the YAML that people write; `introspect` proposes a first one; `sample` shows
what it would do; `run` does it. Sources and targets are SQLite databases for now (`schema`,
`stage`); everything between reading and writing (`transforms`, `leaks`) works on columns
and knows nothing about SQLite, so that other databases and files can be added beside it.
Printing, the ledger entry and who may run it are not here.
"""

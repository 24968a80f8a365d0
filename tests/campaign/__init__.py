"""The crash campaign: what promotes or goes back is struck down at every step that it takes,
and what `status` then says must end it.

`strike` is what happens at a point, `driver` runs a command that is struck, `disk` is a
ledger's disk that fills up or goes away, `trial` is one point from beginning to end,
`scenes` are the commands that are struck, `campaign` enumerates the points and counts.
"""

"""The ledger's tables as SQLAlchemy asks and fills them; `schema` has what makes them."""

from __future__ import annotations

import sqlalchemy as sa

_metadata = sa.MetaData()
meta = sa.Table(
    "meta",
    _metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text),
)
entry = sa.Table(
    "entry",
    _metadata,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("statement", sa.LargeBinary),
    sa.Column("signature", sa.Text),
    sa.Column("leaf", sa.LargeBinary),
)
node = sa.Table(
    "node",
    _metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("idx", sa.Integer, primary_key=True),
    sa.Column("hash", sa.LargeBinary),
)
detail = sa.Table(
    "detail",
    _metadata,
    sa.Column("commitment", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, sa.ForeignKey("entry.position")),
    sa.Column("field", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("value", sa.LargeBinary),
)


def final_at(size: int) -> sa.ColumnElement[bool]:
    """Of a node: that a log of this size has it."""
    return sa.and_(
        node.c.level > 0,
        node.c.idx >= 0,
        node.c.idx < sa.literal(size).op(">>")(node.c.level),
    )

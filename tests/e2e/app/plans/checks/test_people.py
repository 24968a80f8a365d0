"""Everybody is still in the agenda's database."""

import json
import os
import sqlite3
from pathlib import Path

ENVIRONMENT = json.loads(Path(os.environ["OTAPGATE_ENVIRONMENT"]).read_text("utf-8"))


def test_there_are_people():
    (host,) = ENVIRONMENT["hosts"]
    home = {**ENVIRONMENT["variables"], **host["variables"]}["home"]
    base = sqlite3.connect(f"file:{home}/people.sqlite?mode=ro", uri=True)
    assert base.execute("SELECT count(*) FROM person").fetchone()[0] >= 20

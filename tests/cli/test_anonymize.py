from __future__ import annotations

import os
import pty
import subprocess
import sys

from otapgate import i18n
from otapgate.anonymize.run import Progress
from otapgate.cli.anonymize import Shown

STEPS = [
    Progress("survey", "person", 4, 8),
    Progress("survey", "mail", 8, 8),
    Progress("copy", "person", 4, 8),
    Progress("copy", "mail", 8, 8),
    Progress("check", "person", 4, 8),
    Progress("load", "", 0, 0),
]


def test_what_anonymising_does_is_said_once_a_phase_in_words(capsys):
    with Shown() as shown:
        for step in STEPS:
            shown(step)
    err = capsys.readouterr().err
    assert "Progress(" not in err
    assert err.splitlines() == [
        "Reading the source, 8 rows.",
        "Transforming 8 rows.",
        "Looking for values of the source in the result.",
        "Loading the result.",
    ]


def test_it_is_said_in_dutch(capsys):
    i18n.use("nl")
    with Shown() as shown:
        shown(STEPS[0])
    assert "bron" in capsys.readouterr().err


def test_a_terminal_sees_where_it_is():
    script = (
        "from otapgate.anonymize.run import Progress\nfrom otapgate.cli.anonymize import Shown\n"
        "with Shown() as shown:\n"
        "    shown(Progress('survey', 'per\\x1b[2Json', 4, 8))\n"
        "    shown(Progress('copy', 'person', 4, 8))\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs) as process:
        os.close(theirs)
        assert process.wait(timeout=60) == 0
    said = os.read(ours, 10000).decode()
    os.close(ours)
    assert "person: 50%" in said
    assert "\x1b[2J" not in said
    assert said.endswith("\r\x1b[K")  # nothing half stays behind

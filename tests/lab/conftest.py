"""Fixtures of the tests of the lab itself."""

from __future__ import annotations

from tests.lab.labs import lab, make_lab

__all__ = ["lab", "make_lab"]

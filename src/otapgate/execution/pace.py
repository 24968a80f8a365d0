"""Which playbook of a run begins, told to whoever must know of it before Ansible goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from otapgate.execution import inventory as inventories
from otapgate.execution.events import Follower
from otapgate.execution.fingerprints import Packed


class Reached(msgspec.Struct, frozen=True):
    """Where a run is: one of its playbooks begins."""

    index: int
    """Of the playbook, from 0."""
    fingerprints: Mapping[str, dict[str, Any]]
    """Host → what was seen there, by whatever came before."""
    unmatched: str
    """The playbook before it that had a play without hosts, or ""."""


class Pace:
    """Tells the caller which playbook begins, and Ansible, where it waits (`WAITS`), that it may
    go on."""

    def __init__(
        self,
        scratch: Path,
        playbooks: Sequence[Path],
        on_playbook: Callable[[Reached], None] | None,
        watched: Callable[[], None] = lambda: None,
    ) -> None:
        """`watched` raises where what must keep an eye on Ansible doesn't."""
        self._word = scratch / inventories.GO_WORD
        self._playbooks = playbooks
        self._on_playbook = on_playbook
        self._watched = watched
        self.error: BaseException | None = None
        """What the caller raised, or what kept Ansible from hearing."""

    def begun(self, follower: Follower) -> bool:
        """Whether Ansible may go on with the playbook that begins."""
        index = follower.playbooks - 1
        try:
            self._watched()
            if self._on_playbook is not None and self.error is None:
                self._on_playbook(Reached(index, follower.fingerprints, follower.unmatched))
            if self._playbooks[index] in inventories.WAITS and self.error is None:
                follower.fingerprints = Packed()  # what is seen from here on is of after
                self._word.touch()
        except BaseException as error:  # raised again once Ansible has stopped
            self.error = error
        return self.error is None

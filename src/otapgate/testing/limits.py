"""How long something may still take, and that everything is to stop.

A limit is of a step, within that of its case, within that of the plan; the one that comes
first counts and is named. Times are of the monotonic clock, in seconds.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field, replace

from otapgate.i18n import N_, _


class Stop:
    """Whether all that runs is to stop, for any number of threads. `descriptor` becomes
    readable then, so that it can be waited for beside other things."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.descriptor, self._end = os.pipe()

    def ask(self) -> None:
        """Ask everything to stop; nothing happens the second time."""
        with self._lock:
            if not self._event.is_set():
                self._event.set()
                os.close(self._end)

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def close(self) -> None:
        """Give the descriptors back, once nothing waits for them any more."""
        self.ask()
        os.close(self.descriptor)


_WHAT = {
    "step": N_("its time of {seconds} s was over"),
    "case": N_("the case's time of {seconds} s was over"),
    "plan": N_("the plan's time of {seconds} s was over"),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when, whose limit that is, and the sign to stop earlier."""

    until: float = float("inf")
    whose: str = "plan"
    """`step`, `case` or `plan`."""
    seconds: int = 0
    stop: Stop = field(default_factory=Stop)

    def within(self, seconds: int, whose: str) -> Limit:
        """The same, or sooner: in so many seconds from now, for what is smaller; 0 seconds
        are no limit of its own."""
        until = time.monotonic() + seconds
        if not seconds or until >= self.until:
            return self
        return replace(self, until=until, whose=whose, seconds=seconds)

    @property
    def left(self) -> float:
        """Seconds, not less than 0; infinite where there is no limit."""
        return max(0.0, self.until - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it is time to stop."""
        return self.stop.asked or self.left == 0

    def why(self) -> str:
        """Why it is over, as part of a sentence."""
        if self.stop.asked:
            return _("the run was interrupted")
        return _(_WHAT[self.whose]).format(seconds=self.seconds)

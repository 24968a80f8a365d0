"""The cases of a rehearsal, one after the other: cut short, gone back from, compared.

Going back from one case and the deployment of the next are one run (see `way_back`). What
the playbooks of going back had set is forgotten before the deployment begins: the callback
`otapgate_fault` does that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec

from otapgate.execution.events import Progress
from otapgate.execution.faults import Begun, Fault
from otapgate.execution.promotion import Promotion
from otapgate.execution.runner import PlaybookResult
from otapgate.execution.steps import StepFailed
from otapgate.execution.way_back import Back, Onward, go_back
from otapgate.i18n import _, ngettext
from otapgate.ledger.predicates import RehearsalCase

NOT_CUT = "the deployment wasn't cut short here"
_START = 1000
"""Milliseconds; roughly what it takes Ansible to begin."""


class Tried(msgspec.Struct, frozen=True):
    """What came of one case."""

    case: RehearsalCase
    milliseconds_back: int
    """What `rollback.yml` and `restore.yml` took."""


class Forecast:
    """How long the cases will take, by how long the whole deployment and its way back
    took, and then by how long those took that are done."""

    def __init__(self, todo: Sequence[Fault], tasks: int, forward: int, back: int) -> None:
        """`forward` and `back` in milliseconds; `tasks`, how many the deployment has."""
        self._deploying = [_START + forward * (x.index - 1) / max(1, tasks) for x in todo]
        self._back = back
        self._done = 0
        self._began = time.monotonic()

    def minutes(self) -> int:
        """How long it takes from now on; at least 1."""
        # with a case that is done, the next one's deployment is as well
        deployed = self._deploying[: self._done + 1] if self._done else []
        done = sum(deployed) + self._back * self._done
        rest = sum(self._deploying) + self._back * len(self._deploying) - done
        pace = (time.monotonic() - self._began) * 1000 / done if done else 1.0
        return max(1, round(rest * pace / 60_000))

    def one_done(self) -> str:
        """`3/60, about 4 min left`."""
        self._done += 1
        count = f"{self._done}/{len(self._deploying)}"
        if self._done == len(self._deploying):
            return count
        return _("{count}, about {minutes} min left").format(count=count, minutes=self.minutes())


class Cuts:
    """Carries out the cases `todo` on a rehearsal whose state is as it was before."""

    def __init__(
        self, promotion: Promotion, todo: Sequence[tuple[Fault, Begun]], forecast: Forecast
    ) -> None:
        self._promotion = promotion
        self._todo = todo
        self._forecast = forecast
        self._standing = False
        """Whether the deployment of the next case was begun, and cut short, already."""
        self._not_cut = False

    def foretell(self) -> None:
        """Say how many cases there are and about how long they will take."""
        text = ngettext(
            "{n} case to cut short; that takes about {minutes} min.",
            "{n} cases to cut short; that takes about {minutes} min.",
            len(self._todo),
        ).format(n=len(self._todo), minutes=self._forecast.minutes())
        self._tell(text)

    def tried(self) -> Iterator[Tried]:
        """Each case in turn. Who takes the next after one that left something has brought
        the state back by then."""
        for number, (fault, task) in enumerate(self._todo):
            if not self._standing:
                self._cut(fault)
            not_cut = (NOT_CUT,) if self._not_cut else ()
            self._standing = False
            following = self._todo[number + 1][0] if number + 1 < len(self._todo) else None
            if following is None or not_cut:
                back = go_back(self._promotion)
            else:
                back = self._back_and_cut(following)
            case = RehearsalCase(
                fault=fault.kind,
                task=task.name,
                index=fault.index,
                restored=not (back.left or not_cut),
                left=(*back.left, *not_cut),
            )
            words = _("restored") if case.restored else "; ".join(case.left)
            done = self._forecast.one_done()
            self._tell(f"{done}: {fault.index} {task.name}, {fault.kind}: {words}")
            yield Tried(case, back.milliseconds)

    def _cut(self, fault: Fault) -> None:
        """Deploy, up to the fault."""
        self._note(fault)
        try:
            result = self._promotion.playbooks(_label(fault), [fault.playbook], fault=fault)
        except StepFailed as failure:  # as it should
            self._weigh(fault, failure.result, 0)
        else:
            self._weigh(fault, result, 0)

    def _back_and_cut(self, following: Fault) -> Back:
        """Go back and compare; where the state is back, deploy the next case up to its fault
        in the same run."""
        onward = Onward(
            _label(following), following.playbook, following, lambda: self._note(following)
        )
        back = go_back(self._promotion, onward)
        if not back.left:
            self._weigh(following, back.result, sum(map(len, self._promotion.plan.way_back())) + 1)
        return back

    def _note(self, fault: Fault) -> None:
        self._promotion.journal.append("deploy", "begun", fault=fault.kind, index=fault.index)

    def _weigh(self, fault: Fault, result: PlaybookResult | None, playbook: int) -> None:
        """Whether the deployment came as far as its fault; one that ended earlier by itself
        shows nothing of a cut there. A task that no host runs can't be cut short, though."""
        self._standing = True
        struck = result is not None and result.struck
        begun = sum(1 for x in result.tasks if x.playbook == playbook) if result else 0
        self._not_cut = not struck and (fault.kind == "kill" or begun < fault.index)

    def _tell(self, text: str) -> None:
        if self._promotion.plan.on_progress is not None:
            self._promotion.plan.on_progress(Progress("note", text))


def _label(fault: Fault) -> str:
    return f"{fault.kind}-{fault.index:03}"

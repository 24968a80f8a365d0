"""The promotion of a release into an environment: snapshot, deploy, verify, prove, or back.

The engine knows playbooks, fingerprints and the run's journal. It holds no lock, asks no
gate and writes no ledger: who calls it has the environment's lock, an allowed decision
and a durable started-entry, and records the result. Every step is in the journal before
it begins, so after a kill at any instant `resume` goes on and `go_back` goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from otapgate.errors import Failed, Integrity, OtapgateError, Usage
from otapgate.execution import compare, runner, steps, way_back
from otapgate.execution.completeness import completeness, expected_installs
from otapgate.execution.evidence import gather
from otapgate.execution.faults import Begun, Fault
from otapgate.execution.fingerprints import Packed
from otapgate.execution.inventory import GO
from otapgate.execution.journal import Journal
from otapgate.execution.pace import Reached
from otapgate.execution.plan import FINGERPRINT, Plan
from otapgate.execution.run_state import Outcome, PromotionResult, RunState, run_state
from otapgate.execution.runner import HostOutcome, PlaybookResult
from otapgate.execution.steps import AFTER, BEFORE, STEPS, Step, StepFailed, Stopped
from otapgate.i18n import _
from otapgate.ledger.predicates import Completeness

UNKNOWN = Completeness(outcome="unknown")


class Promotion:
    """One promotion of one plan. Call one of `run`, `resume` and `go_back`, from the main
    thread, while holding the environment's lock."""

    def __init__(
        self, plan: Plan, *, kind: Literal["promotion", "rehearsal"] = "promotion"
    ) -> None:
        self.plan = plan
        self.kind = kind
        self.journal = Journal(plan.run_dir)
        self._started = time.monotonic()
        self._ansible = 0
        self._completeness = UNKNOWN
        self._hosts: dict[str, HostOutcome] = {}
        self.deploying = False
        """Whether the deployment was begun, so that something may have been touched."""

    # -- what a caller does

    def check(self) -> None:
        """Whether the way forward and the way back are there at all; touches and writes
        nothing. Raises BadInput (`playbook-missing`, `wheel-invalid`)."""
        for name in ("deploy.yml", "verify.yml", "rollback.yml"):
            self.plan.playbook(name)
        expected_installs(self.plan.manifest, self.plan.release_tree)

    def run(self) -> PromotionResult:
        """From the beginning. Raises Usage (`run-exists`) when the run has a journal, and
        what `check` raises."""
        if self.journal.exists():
            raise Usage(
                "run-exists",
                _("There is a run in {path} already.").format(path=self.plan.run_dir),
            )
        self.begin()
        return self._guarded(self._forward)

    def resume(self) -> PromotionResult:
        """Go on after a kill: from the beginning when the snapshot wasn't whole, back when
        it was going back, else deploy again. Where the journal says that it ended, that is
        looked at again before anybody signs for it. Raises Integrity (`run-differs`)."""
        if not self.journal.exists():
            return self.run()
        state = self._state()
        if self.kind == "rehearsal" or state.rolling_back or state.ended_back:
            return self.go_back()
        runner.clear_scratch(self.plan.run_dir)
        self.journal.append("resume", "noted")
        if state.result is not None:
            return self._guarded(lambda: self._forward("verify"))
        first: Step = "deploy" if state.snapshot_done else "snapshot"
        return self._guarded(lambda: self._forward(first))

    def go_back(self) -> PromotionResult:
        """Back to the state before: of an unfinished run, or of a finished one as long as
        its folder and snapshot are kept. Where going back ended before, it is compared
        first: who mended by hand what was left doesn't want the playbooks over it again."""
        if not self.journal.exists():
            self._note_plan()  # killed before the first line: nothing was touched
        state = self._state()
        runner.clear_scratch(self.plan.run_dir)
        if not state.deploy_begun:
            return self.finish("rolled-back", (), _("Nothing had been touched."), touched=False)
        if state.ended_back:
            return self._guarded(self._mended)
        return self._guarded(lambda: self._back(None))

    # -- the way forward

    def begin(self) -> None:
        """`check`, then the journal's first record, before anything is touched."""
        self.check()
        self._note_plan()

    def _note_plan(self) -> None:
        plan = self.plan
        self.journal.append(
            "plan",
            "noted",
            kind=self.kind,
            id=plan.promotion_id,
            release=plan.manifest.digest,
            previous=plan.previous.digest if plan.previous else None,
            environment=plan.environment.name,
        )

    def _forward(self, first: Step = "snapshot") -> PromotionResult:
        try:
            self.forward(first)
        except StepFailed as failure:
            return self._back(failure) if self.deploying else self._untouched(failure)
        return self.finish("succeeded", (), _("The release runs, complete."))

    def forward(self, first: Step = "snapshot") -> tuple[Begun, ...]:
        """Fingerprint, `snapshot.yml`, `deploy.yml`, `verify.yml`, and completeness by a
        fingerprint again, in one process; Ansible waits before the deployment until the
        journal has what was seen. Or from a later step on. Raises StepFailed; `deploying`
        then says whether anything may have been touched. Returns the tasks of
        `deploy.yml` as Ansible started them."""
        plan = self.plan
        books: dict[Step, list[Path]] = {
            "snapshot": [FINGERPRINT, *plan.playbook("snapshot.yml", optional=True), GO],
            "deploy": plan.playbook("deploy.yml"),
            "verify": [*plan.playbook("verify.yml"), FINGERPRINT],
        }
        steps = STEPS[STEPS.index(first) :]
        ends = [sum(len(books[step]) for step in steps[: at + 1]) for at in range(len(steps))]

        def on_playbook(reached: Reached) -> None:
            if steps[0] == "snapshot" and reached.index == ends[0] - 1:
                self._snapshot_done(reached)
            elif steps[-2:] == ("deploy", "verify") and reached.index == ends[-2]:
                self.journal.append("deploy", "done")
                self.journal.append("verify", "begun")

        if first == "snapshot":
            plan.make_snapshot_folders()
        self.deploying = first != "snapshot"
        self.journal.append(first, "begun")
        wanted = [book for step in steps for book in books[step]]
        result = self.playbooks("promotion", wanted, on_playbook=on_playbook)
        self._prove(result)
        return tuple(x for x in result.tasks if len(steps) > 1 and x.playbook == ends[-2] - 1)

    def _snapshot_done(self, reached: Reached) -> None:
        """Keep what was seen; from here on the deployment counts as begun. Raises
        StepFailed, and Failed when it can't be kept."""
        if reached.unmatched:
            raise StepFailed(
                "no-host-matched",
                _("A play in {playbook} matched no host.").format(playbook=reached.unmatched),
            )
        seen = self._fingerprints(reached.fingerprints, "before")
        bad = compare.unreadable(seen)
        if bad:
            raise StepFailed(
                "state-unreadable",
                _("What must come back can't be looked at: {what}").format(what="; ".join(bad)),
            )
        self.journal.sync()  # local snapshots are beside it; go.yml sees to the others
        digest = self.journal.keep(BEFORE, seen)
        self.journal.append("snapshot", "done", fingerprint=digest)
        self.journal.append("deploy", "begun")
        self.deploying = True

    def _prove(self, result: PlaybookResult) -> None:
        """Completeness: what runs on every host is what was accepted. Raises StepFailed."""
        seen = self._fingerprints(result.fingerprints, "after", result)
        self.journal.keep(AFTER, seen)
        expected = expected_installs(self.plan.manifest, self.plan.release_tree)
        self._completeness = completeness(
            expected, seen, self.plan.hosts, self.plan.installed_before()
        )
        said = self._completeness
        if said.outcome == "incomplete" or (expected and said.outcome != "complete"):
            what = "; ".join([*said.missing, *said.different, *said.extra][:5])
            raise StepFailed(
                "incomplete",
                _("What runs isn't what was accepted: {what}").format(what=what),
                result,
            )
        self.journal.append("verify", "done", completeness=said.outcome)

    # -- the way back

    def _mended(self) -> PromotionResult:
        """What was left may be as it was by now; only if it isn't, the playbooks run again."""
        if way_back.look_again(self, self.before()):
            return self._back(None)
        return self.finish("rolled-back", (), _("The state is as it was before, compared."))

    def _back(self, why: StepFailed | None) -> PromotionResult:
        left = way_back.go_back(self).left
        if left:
            message = _("The state before could not be restored: {what}").format(
                what="; ".join(left[:5])
            )
        else:
            message = _("The state before was restored, and compared.")
        if why is not None:
            message = f"{why.message} {message}"
        return self.finish("failed" if left else "rolled-back", left, message, why=why)

    def _untouched(self, why: StepFailed) -> PromotionResult:
        """Something failed before anything was deployed."""
        self.journal.append("snapshot", "failed", code=why.code)
        message = _("{why} Nothing was deployed.").format(why=why.message)
        return self.finish("rolled-back", (), message, why=why, touched=False)

    # -- shared

    def playbooks(
        self,
        label: str,
        playbooks: Sequence[Path],
        *,
        before: Any = None,
        on_playbook: Callable[[Reached], None] | None = None,
        fault: Fault | None = None,
    ) -> PlaybookResult:
        """Run playbooks with the contract's variables. Raises StepFailed, and Stopped
        after Ctrl-C."""
        plan = self.plan
        result = runner.run_playbooks(
            plan.settings(),
            playbooks,
            label=label,
            variables=plan.variables(patience=plan.patience if before is not None else 0),
            host_variables=plan.host_variables(before or {}),
            on_playbook=on_playbook,
            fault=fault,
        )
        self._ansible += result.milliseconds
        self._hosts = dict(result.hosts)
        if result.cancelled:
            raise Stopped
        if not result.ok:
            raise StepFailed(result.code, result.message, result)
        return result

    def _fingerprints(
        self, seen: Mapping[str, Any], when: str, result: PlaybookResult | None = None
    ) -> Mapping[str, Any]:
        unseen = [host for host in self.plan.hosts if host not in seen]
        if unseen:
            raise StepFailed(
                "host-not-seen",
                _("{hosts}: not looked at ({when}).").format(hosts=", ".join(unseen), when=when),
                result,
            )
        return seen

    def before(self) -> Packed:
        """What was seen before anything was touched."""
        record = self.journal.last("snapshot", "done")
        if record is None:
            raise Usage("no-snapshot", _("The run has no snapshot to go back to."))
        return Packed.read(self.journal.kept(BEFORE, record.data["fingerprint"]))

    def _state(self) -> RunState:
        state = run_state(self.plan.run_dir)
        if state is None:
            raise Integrity(
                "run-damaged",
                _("The journal of the run in {path} is damaged.").format(path=self.plan.run_dir),
                where=str(self.plan.run_dir),
            )
        plan = self.plan
        previous = plan.previous.digest if plan.previous else None
        wanted = (plan.manifest.digest, previous, plan.environment.name)
        if (state.release, state.previous, state.environment) != wanted:
            raise Integrity(
                "run-differs",
                _("The run in {path} is of another release or environment.").format(
                    path=plan.run_dir
                ),
                where=str(plan.run_dir),
            )
        self.kind = state.kind
        return state

    def _guarded(self, act: Any) -> PromotionResult:
        """Ctrl-C, wherever it comes, ends in an unfinished result and nothing more."""
        try:
            result: PromotionResult = act()
        except (Stopped, KeyboardInterrupt):
            return self.unfinished()
        except (Failed, OSError) as error:
            # no Ansible, a full disk: as much in the middle as a kill would be
            return self.unfinished(steps.stopped_by(error, self.plan.run_dir))
        return result

    def unfinished(self, error: OtapgateError | None = None) -> PromotionResult:
        """The result of a run that stopped in the middle."""
        message = _("Stopped at your request; go on with --resume, or go back with rollback.")
        return PromotionResult(
            outcome="unfinished",
            hosts=self._hosts,
            completeness=self._completeness,
            milliseconds=self.elapsed(),
            milliseconds_ansible=self._ansible,
            left=(),
            evidence="",
            message=error.message if error else message,
            code=error.code if error else "cancelled",
        )

    def elapsed(self) -> int:
        """Milliseconds since this command began."""
        return round((time.monotonic() - self._started) * 1000)

    def finish(
        self,
        outcome: Outcome,
        left: tuple[str, ...],
        message: str,
        *,
        why: StepFailed | None = None,
        touched: bool = True,
    ) -> PromotionResult:
        """Gather the evidence and note the end in the journal."""
        failed = why.result if why else None
        result = PromotionResult(
            outcome=outcome,
            hosts=dict(failed.hosts) if failed else self._hosts,
            completeness=self._completeness,
            milliseconds=self.elapsed(),
            milliseconds_ansible=self._ansible,
            left=left,
            evidence="",
            message=message,
            code=why.code if why else "",
            failed_task=failed.failed_task if failed else None,
            touched=touched,
        )
        evidence = gather(self.plan, self.kind, msgspec.to_builtins(result))
        result = msgspec.structs.replace(result, evidence=evidence)
        self.journal.append("finish", "noted", result=msgspec.to_builtins(result))
        return result

"""Looking at what is on the hosts, and touching nothing: completeness on its own."""

from __future__ import annotations

from otapgate.errors import Failed
from otapgate.execution.completeness import completeness, expected_installs
from otapgate.execution.plan import FINGERPRINT, Plan
from otapgate.execution.promotion import Promotion
from otapgate.execution.steps import StepFailed, Stopped
from otapgate.i18n import _
from otapgate.ledger.predicates import Completeness


def look(plan: Plan) -> Completeness:
    """Whether every host holds exactly the release, item by item (CH06-09). Raises Failed
    when a host can't be looked at."""
    try:
        result = Promotion(plan).playbooks("look", [FINGERPRINT])
    except StepFailed as failure:
        raise Failed(failure.code or "look-failed", failure.message) from failure
    except Stopped:
        raise KeyboardInterrupt from None
    expected = expected_installs(plan.manifest, plan.release_tree)
    if not expected:
        raise Failed(
            "nothing-to-compare",
            _("{release} declares no installs, so nothing can be compared.").format(
                release=plan.manifest.name
            ),
            remedy=_("say in the release file, under installs, what every host must hold"),
        )
    return completeness(expected, result.fingerprints, plan.hosts, plan.installed_before())

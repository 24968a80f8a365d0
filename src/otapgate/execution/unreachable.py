"""Why a host wasn't reached: what a task's failure means where no connection came about."""

from __future__ import annotations

from otapgate.execution.ssh_config import NOWHERE
from otapgate.i18n import _
from otapgate.landscape import host_keys


def why(host: str, task: str, where: str, message: str) -> tuple[str, str]:
    """Slug and sentence for a task that couldn't reach a host: it shows another key, the
    task was on its way to a host outside the environment, or anything else (pure)."""
    if host_keys.is_other(message):
        return "host-key-changed", host_keys.changed(host)
    if NOWHERE in message:
        return "host-outside", _(
            "{task} ({where}) leads from {host} to a host that isn't one of this environment;"
            " ssh was not told the way there."
        ).format(task=task or "?", where=where or "?", host=host)
    return "host-unreachable", _("{host} can't be reached: {message}").format(
        host=host, message=message
    )

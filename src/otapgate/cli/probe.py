"""`otapgate env probe` and `otapgate env pin`: looking at an environment's hosts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otapgate.cli.acting import DryRun, entries_text, open_for_reading, open_workspace
from otapgate.cli.env import Env
from otapgate.cli.output import Reply, progress, table
from otapgate.errors import Exit
from otapgate.i18n import _

_SHOWN = 40


def probe(
    env: Env,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=_("isolation, access, fingerprint, representativeness, drift or all."),
        ),
    ] = "all",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import probing

    with open_workspace() as workspace:
        found = probing.probe(workspace, env, kind, progress)
        entries = [] if dry_run else [workspace.record_late(one.act) for one in found]
        name = workspace.environment(env).name
    probes: dict[str, Any] = {}
    several: dict[str, Any] = {}
    lines: list[str] = []
    for one in found:
        several.setdefault(one.environment, {})[one.kind] = one.answer
        probes[one.kind] = _worse(probes.get(one.kind), one.answer)
        lines += _told(one.environment, one.kind, one.answer)
    ok = all(one.answer["outcome"] == "proven" for one in found)
    if dry_run:
        lines.append(_("Nothing was recorded (--dry-run)."))
    lines.append(entries_text(entries))
    data = {"environment": name, "probes": probes, "environments": several, "entries": entries}
    return Reply(data, "\n".join(line for line in lines if line), ok=ok,
                 exit=Exit.OK if ok else Exit.FAILED)  # fmt: skip


_RANK = {"proven": 0, "unknown": 1, "violated": 2}


def _worse(known: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """The answers of several environments as one: the worst outcome, everything found."""
    if known is None:
        return more
    joined = {key: value + more[key] if isinstance(value, list) else value
              for key, value in known.items()}  # fmt: skip
    joined["outcome"] = max(known["outcome"], more["outcome"], key=_RANK.__getitem__)
    return joined


def _told(environment: str, kind: str, answer: dict[str, Any]) -> list[str]:
    """What was found, in words."""
    from otapgate.cli import probe_words as words

    names = {"environment": environment, "score": answer.get("score")}
    sentences = {
        ("isolation", "proven"): _("{environment} is apart from production."),
        ("isolation", "violated"): _("{environment} is NOT apart from production:"),
        ("isolation", "unknown"): _("Whether {environment} is apart from production is unknown:"),
        ("access", "proven"): _("Those get into {environment} that its rules name."),
        ("access", "violated"): _("Access to {environment} is NOT as described:"),
        ("access", "unknown"): _("Who gets into {environment} is not known wholly:"),
        ("fingerprint", "proven"): _("What the hosts of {environment} are was recorded."),
        ("fingerprint", "unknown"): _("What the hosts of {environment} are is not known wholly:"),
        ("representativeness", "proven"): _("{environment} is like production for {score} %."),
        ("representativeness", "violated"): _(
            "{environment} is like production for {score} %, less than the policy asks:"
        ),
        ("representativeness", "unknown"): _(
            "{environment} is like production for {score} %, as far as is known:"
        ),
        ("drift", "proven"): _("{environment} is as it was recorded."),
        ("drift", "violated"): _("{environment} is NOT as it was recorded:"),
        ("drift", "unknown"): _("Whether {environment} is as it was recorded is unknown:"),
    }
    lines = [sentences[kind, answer["outcome"]].format(**names)]
    lines += [f"   {aspect}: {score} %" for aspect, score in answer.get("aspects", {}).items()]
    lines += [
        "   " + _("{aspect}: nothing to compare").format(aspect=aspect)
        for aspect in answer.get("not_compared", ())
    ]
    lines += [
        "   "
        + _("{source} reaches {to} ({address}) port {port}").format(
            source=path["from"], to=path["to"], address=path["address"], port=path["port"]
        )
        for path in answer.get("paths", ())
        if path["outcome"] == "open"
    ]
    lines += ["   " + words.shared(environment, one) for one in answer.get("shared", ())]
    lines += ["   " + words.stray(one) for one in answer.get("stray", ())]
    lines += ["   " + words.missing(one) for one in answer.get("missing", ())]
    lines += [
        f"   {one['aspect']}: {one['item']}: {one['here'] or '-'} / {one['there'] or '-'}"
        for one in answer.get("differences", ())
        if not one["declared"]
    ]
    lines += [
        f"   {one['host']}: {one['item']}: {one['was'] or '-'} → {one['now'] or '-'}"
        for one in answer.get("different", ())
    ]
    lines += [
        "   " + _("{source} and {to} run on one kernel").format(source=source, to=to)
        for source, to in answer.get("one_kernel", ())
    ]
    lines += ["   " + _("unknown: {what}").format(what=what) for what in answer.get("unknown", ())]
    rest = len(lines) - _SHOWN
    return lines if rest <= 0 else [*lines[:_SHOWN], _("and {n} more").format(n=rest)]


def pin(env: Env) -> Reply:
    from otapgate.acts import probing

    with open_for_reading() as workspace:
        found = probing.host_keys(workspace, env)
    hosts: dict[str, Any] = found["hosts"]
    dark = [name for name, host in hosts.items() if host["status"] == "unknown"]
    if not hosts:
        text = _("{environment} has no host over SSH; there is nothing to pin.").format(
            environment=found["environment"]
        )
        return Reply({"pin": found}, text)
    rows = [
        [name, host["status"], key]
        for name, host in hosts.items()
        for key in host.get("fingerprints", [])
    ]
    lines = [table([_("host"), _("status"), _("fingerprint")], rows)] if rows else []
    lines += [host["message"] for host in hosts.values() if host["status"] == "unknown"]
    if len(dark) < len(hosts):
        lines += [
            "",
            _("Anybody on the way could have answered. Compare each fingerprint with what the host"
              " itself says (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, on its console);"
              " then put this into {file}, below {environment}:").format(
                file=found["file"], environment=found["environment"]),
            "",
            "    host_keys:",
        ]  # fmt: skip
        for name, host in hosts.items():
            if host["keys"]:
                lines.append(f"      {name}:")
                lines += [f"        - {key}" for key in host["keys"]]
    return Reply({"pin": found}, "\n".join(lines), ok=not dark,
                 exit=Exit.FAILED if dark else Exit.OK)  # fmt: skip

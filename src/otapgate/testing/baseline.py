"""The security step: holds a service and a host to a declared baseline.

Everything is looked at, and every departure is a finding; what can't be looked at is one
too. Nothing is attacked: pages are asked for, ports are knocked on, files are listed.
"""

from __future__ import annotations

import json
import re
import ssl
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import SplitResult, urljoin

from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown
from otapgate.testing import ports, tls
from otapgate.testing.bench import Room, addresses
from otapgate.testing.evidence import Attempt, listed
from otapgate.testing.http_check import Answer, NotAsked, ask, checked_target, origin
from otapgate.testing.limits import Limit
from otapgate.testing.plan import SecurityStep
from otapgate.testing.step_values import Cookies
from otapgate.testing.template import render

_LISTING = re.compile(r"<title>\s*(Index of|Directory listing for)\b|\[To Parent Directory\]", re.I)


def check(step: SecurityStep, room: Room) -> Attempt:
    """All of the baseline; passes when nothing departs from it."""
    limit = room.limit.within(step.timeout_seconds, "step")
    findings: list[str] = []
    looked: dict[str, Any] = {}
    if step.url:
        try:
            target = checked_target(render(step.url, room.seen_by(step.host)), room.bench.allowed)
            findings += _service(step, room, target, limit)
            looked["url"] = target.geturl()
        except NotAsked as error:
            findings.append(str(error))
    if step.ports is not None:
        try:
            findings += ports.check(_address(step, room), step.ports, step.scan, limit)
        except NotAsked as error:
            findings.append(str(error))
        looked["ports_tried"] = len(ports.spread(step.scan) | set(step.ports))
    if step.files:
        findings += _files(step.files, room, limit)
        looked["files"] = sorted(step.files)
    if limit.over:
        findings.append(_("Not everything was looked at: {reason}.").format(reason=limit.why()))
    said = _("Nothing departs from the baseline.")
    if findings:
        said = _("Findings ({n}): {findings}").format(n=len(findings), findings=listed(findings))
    return Attempt("security", not findings, said, findings=findings, detail=looked)


def _address(step: SecurityStep, room: Room) -> str:
    """Whose ports are tried: the host that is named, the only one, or the service's."""
    environment = room.bench.environment
    hosts = [h for h in environment.hosts if step.host in (h.name, "")]
    if len(hosts) == 1:
        merged = environment.variables_of(hosts[0])
        default = "127.0.0.1" if merged.get("ansible_connection") == "local" else hosts[0].name
        return render(str(merged.get("ansible_host", default)), room.seen_by(hosts[0].name))
    if step.url:
        target = checked_target(render(step.url, room.variables), addresses(environment))
        return origin(target)[1]
    room.seen_by(step.host)  # says that there is no such host
    raise NotAsked(_("There are several hosts: say which with host."))


def _service(step: SecurityStep, room: Room, target: SplitResult, limit: Limit) -> list[str]:
    scheme, host, port = origin(target)
    findings: list[str] = []
    context: ssl.SSLContext | None = None
    if step.tls is not None:
        if scheme != "https":
            return [_("{url} isn't https.").format(url=shown(target.geturl(), 200))]
        findings += tls.check(step.tls, host, port, tls.trusted(step, room.bench.bundle), limit)
        # Whom it is has been judged; what it serves is looked at in any case.
        context = tls.unverified()

    def page(path: str, method: str = "GET") -> Answer:
        where = checked_target(urljoin(target.geturl(), path), room.bench.allowed)
        if origin(where) != origin(target):
            raise NotAsked(_("'{path}' is a page of another service.").format(path=shown(path)))
        return ask(where, method, None, {}, limit.within(30, "step"), context)

    try:
        first = page(target.geturl())
    except NotAsked as error:
        return [*findings, str(error)]
    findings += _headers(step, first)
    if step.cookies is not None:
        findings += _cookies(step.cookies, first)
    for path in step.no_pages:
        findings += _absent(path, page)
    for path in step.no_listings:
        findings += _unlisted(path, page)
    return findings


def _headers(step: SecurityStep, answer: Answer) -> list[str]:
    findings = []
    for name, wanted in step.headers.items():
        values = answer.all(name.lower())
        if not values:
            findings.append(_("The header {name} is lacking.").format(name=name))
        elif not any(wanted.casefold() in value.casefold() for value in values):
            findings.append(
                _("The header {name} says '{value}', and '{wanted}' was expected in it.").format(
                    name=name, value=shown(", ".join(values), 200), wanted=wanted
                )
            )
    findings += [
        _("The header {name} tells what runs there: '{value}'.").format(
            name=name, value=shown(", ".join(answer.all(name.lower())), 200)
        )
        for name in step.no_headers
        if answer.all(name.lower())
    ]
    return findings


def _cookies(wanted: Cookies, answer: Answer) -> list[str]:
    findings = []
    for text in answer.all("set-cookie"):
        name = shown(text.partition("=")[0].strip(), 100)
        flags = {part.strip().partition("=")[0].casefold() for part in text.split(";")[1:]}
        same_site = next(
            (part.partition("=")[2].strip().casefold() for part in text.split(";")[1:]
             if part.strip().casefold().startswith("samesite")), "",
        )  # fmt: skip
        try:
            SimpleCookie(text)
        except CookieError:
            findings.append(_("The cookie {name} can't be read.").format(name=name))
            continue
        lacking = [
            flag
            for flag, asked, there in (
                ("Secure", wanted.secure, "secure" in flags),
                ("HttpOnly", wanted.http_only, "httponly" in flags),
                ("SameSite", wanted.same_site, same_site in ("lax", "strict")),
            )
            if asked and not there
        ]
        if lacking:
            findings.append(
                _("The cookie {name} lacks {flags}.").format(name=name, flags=", ".join(lacking))
            )
    return findings


def _absent(path: str, page: Any) -> list[str]:
    try:
        answer = page(path)
    except NotAsked as error:
        return [str(error)]
    if 200 <= answer.status < 300:
        said = _("{path} answers with a page ({status}).")
        return [said.format(path=shown(path, 200), status=answer.status)]
    if answer.status >= 500:
        said = _("{path} answers with an error ({status}), so what it is isn't known.")
        return [said.format(path=shown(path, 200), status=answer.status)]
    return []


def _unlisted(path: str, page: Any) -> list[str]:
    try:
        answer = page(path)
    except NotAsked as error:
        return [str(error)]
    if answer.status == 200 and _LISTING.search(answer.text):
        return [_("{path} lists its folder.").format(path=shown(path, 200))]
    return []


def _files(files: dict[str, str], room: Room, limit: Limit) -> list[str]:
    """Look at the files on every host through Ansible, as all playbooks go."""
    if room.bench.hands.ansible is None:
        return [_("Playbooks can't be run here.")]
    folder = room.folder / "modes"
    folder.mkdir(mode=0o700)
    playbook = folder / "modes.yml"
    playbook.write_text(json.dumps(_playbook(files)), encoding="utf-8")
    found = room.bench.play(playbook, limit)
    if found.ok:
        return []
    said = _told(found.output.decode("utf-8", "replace"))
    return said or [found.message]


def _playbook(files: dict[str, str]) -> list[dict[str, Any]]:
    """A playbook that fails on a host with a line for every file that isn't as declared."""
    tasks: list[dict[str, Any]] = []
    lines = []
    for number, (path, mode) in enumerate(sorted(files.items())):
        tasks.append(
            {
                "name": f"Look at file {number}",
                "ansible.builtin.stat": {"path": path, "get_checksum": False},
                "register": f"looked_at_{number}",
            }
        )
        stat = f"looked_at_{number}.stat"
        lines.append(
            f"(({path!r} ~ ' is not there') if not {stat}.exists else"
            f" (({path!r} ~ ' has mode ' ~ {stat}.mode ~ ', and {mode} was declared')"
            f" if {stat}.mode != {mode!r} else ''))"
        )
    told = "[" + ", ".join(lines) + "] | select | join(' | ')"
    tasks.append(
        {
            "name": "Compare the modes",
            "ansible.builtin.assert": {
                "that": [f"({told}) == ''"],
                "fail_msg": "{{ 'otapgate-findings: ' ~ (" + told + ") }}",
                "quiet": True,
            },
        }
    )
    return [{"name": "File modes", "hosts": "all", "gather_facts": False, "tasks": tasks}]


def _told(output: str) -> list[str]:
    """What each host said in that playbook, host by host."""
    found = []
    for host, text in re.findall(
        r"fatal: \[([^\]\s]+)\].*?otapgate-findings: ([^\"\n]*)", output, re.DOTALL
    ):
        found += [f"{host}: {line}" for line in text.split(" | ") if line]
    return found

"""Follows Ansible's events: progress, outcome per host, the failing task, fingerprints.

Reads the events that ansible-runner passes on and keeps what matters; the full text of
the output goes to the evidence file, secrets masked. Knows nothing of processes.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any, Literal, NamedTuple

import msgspec

from otapgate.execution.faults import Begun
from otapgate.execution.fingerprints import Packed
from otapgate.secrets_filter import SecretsFilter

FINGERPRINT_MODULE = "otapgate_fingerprint"
LARGEST_FINGERPRINT = 1 << 30
"""Bytes; a host that sends more is not believed."""

_ORIGIN = re.compile(r"^Origin: (.+?):(\d+)(?::\d+)?\s*$", re.MULTILINE)
_ERROR = re.compile(r"^\s*(?:\[ERROR\]:|ERROR!) ?(.*(?:\n(?!Origin:|\s*$).*){0,3})", re.MULTILINE)
LOCALHOST = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names for otapgate's own machine, which Ansible knows without an inventory."""

_STATS = ("processed", "ok", "changed", "failures", "dark")
_HOST_EVENTS: dict[str, Literal["ok", "failed", "skipped", "unreachable"]] = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}


class Progress(msgspec.Struct, frozen=True):
    """One step of a run, for whoever watches."""

    kind: Literal["playbook", "play", "task", "host", "note"]
    name: str
    """Of the playbook, play or task; a note's whole sentence."""
    host: str = ""
    outcome: Literal["", "ok", "changed", "failed", "ignored", "skipped", "unreachable"] = ""
    where: str = ""
    message: str = ""


class Outside(NamedTuple):
    """A task that went, or was about to go, where it may not."""

    task: str
    where: str
    host: str


class Follower:
    """Takes in the events of one ansible-playbook process.

    The first event of a task on a host that isn't one of `hosts` is kept in `outside`, and
    `on_outside` is called; `on_playbook` is as each playbook begins. `connections` says
    how each host is reached: a task may be delegated to otapgate's own machine, and to the
    host itself as the environment says, and nowhere else.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        mask: SecretsFilter,
        output: IO[bytes],
        on_progress: Callable[[Progress], None] | None = None,
        *,
        on_outside: Callable[[], None] | None = None,
        on_playbook: Callable[[], None] | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._hosts = hosts
        self._mask = mask
        self._output = output
        self._on_progress = on_progress
        self._on_outside = on_outside
        self._on_playbook = on_playbook
        self._connections = connections or {}
        self.outside: Outside | None = None
        self._tail: deque[str] = deque(maxlen=200)
        self._last: dict[str, tuple[str, str, str, str]] = {}
        self._stats: dict[str, Literal["ok", "failed", "unreachable"]] = {}
        self._order: list[str] = []
        self.dark: set[str] = set()
        self.playbooks = 0
        self.tasks: list[Begun] = []
        self.unmatched = ""
        """The playbook of a play for which there was no host; "" if all had one."""
        self.fingerprints = Packed()
        self._playbook = ""

    def event(self, event: dict[str, Any]) -> bool:
        """Handle one event; False, so that ansible-runner doesn't keep it as a file."""
        text = str(event.get("stdout") or "").replace("\r\n", "\n")
        if text:
            masked = self._mask(text)
            self._tail.append(masked)
            self._output.write(masked.encode("utf-8", "replace") + b"\n")
        kind = str(event.get("event", ""))
        data = event.get("event_data")
        if isinstance(data, dict):
            self._watch(kind, data)
            self._take(kind, data)
        return False

    def _watch(self, kind: str, data: dict[str, Any]) -> None:
        """Whether this happens on a host of the environment."""
        if self.outside is not None:
            return
        host = self._stranger(kind, data)
        if host:
            self.outside = Outside(self._name(data), _where(data), self._mask(host))
            if self._on_outside is not None:
                self._on_outside()

    def _stranger(self, kind: str, data: dict[str, Any]) -> str:
        """The host outside the environment that an event is about, or ""."""
        if kind == "playbook_on_play_start":
            # before its first task begins; other names match only what is in the inventory
            named = re.split(r"[,\s]+", str(data.get("pattern") or ""))
            return next((x for x in named if x in LOCALHOST and x not in self._hosts), "")
        hosts = [str(data["host"])] if data.get("host") else []
        if kind == "playbook_on_stats":
            hosts = [str(x) for part in _STATS for x in data.get(part) or {}]
        for host in hosts:
            if host not in self._hosts:
                return host
        if kind.startswith("runner_"):
            found = data.get("res")
            result: dict[str, Any] = found if isinstance(found, dict) else {}
            added = result.get("add_host")
            if isinstance(added, dict):
                name = str(added.get("host_name", "?"))
                return "" if name in self._hosts else name
            return self._delegate(str(data.get("host", "")), result)
        return ""

    def _delegate(self, host: str, result: dict[str, Any]) -> str:
        """Where a delegated task went, when it may not go there; else ""."""
        went = result.get("_ansible_delegated_vars")
        if not isinstance(went, dict) or not went.get("ansible_host"):
            return ""
        address, connection = str(went["ansible_host"]), went.get("ansible_connection")
        if address in LOCALHOST and connection in (None, "local"):
            return ""
        own = self._connections.get(host, {})
        if address in (host, own.get("ansible_host")):
            return "" if connection in (None, own.get("ansible_connection")) else address
        return address

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "playbook_on_start":
            self.playbooks += 1
            self._stats.clear()  # Ansible counts on; a run cut off here has no outcome yet
            self._playbook = str(data.get("playbook", ""))
            self._tell(Progress("playbook", self._playbook.rpartition("/")[2]))
            if self._on_playbook is not None:
                self._on_playbook()
        elif kind == "playbook_on_play_start":
            self._tell(Progress("play", self._mask(str(data.get("name", "")))))
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            self.tasks.append(Begun(self.playbooks - 1, self._name(data), _where(data)))
            self._tell(Progress("task", self._name(data), where=_where(data)))
        elif kind == "playbook_on_no_hosts_matched":
            self.unmatched = self._playbook
        elif kind == "playbook_on_stats":
            self._take_stats(data)
        elif kind in _HOST_EVENTS:
            self._take_host(kind, data)

    def _take_host(self, kind: str, data: dict[str, Any]) -> None:
        host = str(data.get("host", ""))
        found = data.get("res")
        result: dict[str, Any] = found if isinstance(found, dict) else {}
        outcome: Any = _HOST_EVENTS[kind]
        message = ""
        if outcome == "ok" and result.get("changed") is True:
            outcome = "changed"
        if outcome == "failed" and data.get("ignore_errors"):
            outcome = "ignored"
        if outcome in ("failed", "unreachable"):
            message = self._mask(_message(result))
            self._last[host] = (self._name(data), _where(data), host, message)
            self._order.append(host)
        if outcome == "unreachable":
            self.dark.add(host)
        action = str(data.get("resolved_action") or data.get("task_action", ""))
        if action.rpartition(".")[2] == FINGERPRINT_MODULE and kind == "runner_on_ok":
            self.fingerprints.put(host, _unpacked(result.get("fingerprint")))
        self._tell(Progress("host", self._name(data), host, outcome, _where(data), message))

    def _take_stats(self, data: dict[str, Any]) -> None:
        for host in data.get("processed") or {}:
            self._stats.setdefault(str(host), "ok")
        for host in data.get("failures") or {}:
            self._stats[str(host)] = "failed"
        for host in data.get("dark") or {}:
            self._stats[str(host)] = "unreachable"

    def hosts(self) -> dict[str, Literal["ok", "failed", "unreachable"]]:
        """Outcome of every host of the environment; one that was never worked on counts
        as failed."""
        return {
            host: "unreachable" if host in self.dark else self._stats.get(host, "failed")
            for host in self._hosts
        }

    @property
    def failure(self) -> tuple[str, str, str, str] | None:
        """Name, place, host and message of the failure that counts: the last one of the
        first host that ended as failed. A failure that was rescued doesn't."""
        for host in self._order:
            if host in self.dark or self._stats.get(host, "failed") != "ok":
                return self._last[host]
        return None

    def tail(self) -> str:
        """The last of what Ansible wrote, masked."""
        return "\n".join(self._tail)

    def origin(self) -> str:
        """`file:line` that Ansible's own error message points at, or ""."""
        text = self.tail()
        said = _ERROR.search(text)  # a warning before it may point somewhere too
        found = _ORIGIN.search(text, said.start() if said else 0)
        return f"{found[1]}:{found[2]}" if found else ""

    def error(self) -> str:
        """Ansible's own error message on one line, or the last line that it wrote."""
        text = self.tail()
        found = _ERROR.search(text)
        if found:
            return " ".join(found[1].split())
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _name(self, data: dict[str, Any]) -> str:
        return self._mask(str(data.get("task") or data.get("name") or ""))

    def _tell(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)


def _where(data: dict[str, Any]) -> str:
    return str(data.get("task_path") or "")


def _message(result: dict[str, Any]) -> str:
    """The most telling part of a failed task's result, at most 2,000 characters."""
    items = result.get("results")
    if isinstance(items, list):
        for item in items:
            if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
                return _message({key: item[key] for key in item if key != "results"})
    parts = [str(result[key]).strip() for key in ("msg", "stderr") if result.get(key)]
    if "censored" in result:
        parts = [str(result["censored"])]
    return "\n".join(dict.fromkeys(parts))[:2000]


def _unpacked(packed: object) -> dict[str, Any]:
    """The fingerprint that the module sent; {"error": …} when it makes no sense."""
    if not isinstance(packed, str):
        return {"error": "no fingerprint in the module's answer"}
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(packed, validate=True), LARGEST_FINGERPRINT)
        if not unpacker.eof:
            return {"error": "the fingerprint is cut off or too large"}
        value = json.loads(data)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        return {"error": f"the fingerprint can't be read: {error}"}
    return value if isinstance(value, dict) else {"error": "the fingerprint isn't an object"}

"""Which ports of a host are open: one connection each, many at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterable

from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown
from otapgate.testing.limits import Limit

_AT_ONCE = 128
_SECONDS = 1.5


def spread(texts: Iterable[str]) -> set[int]:
    """The ports that ranges name: `22`, `8000-8100`."""
    found: set[int] = set()
    for text in texts:
        low, _dash, high = text.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def check(host: str, declared: Iterable[int], scan: Iterable[str], limit: Limit) -> list[str]:
    """Where the open ports differ from those declared, each in a sentence. A host of which
    nothing at all is heard is a finding: then nothing is known of it."""
    wanted = set(declared)
    tried = sorted(wanted | spread(scan))
    outcomes = asyncio.run(_try_all(host, tried, limit))
    reasons = sorted({said for said in outcomes.values() if said.startswith("?")})
    unknown = [port for port in tried if outcomes[port].startswith("?")]
    findings = [
        _("Port {port} of {host} is open and isn't declared.").format(port=port, host=host)
        for port in tried
        if outcomes[port] == "open" and port not in wanted
    ]
    findings += [
        _("Port {port} of {host} isn't open, and it was declared.").format(port=port, host=host)
        for port in sorted(wanted)
        if outcomes[port] in ("closed", "silent")
    ]
    if unknown:
        findings.append(
            _("{n} ports of {host} could not be tried: {reason}.").format(
                n=len(unknown), host=host, reason=shown("; ".join(reasons).replace("?", ""), 200)
            )
        )
    elif all(said == "silent" for said in outcomes.values()):
        findings.append(
            _(
                "No port of {host} answered, open or closed; whether it is there isn't known."
            ).format(host=host)
        )
    return findings


async def _try_all(host: str, ports: list[int], limit: Limit) -> dict[int, str]:
    """`open`, `closed`, `silent`, or `?` and why it isn't known."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(port: int) -> tuple[int, str]:
        async with gate:
            if limit.over:
                return port, "?" + limit.why()
            return port, await _try(host, port)

    return dict(await asyncio.gather(*(one(port) for port in ports)))


async def _try(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return "closed"
    except TimeoutError:
        return "silent"
    except OSError as error:
        if error.errno in (errno.ECONNRESET, errno.ETIMEDOUT):
            return "silent"
        return f"?{error.strerror or error}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return "open"

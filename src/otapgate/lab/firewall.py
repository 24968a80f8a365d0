"""The rules between the hosts of a lab, as nftables reads them. Pure.

Every packet from one host to another goes by the hub, also within a stage. Let through:
within a stage everything, from the administrator SSH and declared ports, and the holes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from otapgate.lab.cables import interfaces
from otapgate.lab.plan import ADMIN, Hole, Plan

TABLE = "otapgate_lab"


def ruleset(plan: Plan, holes: Iterable[Hole], cuts: Iterable[Hole] = ()) -> str:
    """The whole ruleset, in place of what there was before; cuts come before anything."""
    address = {ADMIN: plan.admin} | {host.name: host.address for host in plan.hosts}
    lines = []
    for name, interface in interfaces(plan).items():
        lines.append(f"iifname {json.dumps(interface)} ip saddr != {address[name]} drop")
        lines.append(f"iifname {json.dumps(interface)} meta nfproto ipv6 drop")
    for cut in cuts:
        lines += [f"{_match(address, cut)} drop", f"{_match(address, _back(cut), back=True)} drop"]
    lines.append("ct state established,related accept")
    lines.append(f"ip saddr {plan.admin} ip protocol icmp accept")
    for host in plan.hosts:
        ports = ", ".join(str(port) for port in sorted({22, *host.ports}))
        lines.append(
            f"ip saddr {plan.admin} ip daddr {host.address} tcp dport {{ {ports} }} accept"
        )
    for stage in sorted({host.stage for host in plan.hosts}):
        inside = ", ".join(sorted({x.address for x in plan.hosts if x.stage == stage}))
        lines.append(f"ip saddr {{ {inside} }} ip daddr {{ {inside} }} accept")
    lines += [f"{_match(address, hole)} accept" for hole in holes]
    if plan.refuse == "reject":
        lines += ["meta l4proto tcp reject with tcp reset", "reject"]
    forward = "\n    ".join(lines)
    return f"""table inet {TABLE} {{}}
delete table inet {TABLE}
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority 0; policy drop;
    {forward}
  }}
  chain input {{
    type filter hook input priority 0; policy drop;
    icmp type echo-request accept
  }}
}}
"""


def _match(address: dict[str, str], hole: Hole, back: bool = False) -> str:
    text = f"ip saddr {address[hole.source]} ip daddr {address[hole.target]}"
    which = "sport" if back else "dport"
    return f"{text} tcp {which} {hole.port}" if hole.port else text


def _back(hole: Hole) -> Hole:
    return Hole(source=hole.target, target=hole.source, port=hole.port)

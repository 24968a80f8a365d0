"""The networks of a lab, as lines for `ip -batch`. Pure.

The supervisor's network is the hub: a pair of interfaces for every host, of which the
host has one, `eth0`. No two hosts share a segment, so every packet passes the hub.
"""

from __future__ import annotations

from otapgate.lab.plan import ADMIN, Plan

HUB = "169.254.1.1"
"""The hub, as every host sees it at the other end of its cable."""


def interfaces(plan: Plan) -> dict[str, str]:
    """The hub's end of everybody's cable."""
    return {ADMIN: "to-admin"} | {host.name: f"to-{i}" for i, host in enumerate(plan.hosts)}


def near(plan: Plan, name: str, process: int) -> str:
    """In the hub: a cable to the network that the process is in."""
    address = {ADMIN: plan.admin} | {host.name: host.address for host in plan.hosts}
    interface = interfaces(plan)[name]
    return (
        f"link add {interface} type veth peer name eth0 netns {process}\n"
        f"addr add {HUB}/32 dev {interface}\nlink set {interface} up\n"
        f"route add {address[name]}/32 dev {interface}\n"
    )


def far(address: str) -> str:
    """On the host: its address, and everything by way of the hub."""
    return (
        f"link set lo up\naddr add {address}/32 dev eth0\nlink set eth0 up\n"
        f"route add {HUB} dev eth0\nroute add default via {HUB} dev eth0\n"
    )

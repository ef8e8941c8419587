"""The lab's ground truth: `truth.toml` as values, and the observation points in path order."""

import functools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tracer.core.errors import LabError

_FILE = Path(__file__).parent / "truth.toml"


class Point(NamedTuple):
    """An observation point of the lab without its direction: host, netns and device."""

    host: str
    netns: str
    device: str


@dataclass(frozen=True, slots=True)
class TrueHop:
    """What a packet must look like at one point of its path.

    `point` and `name` (its short name in truth.toml), `direction` (`ingress` or `egress` of the
    device), `ttl`, MACs as text, `src` and `dst` as text, `rewritten` (the ICMP id or the inside
    port differs from the sender's), `vlan` (if the kernel can tag), `vni` and `outer` (source,
    destination) where the packet is inside VXLAN.
    """

    name: str
    point: Point
    direction: str
    ttl: int
    src_mac: str
    dst_mac: str
    src: str
    dst: str
    rewritten: bool
    vlan: int | None
    vni: int | None
    outer: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of traffic: `source` and `target` name their points, `address` is what source dials.

    `request` and `reply` are the hops in path order.
    """

    name: str
    source: str
    target: str
    address: str
    request: tuple[TrueHop, ...]
    reply: tuple[TrueHop, ...]

    def path(self, kind: str) -> tuple[TrueHop, ...]:
        """Return the hops of the `request` or of the `reply`."""
        return self.reply if kind == "reply" else self.request


@functools.cache
def _document() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text())


def point(name: str) -> Point:
    """Return the point of that short name, as used in truth.toml."""
    entry = _document()["point"][name]
    return Point(entry["host"], entry["netns"], entry["device"])


@functools.cache
def cases() -> dict[str, Case]:
    """Return every case of the lab by name."""
    return {entry["name"]: _case(entry) for entry in _document()["case"]}


def case(name: str) -> Case:
    """Return one case; raise LabError for a name that is none."""
    if name not in cases():
        raise LabError(f"The lab has no case {name!r}.", hint=f"Cases: {', '.join(cases())}")
    return cases()[name]


def points(*names: str) -> list[Point]:
    """Return the observation points of these cases in path order, each once; all cases if none."""
    hops = (hop for name in names or cases() for hop in _both(case(name)))
    return list(dict.fromkeys(hop.point for hop in hops))


def _both(one: Case) -> Iterator[TrueHop]:
    yield from one.request
    yield from one.reply


def _case(entry: dict[str, Any]) -> Case:
    rewritten = frozenset(entry["rewritten"])
    request, reply = (_path(entry[kind], rewritten) for kind in ("request", "reply"))
    return Case(entry["name"], entry["source"], entry["target"], entry["address"], request, reply)


def _path(rows: list[list[Any]], rewritten: frozenset[str]) -> tuple[TrueHop, ...]:
    vteps = [ip for row in rows if (ip := _document()["point"][row[0]].get("vtep"))]
    outer = (vteps[0], vteps[-1]) if vteps else None
    return tuple(_hop(row, rewritten, outer) for row in rows)


def _hop(row: list[Any], rewritten: frozenset[str], outer: tuple[str, str] | None) -> TrueHop:
    name, direction, ttl, src_mac, dst_mac, src, dst = row
    document = _document()
    place, mac = document["point"][name], document["mac"]
    tunnelled = "vtep" in place
    return TrueHop(
        name=name,
        point=point(name),
        direction=direction,
        ttl=ttl,
        src_mac=mac[src_mac],
        dst_mac=mac[dst_mac],
        src=src,
        dst=dst,
        rewritten=name in rewritten,
        vlan=document["vlan"] if place.get("tagged") else None,
        vni=document["vni"] if tunnelled else None,
        outer=outer if tunnelled else None,
    )

"""Address translation as conntrack does it: one decision a flow, undone for its replies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.clocks import Clock
from scenarios.frames import Frames
from tracer.core.address import decode_ip, encode_ip
from tracer.core.conntrack import ConntrackEntry, Tuple
from tracer.core.schema import StructuredArray

_SIDE = [("src_hi", "<u8"), ("src_lo", "<u8"), ("dst_hi", "<u8"), ("dst_lo", "<u8"),
         ("sport", "<i4"), ("dport", "<i4"), ("icmp_id", "<i4")]  # fmt: skip
ENTRY_DTYPE = np.dtype(
    [(f"old_{n}", t) for n, t in _SIDE] + [(f"new_{n}", t) for n, t in _SIDE]
    + [("proto", "<i2"), ("first_ns", "<i8"), ("last_ns", "<i8"), ("known", "?")]
)  # fmt: skip


class Nat:
    """A translation: SNAT to one of `snat`, DNAT to `dnat`, either or both (hairpin).

    `ports`: `keep` changes a port or ICMP id only on a collision, as MASQUERADE; `random` always,
    as --random-fully; or a function of the packet. `dnat_port` is the new destination port.
    """

    def __init__(
        self,
        snat: str | tuple[str, ...] | None = None,
        dnat: str | None = None,
        dnat_port: int | None = None,
        ports: str | Callable[[Any], int] = "keep",
        host: str | None = None,
        netns: str | None = None,
        only: Callable[[StructuredArray], NDArray[np.bool_]] | None = None,
        clock: str | None = None,  # of the log, where nobody says its host
    ) -> None:
        self.pool = [encode_ip(a) for a in ((snat,) if isinstance(snat, str) else snat or ())]
        self.dnat = encode_ip(dnat) if dnat else None
        self.dnat_port, self.ports, self.only = dnat_port, ports, only
        self.host, self.netns, self.clock = host, netns, clock
        self.table = np.zeros(0, ENTRY_DTYPE)
        self.taken: set[tuple[int, ...]] = set()

    def cross(self, rng: np.random.Generator, frames: Frames, direction: int) -> None:
        """Translate rows in place; direction 0 is the original one, 1 that of the replies."""
        self._learn(rng, frames, direction)
        np.maximum.at(self.table["last_ns"], frames.meta["flow"], frames.meta["true_ns"])
        entry = self.table[frames.meta["flow"]]
        # A reply's source is the new destination, and so on.
        old, new = ("old", "new") if direction == 0 else ("new", "old")
        ours, theirs = ("src", "dst") if direction == 0 else ("dst", "src")
        near, far = ("sport", "dport") if direction == 0 else ("dport", "sport")
        p, known = frames.packets, entry["known"]
        here = known & _same(p, ours, entry, f"{old}_src")
        there = known & _same(p, theirs, entry, f"{old}_dst")
        for ip, mask, side in ((ours, here, "src"), (theirs, there, "dst")):
            for half in ("hi", "lo"):
                _put(p, f"{ip}_{half}", mask, entry[f"{new}_{side}_{half}"])
        _put(p, near, here & (p[near] >= 0), entry[f"{new}_sport"])
        _put(p, far, there & (p[far] >= 0), entry[f"{new}_dport"])
        _put(p, "icmp_id", known & (p["icmp_id"] >= 0), entry[f"{new}_icmp_id"])
        if "quoted" in frames.sections:
            _quote(frames.sections["quoted"], entry, known, old, new, direction)

    def _learn(self, rng: np.random.Generator, frames: Frames, direction: int) -> None:
        flow, p = frames.meta["flow"], frames.packets
        if len(flow) and flow.max() >= len(self.table):
            more = np.zeros(int(flow.max()) + 1 - len(self.table), ENTRY_DTYPE)
            self.table = np.concatenate([self.table, more])
        if direction:
            return
        fresh = ~self.table["known"][flow] & (p["ip_version"] > 0) & (p["frag_offset"] <= 0)
        if "quoted" in frames.sections:
            fresh &= frames.sections["quoted"]["row"] < 0
        if self.only is not None:
            fresh &= self.only(p)
        rows = np.flatnonzero(fresh)
        rows = rows[np.argsort(frames.meta["true_ns"][rows], kind="stable")]
        flows, first = np.unique(flow[rows], return_index=True)
        for number, row in zip(flows.tolist(), rows[first].tolist(), strict=True):
            self.table[number] = self._decide(rng, p[row], int(frames.meta["true_ns"][row]))

    def _decide(self, rng: np.random.Generator, packet: Any, now: int) -> StructuredArray:
        entry = np.zeros(1, ENTRY_DTYPE)
        for name, _ in _SIDE:
            entry[f"old_{name}"] = entry[f"new_{name}"] = packet[name]
        if self.dnat is not None:
            entry["new_dst_hi"], entry["new_dst_lo"] = self.dnat
            if self.dnat_port is not None and packet["dport"] >= 0:
                entry["new_dport"] = self.dnat_port
        entry["proto"], entry["first_ns"], entry["known"] = packet["proto"], now, True
        if self.pool:
            self._choose(rng, entry, packet)
        return entry

    # Until the reply tuple is unique, as nf_nat_l4proto_unique_tuple.
    def _choose(self, rng: np.random.Generator, entry: StructuredArray, packet: Any) -> None:
        hi, lo = self.pool[int(rng.integers(len(self.pool)))]
        entry["new_src_hi"], entry["new_src_lo"] = hi, lo
        name = "icmp_id" if entry["old_icmp_id"][0] >= 0 else "sport"
        value, lowest = int(entry[f"old_{name}"][0]), 0 if name == "icmp_id" else 10_000
        # Below are tunnels' ports, which a decoder would look into.
        if callable(self.ports):
            entry[f"new_{name}"] = self.ports(packet)
            return
        changing = self.ports == "random"
        while value >= 0:
            if changing:
                value = int(rng.integers(lowest, 65536))
            key = (lo, value, int(entry["new_dst_lo"][0]), int(entry["new_dport"][0]),
                   int(entry["proto"][0]))  # fmt: skip
            if key not in self.taken:
                self.taken.add(key)
                entry[f"new_{name}"] = value
                return
            changing = True

    def entries(self) -> list[ConntrackEntry]:
        """Return the conntrack table, as a dump taken after the last packet would hold it."""
        return [self._entry(e) for e in self.table[self.table["known"]]]

    def events(
        self, clock: Clock, rng: np.random.Generator, timeout_ns: int, from_ns: int = 0
    ) -> list[ConntrackEntry]:
        """Return what `conntrack -E -o timestamp` prints on a host with that clock.

        An entry is destroyed `timeout_ns` after its last packet; of what happens before `from_ns`
        the log has nothing.
        """
        found = []
        for e in self.table[self.table["known"]]:
            whole = self._entry(e)
            late = int(rng.integers(20_000, 3_000_000))  # until the listener was told
            for name, at in (("NEW", e["first_ns"]), ("DESTROY", e["last_ns"] + timeout_ns)):
                true = np.array([int(at) + late])
                if true[0] >= from_ns:
                    time = int(clock.stamp(true, rng)[0])
                    found.append(replace(whole, event=name, time_ns=time))
        return sorted(found, key=lambda entry: entry.time_ns or 0)

    def _entry(self, e: Any) -> ConntrackEntry:
        def text(side: str) -> str:
            found = decode_ip(int(e[f"{side}_hi"]), int(e[f"{side}_lo"]))
            assert found is not None
            return found

        def number(name: str) -> int | None:
            return int(e[name]) if e[name] >= 0 else None

        old = Tuple(
            text("old_src"), text("old_dst"), int(e["proto"]),
            number("old_sport"), number("old_dport"), number("old_icmp_id"),
        )  # fmt: skip
        reply = Tuple(
            text("new_dst"), text("new_src"), int(e["proto"]),
            number("new_dport"), number("new_sport"), number("new_icmp_id"),
        )  # fmt: skip
        return ConntrackEntry(old, reply, host=self.host, netns=self.netns)


def _same(p: StructuredArray, name: str, entry: StructuredArray, side: str) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (p[f"{name}_lo"] == entry[f"{side}_lo"]) & (
        p[f"{name}_hi"] == entry[f"{side}_hi"]
    )
    return same


def _put(p: StructuredArray, name: str, mask: NDArray[np.bool_], value: StructuredArray) -> None:
    p[name] = np.where(mask, value, p[name])


# The quoted packet went the other way, so its source is the error's destination.
def _quote(
    quoted: StructuredArray,
    entry: StructuredArray,
    known: NDArray[np.bool_],
    old: str,
    new: str,
    direction: int,
) -> None:
    known = known & (quoted["row"] == 0)
    ours, theirs = ("dst", "src") if direction == 0 else ("src", "dst")
    near, far = ("dport", "sport") if direction == 0 else ("sport", "dport")
    here = known & _same(quoted, f"inner_{ours}", entry, f"{old}_src")
    there = known & _same(quoted, f"inner_{theirs}", entry, f"{old}_dst")
    for ip, mask, side in ((ours, here, "src"), (theirs, there, "dst")):
        for half in ("hi", "lo"):
            _put(quoted, f"inner_{ip}_{half}", mask, entry[f"{new}_{side}_{half}"])
    _put(quoted, f"inner_{near}", here & (quoted[f"inner_{near}"] >= 0), entry[f"{new}_sport"])
    _put(quoted, f"inner_{far}", there & (quoted[f"inner_{far}"] >= 0), entry[f"{new}_dport"])
    _put(quoted, "inner_icmp_id", known & (quoted["inner_icmp_id"] >= 0), entry[f"{new}_icmp_id"])

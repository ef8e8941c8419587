"""Observations and journeys with pseudonyms: columns over their distinct values, texts as a whole.

Journeys stay what they were: redaction comes after joining and changes no order, number or time.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from tracer.core.address import decode_ip, decode_mac, encode_ip, encode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.journeys import ClockEstimate, FlowPath, FlowPathHop, FlowPathJoin, JourneySet
from tracer.core.nat_rules.rule import NatRule
from tracer.core.point import Point
from tracer.core.redaction.addresses import AddressPseudonyms
from tracer.core.redaction.names import NamePseudonyms
from tracer.core.redaction.rules import RulePseudonyms
from tracer.core.redaction.sentences import Sentences
from tracer.core.schema import COLUMNS, StructuredArray
from tracer.core.warnings import InputWarning

_IPS = tuple(column.name for column in COLUMNS if column.kind == "ip")
_MACS = tuple(column.name for column in COLUMNS if column.kind == "mac")
_FLOW_IPS = ("src", "dst", "nat_src", "nat_dst")
# Content; where the kernel's code lies.
_DROPPED = ("payload_digest", "inner_payload_digest", "drop_location")


class Redactor:
    """Gives pseudonyms by a key: the same key gives the same ones, in every run and file.

    Names in sentences are known once a batch that holds them was redacted.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, person=b"tracer-redaction").digest()
        self._addresses = AddressPseudonyms(self._key)
        self._pseudonyms = NamePseudonyms(self._key, self._addresses.mac)
        self._names: dict[str, str] = {}
        self._sentences: Sentences | None = None

    def journey_set(self, journey_set: JourneySet) -> JourneySet:
        """Return the same journeys with pseudonyms everywhere."""
        batch = self.batch(journey_set.observations)
        for clock in journey_set.clocks:
            self._know(clock.clock, self._pseudonyms.place(clock.clock))
        flows = journey_set.flows.copy()
        for name in _FLOW_IPS:
            self._ips(flows, name)
        return dataclasses.replace(
            journey_set,
            observations=batch,
            flows=flows,
            clocks=tuple(self._clock(clock) for clock in journey_set.clocks),
            flow_paths=tuple(self._flow_path(path) for path in journey_set.flow_paths),
            reasons=tuple(self.text(reason) for reason in journey_set.reasons),
            warnings=self.warnings(journey_set.warnings),
            nat_rules=tuple(self._rule(rule) for rule in journey_set.nat_rules),
        )

    def batch(self, batch: ObservationBatch) -> ObservationBatch:
        """Return the same observations with pseudonyms, without payload digests."""
        return dataclasses.replace(
            batch,
            packets=self._records(batch.packets),
            sections={name: self._records(part) for name, part in batch.sections.items()},
            points=tuple(self.point(point) for point in batch.points),
            captures=tuple(self.capture(name) for name in batch.captures),
        )

    def point(self, point: Point) -> Point:
        """Return an observation point with pseudonyms; hooks stay."""
        return dataclasses.replace(
            point,
            host=self._place(point.host),
            netns=self._place(point.netns),
            device=self._device(point.device),
            clock=self._place(point.clock),
            mac=None if point.mac is None else self._addresses.mac(point.mac),
            capture=None if point.capture is None else self.capture(point.capture),
        )

    def capture(self, name: str) -> str:
        """Return the pseudonym of a capture's name."""
        return self._know(name, self._pseudonyms.capture(name))

    def text(self, text: str) -> str:
        """Return a sentence with pseudonyms for the addresses and known names in it."""
        if self._sentences is None:
            self._sentences = Sentences(self._names, self._addresses, self._pseudonyms)
        return self._sentences.redacted(text)

    def warnings(self, warnings: Iterable[InputWarning]) -> tuple[InputWarning, ...]:
        """Return warnings with pseudonyms."""
        named = [
            (warning, None if warning.capture is None else self.capture(warning.capture))
            for warning in warnings
        ]
        return tuple(
            dataclasses.replace(warning, capture=capture, message=self.text(warning.message))
            for warning, capture in named
        )

    def _know(self, name: str, pseudonym: str) -> str:
        if self._names.get(name) != pseudonym and len(name) > 1:
            self._names[name] = pseudonym
            self._sentences = None
        return pseudonym

    def _place(self, name: str | None) -> str | None:
        return None if name is None else self._know(name, self._pseudonyms.place(name))

    def _device(self, name: str | None) -> str | None:
        return None if name is None else self._know(name, self._pseudonyms.device(name))

    def _records(self, records: StructuredArray) -> StructuredArray:
        records = records.copy()
        names = records.dtype.names or ()
        for name in _IPS:
            if f"{name}_hi" in names:
                self._ips(records, name)
        for name in _MACS:
            if name in names:
                self._distinct(records[name], self._addresses.mac)
        for name in _DROPPED:
            if name in names:
                records[name] = 0
        if "skb" in names:
            # Equal buffers stay equal, but the kernel's addresses are nobody else's business.
            self._distinct(records["skb"], self._buffer)
        return records

    def _ips(self, records: StructuredArray, name: str) -> None:
        hi, lo = records[f"{name}_hi"], records[f"{name}_lo"]
        pairs = np.stack((hi, lo), axis=1)
        # Almost all are IPv4, told apart by one half: sorting pairs costs ten times as much.
        short = hi == 0
        for rows, axis in ((short, None), (~short, 0)):
            chosen = pairs[rows, 1] if axis is None else pairs[rows]
            if not len(chosen):
                continue
            distinct, where = np.unique(chosen, axis=axis, return_inverse=True)
            values = [(0, v) for v in distinct.tolist()] if axis is None else distinct.tolist()
            mapped = np.array([self._addresses.ip(*value) for value in values], np.uint64)
            pairs[rows] = mapped[where.reshape(-1)]
        records[f"{name}_hi"], records[f"{name}_lo"] = pairs[:, 0], pairs[:, 1]

    def _distinct(self, column: NDArray[np.uint64], pseudonym: Callable[[int], int]) -> None:
        distinct, where = np.unique(column, return_inverse=True)
        mapped = [pseudonym(value) for value in distinct.tolist()]
        column[:] = np.array(mapped, np.uint64)[where]

    def _buffer(self, skb: int) -> int:
        if skb == 0:
            return 0
        data = skb.to_bytes(8, "big")
        digest = hashlib.blake2b(data, key=self._key, digest_size=8, person=b"skb").digest()
        return int.from_bytes(digest, "big") | 1

    def _clock(self, clock: ClockEstimate) -> ClockEstimate:
        return dataclasses.replace(
            clock,
            clock=self._pseudonyms.place(clock.clock),
            host=self._place(clock.host),
            evidence=self.text(clock.evidence),
        )

    def _flow_path(self, path: FlowPath) -> FlowPath:
        return dataclasses.replace(
            path,
            flow=self.text(path.flow),
            hops=tuple(self._flow_path_hop(hop) for hop in path.hops),
            inferences=tuple(self.text(text) for text in path.inferences),
            ambiguities=tuple(self.text(text) for text in path.ambiguities),
            joins=tuple(self._flow_path_join(join) for join in path.joins),
        )

    def _flow_path_hop(self, hop: FlowPathHop) -> FlowPathHop:
        return dataclasses.replace(
            hop,
            reason=None if hop.reason is None else self.text(hop.reason),
            src=self._ip_text(hop.src),
            dst=self._ip_text(hop.dst),
            src_mac=self._mac_text(hop.src_mac),
            dst_mac=self._mac_text(hop.dst_mac),
        )

    def _flow_path_join(self, join: FlowPathJoin) -> FlowPathJoin:
        return dataclasses.replace(
            join, before=self.text(join.before), after=self.text(join.after),
            text=self.text(join.text),
        )  # fmt: skip

    def _rule(self, rule: NatRule) -> NatRule:
        pseudonyms = RulePseudonyms(
            self._addresses.ip, lambda name: self._device(name) or "", self._pseudonyms.token
        )
        return dataclasses.replace(
            pseudonyms.rule(rule),
            host=self._place(rule.host),
            netns=self._place(rule.netns),
            capture=None if rule.capture is None else self.capture(rule.capture),
        )

    def _ip_text(self, text: str | None) -> str | None:
        return None if text is None else decode_ip(*self._addresses.ip(*encode_ip(text)))

    def _mac_text(self, text: str | None) -> str | None:
        return None if text is None else decode_mac(self._addresses.mac(encode_mac(text)))

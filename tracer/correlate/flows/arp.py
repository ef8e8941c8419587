"""Who answered an ARP request: the owner of the address, or another on its behalf (proxy ARP)."""

from collections import defaultdict
from typing import Any

import numpy as np

from tracer.core.address import decode_ip, decode_mac
from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind
from tracer.core.schema import StructuredArray
from tracer.correlate.hashing import Codes

Address = tuple[int, int]
Sender = tuple[int, int]  # the point where a packet was first seen, and its source MAC


def arp_answers(
    batch: ObservationBatch, journeys: StructuredArray, first: Codes
) -> list[tuple[int, str]]:
    """Return (journey, who answered in words) of each answered ARP request.

    It is proxy ARP (RFC 1027) where the MAC also answers for other addresses, or where packets
    from the address come from another MAC, and not by another device of who answered.
    """
    asked = np.flatnonzero((journeys["kind"] == Kind.ARP_REQUEST) & (journeys["reply"] >= 0))
    if not len(asked):
        return []
    section = batch.sections["arp"]
    rows = first[journeys["reply"][asked]]
    replies = section[np.searchsorted(section["row"], rows)]
    owners = _owners(batch, first, replies)
    answers = defaultdict[int, set[Address]](set)
    for reply in section[section["arp_op"] == 2]:
        answers[int(reply["arp_sender_mac"])].add(_address(reply))
    return [
        (int(journey), _words(reply, _others(batch, row, reply, owners), answers))
        for journey, row, reply in zip(asked, rows, replies, strict=True)
    ]


def _address(reply: Any) -> Address:
    return int(reply["arp_sender_ip_hi"]), int(reply["arp_sender_ip_lo"])


def _owners(
    batch: ObservationBatch, first: Codes, replies: StructuredArray
) -> dict[Address, set[Sender]]:
    # Where packets from the asked addresses begin, where they were not routed.
    packets = batch.packets
    rows = first[np.isin(packets["src_lo"][first], replies["arp_sender_ip_lo"])]
    rows = rows[np.isin(packets["ttl"][rows], (64, 128, 255))]
    found = defaultdict[Address, set[Sender]](set)
    for row in np.unique(packets[["src_hi", "src_lo", "src_mac", "point"]][rows]):
        sender = (int(row["point"]), int(row["src_mac"]))
        found[int(row["src_hi"]), int(row["src_lo"])].add(sender)
    return found


def _others(
    batch: ObservationBatch, row: int, reply: Any, owners: dict[Address, set[Sender]]
) -> set[int]:
    # MACs that packets from the address come from, none where who answered is among them: a router
    # sends from any of its addresses by each of its devices.
    def space(point: int) -> tuple[str | None, str | None]:
        return batch.points[point].host, batch.points[point].netns

    senders = owners.get(_address(reply), set())
    here, mac = space(int(batch.packets["point"][row])), int(reply["arp_sender_mac"])
    if any(each == mac or (space(point) == here != (None, None)) for point, each in senders):
        return set()
    return {each for _, each in senders}


def _words(reply: Any, owner: set[int], answers: dict[int, set[Address]]) -> str:
    address, mac = _address(reply), int(reply["arp_sender_mac"])
    text = f"{decode_ip(*address)} is at {decode_mac(mac)}"
    others = len(answers[mac]) - 1
    if owner:
        return f"{text}, a proxy: packets from it come from {decode_mac(min(owner))}"
    if others:
        plural = "" if others == 1 else "es"
        return f"{text}, a proxy or router: it answers for {others} other address{plural}, too"
    return text

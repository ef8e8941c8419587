"""Which frames show one packet, and which way it goes: by numbers in payloads and the topology."""

from collections import defaultdict
from collections.abc import Collection

from campus_recording import Recorded, number_in
from campus_traffic import ANSWER
from told import Frame

Packet = tuple[int, str, str]  # number, ICMP type (of an echo, or of an error about it), fragment
ICMP_ERRORS, ICMP6_ERRORS = ("3", "11"), ("1", "2", "3")
SENDERS = {"a0": "pa", "b0": "pb"}
TUNNELS = {"vxlan": "vx", "vxlan 6": "vx", "geneve": "gn", "gre": "gr"}


def packet_of(row: dict[str, str]) -> Packet | None:
    """What tells the packet of a frame from all others, None where it has no number."""
    number = number_in(row)
    if number is None:
        return None
    four, six = (row[name].split(",")[-1] for name in ("icmp.type", "icmpv6.type"))
    # The innermost packet's, of an outer and an inner one; a quoted packet is no fragment here.
    offset = row["ipv6.fraghdr.offset"] or row["ip.frag_offset"].split(",")[-1] or "0"
    return number, f"v4 {four}" if four else f"v6 {six}" if six else "", offset


def packets(recorded: Recorded) -> dict[Packet, set[Frame]]:
    """The frames of each numbered packet."""
    found: dict[Packet, set[Frame]] = defaultdict(set)
    for device, rows in recorded.frames.items():
        for frame, row in enumerate(rows, 1):
            if packet := packet_of(row):
                found[packet].add((device, frame))
    return found


def kinds(recorded: Recorded) -> dict[int, str]:
    """The kind of traffic that each number, also that of an answer, belongs to."""
    return {
        number + more: kind
        for kind, numbers in recorded.log.items()
        for number in numbers
        for more in (0, ANSWER)
    }


def is_error(packet: Packet) -> bool:
    version, _, kind = packet[1].partition(" ")
    return kind in (ICMP_ERRORS if version == "v4" else ICMP6_ERRORS)


def way(kind: str, packet: Packet, devices: Collection[str]) -> list[str]:
    """The devices that a packet of a kind crosses, in order.

    Where the topology leaves a choice (who asked, which of two links) `devices` it was seen on say.
    """
    asker = next(device for device in SENDERS if device in devices)
    near = [asker, SENDERS[asker], "pr", "i0"]
    link = ["e1", "f1"] if "e1" in devices else ["e2", "f2"]
    tunnel = TUNNELS.get(kind)
    end = [f"{tunnel}1", "s1", "s0", f"{tunnel}0"] if tunnel else ["s1", "s0"]
    there = [*near, "o0", "i1", *link, *end]
    stops = {"exceeded at R2": "i1", "exceeded at R3": link[1], "too big": link[1]}
    if stop := stops.get(kind.removesuffix(" 6")):
        there = there[: there.index(stop) + 1]
    if kind == "hairpin":
        there = [*near, "i0", "pr", "pc", "c0"]
    is_back = is_error(packet) or packet[0] > ANSWER or packet[1] in ("v4 0", "v6 129")
    return there[::-1] if is_back else there

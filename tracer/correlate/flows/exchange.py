"""Which journey answers which: echo, TCP, UDP, ARP and neighbour discovery."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracer.core.batch import ObservationBatch
from tracer.core.enums import Kind
from tracer.core.jit import inner_plain, jit
from tracer.core.mixing import mixed
from tracer.core.protocols import ADVERTISEMENT, ETHERTYPE_ARP, SOLICITATION, UDP
from tracer.correlate.hashing import Codes, Keys, filled

ERRORS_V4 = (3, 4, 5, 11, 12)
ERRORS_V6 = (1, 2, 3, 4)
# No number of a flow: mixed with one that is alike, it would be 0, and what is mixed in next alone.
_SEED = np.uint64(0x517CC1B727220A95)
_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
LOOK_BACK = 256
ABOUT_NS = 100_000
ANSWERABLE = (int(Kind.ECHO_REQUEST), int(Kind.TCP_SYN), int(Kind.ARP_REQUEST))


def kinds(batch: ObservationBatch, rows: Codes) -> NDArray[np.int8]:
    """Return `core.enums.Kind` of the packet at each of the rows."""
    wanted = (
        "icmp_type",
        "tcp_flags",
        "ip_version",
        "proto",
        "payload_len",
        "frag_offset",
        "ethertype",
    )
    p = {name: batch.packets[name][rows] for name in wanted}
    kind = np.zeros(len(rows), np.int8)
    icmp, flags = p["icmp_type"], p["tcp_flags"]
    four = p["ip_version"] == 4
    kind[icmp >= 0] = Kind.ICMP_OTHER
    kind[np.where(four, np.isin(icmp, ERRORS_V4), np.isin(icmp, ERRORS_V6))] = Kind.ICMP_ERROR
    kind[np.where(four, icmp == 8, icmp == 128)] = Kind.ECHO_REQUEST
    kind[np.where(four, icmp == 0, icmp == 129)] = Kind.ECHO_REPLY
    kind[p["proto"] == UDP] = Kind.UDP
    kind[flags >= 0] = Kind.TCP_ACK
    kind[(flags >= 0) & (p["payload_len"] > 0)] = Kind.TCP_DATA
    for bits, name in ((_FIN, Kind.TCP_FIN), (_SYN, Kind.TCP_SYN), (_RST, Kind.TCP_RST)):
        kind[(flags >= 0) & (flags & bits > 0)] = name
    kind[(flags >= 0) & (flags & (_SYN | _ACK) == _SYN | _ACK)] = Kind.TCP_SYN_ACK
    kind[p["frag_offset"] > 0] = Kind.FRAGMENT
    arp = np.flatnonzero(p["ethertype"] == ETHERTYPE_ARP)
    section = batch.sections["arp"]
    at = np.searchsorted(section["row"], rows[arp])
    op = np.append(section["arp_op"], -1)[at]
    kind[arp] = np.where(op == 2, Kind.ARP_REPLY, Kind.ARP_REQUEST)
    return kind


@inner_plain
def _run(
    order: Codes, start: int, key: Any, asks: Any, answers: Any, in_turn: Any, first_place: Any,
    last_place: Any,
) -> tuple[int, bool]:  # fmt: skip
    # Where the questions and answers of one key end; whether nothing but their order tells which
    # belong together, there are more answers, and they come from where questions got to.
    stop, balance, begins, meets = start, 0, -1, False
    while stop < len(order) and key[order[stop]] == key[order[start]]:
        each = order[stop]
        balance += int(answers[each]) - int(asks[each])
        begins = first_place[each] if answers[each] and begins < 0 else begins
        stop += 1
    if balance > 0 and in_turn[order[start]]:
        for i in range(start, stop):
            meets = meets or (asks[order[i]] and last_place[order[i]] == begins)
    return stop, meets


@jit
def _match(
    order: Codes, key: Any, asks: Any, answers: Any, in_turn: Any, is_tcp: Any, ends: Any
) -> Codes:
    # Journeys by (key, time): an answer belongs to the latest open question before it. Questions
    # nothing tells apart are answered in turn: to the earliest of those about as long ago. TCP
    # repeats an answer: where the latest question has one, this is no answer to an earlier one.
    # Where there are more answers than questions, none is to a question that did not get there.
    # Nor is one to a question that got to where it comes from after it.
    first_ns, last_ns, first_place, last_place = ends
    reply = filled(len(key), -1)
    stop, more = 0, False
    for i in range(len(order)):
        answer = order[i]
        if i == stop:
            stop, more = _run(order, i, key, asks, answers, in_turn, first_place, last_place)
        if not answers[answer]:
            continue
        best, nearest, meets = -1, np.int64(0), False
        for j in range(i - 1, max(-1, i - LOOK_BACK), -1):
            other = order[j]
            if key[other] != key[answer]:
                break
            if not asks[other]:
                continue
            if reply[other] >= 0:
                if is_tcp[answer]:
                    break
                continue
            there = last_place[other] == first_place[answer]
            if more and not there:
                continue
            if there and last_ns[other] > first_ns[answer] + ABOUT_NS:
                continue
            ago = abs(first_ns[answer] - last_ns[other])
            if best < 0 or (there and not meets):
                best, nearest, meets = other, ago, there
            elif in_turn[answer] and there == meets and ago <= 4 * nearest + ABOUT_NS:
                best = other
            if not in_turn[answer] and meets:
                break
        if best >= 0:
            reply[best] = answer
    return reply


def _without_overtaking(
    key: Keys, in_turn: NDArray[np.bool_], ends: tuple[Codes, Codes, Codes, Codes], reply: Codes
) -> None:
    # Gives answered questions of each key their answers in order, in place: of each place that an
    # answer comes from those that got there, in the order in which they did, and others apart.
    first_ns, last_ns, first_place, last_place = ends
    asked = np.flatnonzero((reply >= 0) & in_turn)
    answers, of = reply[asked], key[asked]
    there = last_place[asked] == first_place[answers]
    place = np.where(there, first_place[answers], -1)
    came = np.lexsort((np.where(there, last_ns[asked], first_ns[asked]), place, of))
    reply[asked[came]] = answers[np.lexsort((first_ns[answers], place, of))]


def replies(
    packets: Any, kind: NDArray[np.int8], rows: Codes, flow: Codes, forward: NDArray[np.bool_],
    ends: tuple[Codes, Codes, Codes, Codes],
) -> tuple[Codes, Codes]:  # fmt: skip
    """Return (reply, request) of each journey, -1 for none.

    Journeys are given by first row, flow, direction and `ends`: first time (it may be known only as
    the earliest that it can have been), when they came to the last place, first and last place.
    Echo pairs by sequence number, a SYN with what acknowledges it, ARP and neighbour discovery by
    addresses, UDP by order inside its flow: whichever questions were answered, no answer overtakes
    another.
    """
    key, asks, answers = _keys(packets, kind, rows, flow, forward)
    chosen = np.flatnonzero(asks | answers)
    order = chosen[np.lexsort((answers[chosen], ends[0][chosen], key[chosen]))]
    in_turn = kind == Kind.UDP
    reply = _match(order, key, asks, answers, in_turn, packets["tcp_flags"][rows] >= 0, ends)
    _without_overtaking(key, in_turn, ends, reply)
    request = np.full(len(rows), -1, np.int64)
    answered = np.flatnonzero(reply >= 0)
    request[reply[answered]] = answered
    return reply, request


def _keys(
    packets: Any, kind: NDArray[np.int8], rows: Codes, flow: Codes, forward: NDArray[np.bool_]
) -> tuple[Keys, NDArray[np.bool_], NDArray[np.bool_]]:
    base = mixed(np.full(len(rows), _SEED), flow)
    asks = np.isin(kind, ANSWERABLE) | ((kind == Kind.UDP) & forward)
    answers = np.isin(kind, (Kind.ECHO_REPLY, Kind.ARP_REPLY)) | ((kind == Kind.UDP) & ~forward)
    echo = np.isin(kind, (Kind.ECHO_REQUEST, Kind.ECHO_REPLY))
    key = np.where(echo, mixed(base, packets["icmp_seq"][rows]), base)
    tcp = packets["tcp_flags"][rows] >= 0
    syn = kind == Kind.TCP_SYN
    expected = (packets["tcp_seq"][rows] + 1) & 0xFFFFFFFF
    number = np.where(syn, expected, packets["tcp_ack"][rows])
    key = np.where(tcp, mixed(base, number), key)
    six = packets["ip_version"][rows] == 6
    asks |= six & (packets["icmp_type"][rows] == SOLICITATION)
    answers |= six & (packets["icmp_type"][rows] == ADVERTISEMENT)
    answers |= tcp & ~forward & np.isin(kind, (Kind.TCP_SYN_ACK, Kind.TCP_RST))
    return key, asks, answers

"""Every packet of the campus is one journey, in order, with its translations, branches and end.

Numbers in payloads, which tshark reads and the correlator does not, say which frames are one
packet; the topology says which way it goes; conntrack tables say whose the equal pings are.
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from campus import TCP_PORT, VNI
from campus_recording import DEVICES, ROUTERS, Recorded
from campus_traffic import ANSWER, PING_ID, STREAM_BYTES
from campus_truth import Packet, is_error, kinds, packets, way
from told import Frame, by_frame, hops, joined, partition, rows

from tracer.core.enums import Cause, Encap, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.values import journeys_of

pytestmark = pytest.mark.kernel
FLOODS = ("broadcast", "multicast")


@pytest.fixture(scope="module")
def found(campus: Recorded) -> JourneySet:
    return joined(campus.folder / f"{device}.pcap" for device in DEVICES)


@pytest.fixture(scope="module")
def journeys(campus: Recorded, found: JourneySet) -> dict[Packet, int]:
    """A journey of each numbered packet: the one that its first frame is in."""
    of = by_frame(found)
    return {packet: of[min(frames)] for packet, frames in packets(campus).items()}


def of_kind(
    campus: Recorded, journeys: dict[Packet, int], *wanted: str
) -> list[tuple[Packet, int]]:
    kind = kinds(campus)
    chosen = [(p, j) for p, j in journeys.items() if kind[p[0]] in wanted]
    assert chosen, wanted
    return chosen


def devices(found: JourneySet, journey: int) -> list[str]:
    return [device for device, _ in hops(found, journey)]


def reason(found: JourneySet, journey: int) -> str:
    text = int(found.journeys["reason"][journey])
    return found.reasons[text] if text >= 0 else ""


def test_every_packet_that_was_sent_is_one_journey(
    campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    sent = {number for numbers in campus.log.values() for number in numbers}
    assert {packet[0] for packet in journeys if packet[0] < ANSWER} == sent
    assert len(journeys) > 2 * 700
    kind = kinds(campus)
    wrong = {
        (kind[packet[0]], packet): sorted(frames ^ set(hops(found, journeys[packet])))
        for packet, frames in packets(campus).items()
        if frames != set(hops(found, journeys[packet]))
    }
    assert wrong == {}


def test_hops_are_in_the_order_of_the_topology(
    campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    kind = kinds(campus)
    for packet, journey in journeys.items():
        if kind[packet[0]] not in FLOODS:
            seen = devices(found, journey)
            assert seen == way(kind[packet[0]], packet, seen), (kind[packet[0]], packet)


def test_all_arrived_but_what_an_error_says_did_not(
    campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    refused = {
        packet[0]
        for packet in journeys
        if is_error(packet) and not kinds(campus)[packet[0]].startswith("unreachable")
    }
    assert len(refused) == 12
    for packet, journey in journeys.items():
        ended = Outcome(found.journeys["outcome"][journey])
        is_refused = packet[0] in refused and not is_error(packet)
        expected = Outcome.ANSWERED_ELSEWHERE if is_refused else Outcome.DELIVERED
        assert ended == expected, (kinds(campus)[packet[0]], packet, reason(found, journey))


def test_answers_belong_to_what_they_answer(found: JourneySet, journeys: dict[Packet, int]) -> None:
    for packet, journey in journeys.items():
        number, kind, fragment = packet
        if number > ANSWER and fragment == "0":
            assert found.journeys["request"][journey] == journeys[number - ANSWER, kind, "0"]
        if kind == "v4 8":
            assert found.journeys["reply"][journey] == journeys[number, "v4 0", "0"]


def test_errors_quote_their_packet_through_three_translations(
    campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    errors = [(packet, journey) for packet, journey in journeys.items() if is_error(packet)]
    assert Counter(kinds(campus)[packet[0]] for packet, _ in errors) == {
        **{f"exceeded at R{n}{v}": 2 for n in (2, 3) for v in ("", " 6")},
        **{f"{kind}{v}": n for kind, n in (("unreachable", 4), ("too big", 2)) for v in ("", " 6")},
    }
    for packet, journey in errors:
        assert found.journeys["quotes"][journey] == journeys[packet[0], "", "0"], packet


THERE, BACK = (Cause.SNAT, Cause.SNAT, Cause.DNAT), (Cause.UN_DNAT, Cause.UN_SNAT, Cause.UN_SNAT)
CAUSES = {
    "three nats": (THERE, BACK),
    "pings": (THERE, BACK),
    "hairpin": ((Cause.SNAT_DNAT,), (Cause.UN_SNAT_UN_DNAT,)),
}


@pytest.mark.parametrize("kind", CAUSES)
def test_translations_are_named(
    kind: str, campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    for packet, journey in of_kind(campus, journeys, kind):
        first, count = (int(found.journeys[name][journey]) for name in ("first_hop", "n_hops"))
        causes = found.hops["cause"][first : first + count]
        back = packet[0] > ANSWER or packet[1] == "v4 0"
        told = tuple(Cause(c) for c in causes if c in {*THERE, *BACK, *CAUSES["hairpin"][back]})
        assert told == CAUSES[kind][back], packet


def test_two_ways_out_stay_two_and_another_way_back_is_named(
    campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    out: Counter[str] = Counter()
    for packet, journey in of_kind(campus, journeys, "before", "three nats"):
        if packet[0] > ANSWER:
            went = devices(found, journeys[packet[0] - ANSWER, "", "0"])
            link = "e1" if "e1" in went else "e2"
            out[link] += 1
            other = "came back over f2, e2, not over e1, f1" if link == "e1" else ""
            assert reason(found, journey) == other
    assert set(out) == {"e1", "e2"}


def test_a_flood_is_a_tree(campus: Recorded) -> None:
    named = joined([campus.named])
    of, kind = by_frame(named), kinds(campus)
    floods = {of[min(frames)] for p, frames in packets(campus).items() if kind[p[0]] in FLOODS}
    assert len(floods) == 14
    for journey in floods:
        seen = devices(named, journey)
        first = int(named.journeys["first_hop"][journey])
        above = named.hops["parent"][first : first + len(seen)]
        tree = {d: seen[n - 1] if n else None for d, n in zip(seen, above, strict=True)}
        assert tree == {
            "a0": None, "pa": "a0", "pb": "pa", "pc": "pa", "pr": "pa",
            "b0": "pb", "c0": "pc", "i0": "pr",
        }  # fmt: skip


@pytest.mark.parametrize("kind", ["vxlan", "vxlan 6", "geneve", "gre"])
def test_a_tunnel_is_inside_the_journey(
    kind: str, campus: Recorded, found: JourneySet, journeys: dict[Packet, int]
) -> None:
    encap = {"v": Encap.VXLAN, "g": Encap.GENEVE if kind == "geneve" else Encap.GRE}[kind[0]]
    chosen = of_kind(campus, journeys, kind)
    for (packet, _), journey in zip(
        chosen, journeys_of(found, [j for _, j in chosen]), strict=True
    ):
        there = packet[0] < ANSWER
        outside = [hop.observation for hop in journey.hops if hop.observation.encap]
        outer = [Path(str(seen.capture)).stem for seen in outside]
        assert outer == (["s1", "s0"] if there else ["s0", "s1"])
        for seen in outside:
            assert seen.encap == encap.label
            assert seen.vni == (None if kind == "gre" else VNI)
            ends = ("10.9.5.1", "10.9.5.2")
            assert (seen.outer_src, seen.outer_dst) == (ends if there else ends[::-1])


def test_a_super_packet_and_its_segments_are_one_journey(
    campus: Recorded, found: JourneySet
) -> None:
    of = by_frame(found)
    initial: int | None = None  # numbers count from the first one's, past 2**32 too
    spans: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for device, rows_of in campus.frames.items():
        for frame, row in enumerate(rows_of, 1):
            if row["tcp.dstport"] == str(TCP_PORT) and int(row["tcp.len"]):  # a0 is first
                number = int(row["tcp.seq_raw"])
                initial = number if initial is None else initial
                begin = (number - initial) % 2**32
                spans[of[device, frame]][device].append((begin, begin + int(row["tcp.len"])))
    sent: list[tuple[int, int]] = []  # under load the sender sends some twice
    for span in spans.values():
        ((begin, end),) = span["a0"]
        sent.append((begin, end))
        for pieces in span.values():
            pieces.sort()
            assert (pieces[0][0], pieces[-1][1]) == (begin, end)
            assert all(a[1] == b[0] for a, b in pairwise(pieces))
    reached = 0
    for begin, end in sorted(sent):
        assert begin <= reached
        reached = max(reached, end)
    assert reached == STREAM_BYTES
    split = [len(span["e1"] or span["e2"]) for span in spans.values()]
    assert max(split) > 1
    assert all(len(span["s0"]) < n for span, n in zip(spans.values(), split, strict=True) if n > 1)


def entries(campus: Recorded, router: str) -> list[re.Match[str]]:
    text = (campus.folder / "aside" / f"plain-{router}-1.txt").read_text()
    pattern = (
        r"icmpv6 .*? src=(\S+) dst=\S+ type=128 code=0 id=(\d+) "
        r"(?:\[UNREPLIED\] )?src=(\S+) dst=(\S+) type=129 code=0 id=(\d+)"
    )
    return list(re.finditer(pattern, text))


def owners(campus: Recorded) -> dict[tuple[str, int], str]:
    """(host's or public address, id) → the host, as conntrack of R1 and R2 translated it."""
    found: dict[tuple[str, int], str] = {}
    for entry in entries(campus, ROUTERS[0]):
        found[entry[1], int(entry[2])] = found[entry[4], int(entry[5])] = entry[1]
    for entry in entries(campus, ROUTERS[1]):
        found[entry[4], int(entry[5])] = found[entry[1], int(entry[2])]
    return found


def test_equal_pings_of_several_hosts_are_as_conntrack_says(
    campus: Recorded, found: JourneySet
) -> None:
    of, host = by_frame(found), owners(campus)
    truth: dict[tuple[str, str, int], set[Frame]] = defaultdict(set)
    for device, rows_of in campus.frames.items():
        for frame, row in enumerate(rows_of, 1):
            if row["icmpv6.type"] not in ("128", "129"):
                continue
            near = row["ipv6.src"] if row["icmpv6.type"] == "128" else row["ipv6.dst"]
            who = host[near, int(row["icmpv6.echo.identifier"], 16)]
            seq = int(row["icmpv6.echo.sequence_number"])
            truth[row["icmpv6.type"], who, seq].add((device, frame))
    assert len(truth) == 2 * 3 * 7
    assert len({key[1] for key in truth}) == 3
    assert all(("fd09:1::2", PING_ID) in host for _ in truth)
    for key, frames in truth.items():
        mine = {of[frame] for frame in frames}
        assert len(mine) == 1, key
        assert set(hops(found, mine.pop())) == frames, key


def test_every_frame_is_in_one_hop(found: JourneySet) -> None:
    order = np.sort(found.hops["row"])
    assert np.array_equal(order, np.arange(len(found.observations)))
    assert sum(len(rows(found, j)) for j in range(len(found.journeys))) == len(order)


def test_names_of_places_change_no_journey(campus: Recorded, found: JourneySet) -> None:
    named = joined([campus.named])
    assert partition(named) == partition(found)

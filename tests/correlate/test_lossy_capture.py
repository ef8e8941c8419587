"""captures/lossy-wire: each packet is one journey, ended where it was lost, by the truth beside it.

Truth is what sender, rule and wire wrote down; the numbers in payloads only tshark reads.
"""

import json
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tracer.core.enums import Event, Outcome
from tracer.core.journeys import JourneySet
from tracer.core.segments import segment_events
from tracer.correlate.join import join
from tracer.sources.conntrack import read_conntrack_folder
from tracer.sources.read import read

FOLDER = Path(__file__).resolve().parent.parent.parent / "captures" / "lossy-wire"
Key = tuple[int, str, str]  # number, protocol, kind
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
SERVER_PORTS = {"5300", "9999", "9998"}


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "truth.json").read_text())
    return document


@pytest.fixture(scope="module")
def keys() -> dict[tuple[str, int], Key]:
    """The packet that each (device, frame) shows, of those that have a number."""
    fields = ("frame.number", "ip.proto", "icmp.type", "udp.srcport", "tcp.srcport", "udp.payload",
              "tcp.payload", "data.data")  # fmt: skip
    found = {}
    for file in FOLDER.glob("*.pcap"):
        argv = ["tshark", "-n", "-r", str(file), "-T", "fields"]
        argv += [word for field in fields for word in ("-e", field)]
        printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for line in printed.splitlines():
            frame, proto, icmp, udp, tcp, *payloads = line.split("\t")
            text = re.search(rb"#tracer:(\d{8})#", bytes.fromhex("".join(filter(None, payloads))))
            if text:
                is_reply = icmp == "0" or (udp or tcp) in SERVER_PORTS
                kind = "reply" if is_reply else "request"
                device = file.stem.partition("-")[2]
                found[device, int(frame)] = (int(text[1]), PROTOCOLS[int(proto)], kind)
    return found


@pytest.fixture(scope="module", params=[True, False], ids=["conntrack", "without-conntrack"])
def found(request: pytest.FixtureRequest) -> JourneySet:
    entries, _ = read_conntrack_folder(FOLDER) if request.param else ([], [])
    assert bool(entries) == request.param
    return join(read([FOLDER]).batch, entries)


def shown(found: JourneySet, journey: int) -> list[tuple[str, int]]:
    """(device, frame) of each hop."""
    first, count = (int(found.journeys[name][journey]) for name in ("first_hop", "n_hops"))
    packets = found.observations.packets[found.hops["row"][first : first + count]]
    points = found.observations.points
    return [(str(points[p["point"]].device), int(p["frame"])) for p in packets]


def places(truth: dict[str, Any], packet: dict[str, Any]) -> tuple[str, ...]:
    """The devices whose captures a packet passed, in order."""
    way = truth["ways"][packet["kind"]]
    passed = way if packet["lost_after"] is None else way[: way.index(packet["lost_after"]) + 1]
    return tuple(place for place in passed if packet["phase"] in truth["captured"][place])


def told(
    found: JourneySet, keys: dict[tuple[str, int], Key]
) -> dict[Key, list[tuple[int, tuple[str, ...]]]]:
    """Each packet's journeys, with the devices each shows: every hop has the packet's number."""
    out: dict[Key, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
    for journey in range(len(found.journeys)):
        hops = shown(found, journey)
        said = {keys.get(hop) for hop in hops}
        assert len(said) == 1, f"one journey of {said}"
        key = said.pop()
        if key:
            out[key].append((journey, tuple(dict.fromkeys(device for device, _ in hops))))
    return out


def key_of(packet: dict[str, Any]) -> Key:
    return packet["number"], packet["proto"], packet["kind"]


def test_every_packet_has_its_true_hops_in_order(
    truth: dict[str, Any], keys: dict[tuple[str, int], Key], found: JourneySet
) -> None:
    expected: dict[Key, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for packet in truth["packets"]:
        if seen := places(truth, packet):
            expected[key_of(packet)][seen] += 1
    said = {
        key: Counter(devices for _, devices in journeys)
        for key, journeys in told(found, keys).items()
    }
    assert said == expected
    assert len(expected) > 170


def outcome(truth: dict[str, Any], packet: dict[str, Any], answered: bool) -> tuple[str, str]:
    """How a packet ended as captures can show it, and the last place that does.

    Where the next place was not captured then, nobody knows whether it got there.
    """
    seen, way = places(truth, packet)[-1], truth["ways"][packet["kind"]]
    if answered or seen == way[-1]:
        return "delivered", ""
    following = way[way.index(seen) + 1]
    is_captured = packet["phase"] in truth["captured"][following]
    return ("vanished", seen) if is_captured else ("unfinished", "")


def test_every_packet_ends_as_it_did_where_it_did(
    truth: dict[str, Any], keys: dict[tuple[str, int], Key], found: JourneySet
) -> None:
    replies = {
        packet["number"]
        for packet in truth["packets"]
        if packet["kind"] == "reply" and places(truth, packet)
    }
    expected: Counter[Any] = Counter()
    for packet in truth["packets"]:
        if places(truth, packet):
            answered = packet["kind"] == "request" and packet["number"] in replies
            answered = answered and packet["proto"] != "tcp"
            expected[key_of(packet), *outcome(truth, packet, answered)] += 1
    said: Counter[Any] = Counter()
    points = found.observations.points
    for key, journeys in told(found, keys).items():
        for journey, _ in journeys:
            ended = Outcome(found.journeys["outcome"][journey]).label
            at = points[found.journeys["outcome_point"][journey]].device
            said[key, ended, at if ended == "vanished" else ""] += 1
    assert said == expected
    assert Counter(ended for _, ended, _ in expected)["vanished"] > 10


def test_what_came_twice_is_a_duplicate(
    truth: dict[str, Any], keys: dict[tuple[str, int], Key], found: JourneySet
) -> None:
    doubled = {
        key_of(packet)
        for packet in truth["packets"]
        if packet["doubled"] and "s0" in places(truth, packet)
    }
    assert doubled
    said = {
        key: sum(int(found.journeys["duplicates"][journey]) for journey, _ in journeys)
        for key, journeys in told(found, keys).items()
    }
    assert {key for key, copies in said.items() if copies} == doubled


def test_what_tcp_sent_again_names_what_was_lost(
    truth: dict[str, Any], keys: dict[tuple[str, int], Key], found: JourneySet
) -> None:
    again = {key_of(packet) for packet in truth["packets"] if packet["again"]}
    assert len(again) == 3
    said = told(found, keys)
    for key, journeys in said.items():
        lost = {int(found.journeys["retransmission_of"][journey]) for journey, _ in journeys} - {-1}
        assert bool(lost) == (key in again), key
        assert lost <= {journey for journey, _ in journeys}


def test_losses_and_what_was_sent_again_lie_on_their_segments(
    truth: dict[str, Any], found: JourneySet
) -> None:
    replies = {p["number"] for p in truth["packets"] if p["kind"] == "reply" and places(truth, p)}
    expected: Counter[Any] = Counter()
    for packet in truth["packets"]:
        way = truth["ways"][packet["kind"]]
        answered = packet["proto"] != "tcp" and packet["number"] in replies
        answered = answered and packet["kind"] == "request"
        if packet["again"]:  # the one that it repeats was lost between these
            expected["resent", "r1", "s0"] += 1
        elif places(truth, packet) and outcome(truth, packet, answered)[0] == "vanished":
            seen = places(truth, packet)[-1]
            expected["lost", seen, way[way.index(seen) + 1]] += 1
    points = found.observations.points
    said = Counter(
        (Event(event["event"]).label, points[event["from_point"]].device,
         points[event["to_point"]].device)
        for event in segment_events(found)
    )  # fmt: skip
    assert said == expected
    assert {key: said[key] for key in said if key[0] == "resent"} == {("resent", "r1", "s0"): 3}


def test_the_wire_had_swapped_some(truth: dict[str, Any]) -> None:
    assert sum(packet["overtaken"] for packet in truth["packets"]) > 5


def test_the_folder_is_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 300_000

"""The recorded folders give exactly their true journeys, with conntrack dumps and without.

Truth is the senders' log and the unique numbers in payloads, which only tshark reads here; the
correlator sees neither.
"""

import json
import re
import subprocess
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tracer.core.hop import Hop
from tracer.core.journey import Journey
from tracer.core.values import journeys_of
from tracer.correlate.join import join
from tracer.sources.conntrack import read_conntrack_folder
from tracer.sources.read import read

FOLDERS = ("fip-outbound", "fip-inbound", "snat-centralized", "east-west", "two-tenants")
CONSTANT = "constant"
Look = tuple[Any, ...]
Frame = tuple[str, int]


@dataclass
class Case:
    """A folder's truth, what tshark reads in each frame's payload, and the journeys."""

    paths: dict[str, list[dict[str, Any]]]
    packets: list[dict[str, Any]]
    payloads: dict[Frame, int | str]
    journeys: list[Journey]
    has_conntrack: bool
    observations: int


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, captures: Path) -> Path:
    return captures / str(request.param)


@pytest.fixture(scope="module")
def payloads(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Frame, int | str]:
    points = tomllib.loads((folder / "points.toml").read_text())["point"]
    scratch = tmp_path_factory.mktemp("plain")
    found: dict[Frame, int | str] = {}
    for file in {point["file"] for point in points}:
        found |= {(file, n): what for n, what in payloads_of(folder / file, scratch)}
    return found


def payloads_of(file: Path, scratch: Path) -> list[tuple[int, int | str]]:
    if file.suffix == ".zst":
        plain = scratch / file.stem
        with file.open("rb") as packed, plain.open("wb") as out:
            zstandard.ZstdDecompressor().copy_stream(packed, out)
        file = plain
    fields = ("frame.number", "tcp.payload", "data.data", "udp.payload")
    argv = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "occurrence=l"]
    argv += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: list[tuple[int, int | str]] = []
    for line in done.stdout.splitlines():
        number, tcp, data, udp = line.split("\t")
        payload = bytes.fromhex(tcp or data or udp)
        if marker := re.search(rb"#tracer:(\d{8})#", payload):
            found.append((int(number), int(marker[1])))
        elif payload.startswith((b"\xff" * 8, b"tracertracer")):
            found.append((int(number), CONSTANT))
    return found


@pytest.fixture(scope="module", params=[True, False], ids=["conntrack", "without-conntrack"])
def case(request: pytest.FixtureRequest, folder: Path, payloads: dict[Frame, int | str]) -> Case:
    document = json.loads((folder / "truth.json").read_text())
    entries, _ = read_conntrack_folder(folder) if request.param else ([], [])
    assert bool(entries) == request.param
    batch = read([folder]).batch
    found = join(batch, entries)
    journeys = journeys_of(found, range(len(found.journeys)))
    has_dump = bool(request.param)
    packets = document["packets"]
    return Case(document["paths"], packets, payloads, journeys, has_dump, len(batch))


def true_hops(case: Case, packet: dict[str, Any]) -> list[dict[str, Any]]:
    path = case.paths[packet["path"]]
    if packet["lost_after"] is None:
        return path
    names = [hop["name"] for hop in path]
    return path[: len(names) - names[::-1].index(packet["lost_after"])]


def true_look(hop: dict[str, Any]) -> Look:
    names = ("host", "netns", "device", "ttl", "src_mac", "dst_mac", "vlan", "src", "dst", "vni")
    return tuple(hop[name] for name in names)


def look(hop: Hop) -> Look:
    seen = hop.observation
    place = seen.host, seen.netns, seen.device
    return (
        *place, seen.ttl, seen.src_mac, seen.dst_mac, seen.vlan, seen.src, seen.dst, seen.vni
    )  # fmt: skip


def looks(journey: Journey) -> tuple[Look, ...]:
    return tuple(look(hop) for hop in journey.hops)


def content(case: Case, journey: Journey) -> set[int | str | None]:
    return {
        case.payloads.get((str(hop.observation.capture), int(hop.observation.frame or 0)))
        for hop in journey.hops
    }


def by_content(case: Case) -> dict[int | str | None, list[Journey]]:
    found: dict[int | str | None, list[Journey]] = defaultdict(list)
    for journey in case.journeys:
        kinds = content(case, journey)
        assert len(kinds) == 1, f"journey {journey.journey} mixes packets {kinds}"
        found[kinds.pop()].append(journey)
    return found


def test_numbered_packets_have_exactly_their_true_hops_in_order(case: Case) -> None:
    expected: dict[int, Counter[tuple[Look, ...]]] = defaultdict(Counter)
    for packet in case.packets:
        if packet["number"] is not None:
            hops = tuple(true_look(hop) for hop in true_hops(case, packet))
            expected[packet["number"]][hops] += 1
    found = by_content(case)
    for number, sequences in expected.items():
        assert Counter(looks(journey) for journey in found[number]) == sequences, number
    assert len(expected) >= 30


def test_constant_payloads_have_exactly_their_true_hops_in_order(case: Case) -> None:
    expected: Counter[Any] = Counter()
    for packet in case.packets:
        if packet["number"] is None:
            ip_id = packet["ip_id"] if packet["kind"] == "request" else None
            hops = tuple(true_look(hop) for hop in true_hops(case, packet))
            expected[packet["proto"], packet["icmp_seq"], ip_id, hops] += 1
    seen: Counter[Any] = Counter()
    for journey in by_content(case)[CONSTANT]:
        first = journey.hops[0].observation
        ip_id = first.ip_id if first.icmp_type == 8 else None
        seen[journey.proto, first.icmp_seq, ip_id, looks(journey)] += 1
    assert seen == expected
    assert len(expected) > 0


def test_everything_else_of_tcp_takes_the_same_paths(case: Case) -> None:
    paths = {tuple(true_look(hop) for hop in path) for path in case.paths.values()}
    others = [j for j in by_content(case)[None] if j.proto == "tcp"]
    assert len(others) >= 8  # handshake, acknowledgements, close
    assert {looks(journey) for journey in others} <= paths


def test_echo_requests_are_joined_to_their_replies(case: Case) -> None:
    by_number = {journey.journey: journey for journey in case.journeys}
    requests = [journey for journey in case.journeys if journey.kind == "echo-request"]
    assert len(requests) >= 20
    for request in requests:
        reply = by_number[request.reply or 0]
        assert reply.kind == "echo-reply"
        assert reply.request == request.journey
        assert content(case, reply) == content(case, request)
        assert reply.hops[0].observation.icmp_seq == request.hops[0].observation.icmp_seq


def test_what_was_lost_vanished_where_it_was_lost_and_all_else_arrived(case: Case) -> None:
    lost = [packet for packet in case.packets if packet["lost_after"] is not None]
    assert lost
    expected = Counter((p["number"], true_hops(case, p)[-1]["device"]) for p in lost)
    ended: Counter[Any] = Counter()
    for journey in case.journeys:
        if journey.outcome != "delivered":
            assert journey.outcome == "vanished"
            assert journey.outcome_point is not None
            ended[(content(case, journey).pop(), journey.outcome_point.device)] += 1
    assert ended == expected


def test_the_segment_sent_again_is_a_journey_of_its_own(case: Case) -> None:
    by_number = {journey.journey: journey for journey in case.journeys}
    lost = {packet["number"] for packet in case.packets if packet["lost_after"] is not None}
    again = [journey for journey in case.journeys if journey.retransmission_of is not None]
    assert {content(case, journey).pop() for journey in again} == lost
    for journey in again:
        assert by_number[journey.retransmission_of or 0].outcome == "vanished"


def test_translations_are_named_and_rest_on_conntrack_where_there_is_a_dump(case: Case) -> None:
    evidence: Counter[str] = Counter()
    for journey in case.journeys:
        for hop in journey.hops:
            changed = {change.field for change in hop.changes}
            if changed & {"src", "dst", "sport", "dport", "icmp_id"} and journey.proto != "arp":
                assert hop.join is not None
                causes = {c.cause for c in hop.changes if c.field in ("src", "dst")}
                assert causes <= {"snat", "dnat", "un-snat", "un-dnat"}
                evidence[str(hop.join.evidence)] += 1
    translated = any(
        len({(hop["src"], hop["dst"]) for hop in path}) > 1 for path in case.paths.values()
    )
    assert bool(evidence) == translated
    if case.has_conntrack and translated:
        assert set(evidence) == {"conntrack"}


def test_ttl_falls_by_one_at_each_routed_step_and_is_said_to(case: Case) -> None:
    steps = [hop for journey in case.journeys for hop in journey.hops[1:] if hop.changes]
    falls = [c for hop in steps for c in hop.changes if c.field == "ttl"]
    assert falls
    assert {(c.before - c.after, c.cause) for c in falls} == {(1, "forwarded")}


def test_every_observation_is_in_exactly_one_journey(case: Case) -> None:
    frames = Counter(
        (hop.observation.capture, hop.observation.frame)
        for journey in case.journeys
        for hop in journey.hops
    )
    assert len(frames) == case.observations
    assert set(frames.values()) == {1}


def test_no_hop_time_is_negative(case: Case) -> None:
    deltas = [hop.delta_ns for journey in case.journeys for hop in journey.hops[1:]]
    assert len(deltas) > 300
    assert all(delta is not None and delta >= 0 for delta in deltas)

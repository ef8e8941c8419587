"""Every hop of known traffic through the lab, live, on both engines: tcpdump and the ground truth
of the lab say what it has to look like.
"""

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import dpkt
import pytest
from follower import Follower, Journey, stop_together, together, tracer

from tracer import lab as lab_package
from tracer.lab import LabStatus, Recording, Sent
from tracer.lab.recording import file_name

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
CASES = sorted(lab_package.cases())
NETWORKS = ("192.168.3.0/24", "10.20.0.0/24", "100.121.0.0/24", "100.122.0.0/24")
#: What each follower keeps everything in.
KEPT = {"core": "core.pcapng", "bcc": "bcc.parquet"}
PINGS = 23
MARKER = re.compile(rb"#tracer:\d{8}#")
Frames = dict[tuple[str, bytes], list[dict[str, Any]]]
LENGTHS = {
    "tcp": 200,
    "udp": 56,
}  # of the payloads in the log: a connection's other segments have none
FLOATING = "100.122.0.145"  # nobody's own: the floating-IP namespace answers for it
ARP: dict[str, str] = {}  # address asked for: MAC that answered, by arping
SPORTS = {name: 40_000 + number for number, name in enumerate(CASES)}


@pytest.fixture(scope="module")
def recording(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Every kind of traffic along every case, with tcpdump at every point, and its followers."""
    folder = tmp_path_factory.mktemp("follow")
    hosts = [part for net in NETWORKS for part in ("--host", net)]
    options = [*hosts, "--write"]
    followers = together(
        Follower(folder, name, "--engine", name, *options, str(folder / file))
        for name, file in KEPT.items()
    )
    try:
        made = lab_package.record(folder / "pcap", lab_package.points(), _traffic)
        for follower in followers:
            follower.wait(partial(_is_answer, sent=made.log[-1]), "the last answer")
    finally:
        stop_together(followers)
    return made


def _traffic() -> list[Sent]:
    log: list[Sent] = []
    _ask_for(FLOATING)
    for name in CASES:
        count = PINGS if name == "fip-outbound" else 3
        log += lab_package.ping(name, count, interval_s=0.01, icmp_id=SPORTS[name])
        log += lab_package.send_tcp(name, sport=SPORTS[name], port=8080)
        log += lab_package.send_udp(name, sport=SPORTS[name], port=5353)
    return log


def _ask_for(address: str) -> None:
    """Have the switch ask who has an address, and note which MAC it is told (`ARP`)."""
    inside = "ip netns exec l3switch"
    subprocess.run(f"{inside} ip neigh flush dev vlan20".split(), check=True)
    words = f"{inside} arping -c 1 -w 5 -I vlan20 {address}".split()
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    ARP[address] = re.findall(r"[\dA-Fa-f:]{17}", said)[0].lower()


def _is_answer(journey: Journey, sent: Sent) -> bool:
    hop = journey["hops"][-1]
    return bool((hop["netns"], hop["sport"]) == (sent.path[-1].point.netns, sent.sport))


@pytest.fixture(scope="module", params=ENGINES)
def journeys(request: pytest.FixtureRequest, recording: Recording) -> list[Journey]:
    return _journeys(recording.folder.parent, request.param)


@cache
def _journeys(folder: Path, engine: str) -> list[Journey]:
    return Follower(folder, engine).journeys


def at_points(journey: Journey) -> list[Journey]:
    """The hops at points of the lab; hooks and devices between them are left out."""
    places = {(point.netns, point.device) for point in lab_package.points()}
    return [h for h in journey["hops"] if (h["netns"], h["device"]) in places and not h["hook"]]


def of_sent(journeys: list[Journey], sent: Sent) -> list[Journey]:
    """The journeys that are this line of the sender's log, by what its first hop shows."""
    place = (sent.path[0].point.netns, sent.path[0].point.device, sent.src, sent.dst)
    return [
        journey
        for journey in journeys
        for hop in journey["hops"][:1]
        if (hop["netns"], hop["device"], hop["src"], hop["dst"]) == place and _is(journey, sent)
    ]


def _is(journey: Journey, sent: Sent) -> bool:
    first, last = journey["hops"][0], journey["hops"][-1]
    if sent.proto == "icmp":
        asked = first if sent.kind == "request" else last  # where the one who asked is
        return (asked["icmp_id"], first["icmp_seq"]) == (sent.icmp_id, sent.icmp_seq)
    ports = (first["sport"], first["dport"]) == (sent.sport, sent.dport)
    return ports and first["payload_len"] == LENGTHS.get(sent.proto)


@pytest.fixture(scope="module")
def frames(recording: Recording) -> Frames:
    """What tcpdump saw: for each file and marker the frames there that hold this payload."""
    found: Frames = defaultdict(list)
    for name in recording.files:
        with (recording.folder / name).open("rb") as file:
            for _, raw in dpkt.pcap.Reader(file):
                for marker in MARKER.findall(raw):
                    found[name, marker].append(fields(raw))
    return found


def fields(raw: bytes) -> dict[str, Any]:
    outer = dpkt.ethernet.Ethernet(raw)
    tunnelled = isinstance(outer.data, dpkt.ip.IP) and getattr(outer.data.data, "dport", 0) == 4789
    frame = dpkt.ethernet.Ethernet(outer.data.data.data[8:]) if tunnelled else outer
    ip = frame.data
    found = {
        "src_mac": frame.src.hex(":"), "dst_mac": frame.dst.hex(":"),
        "src": dpkt.utils.inet_to_str(ip.src), "dst": dpkt.utils.inet_to_str(ip.dst),
        "ttl": ip.ttl, "ip_id": ip.id, "len": ip.len,
        "vlan": frame.vlan_tags[0].id if getattr(frame, "vlan_tags", None) else None,
        "vni": int.from_bytes(outer.data.data.data[4:7]) if tunnelled else None,
        "outer_src": dpkt.utils.inet_to_str(outer.data.src) if tunnelled else None,
        "outer_dst": dpkt.utils.inet_to_str(outer.data.dst) if tunnelled else None,
    }  # fmt: skip
    if isinstance(ip.data, dpkt.icmp.ICMP):
        return found | {"icmp_id": ip.data.data.id, "icmp_seq": ip.data.data.seq}
    return found | {"sport": ip.data.sport, "dport": ip.data.dport}


@pytest.mark.parametrize("name", CASES)
def test_every_packet_has_the_hops_that_the_lab_gives_it(
    journeys: list[Journey], recording: Recording, name: str
) -> None:
    for sent in (line for line in recording.log if line.case == name):
        found = of_sent(journeys, sent)
        assert found, sent
        shown = {
            tuple((h["netns"], h["device"], h["direction"], h["ttl"]) for h in at_points(journey))
            for journey in found
        }
        true = tuple((h.point.netns, h.point.device, h.direction, h.ttl) for h in sent.path)
        assert shown == {true}, sent


@pytest.mark.parametrize("name", CASES)
def test_every_hop_is_as_tcpdump_saw_it(
    journeys: list[Journey], recording: Recording, frames: Frames, name: str
) -> None:
    checked = 0
    for sent in (line for line in recording.log if line.case == name):
        found = of_sent(journeys, sent)
        for place, hop in enumerate(sent.path):
            caught = frames[file_name(hop.point), sent.marker]
            (seen,) = (frame for frame in caught if frame["ttl"] == hop.ttl)
            shown = [{k: at_points(j)[place][k] for k in seen} for j in found]
            assert seen in shown, (sent, hop.name)
            checked += 1
    assert checked > 50


@pytest.mark.parametrize("name", CASES)
def test_packets_and_answers_are_exchanges(
    journeys: list[Journey], recording: Recording, name: str
) -> None:
    by_number = {journey["journey"]: journey for journey in journeys}
    requests = [
        s for s in recording.log if s.case == name and (s.proto, s.kind) == ("icmp", "request")
    ]
    assert len(requests) == (PINGS if name == "fip-outbound" else 3)
    for sent in requests:
        (request,) = of_sent(journeys, sent)
        reply = by_number[request["reply"]]
        assert (request["outcome"], reply["outcome"]) == ("delivered", "delivered")
        assert reply["hops"][-1]["icmp_id"] == sent.icmp_id
        assert request["ambiguous"] is reply["ambiguous"] is False
        assert request["hops"][0]["icmp_id"] == sent.icmp_id


def test_hops_rest_on_the_buffer_and_say_where_nat_happened(journeys: list[Journey]) -> None:
    translated = [
        hop
        for journey in journeys for hop in journey["hops"]
        if any(change["field"] in ("src", "dst") for change in hop["changes"])
    ]  # fmt: skip
    assert translated
    for hop in translated:
        assert hop["hook"] in ("prerouting", "postrouting"), hop
        assert hop["join"]["evidence"] in ("skb", "conntrack")


def test_proxy_arp_answers_for_a_floating_address(journeys: list[Journey]) -> None:
    by_number = {journey["journey"]: journey for journey in journeys}
    asked = [
        j for j in journeys
        if j["kind"] == "arp-request" and j["hops"][0]["arp_target_ip"] == FLOATING
        and (j["hops"][0]["netns"], j["hops"][0]["device"]) == ("l3switch", "vlan20")
    ]  # fmt: skip
    assert asked
    for request in asked:
        places = {(hop["netns"], hop["device"]) for hop in request["hops"]}
        fg = next(p for p in lab_package.points() if p.device.startswith("fg-"))
        assert (fg.netns, fg.device) in places
        reply = by_number[request["reply"]]
        first, last = reply["hops"][0], reply["hops"][-1]
        assert (first["netns"], first["device"]) == (fg.netns, fg.device)
        assert (last["netns"], last["device"]) == ("l3switch", "vlan20")
        assert {hop["src_mac"] for hop in reply["hops"]} == {ARP[FLOATING]}
        assert {hop["arp_sender_ip"] for hop in reply["hops"]} == {FLOATING}


def test_both_engines_show_the_same_journeys(recording: Recording) -> None:
    core, bcc = (sorted(map(told, _journeys(recording.folder.parent, name))) for name in ENGINES)
    assert core == bcc
    assert len(core) > 100


def told(journey: Journey) -> str:
    """A journey without what differs between two who saw the same: times, numbers, frames.

    How sure a join is rests on how long it took, too, and each engine has stamps of its own: a CPU
    that is taken away between their two programs makes one step long for one of them only. For
    how many other addresses a router answers is told from what was seen by the time of the line.
    """
    own = {k: journey[k] for k in ("kind", "outcome", "outcome_at", "ambiguous")}
    own["reason"] = (journey["reason"] or "").partition(", a proxy or router: ")[0]
    left = ("time_ns", "delta_ns", "capture", "frame", "join")
    hops = [
        {k: v for k, v in hop.items() if k not in left}
        | {k: v for k, v in (hop["join"] or {}).items() if k != "confidence"}
        for hop in journey["hops"]
    ]
    return repr((own, hops))


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_was_lost(recording: Recording, engine: str) -> None:
    summary = Follower(recording.folder.parent, engine).summary
    assert summary["lost"] == {
        "ring_full": 0, "map_full": 0, "unreadable": 0, "hooks_skipped": 0,
    }  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recording_gives_the_same_journeys_later(recording: Recording, engine: str) -> None:
    file = recording.folder.parent / KEPT[engine]
    done = subprocess.run(
        tracer("offline", str(file), "--format", "jsonl"), capture_output=True, check=True
    )
    later = [json.loads(line) for line in done.stdout.splitlines()]
    live = _journeys(recording.folder.parent, engine)
    assert len(later) == len(live)
    # The lab's proxy answers ARP after up to 0.8 s: what is open at the end is open to judgement.
    settled = [[told(j) for j in one if j["proto"] != "arp"] for one in (later, live)]
    assert sorted(settled[0]) == sorted(settled[1])


def test_wireshark_sees_in_a_recording_what_tcpdump_saw(
    recording: Recording, frames: Frames
) -> None:
    """Every echo at every device, header for header; and none of the payload."""
    shown = Counter(tuple(line) for line in _tshark(recording.folder.parent / KEPT["core"]))
    seen: Counter[tuple[str, ...]] = Counter()
    for (name, _), caught in frames.items():
        point = recording.files[name]
        place = f"{point.host}/{point.netns}/{point.device}"
        for frame in (f for f in caught if "icmp_id" in f and f["vni"] is None):
            keys = ("src_mac", "dst_mac", "src", "dst", "ttl", "ip_id", "icmp_id", "icmp_seq")
            seen[(place.split("/", 1)[1], *(str(frame[key]) for key in keys))] += 1
    assert sum(seen.values()) > 300
    assert {key: shown[key] for key in seen} == seen


def _tshark(file: Path) -> Iterator[list[str]]:
    fields = ("frame.interface_name", "eth.src", "eth.dst", "ip.src", "ip.dst", "ip.ttl", "ip.id",
              "icmp.ident", "icmp.seq", "data.len")  # fmt: skip
    options = [word for field in fields for word in ("-e", field)]
    words = ["tshark", "-r", str(file), "-Y", "icmp && !vxlan", "-T", "fields", *options]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        place, *macs_and_ends, ip_id, icmp_id, icmp_seq, payload = line.split("\t")
        assert payload == ""
        numbers = (str(int(value, 0)) for value in (ip_id, icmp_id, icmp_seq))
        yield [place.split("/", 1)[1], *macs_and_ends, *numbers]

"""Journeys of the recorded captures against their senders' logs and bytes, which join never sees.

The bytes are read by tshark: most packets carry a number in their payload.
"""

import json
import re
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from tracer.core.enums import Cause, Kind, Outcome
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.sources.conntrack import read_conntrack_folder
from tracer.sources.read import read

FOLDERS = ("fip-outbound", "fip-inbound", "snat-centralized", "east-west", "two-tenants")
FIELDS = ("frame.number", "icmp.type", "ip.id", "data.data", "udp.payload", "tcp.payload")
Seen = frozenset[tuple[str, int]]


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, captures: Path) -> Path:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is the oracle here and is not installed")
    return captures / str(request.param)


@pytest.fixture(scope="module")
def numbered(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Seen]:
    """Where each numbered packet was seen: (number, ICMP type, IP id) → {(file, frame)}."""
    found: dict[Any, set[tuple[str, int]]] = defaultdict(set)
    points = tomllib.loads((folder / "points.toml").read_text())["point"]
    for name in sorted({point["file"] for point in points}):
        source = folder / name
        if source.suffix == ".zst":
            plain = tmp_path_factory.mktemp("plain") / source.stem
            with source.open("rb") as packed, plain.open("wb") as out:
                zstandard.ZstdDecompressor().copy_stream(packed, out)
            source = plain
        argv = ["tshark", "-n", "-r", str(source), "-T", "fields", "-E", "occurrence=l"]
        argv += [word for field in FIELDS for word in ("-e", field)]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for line in lines.splitlines():
            frame, icmp, ip_id, *payload = line.split("\t")
            number = re.search(rb"#tracer:(\d+)#", bytes.fromhex("".join(payload)))
            if number:
                found[int(number[1]), icmp, ip_id].add((name, int(frame)))
    return {key: frozenset(seen) for key, seen in found.items()}


@pytest.fixture(scope="module", params=("dump", "no dump"))
def joined(request: pytest.FixtureRequest, folder: Path) -> JourneySet:
    entries, _ = read_conntrack_folder(folder)
    return join(read([folder]).batch, entries if request.param == "dump" else ())


def hops_of(found: JourneySet, journey: int) -> Any:
    record = found.journeys[journey]
    return found.hops[record["first_hop"] : record["first_hop"] + record["n_hops"]]


def seen_by(found: JourneySet, journey: int) -> Seen:
    packets = found.observations.packets[hops_of(found, journey)["row"]]
    names = [Path(found.observations.captures[code]).name for code in packets["capture"]]
    return frozenset(zip(names, packets["frame"].tolist(), strict=True))


def path_of(found: JourneySet, journey: int) -> list[tuple[str | None, str | None]]:
    points = found.observations.packets["point"][hops_of(found, journey)["row"]]
    return [(found.observations.points[p].host, found.observations.points[p].device)
            for p in points]  # fmt: skip


def truth(folder: Path) -> dict[str, Any]:
    text: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return text


def test_numbered_packets_are_journeys_exactly(
    joined: JourneySet, numbered: dict[Any, Seen]
) -> None:
    journeys = {seen_by(joined, journey) for journey in range(len(joined.journeys))}
    assert len(numbered) > 20
    assert set(numbered.values()) <= journeys


def test_hops_are_in_the_order_of_the_true_path(
    joined: JourneySet, numbered: dict[Any, Seen], folder: Path
) -> None:
    said = truth(folder)
    paths = {
        name: [(hop["host"], hop["device"]) for hop in hops] for name, hops in said["paths"].items()
    }
    of_number = defaultdict(list)
    for packet in said["packets"]:
        if packet["number"] is not None:
            of_number[packet["number"]].append(paths[packet["path"]])
    by_rows = {seen_by(joined, journey): journey for journey in range(len(joined.journeys))}
    for (number, _, _), seen in numbered.items():
        path = path_of(joined, by_rows[seen])
        assert any(path == true[: len(path)] for true in of_number[number])


def test_what_was_lost_on_purpose_vanished_and_was_sent_again(
    joined: JourneySet, numbered: dict[Any, Seen], folder: Path
) -> None:
    vanished = np.flatnonzero(joined.journeys["outcome"] == Outcome.VANISHED)
    again = joined.journeys["retransmission_of"]
    lost = {packet["number"] for packet in truth(folder)["packets"] if packet["lost_after"]}
    numbers = {seen: key[0] for key, seen in numbered.items()}
    assert {numbers.get(seen_by(joined, journey)) for journey in vanished.tolist()} == lost
    assert set(again[again >= 0].tolist()) == set(vanished.tolist())


def test_every_echo_request_has_its_reply(joined: JourneySet) -> None:
    journeys = joined.journeys
    asked = np.flatnonzero(journeys["kind"] == Kind.ECHO_REQUEST)
    answers = journeys["reply"][asked]
    assert (answers >= 0).all()
    assert (journeys["kind"][answers] == Kind.ECHO_REPLY).all()
    assert (journeys["request"][answers] == asked).all()
    rows = joined.hops["row"][journeys["first_hop"]]
    seq = joined.observations.packets["icmp_seq"][rows]
    assert (seq[asked] == seq[answers]).all()


def test_every_packet_is_in_one_journey(joined: JourneySet) -> None:
    packets = joined.observations.packets
    usable = np.flatnonzero((packets["ip_version"] > 0) | (packets["ethertype"] == 0x0806))
    assert np.sort(joined.hops["row"]).tolist() == usable.tolist()


def test_translations_are_named_by_direction(joined: JourneySet, folder: Path) -> None:
    said = set(joined.hops["cause"].tolist())
    expected = {
        "fip-outbound": {Cause.SNAT, Cause.UN_SNAT},
        "fip-inbound": {Cause.DNAT, Cause.UN_DNAT},
        "snat-centralized": {Cause.SNAT, Cause.UN_SNAT, Cause.ENCAPSULATED, Cause.DECAPSULATED},
        "east-west": set(),
        "two-tenants": {Cause.SNAT, Cause.UN_SNAT, Cause.DNAT, Cause.UN_DNAT},
    }[folder.name]
    assert said - {Cause.NONE, Cause.FORWARDED, Cause.BRIDGED} == expected


def test_no_hop_time_is_negative(joined: JourneySet) -> None:
    later = joined.hops["parent"] > 0
    assert (joined.hops["delta_ns"][later] >= 0).all()

"""The recorded folders hold exactly what their senders' logs say, as tshark sees it."""

import json
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.conftest import unavailable
from tracer import lab
from tracer.sources.rules import read_rules

FOLDERS = ("fip-outbound", "fip-inbound", "snat-centralized", "east-west", "two-tenants")
FIELDS = [
    *("frame.interface_id", "eth.src", "eth.dst", "vlan.id", "ip.ttl", "ip.src", "ip.dst", "ip.id"),
    *("icmp.type", "icmp.seq", "data.data", "udp.payload", "tcp.payload"),
]
Look = tuple[Any, ...]


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, captures: Path) -> Path:
    if shutil.which("tshark") is None:
        unavailable("tshark is the oracle here and is not installed")
    return captures / str(request.param)


def points(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((folder / "points.toml").read_text())["point"]
    return found


def truth(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return found


def one_file(folder: Path, scratch: Path) -> Path:
    """All captures of a folder as one pcapng, an interface a point, in the order of points.toml."""
    if (whole := folder / f"{folder.name}.pcapng").exists():
        return whole
    parts = []
    for point in points(folder):
        source = folder / point["file"]
        if source.suffix == ".zst":
            plain = scratch / source.stem
            with source.open("rb") as packed, plain.open("wb") as out:
                zstandard.ZstdDecompressor().copy_stream(packed, out)
            source = plain
        parts.append(str(source))
    whole = scratch / "whole.pcapng"
    subprocess.run(["mergecap", "-I", "none", "-w", str(whole), *parts], check=True)
    return whole


@pytest.fixture(scope="module")
def rows(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Every frame as tshark tells it; of a tunnelled one, the inner headers."""
    whole = one_file(folder, tmp_path_factory.mktemp("whole"))
    argv = ["tshark", "-n", "-r", str(whole), "-T", "fields", "-E", "occurrence=l"]
    argv += [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def look(folder: Path, row: dict[str, str]) -> Look:
    """Where a frame was and what hops show: device, TTL, MACs, VLAN, addresses."""
    point = points(folder)[int(row["frame.interface_id"])]
    place = point["host"], point["netns"], point["device"]
    names = ("ip.ttl", "eth.src", "eth.dst", "vlan.id", "ip.src", "ip.dst")
    return (*place, *(row[name] for name in names))


def true_look(hop: dict[str, Any]) -> Look:
    names = ("host", "netns", "device", "ttl", "src_mac", "dst_mac", "vlan", "src", "dst")
    return tuple("" if hop[name] is None else str(hop[name]) for name in names)


def hops(document: dict[str, Any], packet: dict[str, Any]) -> list[dict[str, Any]]:
    path: list[dict[str, Any]] = document["paths"][packet["path"]]
    names = [hop["name"] for hop in path]
    if packet["lost_after"] is None:
        return path
    return path[: len(names) - names[::-1].index(packet["lost_after"])]


def payload(row: dict[str, str]) -> bytes:
    return bytes.fromhex(row["tcp.payload"] or row["data.data"] or row["udp.payload"])


def test_numbered_packets(folder: Path, rows: list[dict[str, str]]) -> None:
    document = truth(folder)
    expected: Counter[Look] = Counter()
    for packet in document["packets"]:
        if packet["number"] is not None:
            for hop in hops(document, packet):
                expected[(*true_look(hop), packet["number"])] += 1
    seen: Counter[Look] = Counter()
    for row in rows:
        if marker := re.search(rb"#tracer:(\d{8})#", payload(row)):
            seen[(*look(folder, row), int(marker[1]))] += 1
    assert seen == expected
    assert len(expected) > 300


def test_constant_payloads_by_the_log(folder: Path, rows: list[dict[str, str]]) -> None:
    document = truth(folder)
    expected: Counter[Look] = Counter()
    for packet in document["packets"]:
        if packet["number"] is None and packet["proto"] == "icmp":
            ip_id = packet["ip_id"] if packet["kind"] == "request" else None
            for hop in hops(document, packet):
                expected[(*true_look(hop), packet["icmp_seq"], ip_id)] += 1
    seen: Counter[Look] = Counter()
    for row in rows:
        if row["icmp.type"] and set(payload(row)) == {0xFF}:
            ip_id = int(row["ip.id"], 16) if row["icmp.type"] == "8" else None
            seen[(*look(folder, row), int(row["icmp.seq"]), ip_id)] += 1
    assert seen == expected
    assert len(expected) > 0


def test_conntrack_dumps_are_there(folder: Path) -> None:
    dumps = tomllib.loads((folder / "points.toml").read_text())["conntrack"]
    assert {dump["netns"] for dump in dumps} == {point["netns"] for point in points(folder)}
    for dump in dumps:
        lines = (folder / dump["file"]).read_text().splitlines()
        if dump["netns"].startswith(("qrouter-", "snat-")):
            assert all(" id=" in line and line.startswith("ipv4 ") for line in lines)
            assert len(lines) >= 4
        else:
            assert lines == []


def test_rules_are_those_of_the_lab(folder: Path) -> None:
    tables = tomllib.loads((folder / "points.toml").read_text())["rules"]
    topology = Path(lab.__file__).parent / "topology"
    made = {path.parent.name for path in topology.glob("*/iptables.rules")}
    assert {table["netns"] for table in tables} == {p["netns"] for p in points(folder)} & made
    for table in tables:
        recorded, _ = read_rules(folder / table["file"])
        built, _ = read_rules(topology / table["netns"] / "iptables.rules")
        assert [rule.text for rule in recorded] == [rule.text for rule in built]


def test_the_folder_is_small(captures: Path) -> None:
    assert sum(path.stat().st_size for path in captures.rglob("*") if path.is_file()) < 3_000_000

"""`--format pcapng` read back: by tshark, and by tracer, which finds the same journeys."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from tests.conftest import CAPTURES

FOLDERS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
Journey = tuple[Any, ...]


def fields(file: Path, *names: str, only: str = "") -> list[list[str]]:
    """Fields of every packet, as tshark reads them."""
    words = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(file), "-Y", only, "-T", "fields", *words]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in shown.splitlines()]


def packets(file: Path) -> Counter[tuple[str, bytes]]:
    """(time to the ns, bytes) of every packet, as tshark and tcpdump -x read them."""
    raw = ["tshark", "-n", "-r", str(file), "-T", "jsonraw"]
    shown = subprocess.run(raw, capture_output=True, text=True, check=True).stdout
    data = [bytes.fromhex(p["_source"]["layers"]["frame_raw"][0]) for p in json.loads(shown)]
    times = [time for (time,) in fields(file, "frame.time_epoch")]
    return Counter(zip(times, data, strict=True))


def unpacked(folder: Path, target: Path) -> list[Path]:
    """The captures of a folder, decompressed."""
    files = []
    for file in sorted(folder.iterdir()):
        tool = {".gz": "zcat", ".zst": "zstdcat"}.get(file.suffix, "cat")
        if {".pcap", ".pcapng"} & set(file.suffixes):
            files.append(target / file.name.removesuffix(".gz").removesuffix(".zst"))
            done = subprocess.run([tool, str(file)], capture_output=True, check=True)
            files[-1].write_bytes(done.stdout)
    return files


def journeys(run: Run, *arguments: object) -> list[dict[str, Any]]:
    lines = run("offline", *arguments, "--format", "jsonl").stdout.splitlines()
    return [json.loads(line) for line in lines]


def compared(journey: dict[str, Any]) -> Journey:
    hops = tuple(
        (*(hop[key] for key in ("host", "netns", "device", "time_ns", "src", "dst", "ttl")),
         hop["join"] and hop["join"]["evidence"])
        for hop in journey["hops"]
    )  # fmt: skip
    return journey["kind"], journey["outcome"], journey["reason"], hops


def with_conntrack(folder: Path, file: Path, target: Path) -> Path:
    """A folder with a pcapng file in place of a recorded folder's captures."""
    target.mkdir()
    shutil.copy(file, target / "journeys.pcapng")
    if (folder / "conntrack").exists():
        shutil.copytree(folder / "conntrack", target / "conntrack")
        tables = (folder / "points.toml").read_text().split("\n\n")
        kept = [table for table in tables if table.startswith("[[conntrack]]")]
        (target / "points.toml").write_text("\n\n".join(kept))
    return target


@pytest.mark.parametrize("folder", ["fip-outbound", "east-west", "snat-centralized"])
def test_every_packet_is_there_bit_by_bit(folder: str, tmp_path: Path, run: Run) -> None:
    written = tmp_path / "out.pcapng"
    run("offline", CAPTURES / folder, "-o", written)
    originals: Counter[tuple[str, bytes]] = Counter()
    for file in unpacked(CAPTURES / folder, tmp_path):
        originals += packets(file)
    assert packets(written) == originals
    times = [float(time) for (time,) in fields(written, "frame.time_epoch")]
    assert times == sorted(times)


@pytest.mark.parametrize("folder", FOLDERS)
def test_read_again_the_journeys_are_the_same(folder: str, tmp_path: Path, run: Run) -> None:
    source, written = CAPTURES / folder, tmp_path / "out.pcapng"
    run("offline", source, "-o", written)
    again = with_conntrack(source, written, tmp_path / "again")
    before = Counter(compared(journey) for journey in journeys(run, source))
    after = Counter(compared(journey) for journey in journeys(run, again))
    lost = before - after
    # One line of the walk-through has no addresses: nothing of it can be rebuilt.
    assert lost.total() == (folder == "walkthrough")
    assert after - before == Counter()


def test_comments_and_interfaces_as_wireshark_shows_them(tmp_path: Path, run: Run) -> None:
    written = tmp_path / "out.pcapng"
    run("offline", CAPTURES / "fip-outbound", "-o", written)
    wanted = next(
        journey for journey in journeys(run, CAPTURES / "fip-outbound")
        if journey["kind"] == "echo-request" and len(journey["hops"]) == 10
    )  # fmt: skip
    number = wanted["journey"]
    names = ("frame.interface_name", "frame.comment", "frame.time_epoch", "ip.ttl")
    rows = fields(written, *names, only=f'frame.comment contains "journey {number} "')
    assert len(rows) == 10
    for hop, (interface, comment, time, ttl) in zip(wanted["hops"], rows, strict=True):
        assert interface == "/".join((hop["host"], hop["netns"], hop["device"]))
        assert comment.startswith(f"journey {number} hop {hop['n']}/10 icmp echo-request")
        assert int(time.replace(".", "")) == hop["time_ns"]
        assert int(ttl) == hop["ttl"]
        for change in hop["changes"]:
            if change["field"] not in ("src_mac", "dst_mac"):
                values = [
                    "none" if change[side] is None else change[side] for side in ("from", "to")
                ]
                assert f" {values[0]}→{values[1]}" in comment
        if hop["join"]:
            assert f"; evidence {hop['join']['evidence']}" in comment
    assert "; SNAT 192.168." in "".join(row[1] for row in rows)
    assert rows[-1][1].endswith(f"; delivered; answered by #{wanted['reply']}")


def test_directions_a_capture_told_are_flags(tmp_path: Path, run: Run) -> None:
    # fip-outbound's captures tell none: what is inferred is a comment, no flag.
    written = tmp_path / "out.pcapng"
    run("offline", CAPTURES / "fip-outbound", "-o", written)
    words = fields(written, "frame.comment", only="icmp.type == 8 && ip.ttl == 63")
    assert any("; egress (inferred)" in word for (word,) in words)
    assert {flag for (flag,) in fields(written, "frame.packet_flags_direction")} == {""}
    again = written.with_name("again.pcapng")
    run("offline", _with_flags(written, again), "-o", tmp_path / "third.pcapng")
    flags = {flag for (flag,) in fields(tmp_path / "third.pcapng", "frame.packet_flags_direction")}
    assert flags == {"0x00000001"}


def _with_flags(file: Path, target: Path) -> Path:
    """A capture whose packets all say that they are inbound."""
    from tracer.report.pcapng import blocks

    rows = packets(file)
    with target.open("wb") as out:
        out.write(blocks.section("test") + blocks.interface(1, "h/n/eth0", "", None))
        for (time, data), _ in rows.items():
            time_ns = int(time.replace(".", ""))
            out.write(blocks.packet(0, time_ns, data, len(data), 0, "x"))
    return target


def test_text_has_no_bytes_and_says_so(tmp_path: Path, run: Run) -> None:
    written = tmp_path / "out.pcapng"
    told = run("offline", CAPTURES / "walkthrough", "-o", written).stderr
    assert "their headers were rebuilt from what was decoded" in told
    assert "left out" in told
    rows = fields(written, "frame.comment", "ip.src", "icmp.ident", "ip.id", "frame.len")
    assert len(rows) == 53
    assert all("; headers rebuilt" in row[0] for row in rows)
    assert not fields(written, "frame.number", only="ip.checksum.status == 0")


def test_a_capture_is_not_written_over(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "in.pcapng"
    shutil.copy(CAPTURES / "snat-centralized" / "snat-centralized.pcapng", file)
    with pytest.raises(Exception, match="is one of the inputs"):
        run("offline", file, "-o", file)
    assert file.stat().st_size == (
        CAPTURES / "snat-centralized" / "snat-centralized.pcapng"
    ).stat().st_size  # fmt: skip


def test_only_what_was_chosen(tmp_path: Path, run: Run) -> None:
    written = tmp_path / "out.pcapng"
    run("offline", CAPTURES / "fip-outbound", "--proto", "icmp", "--count", 1, "-o", written)
    assert len({row[0].split(" hop ")[0] for row in fields(written, "frame.comment")}) == 2

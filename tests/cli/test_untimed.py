"""Packets without a time: unknown wherever it would be shown, and of no weight for the others.

The oracle is the recording itself: what was captured with times, written again without them.
"""

import io
import json
import struct
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sources.files import block, interface, section

import tracer
from cli.conftest import Run
from tracer.report.tables import HOP_COLUMNS

QR, RFP = "compute03-qr-1f6b0aa3-3d", "compute03-rfp-b6a86b9f-6"
TIMED = (RFP, "compute03-tap2d90b7c4-8e", "vm-ens3", "l3switch-te1")


def without_times(source: Path, target: Path) -> None:
    """Write a pcap file's packets as simple packet blocks, which have none."""
    data, at = source.read_bytes(), 24
    parts = [section(), interface(struct.unpack_from("<I", data, 20)[0])]
    while at < len(data):
        captured, length = struct.unpack_from("<II", data, at + 8)
        assert captured == length
        parts.append(block(3, struct.pack("<I", length) + data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    target.write_bytes(b"".join(parts))


@pytest.fixture
def untimed(captures: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "untimed"
    folder.mkdir()
    for name in (QR, RFP):
        without_times(captures / "fip-outbound" / f"{name}.pcap", folder / f"{name}.pcapng")
    return folder


def journeys(*files: Path) -> set[tuple[tuple[str, int], ...]]:
    """Return the hops (file, frame) of each journey."""
    return {
        tuple((Path(hop.observation.capture or "").stem, hop.observation.frame or 0)
              for hop in journey.hops)
        for journey in tracer.read(*files)
    }  # fmt: skip


def test_packets_without_times_are_joined_by_what_they_are(untimed: Path, captures: Path) -> None:
    files = [captures / "fip-outbound" / f"{name}.pcap" for name in (QR, RFP)]
    assert journeys(*sorted(untimed.iterdir())) == journeys(*files)


def test_packets_without_times_change_nothing_for_others(untimed: Path, captures: Path) -> None:
    files = [captures / "fip-outbound" / f"{name}.pcap" for name in TIMED]
    mixed = tracer.read(*files, untimed / f"{QR}.pcapng")
    alone = tracer.read(*files)
    timed = {way for way in journeys(*files, untimed / f"{QR}.pcapng") if way[0][0] != QR}
    assert timed == journeys(*files)
    assert mixed.summary["clocks"] == alone.summary["clocks"]
    seen = mixed.hops[~mixed.hops.capture.isin([f"{QR}.pcapng", str(untimed / f"{QR}.pcapng")])]
    assert (
        seen.reset_index().delta.dropna() == alone.hops.reset_index().delta.dropna().values
    ).all()


def numbers_of_times(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """Return what JSON holds in fields of times, or of durations, that is not null."""
    if isinstance(value, dict):
        return [found for name, each in value.items() for found in numbers_of_times(each, name)]
    if isinstance(value, list):
        return [found for each in value for found in numbers_of_times(each, key)]
    is_time = key.endswith("_ns") and key not in ("made_ns", "histogram_edges_ns", "total_ns")
    return [(key, value)] if is_time and value is not None and value == value else []


def test_unknown_times_are_null_in_every_format(untimed: Path, run: Run, tmp_path: Path) -> None:
    out = {name: tmp_path / f"x.{name}" for name in ("jsonl", "csv", "parquet", "json", "html")}
    summary, segments = tmp_path / "summary.json", tmp_path / "segments.csv"
    run("offline", untimed, "-o", out["jsonl"], "--summary", summary, "--segments", segments)
    for line in out["jsonl"].read_text().splitlines():
        assert numbers_of_times(json.loads(line)) == []
    assert json.loads(summary.read_text())["clocks"] == []
    frame = pd.read_csv(segments)
    assert frame.packets.sum() > 0
    assert frame.filter(like="_ns").isna().all(axis=None)
    for name in ("csv", "parquet"):
        run("offline", untimed, "-o", out[name])
    for table in (pd.read_csv(out["csv"]), pd.read_parquet(out["parquet"])):
        columns = [column for column in HOP_COLUMNS if column.endswith("_ns")]
        assert columns == ["first_ns", "last_ns", "time_ns", "delta_ns"]
        assert table[columns].isna().all(axis=None)
    for name in ("json", "html"):
        run("report", untimed, "-o", out[name])
    figures = json.loads(out["json"].read_text())
    assert numbers_of_times(figures) == []
    assert figures["timeline"] is None
    page = out["html"].read_text()
    assert "1969" not in page
    assert "1970" not in page


def test_unknown_times_are_said_in_text(untimed: Path, run: Run) -> None:
    text = run("offline", untimed).stdout
    assert "1969" not in text
    assert "23:59:59" not in text
    assert "0.0 µs" not in text
    assert "  1         unknown  " in text
    assert "  2               ?  " in text
    reasons = run("offline", untimed, "--explain-joins", "3").stdout
    assert "0.0 µs" not in reasons


def test_unknown_times_are_missing_in_frames(untimed: Path) -> None:
    read = tracer.read(untimed)
    for frame, columns in (
        (read.journeys, ["first_time", "last_time", "transit"]),
        (read.hops, ["time", "delta", "confidence"]),
        (read.flows, ["first_time", "last_time", "transit_p50", "rtt_p50"]),
        (read.segments, ["p50", "p99"]),
        (read.observations, ["time"]),
    ):
        assert len(frame)
        assert frame[columns].isna().all(axis=None), frame[columns]
    assert all(hop.time_ns is None for journey in read for hop in journey.hops)
    assert all(journey.first_ns is None for journey in read)


def test_journeys_without_times_are_read_back(untimed: Path, run: Run, tmp_path: Path) -> None:
    run("offline", untimed, "-o", tmp_path / "x.jsonl")
    run("report", tmp_path / "x.jsonl", "-o", tmp_path / "x.csv")
    table = pd.read_csv(io.StringIO((tmp_path / "x.csv").read_text()))
    assert table[["first_ns", "last_ns", "time_ns", "delta_ns"]].isna().all(axis=None)

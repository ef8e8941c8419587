"""`tracer offline` on recorded captures, against tcpdump and the captures' own truth."""

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from jsonschema import Draft202012Validator

from cli.conftest import Run, Spawn
from tracer.report.schema import SCHEMAS

FOLDERS = ("fip-outbound", "fip-inbound", "snat-centralized", "east-west", "two-tenants")


def packets_of(folder: Path) -> int:
    """The packets tcpdump counts in a folder's captures, plain or compressed."""
    count = 0
    for file in sorted(folder.iterdir()):
        if not {".pcap", ".pcapng"} & set(file.suffixes):
            continue
        unpack = {".gz": "zcat", ".zst": "zstdcat", ".xz": "xzcat"}.get(file.suffix, "cat")
        packed = subprocess.run([unpack, str(file)], capture_output=True, check=True)
        shown = subprocess.run(
            ["tcpdump", "--count", "-r", "-"], input=packed.stdout, capture_output=True, check=True
        )
        count += int(shown.stdout.split()[0])
    return count


def lines(run: Run, *arguments: object) -> list[Any]:
    result = run("offline", *arguments, "--format", "jsonl")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_packet_tcpdump_reads_is_in_one_hop(folder: str, captures: Path, run: Run) -> None:
    hops = [
        (hop["capture"], hop["frame"])
        for journey in lines(run, captures / folder)
        for hop in journey["hops"]
    ]
    assert len(hops) == len(set(hops))
    assert len(hops) == packets_of(captures / folder)


@pytest.mark.parametrize("folder", [*FOLDERS, "walkthrough"])
def test_output_validates(folder: str, captures: Path, run: Run, tmp_path: Path) -> None:
    validator = Draft202012Validator(SCHEMAS["journey"]())
    summary = tmp_path / "summary.json"
    for journey in lines(run, captures / folder, "--summary", summary):
        validator.validate(journey)
    Draft202012Validator(SCHEMAS["summary"]()).validate(json.loads(summary.read_text()))


def test_formats_agree(captures: Path, run: Run, tmp_path: Path) -> None:
    folder = captures / "fip-outbound"
    hops = [
        (journey["journey"], hop["n"], hop["src"], hop["ttl"], hop["time_ns"])
        for journey in lines(run, folder)
        for hop in journey["hops"]
    ]
    names = ("journey", "n", "src", "ttl", "time_ns")
    result = run("offline", folder, "-o", tmp_path / "hops.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = pyarrow.parquet.read_table(tmp_path / "hops.parquet").to_pylist()
    assert [tuple(row[name] for name in names) for row in rows] == hops
    text = run("offline", folder, "--format", "csv").stdout
    table = list(csv.DictReader(io.StringIO(text)))
    shown = [tuple("" if value is None else str(value) for value in hop) for hop in hops]
    assert [tuple(row[name] for name in names) for row in table] == shown


def test_count_is_of_exchanges(captures: Path, run: Run) -> None:
    result = run("offline", captures / "fip-outbound", "--count", "2")
    titles = [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert len(titles) == 2
    assert " shown)" in result.stderr


def test_data_on_stdout_summary_on_stderr(captures: Path, spawn: Spawn) -> None:
    done = spawn("offline", captures / "fip-outbound", "--count", "1")
    assert done.returncode == 0
    assert "observations" in done.stderr
    assert "observations" not in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_the_walkthrough_is_shown_as_flow_paths(captures: Path, run: Run) -> None:
    result = run("offline", captures / "walkthrough")
    assert "Flow paths, inferred" in result.stdout
    assert "id 22344→36215  [inferred]" in result.stdout
    assert "flow paths" in result.stderr


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (("--proto", "udp"), lambda hop: hop["sport"] is not None and hop["tcp_seq"] is None),
        (("--proto", "arp"), lambda hop: hop["arp_op"] is not None),
        (
            ("--src", "192.168.3.69", "--proto", "tcp"),
            lambda hop: hop["src"] == "192.168.3.69" and hop["tcp_seq"] is not None,
        ),
        (("--host", "100.122.0.145/32"), lambda hop: "100.122.0.145" in (hop["src"], hop["dst"])),
    ],
)
def test_filters_choose_exchanges_with_a_matching_hop(
    conditions: tuple[str, ...], holds: Any, captures: Path, run: Run
) -> None:
    whole = lines(run, captures / "fip-outbound")
    found = lines(run, captures / "fip-outbound", *conditions)
    chosen = {journey["journey"]: journey for journey in found}
    assert 0 < len(chosen) < len(whole)
    for journey in whole:
        if any(holds(hop) for hop in journey["hops"]):
            assert journey == chosen[journey["journey"]]


def test_a_filter_follows_an_id_through_nat(captures: Path, run: Run) -> None:
    whole = lines(run, captures / "fip-outbound")
    ping = next(journey for journey in whole if journey["kind"] == "echo-request")
    before, after = ping["hops"][0]["icmp_id"], ping["hops"][-1]["icmp_id"]
    assert before != after
    by_first, by_last = (
        {
            journey["journey"]
            for journey in lines(run, captures / "fip-outbound", "--icmp-id", number)
        }
        for number in (before, after)
    )
    assert by_first == by_last
    assert {ping["journey"], ping["reply"]} <= by_first


def test_a_filter_that_matches_nothing(captures: Path, run: Run) -> None:
    result = run("offline", captures / "fip-outbound", "--host", "203.0.113.1")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "(0 shown)" in result.stderr

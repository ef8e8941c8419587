"""`tracer report`: its formats, its options, and what it says when it cannot."""

import csv
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from cli.conftest import Run, Spawn
from tracer.core.errors import InputError


def test_html(run: Run, captures: Path, tmp_path: Path) -> None:
    output = tmp_path / "incident.html"
    summary = tmp_path / "summary.json"
    result = run(
        "report", captures / "fip-outbound", "-o", output, "--title", "Lost <pings>",
        "--summary", summary,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    page = output.read_text("utf-8")
    assert "<title>Lost &lt;pings&gt;</title>" in page
    for file in (captures / "fip-outbound").glob("*.pcap"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in page
    assert json.loads(summary.read_text())["journeys"] == 113


def test_json(run: Run, captures: Path, tmp_path: Path) -> None:
    output = tmp_path / "incident.json"
    run("report", captures / "fip-outbound", "-o", output)
    found = json.loads(output.read_text())
    lossy = [each for each in found["segments"] if each["lost"]]
    assert [(each["origin"], each["target"], each["lost"]) for each in lossy] == [
        ("compute03/fip-e7cb8424/fpr-b6a86b9f-6", "compute03/fip-e7cb8424/fg-2417e6fb-ee", 1)
    ]  # what its README says was dropped on purpose
    (mine,) = [each for each in found["flow_segments"] if each["lost"]]
    assert mine["from_point"].endswith("/fpr-b6a86b9f-6")
    assert mine["to_point"].endswith("/fg-2417e6fb-ee")
    assert (mine["proto"], mine["resent"], lossy[0]["resent"]) == ("tcp", 1, 1)  # by the kernel
    packets = sum(each["packets"] for each in found["flow_segments"])
    assert packets == sum(each["packets"] for each in found["segments"]) > 900
    snat = next(each for each in found["translations"] if each["cause"] == "snat")
    assert (snat["before"][0], snat["after"][0]) == ("192.168.3.69", "100.122.0.145")
    assert len(found["sentences"]) == 3


def test_losses_are_not_given_the_reasons_of_other_packets(
    run: Run, captures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "incident.json"
    run("report", captures / "lossy-wire", "-o", output)
    found = json.loads(output.read_text())
    reasons = {
        each["reason"] for each in found["stops"] if each["outcome"] in ("vanished", "dropped")
    }
    others = {each["reason"] for each in found["stops"]} - reasons - {None}
    assert others
    said = found["sentences"][1]
    assert "lost packets" in said
    assert not any(reason in said for reason in others)


def test_tables_are_those_of_offline(run: Run, captures: Path, tmp_path: Path) -> None:
    for name in ("hops.csv", "hops.parquet"):
        run("report", captures / "fip-outbound", "-o", tmp_path / name)
        run("offline", captures / "fip-outbound", "-o", tmp_path / f"offline-{name}")
    assert (tmp_path / "hops.csv").read_bytes() == (tmp_path / "offline-hops.csv").read_bytes()
    tables = [
        pyarrow.parquet.read_table(tmp_path / name)
        for name in ("hops.parquet", "offline-hops.parquet")
    ]
    assert tables[0].equals(tables[1])


def test_a_filter_leaves_its_flow_alone(run: Run, captures: Path, tmp_path: Path) -> None:
    output = tmp_path / "hops.csv"
    run("report", captures / "fip-outbound", "-o", output, "--icmp-id", 65378)
    with output.open() as file:
        flows = {row["flow"] for row in csv.DictReader(file)}
    assert len(flows) == 1
    page = tmp_path / "page.html"
    run("report", captures / "fip-outbound", "-o", page, "--icmp-id", 65378)
    assert "only icmp id 65378" in page.read_text()


def test_the_page_compares_with_the_situation_before(
    run: Run, captures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "incident.html"
    run("report", captures / "two-tenants", "--before", captures / "fip-outbound", "-o", output)
    page = output.read_text()
    assert '<section id="compared"' in page
    assert "Inputs of the baseline" in page


def test_captures_that_share_no_packet_give_the_page_flow_paths(
    run: Run, captures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "walk.html"
    run("report", captures / "walkthrough", "-o", output)
    page = output.read_text()
    assert '<section id="inferred"' in page
    assert "id 22344 → 100.122.0.145 &gt; 100.121.0.75 id 36215" in page


def test_journeys_written_before(run: Run, captures: Path, tmp_path: Path) -> None:
    run("report", captures / "fip-outbound", "-o", tmp_path / "captures.json")
    expected = json.loads((tmp_path / "captures.json").read_text())
    (rules,) = (captures / "fip-outbound" / "iptables").glob("qrouter-*.txt")
    for name in ("journeys.jsonl", "hops.parquet"):
        run("offline", captures / "fip-outbound", "-o", tmp_path / name)
        run("report", tmp_path / name, "--rules", rules, "-o", tmp_path / "journeys.json")
        found = json.loads((tmp_path / "journeys.json").read_text())
        for rule in (rule for each in found["translations"] for rule in each["rules"]):
            assert rule["host"] is None  # the file's name does not say it, points.toml did
            rule["host"] = "compute03"
        for part in ("sentences", "segments", "translations", "timeline", "stops"):
            assert found[part] == expected[part], (name, part)
    with pytest.raises(InputError, match="joined already"):
        run("report", tmp_path / name, captures / "fip-outbound", "-o", tmp_path / "x.json")


def test_a_redacted_page_has_no_address_or_name(run: Run, captures: Path, tmp_path: Path) -> None:
    output = tmp_path / "incident.html"
    key = tmp_path / "redact.key"
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)
    run("report", captures / "fip-outbound", "--icmp-id", 65378, "--redact-key", key, "-o", output)
    page = output.read_text()
    for name in ("192.168.3.69", "100.122.0.145", "fa:16:3e:a4:58:8d", "compute03", "b6a86b9f",
                 "fip-outbound", "65378.", str(tmp_path)):  # fmt: skip
        assert name not in page, name


def test_unknown_suffix(run: Run, captures: Path) -> None:
    result = run("report", captures / "fip-outbound", "-o", "incident.pdf", standalone_mode=True)
    assert result.exit_code == 2
    assert "ends in none of .html, .csv, .parquet, .json" in result.output


def test_missing_output_is_bad_usage(run: Run, captures: Path) -> None:
    result = run("report", captures / "fip-outbound")
    assert result.exit_code == 2


@pytest.mark.parametrize("name", ["nothing.pcap", "empty"])
def test_what_cannot_be_read_is_one_sentence(name: str, spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = spawn("report", tmp_path / name, "-o", tmp_path / "x.html")
    assert result.returncode == 1
    assert result.stderr.startswith("tracer: ")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
@pytest.mark.parametrize("command", ["offline", "report"])
def test_journeys_that_cannot_be_read_are_called_so(
    command: str, name: str, captures: Path, tmp_path: Path, run: Run
) -> None:
    """From standard input, or by a command that joins packets; not "is not a capture"."""
    file = tmp_path / name
    run("offline", captures / "fip-outbound", "-o", file)
    words = [sys.executable, "-m", "tracer.cli", command, "-", "-o", tmp_path / "out.csv"]
    with file.open("rb") as journeys:
        done = subprocess.run(words, stdin=journeys, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert re.match(r"tracer: - (holds journeys, which|is Parquet, which can)", done.stderr)
    assert not (tmp_path / "out.csv").exists()
    if command == "offline":
        with pytest.raises(InputError, match="holds journeys, which are joined already"):
            run(command, file)

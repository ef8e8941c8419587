"""`tracer observations` against tshark: a row for every packet, with the same facts."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pyarrow.parquet
from jsonschema import Draft202012Validator

from cli.conftest import Run
from tracer.core.observation import OBSERVATION_FIELDS
from tracer.report.schema import SCHEMAS

FIELDS = {"frame": "frame.number", "src": "ip.src", "dst": "ip.dst", "ttl": "ip.ttl",
          "src_mac": "eth.src", "vlan": "vlan.id", "sport": "udp.srcport"}  # fmt: skip


def test_rows_say_what_tshark_says(captures: Path, run: Run) -> None:
    file = captures / "fip-outbound" / "compute03-enp175s0f1.pcap"
    words = [word for name in FIELDS.values() for word in ("-e", name)]
    shown = subprocess.run(
        ["tshark", "-r", str(file), "-Y", "udp", "-T", "fields", *words],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    expected = [line.split("\t") for line in shown.splitlines()]
    table = csv.DictReader(io.StringIO(run("observations", file).stdout))
    found = [[row[name] for name in FIELDS] for row in table if row["proto"] == "17"]
    assert expected
    assert found == expected


def test_formats_agree(captures: Path, run: Run, tmp_path: Path) -> None:
    folder = captures / "walkthrough"
    table = list(csv.DictReader(io.StringIO(run("observations", folder).stdout)))
    lines = run("observations", folder, "--format", "jsonl").stdout.splitlines()
    values = [json.loads(line) for line in lines]
    run("observations", folder, "-o", tmp_path / "o.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "o.parquet").to_pylist() == values
    assert list(table[0]) == list(OBSERVATION_FIELDS)
    assert [row["src"] for row in table] == [value["src"] or "" for value in values]


def test_output_validates(captures: Path, run: Run, tmp_path: Path) -> None:
    validator = Draft202012Validator(SCHEMAS["observation"]())
    result = run(
        "observations", captures / "snat-centralized", "--format", "jsonl",
        "--summary", tmp_path / "s.json",
    )  # fmt: skip
    for line in result.stdout.splitlines():
        validator.validate(json.loads(line))
    summary = json.loads((tmp_path / "s.json").read_text())
    Draft202012Validator(SCHEMAS["summary"]()).validate(summary)
    assert summary["observations"] == len(result.stdout.splitlines())

"""`tracer offline --segments FILE`."""

import json
from pathlib import Path

import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from scenarios.catalogue import make
from scenarios.pcap import write_pcaps

import tracer
from cli.conftest import Run
from tracer.cli import windows


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of captures between two of which packets are lost."""
    folder = tmp_path_factory.mktemp("lossy")
    write_pcaps(make("loss", 3), folder)
    return folder


@pytest.mark.parametrize("redacted", [False, True])
def test_windows_write_the_same(
    redacted: bool, lossy: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    more = ("--redact-key", tmp_path / "key") if redacted else ()
    texts = []
    for name in ("whole", "parts"):
        file = tmp_path / f"{name}.jsonl"
        result = run("offline", lossy, "--segments", file, "-o", tmp_path / "x.csv", *more)
        assert result.exit_code == 0, result.output
        texts.append(file.read_text())
        monkeypatch.setattr(windows, "LARGE", 0)
    assert texts[0] == texts[1] != ""
    assert ("192.168.3.69" in texts[0]) == (not redacted)
    validator = Draft202012Validator(json.loads(run("schema", "segment").stdout))
    rows = [json.loads(line) for line in texts[0].splitlines()]
    for row in rows:
        validator.validate(row)
    assert sum(row["lost"] for row in rows) > 50
    assert sum(row["resent"] for row in rows) > 10


def test_tables_hold_what_the_frame_holds(lossy: Path, run: Run, tmp_path: Path) -> None:
    tables = []
    for name in ("s.csv", "s.parquet"):
        run("offline", lossy, "--segments", tmp_path / name, "-o", tmp_path / "x.csv")
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        tables.append(read(tmp_path / name))
    frame = tracer.read(lossy).segments
    counts = ["flow", "n", "packets", "lost", "missed", "resent", "reordered"]
    for table in tables:
        assert table[counts].astype("int64").equals(frame[counts].astype("int64"))
        known = frame["p99"].notna()
        assert (table["p99_ns"].notna() == known).all()
        assert table["p99_ns"][known].astype("int64").equals(frame["p99"][known].astype("int64"))
        assert (table["to_point"] == frame["to_point"].astype(str)).all()
    assert frame["lost"].sum() > 50


def test_only_what_is_shown_counts(lossy: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    asked = ("--proto", "icmp", "-o", tmp_path / "x.csv")
    run("offline", lossy, *asked, "--segments", file)
    found = pd.read_csv(file)
    assert set(found["proto"]) == {"icmp"}
    hops = pd.read_csv(tmp_path / "x.csv")
    assert found["packets"].sum() == (hops["n"] > 1).sum()
    whole = tracer.read(lossy).segments
    mine = whole[whole["flow"].isin(found["flow"])]
    assert found["lost"].tolist() == mine["lost"].tolist()


def test_a_name_must_tell_the_format(lossy: Path, run: Run, tmp_path: Path) -> None:
    result = run("offline", lossy, "--segments", tmp_path / "s.txt")
    assert result.exit_code == 2
    assert "ends in none of .csv, .parquet, .jsonl" in result.output

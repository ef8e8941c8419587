"""Damaged input through whole commands: one sentence or a warning, never a traceback."""

import struct
from pathlib import Path

import pytest
from conftest import CAPTURES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.conftest import Run
from tracer.core.errors import TracerError
from tracer.correlate.join import join
from tracer.report.text import text_of
from tracer.sources.conntrack import read_conntrack
from tracer.sources.read import read

SOUND = [
    *CAPTURES.glob("fip-outbound/sdata-*.pcap"),
    *CAPTURES.glob("fip-inbound/l3switch-te1.pcap.gz"),
    *CAPTURES.glob("east-west/vm-ens3.pcap.zst"),
    *CAPTURES.glob("walkthrough/out06-*.txt"),
    *CAPTURES.glob("snat-centralized/*.pcapng"),
]
DUMPS = sorted(CAPTURES.glob("*/conntrack/*"))
# Where (of the first bytes as often as anywhere), how many bytes go, which come instead.
EDIT = st.tuples(
    st.one_of(st.integers(0, 400), st.integers(0, 1 << 20)),
    st.integers(0, 200),
    st.binary(max_size=40),
)


def edited(file: Path, edits: list[tuple[int, int, bytes]], into: Path) -> Path:
    data = bytearray(file.read_bytes())
    for place, length, new in edits:
        place = place % (len(data) + 1)
        data[place : place + length] = new
    into.joinpath(file.name).write_bytes(data)
    return into / file.name


@pytest.mark.parametrize(
    "words",
    [
        ["offline"],
        ["offline", "--format", "jsonl"],
        ["offline", "-o", "out.parquet"],
        ["offline", "-o", "out.pcapng"],
        ["observations"],
        ["report", "-o", "out.html"],
    ],
)
def test_a_capture_without_packets(
    words: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eth0.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
    result = run(*words, "eth0.pcap")
    assert result.exit_code == 0
    assert "no packets inside" in result.stderr


@settings(max_examples=60)
@given(file=st.sampled_from(SOUND), edits=st.lists(EDIT, min_size=1, max_size=20))
@example(  # a device whose name is not UTF-8
    file=CAPTURES / "walkthrough" / "out06-compute03-enp175s0f1.txt", edits=[(2535, 27, b"\x80")]
)
def test_a_damaged_capture_is_read_joined_and_shown_or_refused(
    file: Path, edits: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = edited(file, edits, tmp_path_factory.mktemp("damaged"))
    try:
        found = read([str(path)])
    except TracerError:
        return
    journeys = join(found.batch)
    assert sum(journeys.journeys["n_hops"]) <= len(found.batch)
    assert bool(list(text_of(journeys, 80))) == bool(len(journeys.journeys))


@settings(max_examples=60)
@given(file=st.sampled_from(DUMPS), edits=st.lists(EDIT, min_size=1, max_size=20))
def test_a_damaged_conntrack_dump_keeps_its_other_lines(
    file: Path, edits: list[tuple[int, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = edited(file, edits, tmp_path_factory.mktemp("damaged"))
    sound = set(file.read_text().splitlines())
    whole = [line for line in path.read_bytes().splitlines() if line.decode("latin-1") in sound]
    entries, _ = read_conntrack(path)
    assert len(entries) >= len(whole)


def test_a_conntrack_line_without_a_source_is_told(tmp_path: Path) -> None:
    path = tmp_path / "dump.txt"
    path.write_text("icmp     1 29 dst=100.121.0.75 type=8 code=0 id=22344 mark=0 use=1\n")
    entries, warnings = read_conntrack(path)
    assert entries == []
    assert [warning.kind for warning in warnings] == ["unparsed-line"]

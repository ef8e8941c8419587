"""Journeys read back are the ones that were written: the same lines come out again."""

import contextlib
import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from tracer.cli.offline import joined
from tracer.core.errors import InputError
from tracer.core.journeys import JourneySet
from tracer.report.jsonl import journey_lines
from tracer.report.parquet.writer import write
from tracer.report.tables import hop_tables, write_parquet
from tracer.sources.journeys import is_journeys, read_journeys
from tracer.sources.recording import read_recording

FOLDERS = ("fip-outbound", "fip-inbound", "snat-centralized", "two-tenants")


@pytest.fixture(scope="module", params=FOLDERS)
def journey_set(request: pytest.FixtureRequest) -> JourneySet:
    folder = Path(__file__).resolve().parents[2] / "captures" / request.param
    return joined([str(folder)], {}, ())


def lines(journey_set: JourneySet) -> list[dict[str, object]]:
    return [json.loads(line) for part in journey_lines(journey_set) for line in part.splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "parquet"])
def test_what_is_read_is_what_was_written(
    journey_set: JourneySet, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"journeys.{suffix}"
    if suffix == "parquet":
        with path.open("wb") as file:
            write_parquet(hop_tables(journey_set), file)
    else:
        text = b"".join(journey_lines(journey_set))
        path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert is_journeys(path)
    found = read_journeys(path)
    assert lines(found) == lines(journey_set)
    assert len(found.flows) == len(journey_set.flows)
    for name in ("src_lo", "dst_lo", "nat_src_lo", "nat_dst_lo", "sport", "nat_sport", "journeys"):
        original = journey_set.flows["src_lo"] != 0xFFFF_FFFF_FFFF_FFFF  # ARP has no addresses
        assert (found.flows[name] == journey_set.flows[name])[original].all(), name


def test_captures_and_recordings_are_not_journeys(captures: Path, tmp_path: Path) -> None:
    assert not is_journeys(captures / "fip-outbound" / "vm-ens3.pcap")
    assert not is_journeys(captures / "walkthrough" / "out01-vm-ens3.txt")
    assert not is_journeys(tmp_path / "missing")


def test_damaged_files_are_not_journeys(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 40))
    for name, at in (("header", 10), ("middle", 30), ("end", len(packed) - 4)):
        damaged = packed.copy()
        damaged[at : at + 3] = b"\xff\xff\xff"
        (tmp_path / name).write_bytes(damaged)
        assert not is_journeys(tmp_path / name)
        (tmp_path / name).write_bytes(packed[:at])
        assert not is_journeys(tmp_path / name)


@pytest.mark.parametrize("name", ["kind", "outcome"])
@pytest.mark.parametrize("word", ['"lost"', "null"])
def test_words_that_are_none_are_damage(
    name: str, word: str, journey_set: JourneySet, tmp_path: Path
) -> None:
    path = tmp_path / "journeys.jsonl"
    text = b"".join(journey_lines(journey_set)).decode()
    path.write_text(re.sub(f'"{name}":"[^"]*"', f'"{name}":{word}', text, count=1))
    with pytest.raises(InputError, match=f"a journey's {name} is no word for one"):
        read_journeys(path)


def test_damaged_tables_are_one_sentence(journey_set: JourneySet, tmp_path: Path) -> None:
    path = tmp_path / "journeys.parquet"
    with path.open("wb") as file:
        write_parquet(hop_tables(journey_set), file)
    whole = path.read_bytes()
    size = int.from_bytes(whole[-8:-4], "little")
    for at in range(len(whole) - 8 - size, len(whole) - 8, max(size // 150, 1)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with contextlib.suppress(InputError):
            if is_journeys(path):
                read_journeys(path)
        with contextlib.suppress(InputError):
            read_recording(path)


def test_an_index_of_no_text_is_damage(journey_set: JourneySet, tmp_path: Path) -> None:
    table = next(hop_tables(journey_set))
    at = table.schema.get_field_index("outcome_at")
    texts = table.column(at).combine_chunks()
    beyond = pa.array([len(texts.dictionary) + 3] * len(texts), pa.int32())
    wrong = pa.DictionaryArray.from_arrays(beyond, texts.dictionary, safe=False)
    path = tmp_path / "journeys.parquet"
    with path.open("wb") as file:
        write([table.set_column(at, "outcome_at", wrong)], file, (), ())
    with pytest.raises(InputError, match="out of bounds"):
        read_journeys(path)


@pytest.mark.parametrize(
    "text",
    ['{"schema":2,"journey":1,"hops":[]}', '{"schema":1,"journey":"x"', '{"schema":1,"journey":1}'],
)
def test_damage_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "journeys.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(InputError, match="holds no journeys that can be read"):
        read_journeys(path)

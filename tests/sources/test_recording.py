"""A recording gives back what was written, says what is wrong with a file that is none."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracer.core.batch import ObservationBatch, concat
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.core.schema import PACKET_DTYPE, SECTION_DTYPES, null_record
from tracer.sources import recording
from tracer.sources.recording import RecordingWriter, read_recording


def batch(device: str, rows: int, tunnelled: list[int]) -> ObservationBatch:
    packets = np.repeat(null_record(PACKET_DTYPE), rows)
    packets["time_ns"] = np.arange(rows) + 1_700_000_000_000_000_000
    packets["ttl"] = 64
    packets["src_hi"], packets["src_lo"] = 0xFD00 << 48, np.arange(rows)
    packets["point"] = 0
    packets["capture"] = 0
    made = ObservationBatch(packets, points=(Point("h", "ns", device, Direction.INGRESS),))
    made.captures = ("live:core",)
    section = np.repeat(null_record(SECTION_DTYPES["tunnel"]), len(tunnelled))
    section["row"], section["vni"], section["encap"] = tunnelled, 7, 1
    made.sections["tunnel"] = section
    made.labels = {"drop_reason": {2: "NO_SOCKET"}}
    return made


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    first, second = batch("qr-1", 23, [3, 5]), batch("rfp-1", 7, [])
    with RecordingWriter(tmp_path / "r.parquet") as writer:
        writer.write(first)
        writer.write(second)
        writer.lost = {"ring_full": 2}
    found = read_recording(tmp_path / "r.parquet")
    expected = concat([first, second])
    assert np.array_equal(found.batch.packets, expected.packets)
    for name, section in expected.sections.items():
        assert np.array_equal(found.batch.sections[name], section), name
    assert found.batch.points == expected.points
    assert found.batch.captures == ("live:core",)
    assert found.batch.labels == {"drop_reason": {2: "NO_SOCKET"}}
    assert found.lost == {"ring_full": 2}


def test_an_empty_recording_is_read_back(tmp_path: Path) -> None:
    RecordingWriter(tmp_path / "r.parquet").close()
    assert len(read_recording(tmp_path / "r.parquet").batch) == 0


def test_other_parquet_and_other_files_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a recording of observations"):
        read_recording(tmp_path / "other.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="not a complete recording"):
        read_recording(tmp_path / "broken.parquet")


def test_a_recording_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    table = pa.table({"time_ns": [1]}).replace_schema_metadata({"tracer": '{"version": 99}'})
    pq.write_table(table, tmp_path / "new.parquet")
    with pytest.raises(InputError, match="newer tracer"):
        read_recording(tmp_path / "new.parquet")


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        RecordingWriter(tmp_path / "none" / "r.parquet")


def test_what_precedes_damage_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_GROUP_ROWS", 10)
    file = tmp_path / "r.parquet"
    parts = [batch("qr-1", 10, [3]), batch("qr-1", 10, []), batch("qr-1", 10, [])]
    with RecordingWriter(file) as writer:
        for part in parts:
            writer.write(part)
    groups = pq.ParquetFile(file).metadata
    data = bytearray(file.read_bytes())
    for group, kept in ((2, 20), (1, 10)):
        at = groups.row_group(group).column(0).dictionary_page_offset
        data[at : at + 8] = bytes([0xFF]) * 8
        file.write_bytes(data)
        found = read_recording(file)
        assert np.array_equal(found.batch.packets, concat(parts).packets[:kept])
        (warning,) = found.warnings
        assert warning.kind == "damaged-recording"
        assert "\n" not in warning.message
    at = groups.row_group(0).column(0).dictionary_page_offset
    data[at : at + 8] = bytes([0xFF]) * 8
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"not a complete recording: [^\n]*$"):
        read_recording(file)


@pytest.mark.parametrize(
    "damage",
    [(b'"version"', b'"version\xff'), (b'"points"', b'"pointz"'), (b'"device"', b'"dev!ce"')],
)
def test_a_damaged_footer_is_said(damage: tuple[bytes, bytes], tmp_path: Path) -> None:
    file = tmp_path / "r.parquet"
    with RecordingWriter(file) as writer:
        writer.write(batch("qr-1", 3, []))
    data = file.read_bytes()
    assert damage[0] in data
    file.write_bytes(data.replace(*damage))
    with pytest.raises(InputError, match="not a complete recording"):
        read_recording(file)


@pytest.mark.parametrize("name", ["point", "capture"])
def test_a_code_of_no_point_is_damage(name: str, tmp_path: Path) -> None:
    file = tmp_path / "r.parquet"
    with RecordingWriter(file) as writer:
        writer.write(batch("qr-1", 3, []))
    table = pq.read_table(file)
    place = table.column_names.index(name)
    field = table.schema.field(name)
    table = table.set_column(place, field, pa.array([0, 7, 0], field.type))
    footer = pq.ParquetFile(file).metadata.metadata
    pq.write_table(table.replace_schema_metadata(footer), file)
    with pytest.raises(InputError, match=f"a packet's {name} is none of the 1 there are"):
        read_recording(file)

import os
from pathlib import Path

from tracer.sources.duplicates import Duplicates


def test_links_and_copies_are_twins_and_files_of_equal_size_are_not(tmp_path: Path) -> None:
    for name, data in (("a", b"abc"), ("copy", b"abc"), ("other", b"abd"), ("longer", b"abcd")):
        (tmp_path / name).write_bytes(data)
    os.link(tmp_path / "a", tmp_path / "link")
    seen = Duplicates()
    assert seen.twin_of(str(tmp_path / "a")) is None
    seen.add(str(tmp_path / "a"), "first")
    found = {path.name: seen.twin_of(str(path)) for path in tmp_path.iterdir()}
    assert found == {"a": "first", "copy": "first", "link": "first", "other": None, "longer": None}


def test_streams_have_no_twin() -> None:
    seen = Duplicates()
    seen.add("-", "-")
    assert seen.twin_of("-") is None


def test_a_file_that_has_gone_is_no_twin(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"abc")
    seen = Duplicates()
    seen.add(str(tmp_path / "a"), "a")
    (tmp_path / "a").unlink()
    assert seen.twin_of(str(tmp_path / "b")) is None

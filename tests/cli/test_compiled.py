"""A word before a long wait, and none where there is none."""

import time
from pathlib import Path

import pytest

from tracer.cli import compiled
from tracer.cli.compiled import ready


def test_a_cold_cache_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    ready("decode")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tracer: compiling")
    folder = tmp_path / "decode_0123"
    folder.mkdir()
    (folder / "fill.nbi").touch()
    ready("decode")
    assert capsys.readouterr() == ("", "")


def test_what_only_large_captures_need_is_compiled_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiled, "_LARGE", compiled._LARGE[1:])  # joining compiles for longer
    for package in ("decode", "correlate"):
        (tmp_path / f"{package}_0123").mkdir()
        (tmp_path / f"{package}_0123" / "some.nbi").touch()
    ready("decode", "correlate", "windows")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("parquet_*/*.nbi")):
        assert time.monotonic() < deadline, "nothing was compiled"
        time.sleep(0.05)

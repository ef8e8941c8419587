"""A word before a long wait, and none where there is none."""

from pathlib import Path

import pytest

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

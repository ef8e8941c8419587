"""What was compiled is kept and taken again, but not from where others can write."""

import os
from pathlib import Path

import pytest

from tracer.sources.live import compiled as module
from tracer.sources.live.btf import VMLINUX
from tracer.sources.live.compiled import Compiled, compiled_programs

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="what is kept belongs to root"),
    pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF"),
]
MAPS = ("events",)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of the compiler, which is replaced: it takes seconds."""
    calls: list[tuple[str, ...]] = []

    def compile_(maps: tuple[str, ...]) -> dict[str, bytes]:
        calls.append(maps)
        return {"receive_typed": bytes(range(16))}

    monkeypatch.setattr(module, "_compile", compile_)
    return calls


def test_the_second_time_nothing_is_compiled(
    compilations: list[tuple[str, ...]], tmp_path: Path
) -> None:
    first = compiled_programs(MAPS, tmp_path / "cache")
    assert compiled_programs(MAPS, tmp_path / "cache") == first
    assert first.programs == {"receive_typed": bytes(range(16))}
    assert first.targets["netif_receive_skb"] > 0
    assert len(compilations) == 1


def test_other_maps_are_compiled_anew(compilations: list[tuple[str, ...]], tmp_path: Path) -> None:
    compiled_programs(MAPS, tmp_path / "cache")
    compiled_programs(("events", "views"), tmp_path / "cache")
    assert len(compilations) == 2


def test_a_folder_that_others_write_to_is_not_trusted(
    compilations: list[tuple[str, ...]], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    compiled_programs(MAPS, cache)
    cache.chmod(0o777)
    compiled_programs(MAPS, cache)
    assert len(compilations) == 2


@pytest.mark.parametrize("text", ["", "{}", '{"programs": 3}', '{"programs": {}, "targets'])
def test_a_broken_file_is_compiled_again(
    compilations: list[tuple[str, ...]], tmp_path: Path, text: str
) -> None:
    made: Compiled = compiled_programs(MAPS, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(text)
    assert compiled_programs(MAPS, tmp_path / "cache") == made
    assert len(compilations) == 2

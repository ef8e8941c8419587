"""The Python layout of the shared structs is that of the compiled object, offset by offset."""

import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import unavailable
from tracer.sources.live import event_layout as layout
from tracer.sources.live.btf import VMLINUX, Btf, kernel
from tracer.sources.live.source import bpf_folder

ROOT = Path(__file__).resolve().parents[3]
STRUCTS = runpy.run_path(str(ROOT / "scripts" / "gen-event-layout"))["STRUCTS"]


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The object compiled afresh from the sources."""
    if not shutil.which("clang"):
        unavailable("clang is not installed")
    out = tmp_path_factory.mktemp("bpf") / "journey.bpf.o"
    subprocess.run([ROOT / "scripts" / "build-bpf", out], check=True, capture_output=True)
    return out


@pytest.mark.parametrize("label", STRUCTS)
def test_every_offset_is_the_compilers(label: str, rebuilt: Path) -> None:
    btf = Btf.of_object(rebuilt)
    struct = btf.find(STRUCTS[label])
    compiled = {m.name: (m.offset, m.size) for m in btf.members(struct)}
    dtype = getattr(layout, f"{label}_DTYPE")
    assert {n: (o, d.itemsize) for n, (d, o) in dtype.fields.items()} == compiled
    assert dtype.itemsize == btf.size(struct)


def test_the_generated_file_is_up_to_date(rebuilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "event_layout.py"
    script = ROOT / "scripts" / "gen-event-layout"
    subprocess.run([script, rebuilt, "--output", out], check=True)
    assert out.read_text() == Path(layout.__file__).read_text()


def test_the_shipped_object_is_that_of_the_sources(rebuilt: Path) -> None:
    shipped = Btf.of_object(bpf_folder() / "journey.bpf.o")
    fresh = Btf.of_object(rebuilt)
    for struct in STRUCTS.values():
        assert [(m.name, m.offset, m.size) for m in shipped.members(shipped.find(struct))] == [
            (m.name, m.offset, m.size) for m in fresh.members(fresh.find(struct))
        ]


def test_records_are_whole_words_without_a_gap_at_the_end() -> None:
    assert layout.EVENT_SIZE % 8 == 0
    fields: dict[str, Any] = dict(layout.EVENT_DTYPE.fields or {})
    assert max(field[1] + field[0].itemsize for field in fields.values()) == layout.EVENT_SIZE


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF")
def test_conntrack_tuples_lie_as_they_are_read() -> None:
    """struct wire_tuple of bpf/kernel.h is read whole, so its fields have to be the kernel's."""
    btf = kernel()
    expected = {
        "tuple.src.u3": 16,
        "tuple.src.u": 32,
        "tuple.src.l3num": 34,
        "tuple.dst.u3": 36,
        "tuple.dst.u": 52,
        "tuple.dst.protonum": 54,
        "tuple.dst.dir": 55,
    }
    name = "nf_conntrack_tuple_hash"
    assert {path: btf.member(name, path).offset for path in expected} == expected
    assert btf.size(btf.find(name)) == 56

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tracer.sources.live.btf import Btf, elf_section

SOURCE = """
enum colour { RED = 3, BLUE = 70000 };
struct inner { short a; int list[3]; };
struct outer {
    char c;
    union { long number; struct inner pair; };
    struct inner many[2];
    unsigned bit : 1, two : 2;
    enum colour colour;
};
struct outer kept;
"""


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    if not shutil.which("clang"):
        unavailable("clang is not installed")
    folder = tmp_path_factory.mktemp("btf")
    (folder / "a.c").write_text(SOURCE)
    command = ["clang", "-O2", "-g", "-target", "bpf", "-c", "a.c", "-o", "a.o"]
    subprocess.run(command, cwd=folder, check=True)
    return Btf.of_object(folder / "a.o")


@pytest.mark.parametrize(
    ("path", "offset", "size"),
    [
        ("c", 0, 1),
        ("number", 8, 8),
        ("pair.list", 12, 12),
        ("pair.list[2]", 20, 4),
        ("many[1].list[1]", 48, 4),
        ("colour", 60, 4),
    ],
)
def test_members_are_found_through_unions_arrays_and_unnamed_structs(
    btf: Btf, path: str, offset: int, size: int
) -> None:
    member = btf.member("outer", path)
    assert (member.offset, member.size) == (offset, size)


def test_bit_fields_tell_their_bit(btf: Btf) -> None:
    two = btf.member("outer", "two")
    assert (two.offset, two.bit, two.bits) == (56, 1, 2)


def test_enums_and_formats(btf: Btf) -> None:
    assert btf.enum_values("colour") == {"RED": 3, "BLUE": 70000}
    assert btf.scalar(btf.member("outer", "number").type_id) == "<i8"
    kinds = [btf.scalar(m.type_id) for m in btf.members(btf.find("inner"))]
    assert kinds == ["<i2", "(3,)<i4"]


def test_what_is_not_there_is_a_key_error(btf: Btf) -> None:
    for struct, path in (("nothing", "a"), ("outer", "nothing")):
        with pytest.raises(KeyError):
            btf.member(struct, path)
    with pytest.raises(ValueError, match="not BTF"):
        Btf(bytes(64))


def test_a_missing_section_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        elf_section(Path("/proc/self/exe").read_bytes(), ".no_such_section")

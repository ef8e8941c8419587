"""Struct layouts from headers: here from made ones; tests/matrix does it with a kernel's own."""

import re
from pathlib import Path

import pytest

from tracer.core.errors import HostError
from tracer.sources.live.btf import Btf, elf_section
from tracer.sources.live.headers import compile_types, header_folders
from tracer.sources.live.source import bpf_folder

SOURCE = (bpf_folder() / "kernel_types.c").read_text()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of headers in which every struct has an int `first` and then what it is about."""
    include = tmp_path / "include"
    for name in re.findall(r"#include <(.+)>", SOURCE):
        header = include / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.touch()
    structs = "".join(
        f"struct {name} {{ int first; long second; unsigned third : 3, fourth : 1; }};"
        for name in re.findall(r"struct (\w+) \w+;", SOURCE)
    )
    reasons = "enum skb_drop_reason { SKB_NOT_DROPPED_YET, SKB_DROP_REASON_MADE = 7 };"
    (include / "linux/netdevice.h").write_text(structs + reasons)
    return tmp_path


def test_members_are_where_the_headers_say(made: Path) -> None:
    types = Btf(elf_section(compile_types((made,), "x86"), ".BTF"))
    for name in ("sk_buff", "net_device", "sock", "nf_conn", "fib6_table"):
        assert types.member(name, "second").offset == 8
        fourth = types.member(name, "fourth")
        assert (fourth.offset, fourth.bit, fourth.bits) == (16, 3, 1)
    assert types.enum_values("skb_drop_reason")["SKB_DROP_REASON_MADE"] == 7


def test_every_struct_whose_fields_are_read_is_there() -> None:
    read = set(re.findall(r"FIELD_\w+ struct (\w+),", (bpf_folder() / "kernel.h").read_text()))
    kept = set(re.findall(r"struct (\w+) \w+;", SOURCE))
    assert read - kept == {"vport"}  # the module's own, not in the headers; its first member


def test_headers_that_do_not_fit_are_a_sentence(made: Path) -> None:
    (made / "include/net/sock.h").write_text("#error made for another kernel\n")
    with pytest.raises(HostError, match="made for another kernel") as caught:
        compile_types((made,), "x86")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_no_headers_no_folders() -> None:
    assert header_folders("0.0.0-nobody") == ()

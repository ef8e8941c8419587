"""What an XDP program drops, live, on both engines; the sender, which hears nothing, judges.

client c0 ── r0 router (tests/kernel/routed.py), with the program at r0
"""

import ctypes
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from follower import Follower, own, pinged, stop_together, together
from routed import Routed, routed, run

from tracer.sources.live import syscalls

pytestmark = pytest.mark.kernel
ENGINES = ("core", "bcc")
NUMBERS = {"xdpgeneric": 33_723, "xdpdrv": 33_724}
_PROG_XDP, _OBJ_PIN, _XDP_DROP = 6, 6, 1


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("xdp") as built:
        built.ping("10.7.1.1")
        yield built


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that returns XDP_DROP."""
    folder = tmp_path_factory.mktemp("bpf")
    run(f"mount -t bpf bpf {folder}")
    try:
        code = ((0xB7, 0, 0, _XDP_DROP), (0x95, 0, 0, 0))
        code_bytes = b"".join(struct.pack("<BBhi", *each) for each in code)
        program = syscalls.load_program(_PROG_XDP, code_bytes, "drop")
        path = ctypes.create_string_buffer(bytes(folder / "drop"))
        syscalls._bpf(_OBJ_PIN, struct.pack("<QII", ctypes.addressof(path), program, 0))
        yield folder / "drop"
    finally:
        subprocess.run(["umount", str(folder)], check=False)


@pytest.fixture(scope="module")
def folder(net: Routed, pinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xdp")
    followers = together(
        Follower(folder, name, "--engine", name, "--host", "10.7.1.2") for name in ENGINES
    )
    inside = f"nsenter --net=/run/netns/{net.router}"  # ip -n would hide what is mounted
    try:
        for mode, number in NUMBERS.items():
            run(f"{inside} ip link set dev r0 {mode} pinned {pinned}")
            net.ping_in_vain(f"-e {number}")
            run(f"{inside} ip link set dev r0 {mode} off")
            for follower in followers:
                follower.wait(lambda j, n=number: pinged(j, n), "the ping")  # type: ignore[misc]
    finally:
        stop_together(followers)
    return folder


@pytest.mark.parametrize("mode", NUMBERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_reason_is_named(folder: Path, net: Routed, engine: str, mode: str) -> None:
    (journey,) = [j for j in own(folder, engine, net.names) if pinged(j, NUMBERS[mode])]
    assert (journey["outcome"], journey["reason"]) == ("dropped", "XDP")
    assert journey["outcome_at"].split("/")[-2:] == [net.router, "r0"]

"""Decodes packets that end where the memory ends: run by test_decode_rows in a process of its own.

numba's bounds check does not see the decoder's loads, the processor does.
"""

import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

from packets import ETHERNET, NULL, RAW, SLL, SLL2, PacketMaker  # noqa: E402

from tracer import jit_cache  # noqa: E402

jit_cache.prepare()

from decoding import decode_frames  # noqa: E402

from tracer.sources.frames import FRAME_DTYPE  # noqa: E402

PAGE = mmap.PAGESIZE
LINKTYPES = np.array([ETHERNET, RAW, SLL, SLL2, NULL], np.int32)


def guarded() -> tuple[mmap.mmap, np.ndarray]:
    """Return memory whose last page cannot be read, and the readable part as an array."""
    memory = mmap.mmap(-1, 17 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    data = np.frombuffer(memory, np.uint8, 16 * PAGE)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(data.ctypes.data + 16 * PAGE)
    if libc.mprotect(address, ctypes.c_size_t(PAGE), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return memory, data


def mangled(maker: PacketMaker, packet: bytes) -> bytes:
    """Return the packet cut anywhere, with some bytes changed: lengths that lie among them."""
    raw = bytearray(packet[: maker.random.randrange(len(packet) + 1)])
    for _ in range(maker.random.choice((0, 1, 3, 10))):
        if raw:
            raw[maker.random.randrange(len(raw))] = maker.random.randrange(256)
    return bytes(raw)


def main() -> None:
    _memory, data = guarded()
    maker = PacketMaker(7)
    count = 0
    for _ in range(80):
        interface = count % len(LINKTYPES)
        whole = maker.frame(int(LINKTYPES[interface]))
        for _ in range(50):
            packet = mangled(maker, whole)
            data[len(data) - len(packet) :] = np.frombuffer(packet, np.uint8)
            frames = np.zeros(1, FRAME_DTYPE)
            frames["offset"], frames["cap_len"] = len(data) - len(packet), len(packet)
            frames["wire_len"], frames["interface"] = len(whole), interface
            count += len(decode_frames(data, frames, LINKTYPES).packets)
    sys.stdout.write(f"{count} packets\n")


if __name__ == "__main__":
    main()

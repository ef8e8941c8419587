"""Compressed streams against the gzip, zstd and xz tools, whole and damaged."""

import random
import subprocess
import tracemalloc

import pytest

from sources.files import Chunks
from tracer.sources.compression import DecompressedStream, compression_of
from tracer.sources.findings import Findings

TOOLS = {"gzip": ["gzip", "-c"], "zstd": ["zstd", "-q", "-c"], "xz": ["xz", "-c"]}


def text(size: int) -> bytes:
    words = random.Random(1)
    return b"".join(b"%d packet " % words.randrange(10**6) for _ in range(size // 13))[:size]


def compressed(kind: str, data: bytes, *options: str) -> bytes:
    return subprocess.run(
        [*TOOLS[kind], *options], input=data, capture_output=True, check=True
    ).stdout


def tool_output(kind: str, data: bytes) -> bytes:
    """What the tool itself gets out of damaged data."""
    return subprocess.run([*TOOLS[kind], "-d"], input=data, capture_output=True, check=False).stdout


def decompressed(data: bytes, piece: int = 1 << 16) -> tuple[bytes, dict[str, int]]:
    findings = Findings("file")
    stream = DecompressedStream(Chunks(data[16:], piece), data[:16], findings)
    out, target = bytearray(), memoryview(bytearray(10_000))
    while count := stream.readinto(target):
        out += target[:count]
    return bytes(out), {w.kind: w.count for w in findings.warnings()}


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_what_the_tool_compressed_comes_back(kind: str, size: int, piece: int) -> None:
    data = compressed(kind, text(size))
    assert compression_of(data) == kind
    assert decompressed(data, max(piece, len(data) // 5000)) == (text(size), {})


@pytest.mark.parametrize("kind", TOOLS)
def test_members_one_after_the_other_are_one_stream(kind: str) -> None:
    parts = [text(300_000), b"", text(70_000)]
    data = b"".join(compressed(kind, part) for part in parts)
    assert decompressed(data) == (b"".join(parts), {})


def test_skippable_zstd_frames_and_padding_are_passed_over() -> None:
    skippable = b"\x52\x2a\x4d\x18\x05\x00\x00\x00abcde"
    frame = compressed("zstd", text(1000), "--no-check")
    assert decompressed(skippable + frame + skippable + frame, 1) == (text(1000) * 2, {})
    padded = compressed("gzip", b"a") + bytes(512) + compressed("gzip", b"b") + bytes(9)
    assert decompressed(padded) == (b"ab", {})
    assert decompressed(compressed("xz", b"a") + bytes(8) + compressed("xz", b"b")) == (b"ab", {})


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
def test_a_stream_cut_short_gives_what_the_tool_gives(kind: str, part: float) -> None:
    data = compressed(kind, text(2_000_000))
    cut = data[: int(len(data) * part)]
    out, found = decompressed(cut)
    assert found == {f"truncated-{kind}": 1}
    assert text(2_000_000).startswith(out)
    assert len(out) >= len(tool_output(kind, cut)) - (4096 if kind == "xz" else 0)


@pytest.mark.parametrize("kind", TOOLS)
def test_damage_half_way_keeps_what_came_before(kind: str) -> None:
    data = bytearray(compressed(kind, text(2_000_000)))
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(range(64))
    out, found = decompressed(bytes(data))
    said = tool_output(kind, bytes(data))
    good = next(
        (n for n, (a, b) in enumerate(zip(said, text(2_000_000), strict=False)) if a != b),
        len(said),
    )
    assert list(found) == [f"corrupt-{kind}"]
    assert out[:good] == text(2_000_000)[: min(good, len(out))]
    assert len(out) >= good - 4096
    assert good > 500_000


@pytest.mark.parametrize("kind", TOOLS)
def test_a_bomb_is_read_in_bounded_memory(kind: str) -> None:
    data = compressed(kind, bytes(100_000_000))
    stream = DecompressedStream(Chunks(data[16:]), data[:16], Findings(None))
    target, total = memoryview(bytearray(1 << 16)), 0
    tracemalloc.start()
    try:
        while count := stream.readinto(target):
            total += count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 100_000_000
    assert peak < 16_000_000  # the dictionary of xz is 8 MiB


def test_a_dictionary_too_large_is_refused() -> None:
    data = bytearray(compressed("xz", b"a", "--check=none", "--lzma2=dict=1536MiB"))
    out, found = decompressed(bytes(data))
    assert (out, list(found)) == (b"", ["corrupt-xz"])


@pytest.mark.parametrize("head", [b"", b"\x1f\x8b", b"\xd4\xc3\xb2\xa1", b"plain text", b"\xfd7zX"])
def test_other_bytes_are_not_taken_for_compressed(head: bytes) -> None:
    assert compression_of(head) is None

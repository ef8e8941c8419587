"""Arbitrary and damaged bytes: nothing but a TracerError; what precedes damage is never lost."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.files import (
    UDP,
    Packet,
    Row,
    enhanced,
    frames_of,
    interface,
    option,
    pcap,
    section,
    some,
)
from tracer.core.errors import InputError, TracerError
from tracer.sources.capture import is_capture, open_capture
from tracer.sources.findings import Findings

PCAP = pcap([Packet(UDP * (1 + n % 3), 1_700_000_000 + n) for n in range(12)])
PCAPNG = b"".join(
    [
        section(),
        interface(options=option(2, b"eth0") + option(9, b"\x09")),
        *(enhanced(UDP * (1 + n % 3), n * 10**9) for n in range(6)),
        section(">"),
        interface(order=">"),
        *(enhanced(UDP, n, options=option(2, b"\0\0\0\1", ">"), order=">") for n in range(6)),
    ]
)


def opened(path: Path) -> tuple[list[tuple[int, ...]], list[str]]:
    """(number, time_ns, cap_len) of every packet, and the kinds of warnings."""
    findings = Findings(path.name)
    capture = open_capture(str(path), findings)
    rows = []
    try:
        for window in capture.packets.windows() if capture.packets else ():
            for n, frame in enumerate(window.frames):
                assert frame["offset"] + frame["cap_len"] <= len(window.data)
                rows.append((window.first_frame + n, int(frame["time_ns"]), int(frame["cap_len"])))
    finally:
        capture.close()
    return rows, [w.kind for w in findings.warnings()]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", PCAP[:24], PCAPNG[:60], b"\x1f\x8b\x08"]))
def test_arbitrary_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.pcap"
    path.write_bytes(head + tail)
    refusal = None
    try:
        opened(path)
    except TracerError as error:
        refusal = error.message
    assert refusal is None or str(path) in refusal


def ends(data: bytes) -> list[tuple[int, int]]:
    """How many packets are complete at every length of a capture: (length, packets)."""
    found = []
    for length in range(len(data) + 1):
        try:
            found.append((length, len(frames_of(data[:length])[0])))
        except InputError:
            found.append((length, 0))
    return found


PACKETS_AT = {name: dict(ends(data)) for name, data in (("pcap", PCAP), ("pcapng", PCAPNG))}


@pytest.mark.parametrize(("name", "data"), [("pcap", PCAP), ("pcapng", PCAPNG)])
def test_packets_before_damage_are_the_undamaged_ones(name: str, data: bytes) -> None:
    whole = frames_of(data)[0]

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, len(data) - 1), st.binary(min_size=1, max_size=12))
    def mutated(place: int, change: bytes) -> None:
        damaged = data[:place] + change + data[place + len(change) :]
        try:
            rows: list[Row] = frames_of(damaged)[0]
        except InputError:
            assert place < 28
            return
        # The file header, or what describes interfaces, speaks for all that follows.
        kept = PACKETS_AT[name][place]
        assert rows[:kept] == whole[:kept]

    mutated()


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed_damage_is_survived(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    whole = pcap(some(5000))
    data = bytearray(compress(whole))
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    rows, warnings = opened(path)
    assert (len(rows), warnings) == (5000, [])
    path.write_bytes(data[: len(data) * 2 // 3])
    cut, warnings = opened(path)
    assert 0 < len(cut) < 5000
    assert cut == rows[: len(cut)]
    assert warnings[0].startswith("truncated-")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\0" * 100, "is not a capture: it begins with 00 00"),
        (b"just some words\n", "is not a capture"),
        (b"\xa1\xb2\xc3\xd5" + bytes(40), "is not a capture: it begins with a1 b2 c3 d5"),
        (PCAP[:20], "cut short"),
        (PCAPNG[:20], "cut short"),
        (b"\x1f\x8b\x08" + bytes(3), "gzip data"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"\xfd7zXZ\0" + b"x" * 40, "xz data"),
    ],
)
def test_what_is_no_capture_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_capture(str(path), Findings("x"))
    assert str(path) in caught.value.message
    assert caught.value.hint
    if "is not a capture" in message:
        assert f"`file {path}`" in caught.value.hint
    # What was compressed may have been a capture: a folder's reader has to say that it is lost.
    assert is_capture(str(path)) == message.endswith(" data")


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(zstandard.ZstdCompressor().compress(PCAPNG))
    capture = open_capture(str(path), Findings("x"))
    capture.close()
    assert (capture.kind, capture.compression) == ("pcapng", "zstd")

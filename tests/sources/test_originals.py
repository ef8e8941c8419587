"""Bytes found again are those tshark reads, wherever and however compressed the capture is."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tracer.sources.originals import Originals
from tracer.sources.read import read


def bytes_of(file: Path) -> list[bytes]:
    command = ["tshark", "-n", "-r", str(file), "-T", "jsonraw"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [bytes.fromhex(p["_source"]["layers"]["frame_raw"][0]) for p in json.loads(shown)]


@pytest.mark.parametrize("compressed", [False, True])
def test_every_packet_of_a_capture(compressed: bool, captures: Path, tmp_path: Path) -> None:
    source = captures / "fip-outbound" / "compute03-qr-1f6b0aa3-3d.pcap"
    file = tmp_path / ("qr.pcap.gz" if compressed else "qr.pcap")
    data = source.read_bytes()
    file.write_bytes(gzip.compress(data) if compressed else data)
    expected = bytes_of(source)
    with Originals([file]) as originals:
        found = [originals.packet(str(file), frame + 1) for frame in range(len(expected))]
        assert found == [(1, packet) for packet in expected]
        assert originals.packet(str(file), 0) is None
        assert originals.packet(str(file), len(expected) + 1) is None
        assert originals.packet("another", 1) is None


def test_names_are_those_of_reading(captures: Path) -> None:
    folder = captures / "two-tenants"
    batch = read([folder]).batch
    with Originals([folder]) as originals:
        for packet in batch.packets[::50]:
            found = originals.packet(batch.captures[packet["capture"]], int(packet["frame"]))
            assert found is not None
            assert len(found[1]) == packet["cap_len"]


def test_interfaces_of_a_pcapng_keep_their_link_types(captures: Path) -> None:
    file = captures / "snat-centralized" / "snat-centralized.pcapng"
    with Originals([file]) as originals:
        assert [originals.packet(str(file), n) for n in (1, 700)] == [
            (1, packet) for packet in (bytes_of(file)[0], bytes_of(file)[699])
        ]


def test_what_has_no_bytes(captures: Path, tmp_path: Path) -> None:
    text = captures / "walkthrough" / "out01-vm-ens3.txt"
    with Originals([text, "-"]) as originals:
        assert originals.packet(str(text), 1) is None
        assert originals.packet("-", 1) is None
    gone = tmp_path / "gone.pcap"
    shutil.copy(captures / "fip-outbound" / "vm-ens3.pcap", gone)
    with Originals([gone]) as originals:
        with open(gone, "wb"):
            pass  # emptied since it was found
        assert originals.packet(str(gone), 1) is None

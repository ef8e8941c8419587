"""Files that one capture was written to in turns are one point."""

import os
import subprocess
from pathlib import Path

import pytest

from sources.files import pcap, some
from tracer.sources.inputs import find_inputs
from tracer.sources.rotation import turn_of


@pytest.mark.parametrize(
    ("name", "base", "mark"),
    [
        ("lan.pcap", "lan", ""),
        ("lan.pcap1", "lan", "1"),
        ("lan.pcap03.gz", "lan", "03"),
        ("lan_00001_20261126224810.pcapng", "lan", "00001_20261126224810"),
        ("lan_20261126224810_00001.pcapng", "lan", "20261126224810_00001"),
        ("lan-2026-11-26_22:48:10.pcap", "lan", "2026-11-26_22:48:10"),
        ("lan-20261126-224810.pcap.xz", "lan", "20261126-224810"),
        ("lan.20261126224810.pcap2", "lan", "2 20261126224810"),
        ("lan-2026-11-26.pcap", "lan", "2026-11-26"),
        ("lan-22:48:10.pcap", "lan", "22:48:10"),
        ("lan-1795733590.pcap", "lan", "1795733590"),
        ("lan-1.pcap", "lan-1", ""),
        ("veth224810.pcap", "veth224810", ""),
        ("pod-101010.pcap", "pod-101010", ""),
        ("ip-10-20-30-40.pcap", "ip-10-20-30-40", ""),
        ("node-10.20.30.40.pcap", "node-10.20.30.40", ""),
        ("trace-20261126-224810.pcap", "trace-20261126-224810", ""),
        ("20261126-224810.pcap", "20261126-224810", ""),
    ],
)
def test_what_a_name_says_of_turns(name: str, base: str, mark: str) -> None:
    assert turn_of(f"folder/{name}") == (base, mark)


def places(folder: Path) -> set[tuple[str | None, str | None, str | None]]:
    found = [given.naming.point() for given in find_inputs([folder], {})[0]]
    return {(point.host, point.device, point.capture) for point in found}


def test_the_files_that_tcpdump_writes_in_turns_are_one_point(tmp_path: Path) -> None:
    (tmp_path / "all.pcap").write_bytes(pcap(some(30_000)))
    folder = tmp_path / "turns"
    folder.mkdir()
    for options in (("-w", "lan.pcap"), ("-w", "wan.pcap", "-W", "12")):
        words = ["tcpdump", "-Z", "root", "-r", str(tmp_path / "all.pcap"), "-C", "1", *options]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
    assert {"lan.pcap", "lan.pcap1", "wan.pcap00", "wan.pcap01"} <= set(os.listdir(folder))
    assert places(folder) == {(None, None, "lan"), (None, None, "wan")}


def test_what_is_said_of_one_file_is_said_of_all(tmp_path: Path) -> None:
    for name in ("lan.pcap", "lan.pcap1", "wan.pcap", "wan.pcap1"):
        (tmp_path / name).write_bytes(pcap(some(2)))
    (tmp_path / "points.toml").write_text(
        '[[point]]\nfile = "lan.pcap"\nhost = "r1"\ndevice = "lan"\n'
        '[[point]]\nfile = "wan.pcap1"\nhost = "r1"\ndevice = "wan1"\n'
        '[[point]]\nfile = "wan.pcap"\nhost = "r1"\ndevice = "wan0"\n'
    )
    assert places(tmp_path) == {("r1", name, None) for name in ("lan", "wan0", "wan1")}


def test_captures_of_two_folders_that_are_called_alike_are_two(tmp_path: Path) -> None:
    for host in ("a", "b"):
        (tmp_path / host).mkdir()
        for name in ("lan.pcap", "lan.pcap1"):
            (tmp_path / host / name).write_bytes(pcap(some(2)))
    assert len(places(tmp_path)) == 2

"""points.toml with its mistakes, and what it says against the names of interfaces and files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.core.address import encode_mac
from tracer.core.errors import InputError
from tracer.core.point import Direction, Point
from tracer.sources.points import (
    PointEntry,
    PointNaming,
    entry_of_option,
    read_points,
)

GOOD = """\
# by hand
[[point]]
file = "qr.pcap"
host = "compute03"
netns = "qrouter-b6a8"
device = "qr-1f6b0aa3-3d"
clock = "vm"
mac = "fa:16:3e:ff:d5:8b"
direction = "egress"

[[point]]
file = "all.pcapng"
interface = 2

[[conntrack]]
file = "conntrack.txt"
"""


def entries(tmp_path: Path, text: str) -> list[PointEntry]:
    path = tmp_path / "points.toml"
    path.write_text(text)
    return read_points(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    mac = encode_mac("fa:16:3e:ff:d5:8b")
    assert entries(tmp_path, GOOD) == [
        PointEntry(
            "qr.pcap", "compute03", "qrouter-b6a8", "qr-1f6b0aa3-3d", "vm", mac, Direction.EGRESS
        ),
        PointEntry("all.pcapng", interface=2),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[point]]\nfile = "a"\nhots = "b"\n', "line 3, key `hots`: unknown key"),
        ('[[point]]\nfile = "a"\n[[point]]\nfile = 3\n', "line 4, key `file`: it must be a text"),
        ('\n[[point]]\nhost = "a"\n', "line 2, key `file`: it is missing"),
        ('[[point]]\nfile="a"\ninterface = "0"\n', "line 3, key `interface`: it must be a number"),
        ('[[point]]\nfile="a"\ninterface = -1\n', "line 3, key `interface`: it must be a number"),
        ('[[point]]\nfile="a"\nmac = "x"\n', "line 3, key `mac`: it must be a MAC"),
        ('[[point]]\nfile="a"\ndirection = "in"\n', "line 3, key `direction`: it must be ingress"),
        ('[[point]]\nfile="a"\nhost = ""\n', "line 3, key `host`: it must be a text"),
        ('x = 1\n[[point]]\nfile="a"\n', "line 1, key `x`: only"),
        ('[point]\nfile = "a"\n', "line 1, key `point`: only"),
        ("[[point]]\nfile = a\n", r"is not TOML: .*line 2"),
        (
            '[[point]]\nfile = "a"\nhost = "h"\n[[point]]\nfile = "./a"\nhost = "g"\n',
            "line 5, key `file`: line 2 says something else of ./a",
        ),
        (
            '[[point]]\nfile = "a"\nhost = "h"\ndevice = "d"\n'
            '[[point]]\nfile = "b"\nhost = "h"\ndevice = "d"\nclock = "c"\n',
            "line 9, key `clock`: it is another one than that of d in a",
        ),
    ],
)
def test_mistakes_are_told_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        entries(tmp_path, text)
    assert str(tmp_path / "points.toml") in caught.value.message


@pytest.mark.parametrize("bracket", ["[", "{a="])
def test_brackets_without_end_are_refused(bracket: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not TOML: brackets are nested too deeply"):
        entries(tmp_path, "a = " + bracket * 5000)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_points_file_that_windows_wrote_is_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "points.toml").write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
    assert read_points(tmp_path / "points.toml") == entries(tmp_path, GOOD)


def test_what_is_said_twice_alike_and_of_two_interfaces_is_no_contradiction(tmp_path: Path) -> None:
    text = '[[point]]\nfile = "a"\nhost = "h"\n'
    assert len(entries(tmp_path, text * 2)) == 2
    assert len(entries(tmp_path, f'{text}interface = 0\n{text}device = "d"\ninterface = 1\n')) == 2


def test_a_points_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not TOML"):
        read_points(tmp_path / "points.toml")


def test_an_interface_name_beats_the_file_name_and_an_entry_beats_both() -> None:
    name = "compute03-eth0.pcapng"
    assert PointNaming(name, "x").point(0, "ens3") == Point("compute03", device="ens3")
    assert PointNaming(name, "x").point(0, r"\Device\NPF_{7F1A8B6C}").device == "eth0"
    entry = PointEntry(name, "net1", "ns", "eth9", "vm", 5, Direction.EGRESS)
    assert PointNaming(name, "x", (entry,)).point(0, "ens3") == Point(
        "net1", "ns", "eth9", Direction.EGRESS, clock="vm", mac=5
    )


def test_entries_for_one_interface_leave_the_others_alone() -> None:
    naming = PointNaming(
        "f", "f", (PointEntry("f", "h"), PointEntry("f", "h2", interface=1, device="d"))
    )
    assert naming.point(0, "eth0", is_only=False) == Point("h", device="eth0")
    assert naming.point(1, "eth1", is_only=False) == Point("h2", device="d")


def test_an_entry_for_the_file_does_not_make_its_interfaces_one() -> None:
    naming = PointNaming("f", "f", (PointEntry("f", "h", device="eth9"),))
    points = {naming.point(n, f"eth{n}", is_only=False).device for n in range(2)}
    assert points == {"eth0", "eth1"}


def test_unnamed_points_are_called_after_the_file() -> None:
    naming = PointNaming("x.pcapng", "x")
    assert naming.point().name == "x"
    assert naming.point(1, is_only=False).name == "x#1"
    assert naming.point().device is None


def test_a_text_may_name_its_device_itself() -> None:
    naming = PointNaming("compute03-eth0.txt", "x")
    assert naming.text_point() == (Point("compute03"), "eth0")
    entry = PointEntry("compute03-eth0.txt", device="eth1", direction=Direction.INGRESS)
    point = Point("compute03", device="eth1", direction=Direction.INGRESS)
    assert PointNaming("compute03-eth0.txt", "x", (entry,)).text_point() == (point, "eth0")


def test_devices_of_a_capture_on_any_are_told_apart() -> None:
    naming = PointNaming("any.pcap", "any", (PointEntry("any.pcap", "h", ifindex=4, device="qr"),))
    assert naming.point(ifindex=3).device == "if3"
    assert naming.point(ifindex=4, direction=Direction.EGRESS) == Point(
        "h", device="qr", direction=Direction.EGRESS
    )
    everything = PointNaming("any.pcap", "any", (PointEntry("any.pcap", device="any"),))
    assert everything.point(ifindex=3).device == "if3"


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("eth0", PointEntry("f", device="eth0")),
        ("h/eth0", PointEntry("f", "h", None, "eth0")),
        ("h/ns/eth0", PointEntry("f", "h", "ns", "eth0")),
    ],
)
def test_point_options_name_device_host_and_namespace(name: str, entry: PointEntry) -> None:
    assert entry_of_option(name, "f") == entry


@pytest.mark.parametrize("name", ["", "a//b", "a/b/c/d"])
def test_a_bad_point_option_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="DEVICE, HOST/DEVICE"):
        entry_of_option(name, "f")


def test_points_toml_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    text = '[[point]]\nfile = "a.pcap"\nhost = "bücher01"\n'
    (tmp_path / "points.toml").write_text(text, "utf-8")
    code = (
        "import sys; from pathlib import Path; from tracer.sources.points import read_points; "
        "print(ascii(read_points(Path(sys.argv[1]))[0].host))"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path / "points.toml")]
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == r"'b\xfccher01'"


def test_a_name_that_is_not_utf8_is_shown_as_its_bytes() -> None:
    entry = entry_of_option(os.fsdecode(b"h\xff/eth0"), "x.pcap")
    assert (entry.host, entry.device) == ("h\\xff", "eth0")

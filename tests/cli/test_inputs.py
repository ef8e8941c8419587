"""What the user names as input."""

from pathlib import Path

import click
import pytest

from tracer.cli.inputs import named, point_option, read_captures, read_dumps
from tracer.core.errors import InputError

PARAMETER = click.Option(["--point"])


def points(*texts: str) -> dict[str, str]:
    return named(click.Context(click.Command("offline")), PARAMETER, texts)


def test_points_are_names_and_files() -> None:
    assert callable(point_option)
    assert points("qr=a.pcap", "h/ns/eth0=b=c.pcap") == {"qr": "a.pcap", "h/ns/eth0": "b=c.pcap"}


@pytest.mark.parametrize("texts", [("a.pcap",), ("=a.pcap",), ("qr=",), ("qr=a", "qr=b")])
def test_points_that_are_bad_usage(texts: tuple[str, ...]) -> None:
    with pytest.raises(click.BadParameter):
        points(*texts)


def test_no_input_is_bad_usage() -> None:
    with pytest.raises(click.UsageError, match="Name a capture"):
        read_captures([], {})


def test_a_point_names_an_input(captures: Path) -> None:
    file = str(captures / "fip-outbound" / "vm-ens3.pcap")
    read = read_captures([], {"guest/inside/net0": file})
    (point,) = {read.batch.points[code] for code in read.batch.packets["point"]}
    assert (point.host, point.netns, point.device) == ("guest", "inside", "net0")


def test_dumps_beside_captures_are_read(captures: Path) -> None:
    entries, warnings = read_dumps([str(captures / "fip-outbound")], [])
    assert any(entry.netns and entry.netns.startswith("qrouter-") for entry in entries)
    assert any(entry.is_snat for entry in entries)
    assert warnings == []


def test_named_dumps_are_read_as_well(captures: Path) -> None:
    (dump, *_) = sorted((captures / "fip-outbound" / "conntrack").glob("qrouter-*.txt"))
    entries, _ = read_dumps([], [str(dump)])
    lines = [line for line in dump.read_text().splitlines() if line.strip()]
    assert len(entries) == len(lines)


def test_no_dumps() -> None:
    assert read_dumps(["a.pcap"], []) == ([], [])


def test_a_dump_that_is_not_there() -> None:
    with pytest.raises(InputError):
        read_dumps([], ["no-such-dump.txt"])

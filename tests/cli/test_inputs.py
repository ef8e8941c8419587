"""What the user names as input."""

from pathlib import Path

import click
import pytest

from tracer.cli.inputs import named, point_option, read_captures

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

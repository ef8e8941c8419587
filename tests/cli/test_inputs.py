"""What the user names as input."""

from pathlib import Path

import click
import pytest

from cli.conftest import Run
from tracer.cli.inputs import named, point_option, read_captures
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


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--conntrack", "vm-ens3.pcap", "is a capture and holds no entry"),
        ("--rules", "vm-ens3.pcap", "is a capture and holds no rule"),
        ("--conntrack", "README.md", "holds no entry"),
        ("--rules", "README.md", "holds no rule"),
        ("--conntrack", "absent", "cannot be read: No such file or directory."),
        ("--rules", "absent", "cannot be read: No such file or directory."),
        ("--conntrack", ".", "cannot be read: Is a directory."),
        ("--rules", ".", "cannot be read: Is a directory."),
        ("--redact-key", "absent", "cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_is_not_what_its_option_takes_is_refused_before_captures_are_read(
    option: str, name: str, said: str, captures: Path, run: Run
) -> None:
    # Were the capture looked for first, it would be what is told.
    with pytest.raises(InputError, match=said) as caught:
        run("offline", "no-such-capture.pcap", option, captures / "fip-outbound" / name)
    assert caught.value.hint


def test_a_dump_without_entries_is_one(captures: Path, tmp_path: Path, run: Run) -> None:
    dump = tmp_path / "dump.txt"
    dump.write_text("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.\n")
    file = captures / "fip-outbound" / "vm-ens3.pcap"
    assert run("offline", file, "--conntrack", dump).exit_code == 0

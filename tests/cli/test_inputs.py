"""What the user names as input."""

import os
import shutil
import subprocess
import sys
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


# As a user to whom closed files are closed: root without its privilege to read them all the same.
def unprivileged(*words: object) -> "subprocess.CompletedProcess[str]":
    become = (
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if not os.geteuid() else []
    )
    command = [*become, sys.executable, "-m", "tracer.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_what_is_closed_in_a_folder_is_told_and_the_rest_is_read(
    captures: Path, tmp_path: Path
) -> None:
    source = captures / "fip-outbound" / "vm-ens3.pcap"
    (tmp_path / "closed").mkdir()
    for name in ("open.pcap", "closed.pcap", "conntrack.txt", "closed/inside.pcap"):
        shutil.copyfile(source, tmp_path / name)
    for name in ("closed.pcap", "conntrack.txt", "closed"):
        (tmp_path / name).chmod(0)
    done = unprivileged("offline", tmp_path, "--format", "jsonl", "--count", "1")
    (tmp_path / "closed").chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert '"capture":"open.pcap"' in done.stdout
    for name in ("closed.pcap", "conntrack.txt"):
        assert (
            f"warning: {name}: {tmp_path / name} cannot be read: Permission denied" in done.stderr
        )
    assert "warning: closed: it cannot be listed: Permission denied" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("offline", "{closed}"),
        ("observations", "{closed}"),
        ("report", "{closed}", "-o", "{new}"),
        ("offline", "{folder}"),
        ("report", "{open}", "--before", "{folder}", "-o", "{new}"),
        ("offline", "{open}", "--conntrack", "{closed}"),
        ("offline", "{open}", "--rules", "{closed}"),
        ("offline", "{open}", "--redact-key", "{closed}"),
    ],
)
def test_a_closed_file_ends_with_the_status_of_other_unusable_inputs(
    words: tuple[str, ...], captures: Path, tmp_path: Path
) -> None:
    (tmp_path / "closed").touch(0)
    (tmp_path / "folder").mkdir(0)
    names = {name: tmp_path / name for name in ("closed", "folder", "new.html")}
    names |= {"open": captures / "fip-outbound" / "vm-ens3.pcap", "new": names["new.html"]}
    done = unprivileged(*(word.format(**names) for word in words))
    (tmp_path / "folder").chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert "cannot be read: Permission denied." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new.html").exists()

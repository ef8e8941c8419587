"""Where output goes, and that it is whole or not there."""

import fcntl
import os
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from cli.conftest import Spawn
from tracer.cli.output import (
    destination,
    encoded,
    is_coloured,
    terminal_width,
    write_summary,
    write_text,
)
from tracer.core.errors import InputError
from tracer.report.line import Line

SUMMARY = {"schema": 1, "observations": 3, "undecoded": 0, "undecoded_by": {}, "warnings": []}


def test_a_file_is_written(tmp_path: Path) -> None:
    with destination(str(tmp_path / "out")) as file:
        file.write(b"all")
    assert (tmp_path / "out").read_bytes() == b"all"


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    def write() -> None:
        with destination(str(tmp_path / "out")) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert not (tmp_path / "out").exists()


def test_a_device_is_not_removed() -> None:
    with pytest.raises(RuntimeError), destination(os.devnull):
        raise RuntimeError
    assert Path(os.devnull).exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="cannot be written") as caught,
        destination(str(tmp_path / "no" / "out")),
    ):
        raise AssertionError("there is nothing to write to")
    # Whichever option named it: -o, --summary or --segments.
    assert caught.value.hint == f"`mkdir -p {tmp_path}/no` creates it."


def test_letters_where_signs_cannot_be_shown() -> None:
    assert encoded("→ 5 µs ± 1 …", "ascii") == b"-> 5 us +- 1 ..."
    assert encoded("näh", "ascii") == b"n?h"
    assert encoded("→", "utf-8") == "→".encode()


def test_text_has_colours_when_asked_for(tmp_path: Path) -> None:
    line = Line("up ").append("down", "bold red")
    for coloured in (False, True):
        with (tmp_path / "out").open("wb") as file:
            write_text([line], file, coloured=coloured)
        written = (tmp_path / "out").read_text()
        assert ("\x1b[" in written) is coloured
        assert written.endswith("\n")
        assert "up " in written


def test_no_colours_away_from_a_terminal() -> None:
    assert not is_coloured(None)
    assert not is_coloured("file")


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_on_a_terminal_unless_refused(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, other = os.openpty()
    with os.fdopen(other, "w") as stdout, os.fdopen(terminal):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdout", stdout)
        assert is_coloured(None) is coloured
        assert not is_coloured("file")


def test_the_width_is_what_columns_says_and_no_less_than_40(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width(None) == 120
    monkeypatch.setenv("COLUMNS", "90")
    assert terminal_width("file") == 90
    monkeypatch.setenv("COLUMNS", "3")
    assert terminal_width("file") == 40


def test_the_summary_goes_to_stderr_and_to_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_summary(SUMMARY, str(tmp_path / "s.json"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "3 observations, 0 undecoded\n")
    assert '"observations": 3' in (tmp_path / "s.json").read_text()


@pytest.mark.parametrize("command", ["offline", "observations"])
def test_names_do_nothing_to_a_terminal(
    command: str, captures: Path, tmp_path: Path, spawn: Spawn
) -> None:
    file = captures / "fip-outbound" / "vm-ens3.pcap"
    shutil.copyfile(file, tmp_path / "a\x1b]0;title\x07\x1b[31m.pcap")
    (tmp_path / "b\nwarning: all is well.pcap").write_bytes(file.read_bytes()[:-20])
    (tmp_path / "c\x1b[2J.pcap").write_bytes(b"x")
    done = spawn(command, tmp_path, "--format", "text" if command == "offline" else "jsonl")
    assert done.returncode == 0
    printed = done.stdout + done.stderr
    assert not [letter for letter in printed if not letter.isprintable() and letter != "\n"]
    assert not [line for line in printed.splitlines() if line.startswith("warning: all is well")]
    refused = spawn(command, tmp_path / "c\x1b[2J.pcap")
    assert refused.returncode == 1
    assert "\x1b" not in refused.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("schema",), ("observations", "{folder}")])
def test_a_pipe_that_does_not_block_gets_everything(
    words: tuple[str, ...], unbuffered: str, captures: Path
) -> None:
    """As one that node or ssh made so: what does not fit into it is no error, and not lost."""
    command = [sys.executable, "-m", "tracer.cli"]
    command += [word.format(folder=captures / "fip-outbound") for word in words]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    whole = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    assert len(whole) > 2 * size
    os.set_blocking(writing, False)
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, env=environment) as run:
        while int.from_bytes(fcntl.ioctl(reading, termios.FIONREAD, bytes(4)), "little") < size:
            assert run.poll() is None  # until it is full: nobody reads
        assert not os.get_blocking(writing)  # as whoever shares it has set it
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pipe.read() == whole
        assert run.wait() == 0
    # One whose reader is gone still ends it.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment)
    os.close(writing)
    assert (done.returncode, b"Traceback" in done.stderr) == (141, False)


_FULL = """
mount -t tmpfs -o size=32k none {place}
cd {place}
set +e
for name in {names}; do
    "$@" -o $name >/dev/null 2>{log}/$name; echo "$name $? $(ls)"
done
"$@" --format csv >stdout.csv 2>{log}/stdout; echo "stdout $?"
rm -f *; mount -o remount,ro {place}
"$@" -o x.csv 2>{log}/readonly; echo "readonly $?"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("offline", "x.txt x.jsonl x.csv x.parquet x.pcapng"),
        ("observations", "x.csv x.jsonl x.parquet"),
        ("report", "x.html x.csv x.json x.parquet"),
    ],
)
def test_a_full_disk_leaves_no_part_of_a_file(
    command: str, names: str, captures: Path, tmp_path: Path
) -> None:
    place, log = tmp_path / "small", tmp_path / "log"
    place.mkdir(), log.mkdir()
    script = _FULL.format(place=place, log=log, names=names)
    words = [sys.executable, "-m", "tracer.cli", command, str(captures / "fip-outbound")]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-e", "-c", script, "sh", *words],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[: len(names.split())] == [f"{name} 1 " for name in names.split()]
    assert lines[-1] == "readonly 1"
    for name in names.split():
        said = (log / name).read_text()
        assert f"tracer: {name}: No space left on device.\n        Free some space" in said
        assert "Traceback" not in said
    assert "x.csv cannot be written: Read-only file system." in (log / "readonly").read_text()
    if command != "report":
        assert "stdout 1" in lines
        assert "standard output: No space left on device." in (log / "stdout").read_text()

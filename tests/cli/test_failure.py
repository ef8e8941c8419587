"""How commands end when something is wrong: one sentence, a next step, the right status."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.conftest import Spawn
from tracer.cli.commands import group
from tracer.cli.failure import exit_status
from tracer.core.errors import InputError


def test_an_error_is_a_sentence_and_a_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(InputError("a.pcap is empty.", "Capture again.")) == 1
    assert capsys.readouterr().err == "tracer: a.pcap is empty.\n        Capture again.\n"


def test_bad_usage_is_status_2_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(click.UsageError("no such option")) == 2
    assert "no such option" in capsys.readouterr().err


def test_an_error_of_the_system_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out.csv")
    assert exit_status(error) == 1
    said = capsys.readouterr().err
    assert said.startswith("tracer: out.csv: No space left on device.\n        Free some space, or")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "abc"), "'--port': 'abc' is not a whole number from 0 to 65535."),
        (("--count", "0"), "'--count': '0' is not a whole number of 1 or more."),
        (("--format", "xml"), "'xml' is not one of 'text',"),
        (("--host", "a.b"), "'a.b' is not an IP address or CIDR"),
        (("--colour",), "No such option '--colour'"),
        (("-o", "x.y"), "'x.y' ends in none of"),
    ],
)
def test_bad_usage_is_a_sentence_and_the_next_command(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(click.UsageError) as caught:
        group.main(["offline", "x.pcap", *words], prog_name="tracer", standalone_mode=False)
    assert exit_status(caught.value) == 2
    sentence, hint = capsys.readouterr().err.splitlines()
    assert sentence.startswith("tracer: ")
    assert said in sentence
    assert sentence.endswith((".", "?"))
    assert hint.strip() == "`tracer offline --help` shows what it takes."


def test_no_command_shows_the_help(spawn: Spawn) -> None:
    done = spawn()
    assert "Commands:" in done.stdout + done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_quiet(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(error) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("module", ["markupsafe", "vl_convert"])
def test_a_package_that_is_not_installed_is_named_with_the_command_for_it(
    module: str, captures: Path, tmp_path: Path
) -> None:
    words = ("report", "captures/fip-outbound", "-o", str(tmp_path / "x.html"))
    # The interpreter finds every package but this one.
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['tracer', *{words!r}]; "
        "from tracer.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=captures.parent, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert module.replace("_", "-") in done.stderr
    assert "pip install 'tracer[report]'" in done.stderr


def test_an_error_nobody_foresaw_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_status(ZeroDivisionError())


def test_a_working_directory_that_is_gone_is_said(captures: Path, tmp_path: Path) -> None:
    # Compiling asks for it.
    words = f"{sys.executable} -m tracer.cli offline {captures}/fip-outbound"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir {tmp_path}/gone; exec {words}"],
        cwd=tmp_path / "gone", env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cold")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[-2] == "tracer: The working directory is not there any more."
    assert "cd" in said[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("schema",), 0),
        (("schema", "colour"), 2),
        (("offline",), 2),
        (("offline", "x.pcap", "--host", "not-an-address"), 2),
        (("offline", "no-such-file.pcap"), 1),
        (("observations", "no-such-folder/"), 1),
    ],
)
def test_exit_status(arguments: tuple[str, ...], status: int, spawn: Spawn) -> None:
    done = spawn(*arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == (status != 0)


def test_output_that_nobody_reads_ends_quietly(captures: Path) -> None:
    words = [sys.executable, "-m", "tracer.cli", "observations", str(captures / "fip-outbound")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        stderr = process.stderr.read().decode() if process.stderr else ""
    assert process.returncode == 141
    assert "Traceback" not in stderr
    assert "Broken" not in stderr


def test_output_is_whole_or_an_error_where_python_does_not_buffer(
    captures: Path, tmp_path: Path
) -> None:
    words = f"{sys.executable} -m tracer.cli offline {captures}/fip-outbound --format jsonl"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    ends = {}
    for name, limits, after in (("cut", "ulimit -f 100", ""), ("gone", "", "| head -c 1")):
        command = f"{limits}\n{{ {words}; echo $? >{name}.status; }} {after} >{name}.jsonl"
        subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, timeout=120)
        ends[name] = int((tmp_path / f"{name}.status").read_text())
    assert ends == {"cut": 1, "gone": 141}


@pytest.mark.parametrize(
    "words", ["schema", "doctor", "doctor --json", "--help", "--version", "completion bash"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_on_a_full_disk_is_named(words: str, unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tracer.cli", *words.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    first, second = done.stderr.splitlines()
    assert first == "tracer: standard output: No space left on device."
    assert second.strip().startswith("Free some space")
    assert done.returncode == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("output", ["-o /dev/null", ""])
def test_streams_may_be_closed(closed: str, output: str, captures: Path) -> None:
    words = f"{sys.executable} -m tracer.cli observations {captures}/fip-outbound --format csv"
    done = subprocess.run(
        ["sh", "-c", f"exec {words} {output} {closed}"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (not output and " >" not in f" {closed}")


def ends_at_ctrl_c(words: list[str], fifo: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process, fifo.open("wb"):  # opens once the command has opened it to read
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == b""
    assert b"Traceback" not in stderr


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.pcap"
    os.mkfifo(fifo)
    ends_at_ctrl_c(["-m", "tracer.cli", "offline", str(fifo)], fifo)


def test_ctrl_c_in_a_callback_is_not_lost() -> None:
    # As in those of the import system and of the compiler, what is raised there is only printed.
    code = (
        "import signal, sys, time, weakref\n"
        "import tracer.cli\n"
        "class Kept: pass\n"
        "def main(*_, **__):\n"
        "    kept = Kept()\n"
        "    link = weakref.ref(kept, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del kept\n"
        "    time.sleep(60)\n"
        "tracer.cli.group.main = main\n"
        "tracer.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_ends_what_is_read_ahead(tmp_path: Path) -> None:
    # Captures so large that they are read in windows, by threads; one is a FIFO nobody writes to.
    fifo = tmp_path / "fifo.pcap"
    os.mkfifo(fifo)
    code = (
        "import sys; from tracer.cli import main, windows; windows.LARGE = 0\n"
        f"main(['offline', {str(fifo)!r}])\n"
    )
    ends_at_ctrl_c(["-c", code], fifo)


def test_closed_standard_input_is_said() -> None:
    command = f"{sys.executable} -m tracer.cli offline - <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tracer: Standard input is closed.")

"""Opening what may be given as an input, and the window over it."""

import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sources.files import Chunks
from tracer.core.errors import InputError
from tracer.sources.stream import Buffer, kind_of, open_input


def test_a_window_moves_over_the_stream_and_grows_when_it_must() -> None:
    data = bytes(range(256)) * 4
    buffer = Buffer(Chunks(data, 10), 32)
    assert buffer.head(4) == data[:4]
    buffer.consume(20)
    assert (buffer.position, buffer.head(30)) == (20, data[20:50])
    assert buffer.fill(500)
    assert buffer.data[buffer.start : buffer.start + 500].tobytes() == data[20:520]
    assert not buffer.fill(2000)
    assert buffer.drain() == len(data) - 20
    assert buffer.position == len(data)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(
        InputError, match=r"/no/such\.pcap cannot be read: No such file .*`ls /no` sh"
    ):
        open_input("/no/such.pcap")


def test_sockets_devices_and_folders_are_refused(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    with listener:
        listener.bind(str(tmp_path / "s"))
        for path, kind in (
            (tmp_path / "s", "socket"),
            ("/dev/null", "device"),
            (tmp_path, "folder"),
        ):
            assert kind_of(path) == kind
            with pytest.raises(InputError, match=f"is a {kind}, not a capture"):
                open_input(path)


def test_a_fifo_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * 200_000,))
    writer.start()
    stream = open_input(path)
    buffer = Buffer(stream, 1000)
    assert buffer.drain() == 200_000
    assert stream.taken == 200_000
    buffer.close()
    writer.join()


def test_a_file_without_permission_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "secret.pcap"
    path.write_bytes(b"x")
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == Path.home().owner() and folder != Path("/tmp"):
            folder.chmod(0o755)
    # Root may read everything, so another user has to try.
    script = (
        "import os, sys\n"
        "from tracer.sources.stream import open_input\n"
        "from tracer.core.errors import InputError\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setuid(65534)\n"
        "try: open_input(sys.argv[1])\n"
        "except InputError as error: sys.stdout.write(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path} cannot be read: Permission denied. Run with sudo, or copy it."


def test_a_read_error_ends_the_stream_and_is_remembered() -> None:
    class Failing(Chunks):
        def readinto(self, view: memoryview) -> int:
            if self.at >= 10:
                raise OSError(5, "Input/output error")
            return super().readinto(view)

    buffer = Buffer(Failing(b"x" * 100, 10), 64)
    assert buffer.drain() == 10
    assert buffer.error == "Input/output error"


def test_no_call_blocks_on_a_fifo_so_that_signals_are_handled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    waiting = threading.Event()
    calls: list[bool] = []
    readv = os.readv

    def counted(descriptor: int, views: list[memoryview]) -> int:
        calls.append(bool(select.select([descriptor], [], [], 0)[0]))
        return readv(descriptor, views)

    monkeypatch.setattr(os, "readv", counted)
    stream = open_input(path)  # nobody writes yet
    view = memoryview(bytearray(10))
    counts: list[int] = []

    def read() -> None:
        waiting.set()
        while counts[-1:] != [0]:
            counts.append(stream.readinto(view))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    waiting.wait()
    reader.join(0.5)  # longer than one wait
    assert reader.is_alive()
    assert calls == []
    path.write_bytes(b"x" * 15)
    reader.join(10)
    assert counts == [10, 5, 0]
    assert calls == [True] * 3
    stream.close()

"""The live view of `tracer follow`, at a real terminal: tmux shows it and sends the keys."""

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.routed import Routed, routed, run

pytestmark = pytest.mark.kernel

SIZES = [(80, 24), (200, 50)]
READY_S = 240.0  # a cold cache of compiled code is filled first
PINGS = 23
FLOOD_PACKETS, FLOOD_RATE = 10_007, 2_000  # five events each: 10,000 events/s
# Both hold the whole flood: nothing is lost however late a busy machine lets it be read.
RING_MIB, SOCKET_BYTES = 64, 32 << 20

_UNSET = ["-u", "COLUMNS", "-u", "LINES", "-u", "NO_COLOR"]  # what runs the tests may set them

FLOOD = f"""
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("", 5555))
started = time.monotonic()
for number in range({FLOOD_PACKETS}):
    sender.sendto(number.to_bytes(8, "big"), ("10.7.2.2", 7777))
    ahead = started + (number + 1) / {FLOOD_RATE} - time.monotonic()
    if ahead > 0.001:
        time.sleep(ahead)
"""
SINK = f"""
import socket
SO_RCVBUFFORCE = 33  # not in Python's module
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, {SOCKET_BYTES})
sink.bind(("", 7777))
print("ready", flush=True)
while True:
    sink.recv(64)
"""


class Terminal:
    """A terminal of a given size in which a command runs."""

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", f"{self._folder.name}/tmux", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __init__(self, columns: int, rows: int, command: list[str], **env: str) -> None:
        self._folder = tempfile.TemporaryDirectory()  # of its own: the last server may still end
        words = [f"{name}={value}" for name, value in env.items()]
        shell = f"{shlex.join(['env', *_UNSET, *words, *command])}; echo EXIT $?; cat"
        size = ["-x", str(columns), "-y", str(rows)]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "view", *size, shell)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.tmux("kill-server")
        except AssertionError as error:  # it ended by itself, with the last program in it
            if not re.search("no server running|server exited unexpectedly", str(error)):
                raise
        finally:
            self._folder.cleanup()

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "view")

    @property
    def history(self) -> str:
        return self.tmux("capture-pane", "-p", "-J", "-S", "-200", "-t", "view")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "view", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "view", "-l", text)

    def answer(self, question: str, text: str) -> None:
        """Replace what the last line proposes; each step is waited for, as a person would."""
        # Below the line that tells the keys: what is proposed, else the question once more.
        last = self.until(rf"{question} .*Esc: leave\)\n.*\S").rstrip().splitlines()[-1]
        if not last.startswith(question):
            self.press("C-u")
            self.until(rf"Esc: leave\)\n{question}")
        self.type(text)
        self.until(lambda shown: shown.rstrip().endswith(text[-30:]))
        self.press("Enter")

    def until(self, shows: str | Callable[[str], object], seconds: float = 60.0) -> str:
        """Wait until the screen shows a pattern, or what a call is true for; return it."""
        holds = (lambda text: re.search(shows, text)) if isinstance(shows, str) else shows
        deadline = time.monotonic() + seconds
        while not holds(text := self.text):
            over = time.monotonic() > deadline or re.search(r"(?m)^EXIT ", text)
            assert not over, f"waited for {shows!r}:\n{text}"
            time.sleep(0.05)
        return text


def follow(*options: str) -> list[str]:
    return [sys.executable, "-m", "tracer.cli", "follow", *options]


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    with routed("view") as net:
        yield net


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_lab_at_a_terminal(lab: object, size: tuple[int, int], tmp_path: Path) -> None:
    columns, rows = size
    with Terminal(columns, rows, follow("--icmp-id", "4711")) as terminal:
        terminal.until("waiting for packets", READY_S)
        ping = f"ping -e 4711 -c {PINGS} -i 0.05 100.121.0.75"
        run(f"ip netns exec vm {ping}")
        text = terminal.until(f"exchanges: {PINGS} of {PINGS} ", READY_S)
        lines = text.splitlines()
        assert lines[0].startswith("tracer follow  --icmp-id 4711 ")
        assert lines[0].split()[-2] == "LIVE"
        assert f"{2 * PINGS} packets  {2 * PINGS} delivered  lost by tracer 0" in lines[1]
        assert "path: ens3 → enp4s0" in lines[2], text
        assert f"0 of {2 * PINGS} lost" in lines[2]
        assert re.search(r"pkt/s +(lost +)?loss +p50 +p99 *← *(packets|pkt)", lines[3])
        assert re.search(r"ens3 *→ +(\d+ +)?[\d.]+ +0", lines[4])
        qr = next(line for line in lines if "qr-1f6b0aa3-3d" in line)
        assert len(re.findall(r"\d(?:ns|µs|ms)", qr)) == 4  # p50 and p99, out and back
        assert len(re.findall(r"#\d+ .* ping 192.168.3.69 → 100.121.0.75 ", text)) >= 9
        assert all(len(line) <= columns for line in lines)

        _opens(terminal)
        _filters(terminal)
        _pauses(terminal, ping)
        _helps(terminal)
        _saves(terminal, tmp_path)
        terminal.press("q")
        terminal.until("EXIT 0", READY_S)
        history = terminal.history
        assert "path: ens3 → enp4s0" in history, history
        assert f"{4 * PINGS} journeys, {2 * PINGS} exchanges" in history


def _opens(terminal: Terminal) -> None:
    terminal.press("Home", "Enter")
    text = terminal.until(r"(?m)^#\d+ ICMP echo request 192.168.3.69 → 100.121.0.75 +id 4711 seq 1")
    assert re.search(r"ttl 64→63 +SNAT 192.168.3.69→100.122.0.145|\n +SNAT 192.168", text)
    terminal.press("n")
    terminal.until(r"(?m)^#\d+ ICMP echo request .* seq 2$")
    terminal.press("Escape")
    terminal.until("End: newest")
    terminal.press("End")
    terminal.until(lambda text: "End: newest" not in text and "exchanges:" in text)


def _filters(terminal: Terminal) -> None:
    terminal.press("f")
    terminal.answer("filter by", "dropped")
    terminal.until(f"exchanges: 0 matching 'dropped' of {PINGS} ")
    terminal.press("/")
    terminal.answer("filter by", "100.122.0.145 !lost")
    terminal.until(f"exchanges: {PINGS} matching '100.122.0.145 !lost' of {PINGS} ")
    terminal.press("f")
    terminal.answer("filter by", "nonsense")
    terminal.until("'nonsense' is not an address")
    terminal.press("Escape", "Escape")
    terminal.until(f"exchanges: {PINGS} of {PINGS} ")


def _pauses(terminal: Terminal, ping: str) -> None:
    terminal.press("Space")
    terminal.until("PAUSED, 0 exchanges since")
    run(f"ip netns exec vm {ping}")
    text = terminal.until(f"PAUSED, {PINGS} exchanges since")
    assert f"exchanges: {PINGS} of {PINGS} " in text
    terminal.press("Space")
    terminal.until(f"exchanges: {2 * PINGS} of {2 * PINGS} ")


def _helps(terminal: Terminal) -> None:
    terminal.press("?")
    text = terminal.until(r"(?m)^Keys")
    assert "reset the counts of the paths" in text
    terminal.press("Escape")
    terminal.until("exchanges:")


def _saves(terminal: Terminal, folder: Path) -> None:
    terminal.press("s")
    terminal.answer("save to", str(folder / "a.pdf"))
    terminal.until("not saved: A file ends in .txt")
    terminal.press("s")
    terminal.answer("save to", str(folder / "kept.jsonl"))
    terminal.until(f"{2 * PINGS} exchanges saved")
    saved = [json.loads(line) for line in (folder / "kept.jsonl").read_text().splitlines()]
    assert [journey["kind"] for journey in saved] == ["echo-request", "echo-reply"] * 2 * PINGS


def test_ten_thousand_events_a_second_are_counted_and_keys_answered(net: Routed) -> None:
    inside = ["ip", "netns", "exec"]
    options = ["--proto", "udp", "--dport", "7777", "--ring-size", str(RING_MIB)]
    # Every event of every packet, whether or not its buffer waited to be read in one slot of the
    # map of packets in flight with another's, which is counted as lost by tracer.
    shown = [
        f" {5 * FLOOD_PACKETS:,} in all  {FLOOD_PACKETS:,} packets  {FLOOD_PACKETS:,} delivered  ",
        "path: c0 → s0, ",
        f" 0 of {FLOOD_PACKETS:,} lost ",
        f"exchanges: 5,000 of {FLOOD_PACKETS:,}, newest 5,000 kept",
    ]
    with (
        subprocess.Popen(
            [*inside, net.server, sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True
        ) as sink,
        Terminal(100, 30, follow(*options)) as terminal,
    ):
        try:
            assert sink.stdout is not None
            assert sink.stdout.readline() == "ready\n"
            terminal.until("waiting for packets", READY_S)
            flood = subprocess.Popen([*inside, net.client, sys.executable, "-c", FLOOD])
            while flood.poll() is None:
                terminal.press("?")
                terminal.until(r"(?m)^Keys")
                terminal.press("Escape")
                terminal.until("exchanges:")
            assert flood.returncode == 0
            terminal.until(lambda text: all(part in text for part in shown), READY_S)
            terminal.press("C-c")
            terminal.until("EXIT 0", READY_S)
        finally:
            sink.terminate()


def test_a_lost_packet_is_shown_where_it_was_lost(net: Routed) -> None:
    with Terminal(120, 30, follow("--icmp-id", "815", "--settle", "0.5")) as terminal:
        terminal.until("waiting for packets", READY_S)
        rule = "FORWARD -p icmp -j DROP"
        run(f"ip netns exec {net.router} iptables -I {rule}")
        try:
            net.ping_in_vain("-e 815")
        finally:
            run(f"ip netns exec {net.router} iptables -D {rule}")
        text = terminal.until(r"#1 .* dropped +ping 10.7.1.2 → 10.7.2.2", READY_S)
        assert "1 of 1 lost" in text
        assert re.search(r"r0 .* 1 +100% ", text), text
        terminal.press("q")
        terminal.until("EXIT 0", READY_S)
        assert "outcomes: 1 dropped" in terminal.history


@pytest.mark.parametrize(
    ("options", "env"),
    [(["--plain"], {}), ([], {"TERM": "dumb"}), (["--count", "1"], {})],
    ids=["plain", "dumb", "count"],
)
def test_lines_where_no_view_is_wanted_or_possible(
    net: Routed, options: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    command = follow("--icmp-id", "816", "--ready-file", str(ready), *options)
    with Terminal(120, 40, command, **env) as terminal:
        terminal.until(lambda _: ready.exists(), READY_S)
        net.ping(options="-c 1 -e 816")
        text = terminal.until("answered after", READY_S)
        assert "exchanges:" not in text
        assert "#1 ICMP echo request 10.7.1.2 → 10.7.2.2" in text
        if "--count" not in options:  # which ends by itself
            terminal.press("C-c")
        terminal.until("1 exchange,", READY_S)


def test_without_colours_there_are_none(net: Routed) -> None:
    with Terminal(100, 30, follow("--icmp-id", "817"), NO_COLOR="1") as terminal:
        terminal.until("waiting for packets", READY_S)
        net.ping(options="-c 3 -e 817")
        terminal.until("exchanges: 3 of 3 ", READY_S)
        styled = terminal.tmux("capture-pane", "-p", "-e", "-t", "view")
        codes = {
            code for found in re.findall(r"\x1b\[([\d;]*)m", styled) for code in found.split(";")
        }
        assert not {code for code in codes if re.fullmatch(r"3[0-7]|4[0-7]|[34]8|9\d|10\d", code)}
        terminal.press("q")
        terminal.until("EXIT 0", READY_S)

"""`tracer follow` as a process of its own, and what it wrote."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

Journey = dict[str, Any]
READY_S = 240.0  # a cold cache of compiled code is filled first


def tracer(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tracer.cli", *arguments]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


class Follower:
    """`tracer follow` with JSON lines, ready once `with` is entered and ended by SIGINT.

    `under`: the command that runs it, such as setpriv.
    """

    def __init__(self, folder: Path, name: str, *options: str, under: Sequence[str] = ()) -> None:
        self._ready, self.out = folder / f"{name}.ready", folder / f"{name}.jsonl"
        self._summary, self._errors = folder / f"{name}.json", folder / f"{name}.err"
        files = ["--ready-file", str(self._ready), "--summary", str(self._summary)]
        self._command = list(under) + tracer("follow", "--format", "jsonl", *files, *options)
        self.status: int | None = None

    def start(self) -> "Follower":
        with self.out.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=errors)
        return self

    def ready(self) -> "Follower":
        wait_for(lambda: self._ready.exists() or self.process.poll() is not None, "ready", READY_S)
        assert self.process.poll() is None, self.errors
        return self

    def __enter__(self) -> "Follower":
        return self.start().ready()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGINT) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.status = self.process.wait(READY_S)

    def ended(self) -> "Follower":
        self.status = self.process.wait(READY_S)
        return self

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._summary.read_text())
        return found

    @property
    def journeys(self) -> list[Journey]:
        return [json.loads(line) for line in self.out.read_bytes().splitlines()]

    def has(self, matches: Callable[[Journey], bool], count: int = 1) -> bool:
        text = self.out.read_bytes()
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        return sum(matches(json.loads(line)) for line in lines) >= count

    def wait(self, matches: Callable[[Journey], bool], what: str, count: int = 1) -> None:
        wait_for(lambda: self.has(matches, count), what, READY_S)


def together(followers: Iterable[Follower]) -> list[Follower]:
    """Start followers side by side and wait for all of them."""
    started = [follower.start() for follower in followers]
    try:
        return [follower.ready() for follower in started]
    except BaseException:
        for follower in started:
            follower.stop()
        raise


def stop_together(followers: Iterable[Follower]) -> None:
    """End followers at one time, so that none sees what comes while another ends."""
    running = list(followers)
    for follower in running:
        if follower.process.poll() is None:
            follower.process.send_signal(signal.SIGINT)
    for follower in running:
        follower.ended()


@cache
def own(folder: Path, name: str, namespaces: frozenset[str]) -> list[Journey]:
    """The journeys of one topology: others may use the same addresses at the same time."""
    journeys = Follower(folder, name).journeys
    return [j for j in journeys if {hop["netns"] for hop in j["hops"]} <= namespaces]


def pinged(journey: Journey, number: int) -> bool:
    """Whether a journey is an echo request with that id."""
    return journey["kind"] == "echo-request" and journey["hops"][0]["icmp_id"] == number


def wait_for_ping(followers: Iterable[Follower], number: int, count: int = 1) -> None:
    """Wait until each has shown so many echo requests with that id, and their replies."""
    for follower in followers:
        follower.wait(lambda j: pinged(j, number) and j["reply"] is not None, "the ping", count)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}

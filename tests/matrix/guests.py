"""A guest seen from the host: booting it, and what it left in the shared folder."""

import compileall
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracer.core.batch import ObservationBatch
from tracer.core.journeys import JourneySet
from tracer.correlate.join import join
from tracer.sources.live.event_layout import EVENT_DTYPE
from tracer.sources.live.observations import to_batch
from tracer.sources.live.untranslated import with_untranslated

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 900  # of a guest's life, all told; half of that on two idle CPUs
ENGINES = ("core", "bcc")


def kernel_images(versions: tuple[str, ...]) -> dict[str, Path]:
    """Return the newest image in /boot of each version that is there."""
    found = {}
    for version in versions:
        images = sorted(Path("/boot").glob(f"vmlinuz-{version}.*"), key=_numbers)
        if images:
            found[version] = images[-1]
    return found


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def start(image: Path, shared: Path) -> "Boot":
    """Boot a kernel on this machine's own files; its guest writes into `shared`."""
    # The guest cannot write what it compiles; it would compile it at each start.
    for part in ("tracer", "tests/matrix"):
        compileall.compile_dir(ROOT / part, quiet=2)
    script = Path(__file__).with_name("guest.sh")
    argv = [
        str(Path(sys.executable).with_name("vng")),
        *("--disable-kvm", "--cpus", "2", "--memory", "2G", "--user", "root"),
        *("--rodir=/mnt=/", f"--rwdir=/media={shared}", "--run", str(image)),
        *("--", f"bash {script} {ROOT} {sys.executable}"),
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (shared / "boot.txt").open("w") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
    return Boot(shared, process)


@dataclass
class Boot:
    """A guest that is running."""

    shared: Path
    process: "subprocess.Popen[bytes]"

    def result(self) -> "Guest":
        """Wait until it is through and return what it saw; fails with its console's end."""
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
        facts = self.shared / "facts.json"
        if not facts.exists():
            pytest.fail(f"the guest did not get through:\n{self._console()}")
        guest = Guest(self.shared, json.loads(facts.read_text()))
        if "failed" in guest.facts:
            pytest.fail(f"the guest failed:\n{self._console()}\n{guest.facts['failed']}")
        return guest

    def _console(self) -> str:
        parts = []
        for name in ("boot.txt", "console.txt"):
            path = self.shared / name
            lines = path.read_text(errors="replace").splitlines()[-40:] if path.exists() else []
            parts += [f"--- {name}", *lines]
        return "\n".join(parts)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class SavedNames:
    """Names of namespaces as the guest knew them."""

    def __init__(self, saved: dict[str, Any]) -> None:
        self._namespaces = saved["namespaces"]

    def netns(self, inum: int, time_ns: int) -> str | None:
        return self._namespaces.get(str(inum), "unknown")

    def turns(self, inums: Sequence[int], first_ns: int, last_ns: int) -> list[int]:
        return []


@dataclass
class Guest:
    """What a guest left behind."""

    shared: Path
    facts: dict[str, Any]

    @property
    def ready(self) -> str:
        """How long each engine took to load and attach, in words."""
        times = (f"{name} {self.facts[name]['ready_s']:.2f} s" for name in ENGINES)
        return f"{self.facts['kernel']}, emulated: loaded and attached in {', '.join(times)}"

    def text(self, name: str) -> str:
        return (self.shared / name).read_text()

    @cached_property
    def events(self) -> dict[str, Any]:
        """Raw events by engine."""
        # As bytes: fields that share their place would each get one of their own.
        return {name: np.load(self.shared / f"{name}.npy").view(EVENT_DTYPE) for name in ENGINES}

    def _batch(self, engine: str) -> ObservationBatch:
        events = with_untranslated(self.events[engine])
        reasons = self.facts["reasons"]
        return to_batch(
            events,
            events["time_ns"].astype(np.int64) + self.facts["offset_ns"],
            SavedNames(self.facts["names"]),
            host="guest",
            engine=engine,
            reason_name=lambda number: reasons.get(str(number), str(number)),
        )

    @cached_property
    def journeys(self) -> dict[str, JourneySet]:
        """The journeys of each engine's events."""
        return {name: join(self._batch(name)) for name in ENGINES}

"""What this host offers for tracer, as a list of checks. Finds out; prints nothing."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tracer import jit_cache

Status = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one check: `detail` says what was found, `hint` the command that mends it."""

    name: str
    status: Status
    detail: str
    needed_for: str
    required: bool = False
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One question about the host; `run` answers (status, detail) and raises nothing."""

    name: str
    needed_for: str
    run: Callable[[], tuple[Status, str]]
    hint: str | None = None
    required: bool = False

    def answer(self) -> Found:
        """Return what was found; the hint only where something is not there."""
        status, detail = self.run()
        hint = None if status == "ok" else self.hint
        return Found(self.name, status, detail, self.needed_for, self.required, hint)


# Distribution name, module, what needs it, the group of the package that installs it.
_PACKAGES = (
    ("click", "click", "every command", ""),
    ("rich", "rich", "text output", ""),
    ("numpy", "numpy", "reading captures", ""),
    ("numba", "numba", "reading captures, joining", ""),
    ("zstandard", "zstandard", ".zst captures", ""),
    ("pyarrow", "pyarrow", "jsonl, csv, parquet", ""),
    ("pandas", "pandas", "data frames in Python", ""),
    ("dpkt", "dpkt", "pcapng output, tracer lab", ""),
    ("textual", "textual", "the live view of tracer follow", ""),
    ("pyroute2", "pyroute2", "tracer lab", "lab"),
    ("jinja2", "jinja2", "tracer report", "report"),
    ("markupsafe", "markupsafe", "tracer report", "report"),
    ("vl-convert-python", "vl_convert", "tracer report", "report"),
)
# Command, what needs it, whether it is quick to tell its version (tshark takes 0.2 s).
_TOOLS = (
    ("tcpdump", "taking captures", True),
    ("tshark", "comparing with Wireshark's decoding (tests)", False),
    ("conntrack", "dumping NAT entries beside captures", True),
)


def checks() -> list[Check]:
    """Return the checks of what offline work needs; live tracing has checks of its own."""
    found = [_python(), *(_package(*package) for package in _PACKAGES)]
    return [*found, _numba_cache(), *(_tool(*tool) for tool in _TOOLS)]


def diagnose() -> list[Found]:
    """Return what was found out about this host, offline work first, in a stable order."""
    return [*(check.answer() for check in checks()), *live_findings()]


def live_findings() -> list[Found]:
    """Return what live tracing finds here; nothing of it is required, as offline work is not."""
    from tracer.sources.live.checks import checks as live_checks

    found = []
    for each in live_checks():
        status: Status = "ok" if each.status == "ok" else "unknown"
        if each.status == "missing":
            status = "missing"
        engines = f", engine {' and '.join(each.needed)}" if each.needed else ""
        needed_for = f"tracer follow{engines}"
        found.append(Found(f"live: {each.name}", status, each.detail, needed_for, hint=each.fix))
    return found


def is_healthy(found: Sequence[Found]) -> bool:
    """Return whether nothing that is required is missing."""
    return not any(each.required and each.status == "missing" for each in found)


def _python() -> Check:
    def run() -> tuple[Status, str]:
        version = ".".join(map(str, sys.version_info[:3]))
        return ("ok" if sys.version_info >= (3, 11) else "missing"), version

    return Check("Python 3.11 or newer", "every command", run, required=True)


def _package(name: str, module: str, needed_for: str, group: str) -> Check:
    def run() -> tuple[Status, str]:
        if importlib.util.find_spec(module) is None:
            return "missing", "not installed"
        try:
            return "ok", importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return "ok", "installed, version unknown"

    return Check(
        f"Python package {name}", needed_for, run, _install(name, group), required=not group
    )


def _install(name: str, group: str) -> str:
    package = f"'tracer[{group}]'" if group else name
    return f"{sys.executable} -m pip install {package}"


def lacking(module: str) -> tuple[str, str] | None:
    """Return what to say when a module cannot be imported: what it is needed for, and the command
    that installs it; None for a module that is nobody's package.
    """
    for name, own, needed_for, group in _PACKAGES:
        if own == module.split(".")[0]:
            return needed_for, _install(name, group)
    return None


def _tool(name: str, needed_for: str, is_quick: bool) -> Check:
    def run() -> tuple[Status, str]:
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            return "missing", "not found"
        return "ok", (_version(path) if is_quick else None) or path

    return Check(f"command {name}", needed_for, run, f"sudo apt install {name}")


def _version(path: str) -> str | None:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else None


def _numba_cache() -> Check:
    def run() -> tuple[Status, str]:
        folder = jit_cache.prepare()
        if folder is None:
            return "missing", "nowhere to keep compiled code, so every start takes seconds longer"
        state = "empty, the first run fills it" if jit_cache.is_cold("decode") else "filled"
        return "ok", f"{folder} ({state})"

    hint = "export NUMBA_CACHE_DIR=/var/tmp/tracer-cache"
    return Check("cache of compiled code", "a quick start", run, hint)

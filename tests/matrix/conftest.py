"""Boots the other kernels under emulation and reads what their guests saw.

TRACER_MATRIX=1 (scripts/test --kernels) asks for them: what is missing then is a failure.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests import Boot, Guest, kernel_images, start

FOLDER = Path(__file__).parent
KERNELS = ("6.1", "6.12")
_READY = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def boots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Boot]]:
    """Every kernel's guest, booted once, all at the same time."""
    if os.environ.get("TRACER_MATRIX") != "1":
        pytest.skip("booting other kernels takes minutes: scripts/test --kernels")
    images = kernel_images(KERNELS)
    lacking = [f"a kernel {version} in /boot" for version in KERNELS if version not in images]
    if not shutil.which("qemu-system-x86_64"):
        lacking.append("qemu-system-x86_64")
    if not Path(sys.executable).with_name("vng").exists():
        lacking.append("virtme-ng in the virtual environment")
    if lacking:
        pytest.fail(f"not here: {', '.join(lacking)}; scripts/test --kernels installs it")
    found = {
        version: start(image, tmp_path_factory.mktemp(f"linux-{version}"))
        for version, image in images.items()
    }
    yield found
    for boot in found.values():
        boot.stop()


@pytest.fixture(scope="session", params=KERNELS)
def guest(request: pytest.FixtureRequest, boots: dict[str, Boot]) -> Guest:
    """What one kernel's guest saw."""
    found = boots[request.param].result()
    request.config.stash.setdefault(_READY, []).append(found.ready)
    return found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how long the engines took: a peer, pwru, listened after 41 s (6.1) and 11.8 s (6.12)."""
    for line in config.stash.get(_READY, []):
        terminalreporter.write_line(line)

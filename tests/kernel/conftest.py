"""Fixtures of the tests that need root and a real kernel."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from campus_recording import Recorded, record

from tests.conftest import unavailable
from tests.kernel.routed import Routed, routed
from tracer import lab as lab_package
from tracer.core.errors import TracerError
from tracer.core.filter import FlowFilter
from tracer.lab import state
from tracer.sources.live import engine as engines
from tracer.sources.live.engine import Config, Engine


@pytest.fixture(scope="session")
def require_kernel() -> Callable[[bool, str], None]:
    """A call that skips the test unless its first argument holds; its second is the reason.

    With TRACER_KERNEL_TESTS=1 the skip is a failure, so that no run passes by skipping.
    """

    def require(holds: bool, reason: str) -> None:
        if not holds:
            unavailable(reason)

    return require


@pytest.fixture(scope="session")
def lab_alone(require_kernel: Callable[[bool, str], None]) -> Iterator[None]:
    """Root, and nobody else's test uses the lab's names meanwhile."""
    require_kernel(os.geteuid() == 0, "the lab needs root")
    with state.locked("in-use"):
        yield


@pytest.fixture(scope="session")
def lab(
    lab_alone: None, require_kernel: Callable[[bool, str], None]
) -> Iterator[lab_package.LabStatus]:
    """The lab, up. It is taken down at the end unless it was up before."""
    before = lab_package.status()
    try:
        status = lab_package.up()
    except TracerError as error:
        require_kernel(False, f"the lab cannot be built: {error}")
        raise
    yield status
    if not before.up:
        lab_package.down()


@pytest.fixture(scope="session")
def campus(
    require_kernel: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """All kinds of traffic over one network of namespaces, recorded once for several files."""
    require_kernel(os.geteuid() == 0, "network namespaces need root")
    tools = ("nft", "tcpdump", "dumpcap", "mergecap", "tshark", "conntrack", "ethtool")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    require_kernel(not missing, f"these are not installed: {', '.join(missing)}")
    require_kernel(Path("/dev/net/tun").exists(), "tunnels that programs carry need /dev/net/tun")
    return record(tmp_path_factory.mktemp("campus"))


@pytest.fixture(scope="module")
def net() -> Iterator[Routed]:
    """A client, a router that translates, and a server; a module may build its own instead."""
    with routed() as built:
        built.ping()  # neighbours are known from here on
        yield built


@pytest.fixture
def open_engine() -> Iterator[Callable[..., Engine]]:
    """A call that loads and attaches the core engine; they are closed at the end.

    That bcc gives the very same events has a test of its own: compiling takes a second each time.
    """
    opened: list[Engine] = []

    def start(flow: FlowFilter, **options: Any) -> Engine:
        engine = engines.open_engine("core", Config(flow, **options))
        opened.append(engine)
        engine.attach()
        return engine

    yield start
    for engine in opened:
        engine.close()

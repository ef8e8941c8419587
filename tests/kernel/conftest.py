"""Fixtures of the tests that need root and a real kernel."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campus_recording import Recorded, record

from tracer import lab as lab_package
from tracer.core.errors import TracerError
from tracer.lab import state


@pytest.fixture(scope="session")
def require_kernel() -> Callable[[bool, str], None]:
    """A call that skips the test unless its first argument holds; its second is the reason.

    With TRACER_KERNEL_TESTS=1 the skip is a failure, so that no run passes by skipping.
    """

    def require(holds: bool, reason: str) -> None:
        if holds:
            return
        if os.environ.get("TRACER_KERNEL_TESTS") == "1":
            pytest.fail(f"kernel tests are required here, but {reason}")
        pytest.skip(reason)

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

"""Shared fixtures: what a kernel test may ask for, and where the captures are."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tracer import jit_cache

jit_cache.prepare()  # numba's own cache misses changes in functions of other files
# How long an example takes says something of the machine, nothing of the code.
# In continuous integration the examples are those of the time before, as in hypothesis' own profile
# for it: what a change breaks is told from what a new example finds.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("untimed")
# A shell that runs tests in the background has SIGINT ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
CAPTURES = Path(__file__).resolve().parent.parent / "captures"
GOLDEN = Path(__file__).resolve().parent / "golden"


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of recorded captures that comes with the project."""
    return CAPTURES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite expected outputs; review the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file in tests/golden, or rewrite it with --update-golden."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text)
        assert path.exists(), f"{path} is missing; write it with pytest --update-golden"
        assert text == path.read_text()

    return check


def unavailable(reason: str) -> None:
    """Skip the running test with a reason; with TRACER_KERNEL_TESTS=1 fail it instead."""
    if os.environ.get("TRACER_KERNEL_TESTS") == "1":
        pytest.fail(f"kernel tests are required here, but {reason}")
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests share what one process holds, so that two processes can share the rest.

    Kernel tests go to one process, in their order: the lab's names are there once. Others go by
    file, so that what a file's tests share is made once. The longest must begin first.
    """
    items.sort(key=lambda item: item.get_closest_marker("kernel") is None)
    for item in items:
        alone = item.get_closest_marker("kernel") is not None
        item.add_marker(pytest.mark.xdist_group("kernel" if alone else item.path.name))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a test without the group that pytest-xdist adds: --last-failed looks for that name."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker and report.nodeid.rfind("@") > report.nodeid.rfind("]"):
        report.nodeid = report.nodeid.rpartition("@")[0]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") and os.geteuid() != 0:
        unavailable("this test needs root")

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.sources.live.checks import MISSING, OK, UNKNOWN, checks


def test_every_fact_has_a_status_and_what_is_missing_says_why() -> None:
    found = checks()
    assert len({check.name for check in found}) == len(found)
    for check in found:
        assert check.status in (OK, MISSING, UNKNOWN)
        assert check.detail
        assert set(check.needed) <= {"core", "bcc"}


def test_btf_is_what_the_file_system_says() -> None:
    (check,) = [c for c in checks() if c.name == "btf"]
    assert (check.status == OK) is Path("/sys/kernel/btf/vmlinux").exists()


AS_32_BIT = ["setarch", "i686", sys.executable]  # the kernel then says that it is an i686


def test_a_processor_that_is_not_known_is_missing() -> None:
    code = (
        "from tracer.sources.live.checks import checks\n"
        "print(*[(c.status, c.detail) for c in checks() if c.name == 'processor'])"
    )
    done = subprocess.run([*AS_32_BIT, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('missing', 'i686')"


@pytest.mark.kernel
def test_following_on_a_processor_that_is_not_known_says_what_to_do_instead() -> None:
    command = [*AS_32_BIT, "-m", "tracer.cli", "follow", "--count", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "made for x86-64 and arm64, and this is i686." in done.stderr
    assert "tracer offline" in done.stderr


@pytest.mark.kernel
def test_without_root_what_needs_it_is_unknown() -> None:
    code = (
        "import os\n"
        "from tracer.sources.live.checks import checks\n"
        "os.setuid(65534)\n"
        "print({c.name: c.status for c in checks()})"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    found = eval(done.stdout)
    assert found["privileges"] == MISSING
    assert found["raw tracepoints"] == UNKNOWN


def test_asking_loads_nothing_heavy() -> None:
    code = (
        "import sys, tracer.sources.live.checks as c; c.checks();"
        "print(sorted({'numpy', 'bcc', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

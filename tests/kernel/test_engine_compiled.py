"""What bcc compiles, which is kept for others: the same whoever had it compiled."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.sources.live.compiled import compiled_programs

pytestmark = pytest.mark.kernel
MAPS = ("events", "followed", "followed_bits", "tracked", "per_cpu", "views", "options")
#: Makes its own, and says what that is.
COMPILE = """
import sys
from pathlib import Path
from tests.kernel.test_engine_compiled import digests
print(digests(Path(sys.argv[1])))
"""


def digests(cache: Path) -> str:
    programs = compiled_programs(MAPS, cache).programs.items()
    return json.dumps({name: hashlib.sha256(code).hexdigest() for name, code in programs})


def test_programs_are_the_same_where_the_kernels_addresses_are_hidden(tmp_path: Path) -> None:
    """bcc looks there for what helpers the kernel has, and takes others if it finds none."""
    hidden = ["setpriv", "--bounding-set=-syslog"]
    words = [*hidden, sys.executable, "-c", COMPILE, str(tmp_path / "hidden")]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    assert "after_netfilter" in json.loads(done.stdout)
    assert json.loads(done.stdout) == json.loads(digests(tmp_path / "own"))

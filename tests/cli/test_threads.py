"""Threads that a command has for nothing."""

import os
import subprocess
import sys

STARTED = """
import os
import tracer.cli

try:
    tracer.cli.main(["--version"])
except SystemExit:
    import numpy  # as commands do once they are chosen
    print(len(os.listdir("/proc/self/task")))
"""


def test_numpy_has_no_threads_of_its_own() -> None:
    given = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, check=True, env=given
    )
    assert done.stdout.splitlines()[-1] == "1"

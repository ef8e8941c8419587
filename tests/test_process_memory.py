"""What is given back is gone and comes again when it is used; what is kept needs no new pages."""

import subprocess
import sys

USED = """
import re
from pathlib import Path
from numba import njit
from tracer.process_memory import give_back

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

twice = njit(lambda number: 2 * number)
assert twice(21) == 42
heap = [bytearray(10_000) for _ in range(10_000)]
before = resident()
del heap
give_back()
print(before, resident())
assert njit(lambda number: 3 * number)(14) == 42
"""


def test_heap_and_compiler_are_given_back_and_still_work() -> None:
    done = subprocess.run([sys.executable, "-c", USED], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before - after > 100_000  # kB: the heap's 100 MB and some of LLVM


AGAIN = """
import resource
import sys
import threading
from tracer.process_memory import keep

if sys.argv[1] == "kept":
    keep()

def used():
    for _ in range(10):
        bytearray(b"x") * 40_000_000  # every page of it is written

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    worker = threading.Thread(target=used)
    worker.start()
    worker.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


ARROW = """
from tracer.process_memory import keep

keep()
import pyarrow

print(pyarrow.default_memory_pool().backend_name)
"""


def test_arrow_uses_the_heap_that_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", ARROW], capture_output=True, text=True, check=True)
    assert done.stdout == "system\n"


def test_pages_that_are_kept_are_used_again_by_all_threads() -> None:
    faults = {}
    for way in ("usual", "kept"):
        done = subprocess.run(
            [sys.executable, "-c", AGAIN, way], capture_output=True, text=True, check=True
        )
        faults[way] = int(done.stdout)
    assert faults["kept"] * 20 < faults["usual"]

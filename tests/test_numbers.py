"""The page of numbers has a block for each bench, and only for those."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_bench_has_a_block_and_a_line_of_help() -> None:
    blocks = re.findall(r"<!-- bench: (\S+)", (ROOT / "docs" / "numbers.md").read_text())
    done = subprocess.run(
        [ROOT / "scripts" / "bench", "--help"], text=True, capture_output=True, check=True
    )
    benches = re.findall(r"(?m)^ +scripts/bench (\w+) +\[OPTIONS\]", done.stdout)
    assert sorted(blocks) == sorted(benches)
    assert all((ROOT / "scripts" / f"bench_{name}.py").exists() for name in benches)

"""The cache folder works for everybody, and only for its owner."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tracer import jit_cache

ROOT = Path(__file__).resolve().parent.parent
PRINT = "from tracer import jit_cache; import sys; sys.stdout.write(str(jit_cache.prepare()))"


def prepared(code: str = PRINT, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_folder_that_the_user_names_is_left_alone(tmp_path: Path) -> None:
    assert prepared(NUMBA_CACHE_DIR=str(tmp_path)) == str(tmp_path)
    assert prepared(XDG_CACHE_HOME=str(tmp_path)).startswith(f"{tmp_path}/tracer/jit-")


def test_a_folder_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "tracer").mkdir()
    (tmp_path / "tracer").chmod(0o777)
    assert not prepared(XDG_CACHE_HOME=str(tmp_path)).startswith(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_user_without_a_home_gets_a_folder_of_their_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    # Import first: root's interpreter may lie where nobody else can read.
    become = "from tracer import jit_cache; import os; os.setgroups([]); os.setuid(64123)\n"
    found = Path(prepared(become + PRINT, TMPDIR=str(tmp_path)))
    assert found.parent == tmp_path / "tracer-64123"
    assert found.stat().st_uid == 64123
    assert found.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_is_cold_until_something_is_compiled(tmp_path: Path) -> None:
    code = (
        "from tracer import jit_cache; import sys; jit_cache.prepare()\n"
        "before = jit_cache.is_cold('pcapng')\n"
        "from tracer.sources.pcapng.stamps import to_ns\n"
        "to_ns(0, 0, 0, 6, 0)\n"
        "sys.stdout.write(f'{before} {jit_cache.is_cold(\"pcapng\")}')"
    )
    assert prepared(code, XDG_CACHE_HOME=str(tmp_path)) == "True False"
    assert prepared(code, XDG_CACHE_HOME=str(tmp_path)) == "False False"


def test_installs_side_by_side_have_a_folder_each(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tracer", tmp_path / "tracer")
    own, other = prepared(), prepared(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PRINT}")
    assert Path(own).parent == Path(other).parent
    assert own != other


def test_stale_folders_are_removed(tmp_path: Path) -> None:
    old, recent = tmp_path / "tracer" / "jit-old", tmp_path / "tracer" / "jit-recent"
    for folder in (old, recent):
        folder.mkdir(parents=True, mode=0o700)
    (tmp_path / "tracer").chmod(0o700)
    os.utime(old, (0, 0))
    prepared(XDG_CACHE_HOME=str(tmp_path))
    assert (old.exists(), recent.exists()) == (False, True)


def test_no_folder_at_all_means_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert jit_cache.is_cold("pcapng")


@pytest.mark.parametrize(
    ("arguments", "large"),
    [
        (["offline", "--summary", "/dev/null"], 1 << 40),
        (["offline", "-o", "/dev/null", "--format", "csv", "--segments", "segments.csv"], 0),
        (["offline", "-o", "/dev/null", "--format", "parquet", "--redact"], 0),
        (["observations", "-o", "/dev/null", "--format", "csv"], 1 << 40),
        (["report", "-o", "incident.html"], 1 << 40),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "large" if value == 0 else "small",
)
def test_what_every_command_compiles_is_in_the_folder(
    arguments: list[str], large: int, tmp_path: Path
) -> None:
    captures = str(ROOT / "captures" / "walkthrough")
    code = (
        f"import os, tracer.cli.windows as windows; windows.LARGE = {large}\n"
        f"os.chdir({str(tmp_path)!r})\n"
        f"from tracer.cli import main; main({[*arguments, captures]!r})"
    )
    told = [
        line for line in prepared(code, NUMBA_DEBUG_CACHE="1").splitlines() if "[cache]" in line
    ]
    assert told
    assert [line for line in told if prepared() not in line] == []

"""Where compiled functions are kept: one folder per user, install and state of the source.

Call `prepare()` before importing a module with hot functions. numba's own choice (next to the
source) fails on read-only installs and for users without a home, and it does not notice that a
compiled function calls another file's function that has changed since; this folder does both.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
import time
from pathlib import Path

_STALE_S = 30 * 24 * 3600
_PACKAGE = Path(__file__).resolve().parent


def prepare() -> Path | None:
    """Return the folder compiled functions go to, made if need be; None where none can be written.

    Sets NUMBA_CACHE_DIR for this process; one that the user has set is left as it is.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    for parent in _candidates():
        folder = parent / f"jit-{_fingerprint()}"
        if _usable(parent) and _usable(folder):
            os.environ["NUMBA_CACHE_DIR"] = str(folder)
            _forget_stale(parent, folder)
            return folder
    return None


def is_cold(*packages: str) -> bool:
    """Return whether hot functions of any of the packages are still to be compiled (takes seconds).

    A package is named by the last part of its dotted name, as in `is_cold("decode", "correlate")`.
    """
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder:
        return True
    # numba names its subfolders after the folder of the source file and a hash of its full path.
    return not all(any(Path(folder).glob(f"{package}_*/*.nbi")) for package in packages)


def _candidates() -> list[Path]:
    uid = os.geteuid()
    folders = []
    with contextlib.suppress(KeyError):  # no passwd entry: a container with a bare uid
        # Not $HOME: under sudo it may be the caller's, who could then no longer write there.
        folders.append(Path(pwd.getpwuid(uid).pw_dir, ".cache", "tracer"))
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        folders.insert(0, Path(given, "tracer"))
    return [*folders, Path(tempfile.gettempdir(), f"tracer-{uid}")]


def _usable(folder: Path) -> bool:
    # What lies here is executed: it must be ours, and nobody else's to write.
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if not ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _fingerprint() -> str:
    # Only files that compile something: an edit elsewhere must not cost a recompilation. numba goes
    # by where the source lies: a second install would find the folder of the first one filled, and
    # nothing for it in there.
    digest = hashlib.sha256(str(_PACKAGE).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b".jit import" in text or b"import numba" in text:
            digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + text)
    return digest.hexdigest()[:16]


def _forget_stale(parent: Path, current: Path) -> None:
    for folder in parent.glob("jit-*"):
        with contextlib.suppress(OSError):
            if folder != current and time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        os.utime(current)

"""Struct layouts from the running kernel's own headers, where it was built without BTF.

clang reads the headers as the kernel's build does and llc writes the types that it met as BTF: the
same form, so nothing else has to know. Only headers of this very build are read: those of another
version would give wrong offsets in silence.
"""

import platform
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tracer.core.errors import HostError
from tracer.sources.live.source import bpf_folder

_SOURCE = "kernel_types.c"
#: Where the headers of a kernel lie, Debian's two folders included: (folder of it, include path).
_INCLUDES = (
    "arch/{arch}/include",
    "arch/{arch}/include/generated",
    "include",
    "arch/{arch}/include/uapi",
    "arch/{arch}/include/generated/uapi",
    "include/uapi",
    "include/generated/uapi",
)
_FORCED = ("linux/compiler-version.h", "linux/kconfig.h", "linux/compiler_types.h")
_ARCHES = {"x86_64": "x86", "aarch64": "arm64"}


def header_folders(release: str) -> tuple[Path, ...]:
    """Return the build folder of a kernel release and its source folder; empty when not there."""
    modules = Path("/lib/modules", release)
    found = (modules / "build", modules / "source")
    return tuple(folder.resolve() for folder in found if (folder / "include").is_dir())


@cache
def types_object() -> bytes:
    """Return an object file whose section .BTF has the running kernel's types.

    Raises HostError when the headers or the compiler are not there, or do not fit each other.
    """
    folders = header_folders(platform.release())
    if not folders:
        raise HostError(
            "This kernel has no BTF, and its headers are not installed: where its structs have"
            " their fields is unknown.",
            f"Run `apt install clang llvm linux-headers-{platform.release()}`.",
        )
    return compile_types(folders, _ARCHES.get(platform.machine(), platform.machine()))


def compile_types(folders: tuple[Path, ...], arch: str) -> bytes:
    """Return the object file made from a kernel's header folders; raises HostError."""
    includes = [f"-I{f / path.format(arch=arch)}" for path in _INCLUDES for f in folders]
    forced = [f"-include{f / 'include' / name}" for name in _FORCED for f in folders]
    present = [flag for flag in forced if Path(flag.removeprefix("-include")).exists()]
    with tempfile.TemporaryDirectory() as work:
        middle, made = Path(work, "types.bc"), Path(work, "types.o")
        own = ["-nostdinc", "-isystem", f"{_run(['clang', '-print-resource-dir']).strip()}/include"]
        _run(
            [
                *("clang", "-g", "-O1", "-w", "-emit-llvm", "-c", "-D__KERNEL__"),
                *('-DKBUILD_MODNAME="tracer"', *own, *includes, *present),
                *(str(bpf_folder() / _SOURCE), "-o", str(middle)),
            ]
        )
        _run(["llc", "-march=bpf", "-filetype=obj", str(middle), "-o", str(made)])
        return made.read_bytes()


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostError(
            f"This kernel has no BTF, and {command[0]} is not installed to read its headers.",
            "Run `apt install clang llvm`.",
        ) from None
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), "no reason")
        raise HostError(
            f"This kernel has no BTF, and its headers cannot be read: {first.strip()}.",
            "Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y.",
        )
    return done.stdout

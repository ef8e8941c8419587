"""bpf/journey.bpf.c compiled with bcc for the running kernel, and kept for the next time.

What is kept holds no address, descriptor or filter, so it serves until the sources, the kernel or
the set of its modules with fields of ours change. It lies in a folder that only root can write to;
without one it is compiled every time.
"""

import ctypes
import hashlib
import json
import os
import re
import sys
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracer.core.errors import HostError
from tracer.sources.live import btf, syscalls
from tracer.sources.live.linker import MAP_BASE, link, place_cast, place_reads, read_functions
from tracer.sources.live.points import choices, netfilter_programs
from tracer.sources.live.source import bpf_folder

CACHE = Path("/var/cache/tracer")
_KEPT = 4  # the newest files that stay
_FIELD = re.compile(r"^#define FIELD_(\w+) struct (\w+), ([\w.]+)$", re.MULTILINE)
_DISTRIBUTION = "/usr/lib/python3/dist-packages"
_MODULES = ("nf_conntrack", "openvswitch")
_CAST = "bpf_rdonly_cast"


@dataclass(frozen=True, slots=True)
class Compiled:
    """Instructions by program, maps as MAP_BASE and their place; BTF ids of typed targets."""

    programs: dict[str, bytes]
    targets: dict[str, int]


def compiled_programs(maps: tuple[str, ...], cache: Path = CACHE) -> Compiled:
    """Return every program that this kernel can have; `maps` are the maps' names, in order.

    Raises HostError when they have to be compiled and bcc is missing or fails.
    """
    file = cache / f"bpf-{_fingerprint(maps)}.json"
    with suppress(OSError, ValueError, KeyError, AttributeError):
        if _is_trusted(cache) and _is_trusted(file):
            kept = json.loads(file.read_bytes())
            programs = {name: b64decode(code) for name, code in kept["programs"].items()}
            return Compiled(programs, kept["targets"])
    made = Compiled(_compile(maps), _targets())
    with suppress(OSError):
        _keep(made, file)
    return made


def _is_trusted(path: Path) -> bool:
    status = path.stat()
    return status.st_uid == 0 and not status.st_mode & 0o022


def _keep(made: Compiled, file: Path) -> None:
    file.parent.mkdir(mode=0o755, exist_ok=True)
    if not _is_trusted(file.parent):
        return
    code = {name: b64encode(code).decode() for name, code in made.programs.items()}
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps({"programs": code, "targets": made.targets}))
    part.chmod(0o644)
    part.replace(file)
    kept = sorted(file.parent.glob("bpf-*.json"), key=lambda old: old.stat().st_mtime)
    for old in kept[:-_KEPT]:
        old.unlink()


def _fingerprint(maps: tuple[str, ...]) -> str:
    facts = (maps, os.uname(), syscalls.has_kprobes(), btf.VMLINUX.exists())
    found = hashlib.sha256(repr(facts).encode())
    folder = bpf_folder()
    for source in sorted(folder.rglob("*.[ch]")):
        found.update(source.read_bytes())
    for own in ("linker.py", "compiled.py", "points.py"):
        found.update(Path(__file__).with_name(own).read_bytes())
    # The kernel's build id, and those of the modules whose structs are read.
    notes = [f"/sys/module/{module}/notes/.note.gnu.build-id" for module in _MODULES]
    for note in ("/sys/kernel/notes", *notes):
        with suppress(OSError):
            found.update(note.encode() + Path(note).read_bytes())
    return found.hexdigest()[:32]


def _targets() -> dict[str, int]:
    found: dict[str, int] = {}
    if not btf.VMLINUX.exists():  # types made from headers have numbers of their own
        return found
    for choice in choices():
        with suppress(KeyError):
            if choice.kind == "tp_btf":
                found[choice.target] = btf.kernel().typedef_id(f"btf_trace_{choice.target}")
            elif choice.kind == "fexit":
                found[choice.target] = btf.kernel().function_id(choice.target)
    return found


def _import_bcc() -> Any:
    # bcc is a distribution's package: other interpreters find it behind their own packages.
    with suppress(ImportError):
        import bcc

        return bcc
    sys.path.append(_DISTRIBUTION)
    try:
        import bcc
    except ImportError:
        raise HostError("bcc is not installed.", "Run `apt install python3-bpfcc`.") from None
    finally:
        sys.path.remove(_DISTRIBUTION)
    return bcc


def _compile(maps: tuple[str, ...]) -> dict[str, bytes]:
    # Returns the linked instructions of the programs that can be compiled for this kernel, by name.
    bcc = _import_bcc()
    folder = bpf_folder()
    os.environ.setdefault("BCC_KERNEL_SOURCE", str(folder / "bcc"))
    flags = [
        *("-DTRACER_BCC", f"-I{folder}", "-Wno-unused-function", "-Wno-macro-redefined"),
        *_offset_flags((folder / "kernel.h").read_text()),
        *(f"-DFD_{name}={MAP_BASE + place}" for place, name in enumerate(maps)),
    ]
    try:
        compiled = bcc.BPF(text=(folder / "journey.bpf.c").read_bytes(), cflags=flags)
    except Exception as error:
        raise HostError(
            f"bcc cannot compile the programs: {error}.", "Run `tracer doctor`."
        ) from None
    start = ctypes.cast(bcc.lib.bpf_function_start(compiled.module, b"slow"), ctypes.c_void_p).value
    # dump_func would print and raise for what was not compiled for this kernel.
    found = {
        name: bytes(compiled.dump_func(name.encode()))
        for name in _names()
        if bcc.lib.bpf_function_start(compiled.module, name.encode())
    }
    functions = read_functions(start, found.values()) if start else {}
    linked = {name: place_reads(link(code, functions)) for name, code in found.items()}
    if not btf.has_text(_CAST):
        return linked
    cast = btf.kernel().function_id(_CAST)
    return {name: place_cast(code, cast) for name, code in linked.items()}


def _names() -> list[str]:
    programs = dict.fromkeys(choice.program for choice in choices())
    return [*programs, *netfilter_programs()]


def _offset_flags(fields: str) -> list[str]:
    types = btf.kernel()
    flags = [
        f"-DWITH_BTF={int(btf.VMLINUX.exists())}",
        f"-DWITH_KPROBES={int(syscalls.has_kprobes())}",
        f"-Dopt_cast={int(btf.has_text(_CAST))}",
        f"-DTYPE_words={types.find('pt_regs')}",
    ]
    for name, struct_name, path in _FIELD.findall(fields):
        try:
            member = btf.member_anywhere(struct_name, path, _MODULES)
            offset, bit, there = member.offset, member.bit, 1
        except KeyError:
            offset = bit = there = 0
        flags += [f"-DOFF_{name}={offset}", f"-DBIT_{name}={bit}", f"-DHAS_{name}={there}"]
    try:
        types.enum_values("skb_drop_reason")
    except KeyError:
        return [*flags, "-DHAS_DROP_REASON=0"]
    return [*flags, "-DHAS_DROP_REASON=1"]

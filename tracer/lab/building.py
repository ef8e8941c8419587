"""Building and removing the lab: the files under topology/ applied to namespaces of its own."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tracer.core.errors import HostError, LabError
from tracer.lab import state as record
from tracer.lab import tagging
from tracer.lab.commands import TOOLS, require, run, run_in

TOPOLOGY = Path(__file__).parent / "topology"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """What there is of the lab on this host.

    `up`: complete, every namespace there; `present` and `missing`: names of its namespaces;
    `foreign`: names it needs that someone else made; `tagging`: how the provider NICs carry
    VLAN 20 (`8021q`, `tc-vlan`, `tc-bpf`), or `untagged`, or None when it is not up.
    """

    up: bool
    present: tuple[str, ...]
    missing: tuple[str, ...]
    foreign: tuple[str, ...]
    tagging: str | None


def namespaces() -> tuple[str, ...]:
    """Return the names of the lab's namespaces, hosts included."""
    return tuple(sorted(entry.name for entry in TOPOLOGY.iterdir() if entry.is_dir()))


def status() -> LabStatus:
    """Return what there is of the lab now."""
    state = record.load()
    own = tuple(name for name in namespaces() if state is not None and state.owns(name))
    absent = tuple(name for name in namespaces() if record.netns_stat(name) is None)
    foreign = tuple(name for name in namespaces() if name not in own and name not in absent)
    whole = state is not None and state.complete and len(own) == len(namespaces())
    return LabStatus(whole, own, absent, foreign, state.tagging if state and whole else None)


def up() -> LabStatus:
    """Return the lab's status after building it; a complete lab is left as it is.

    A half-made lab of its own is removed first. Raises HostError without root or a tool, LabError
    when a namespace of that name is somebody else's or a step fails (then nothing is left).
    """
    _require_host()
    with record.locked():
        if (found := status()).up:
            return found
        _remove()
        _refuse_foreign()
        state = record.claim(list(namespaces()))
        try:
            _build(state)
        except BaseException:
            _remove()
            raise
    return status()


def down() -> tuple[str, ...]:
    """Return the names of the namespaces it removed: those the lab made, no others."""
    if record.load() is None:
        return ()
    _require_host()
    with record.locked():
        return _remove()


def _require_host() -> None:
    if os.geteuid() != 0:
        raise HostError("The lab needs root to make network namespaces.", hint="Run it with sudo.")
    require(TOOLS)


def _refuse_foreign() -> None:
    if foreign := status().foreign:
        raise LabError(
            f"The network namespace {foreign[0]} is already there and not the lab's.",
            hint=f"If nothing uses it, run: ip netns delete {foreign[0]}",
        )


def _remove() -> tuple[str, ...]:
    state = record.load()
    if state is None:
        return ()
    own = tuple(name for name in state.namespaces if state.owns(name))
    # -force: what a half-made lab lacks must not keep the rest alive
    run(["ip", "-force", "-batch", "-"], "".join(f"netns delete {name}\n" for name in own))
    record.forget()
    return own


def _build(state: record.LabState) -> None:
    names = namespaces()
    run(["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in names))
    for name in names:
        found = record.netns_stat(name)
        state.namespaces[name] = found[0] if found else None
    record.save(state)
    run(["ip", "-batch", str(TOPOLOGY / "links.batch")])
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(_configure, names))
    state.tagging = tagging.tag()
    state.complete = True
    record.save(state)


def _configure(netns: str) -> None:
    folder = TOPOLOGY / netns
    apply: tuple[tuple[str, Callable[[Path], str]], ...] = (
        ("iptables.rules", lambda path: run_in(netns, ["iptables-restore", str(path)])),
        ("nft.rules", lambda path: run_in(netns, ["nft", "-f", str(path)])),
        # after the rules: they bring conntrack, and with it its sysctls, where that is a module
        ("sysctl.conf", lambda path: run_in(netns, ["sysctl", "-q", "-p", str(path)])),
        ("sysctl-optional.conf", lambda path: run_in(netns, ["sysctl", "-qe", "-p", str(path)])),
        # the rules are there before the links are up
        ("ip.batch", lambda path: run(["ip", "-n", netns, "-batch", str(path)])),
        ("bridge.batch", lambda path: run(["bridge", "-n", netns, "-batch", str(path)])),
    )
    for name, step in apply:
        if (folder / name).exists():
            step(folder / name)

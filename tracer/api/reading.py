"""`tracer.read`: captures of every kind to journeys."""

from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from tracer import jit_cache
from tracer.api.conditions import Conditions, flow_filter
from tracer.api.journey_frames import JourneyFrames
from tracer.core.conntrack import ConntrackEntry
from tracer.core.journeys import JourneySet
from tracer.core.warnings import InputWarning

if TYPE_CHECKING:
    from tracer.sources.read import ReadResult

PathName = str | PathLike[str]


def read(
    *captures: PathName,
    points: Mapping[str, PathName] | None = None,
    conntrack: PathName | Iterable[PathName] = (),
    limit: int | None = None,
    **conditions: Unpack[Conditions],
) -> JourneyFrames:
    """Return the journeys of the packets in captures.

    A capture is a pcap or pcapng file (also .gz, .xz, .zst), text that tcpdump printed, a recording
    of `tracer follow --write`, or a folder of these; `points.toml` in the folder says where each
    was taken. `points` maps DEVICE, HOST/DEVICE or HOST/NETNS/DEVICE to a capture; `conntrack`
    names outputs of `conntrack -L` or `-E` (those in a folder are read by themselves). At most
    `limit` packets are read, by default what half of the free memory holds.

    `conditions` choose exchanges as `JourneyFrames.select` does: `icmp_id`, `proto`, `host`, `src`,
    `dst`, `port`, `sport`, `dport`.

    Packets are read now and joined when a journey is first asked for. The first use on a machine
    compiles for seconds. Raises InputError when a path cannot be opened or nothing can be used;
    lesser damage is in `JourneyFrames.warnings`.
    """
    chosen = flow_filter(conditions)
    jit_cache.prepare()
    from tracer.sources.read import read as read_captures

    named = {name: fspath(path) for name, path in (points or {}).items()}
    paths = [fspath(path) for path in captures]
    found = read_captures(paths, points=named, limit=limit)
    dumps = (conntrack,) if isinstance(conntrack, str | PathLike) else tuple(conntrack)
    entries, damage = _entries(paths, [fspath(dump) for dump in dumps])
    everything = JourneyFrames(
        found.batch,
        lambda: joined(found, entries, damage),
        inputs=(*paths, *named.values(), *(fspath(dump) for dump in dumps)),
    )
    return everything if chosen.is_empty else everything.select(**conditions)


def joined(
    found: "ReadResult", entries: list[ConntrackEntry], damage: list[InputWarning]
) -> JourneySet:
    """Return the journeys of what was read, with its warnings and losses."""
    from tracer.correlate.flow_paths import flow_paths, needs_flow_paths
    from tracer.correlate.join import join

    journey_set = join(found.batch, entries)
    if needs_flow_paths(found.batch):
        paths, clocks = flow_paths(found.batch, entries)
        journey_set.flow_paths, journey_set.clocks = tuple(paths), tuple(clocks)
    journey_set.warnings = (*journey_set.warnings, *found.warnings, *damage)
    dropped = sum(capture.dropped or 0 for capture in found.captures)
    journey_set.lost = {**journey_set.lost, **found.lost}
    if dropped:
        journey_set.lost["capture_dropped"] = dropped
    return journey_set


def _entries(
    captures: list[str], dumps: list[str]
) -> tuple[list[ConntrackEntry], list[InputWarning]]:
    from tracer.sources.conntrack import read_conntrack, read_conntrack_folder

    folders = [Path(capture) for capture in captures if Path(capture).is_dir()]
    parts = [read_conntrack_folder(folder) for folder in folders]
    parts += [read_conntrack(Path(dump)) for dump in dumps]
    return [e for entries, _ in parts for e in entries], [w for _, found in parts for w in found]

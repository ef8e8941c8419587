"""`tracer.read`: captures of every kind to journeys."""

from collections.abc import Iterable, Mapping
from typing import Unpack

from tracer import jit_cache
from tracer.api.arguments import PathName, named_paths, path_name, path_names, whole
from tracer.api.conditions import Conditions, flow_filter
from tracer.api.joining import conntrack_of, joined, rules_of
from tracer.api.journey_frames import JourneyFrames
from tracer.core.errors import InputError


def read(
    *captures: PathName,
    points: Mapping[str, PathName] | None = None,
    conntrack: PathName | Iterable[PathName] = (),
    rules: PathName | Iterable[PathName] = (),
    limit: int | None = None,
    **conditions: Unpack[Conditions],
) -> JourneyFrames:
    """Return the journeys of the packets in captures.

    A capture is a pcap or pcapng file (also .gz, .xz, .zst), text that tcpdump printed, a recording
    of `tracer follow --write`, or a folder of these; `points.toml` in the folder says where each
    was taken. `points` maps DEVICE, HOST/DEVICE or HOST/NETNS/DEVICE to a capture; `conntrack`
    names outputs of `conntrack -L` or `-E`, `rules` those of `iptables-save`, `iptables -t nat -S`
    or `nft list ruleset` (what is in a folder is read by itself). At most `limit` packets are read,
    by default what half of the free memory holds.

    `conditions` choose exchanges as `JourneyFrames.select` does: `icmp_id`, `proto`, `host`, `src`,
    `dst`, `port`, `sport`, `dport`.

    Packets are read now and joined when a journey is first asked for. The first use on a machine
    compiles for seconds. Raises InputError when an argument is not what is asked for, a path cannot
    be opened or nothing can be used; lesser damage is in `JourneyFrames.warnings`.
    """
    chosen = flow_filter(conditions)
    named = named_paths(points, "points")
    paths = [path_name(path, "a capture") for path in captures]
    dumps, tables = path_names(conntrack, "conntrack"), path_names(rules, "rules")
    if limit is not None:
        limit = whole(limit, "limit", 0)
    if not paths and not named:
        raise InputError("No capture is named.", "Give the path of a capture or a folder of them.")
    jit_cache.prepare()
    from tracer.sources.read import read as read_captures

    entries, damage = conntrack_of(paths, dumps)
    nat_rules, more = rules_of(paths, tables)
    found = read_captures(paths, points=named, limit=limit)
    everything = JourneyFrames(
        found.batch,
        lambda: joined(found, entries, nat_rules, (*damage, *more)),
        inputs=(*paths, *named.values(), *dumps, *tables),
    )
    return everything if chosen.is_empty else everything.select(**conditions)

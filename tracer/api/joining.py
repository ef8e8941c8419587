"""What was read to journeys: packets, conntrack dumps and NAT rules put together, once for all."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from tracer.core.conntrack import ConntrackEntry
from tracer.core.errors import InputError
from tracer.core.journeys import JourneySet
from tracer.core.nat_rules.rule import NatRule
from tracer.core.warnings import InputWarning

if TYPE_CHECKING:
    from tracer.sources.read import Reading, ReadResult


def conntrack_of(
    captures: Sequence[str], dumps: Sequence[str]
) -> tuple[list[ConntrackEntry], list[InputWarning]]:
    """Return the entries of the named conntrack dumps and of those in capture folders.

    Raises InputError for a named file that is no dump: what it was named for would be left undone.
    """
    folders = _folders(captures)
    if not folders and not dumps:
        return [], []
    from tracer.sources.conntrack import read_conntrack, read_conntrack_folder

    parts = [read_conntrack_folder(folder) for folder in folders]
    for dump in dumps:
        entries, found = read_conntrack(Path(dump))
        if not entries and any(warning.kind == "unparsed-line" for warning in found):
            raise _not_that(dump, "entry of `conntrack -L` or `-E`")
        parts.append((entries, found))
    return [e for entries, _ in parts for e in entries], [w for _, found in parts for w in found]


def rules_of(
    captures: Sequence[str], files: Sequence[str]
) -> tuple[list[NatRule], list[InputWarning]]:
    """Return the NAT rules of the named files and of those in capture folders.

    Raises InputError for a named file that holds no rules.
    """
    folders = _folders(captures)
    if not folders and not files:
        return [], []
    from tracer.sources.rules import read_rules, read_rules_folder

    parts = [read_rules_folder(folder) for folder in folders]
    for file in files:
        rules, found = read_rules(Path(file))
        if any(warning.kind == "no-rules" for warning in found):
            raise _not_that(file, "rule of iptables-save or `nft list ruleset`")
        parts.append((rules, found))
    return [rule for rules, _ in parts for rule in rules], [w for _, found in parts for w in found]


def joined(
    read: "ReadResult",
    entries: Sequence[ConntrackEntry] = (),
    rules: Sequence[NatRule] = (),
    damage: Sequence[InputWarning] = (),
) -> JourneySet:
    """Return the journeys of what was read, with its warnings and losses.

    `damage` is what was wrong with the dumps and rules.
    """
    from tracer.correlate.flow_paths.apart import needs_flow_paths
    from tracer.correlate.join import join

    journey_set = join(read.batch, entries)
    if needs_flow_paths(read.batch):
        from tracer.correlate.flow_paths.paths import flow_paths

        paths, clocks = flow_paths(read.batch, entries)
        journey_set.flow_paths, journey_set.clocks = tuple(paths), tuple(clocks)
    journey_set.nat_rules = tuple(rules)
    journey_set.warnings = (*journey_set.warnings, *read.warnings, *damage)
    journey_set.lost = {**journey_set.lost, **losses(read)}
    return journey_set


def losses(read: "ReadResult | Reading") -> dict[str, int]:
    """Return what was lost before it was read: by a recording's tracer, by captures' kernels."""
    dropped = sum(capture.dropped or 0 for capture in read.captures)
    return {**read.lost, **({"capture_dropped": dropped} if dropped else {})}


def _not_that(file: str, what: str) -> InputError:
    from tracer.sources.capture import is_readable

    if is_readable(file):
        return InputError(
            f"{file} is a capture and holds no {what}.", "Give it as a capture instead."
        )
    return InputError(f"{file} holds no {what}.", f"`head {quote(file)}` shows what it holds.")


def _folders(captures: Sequence[str]) -> list[Path]:
    return [Path(capture) for capture in captures if Path(capture).is_dir()]

"""What the user names as input: captures, points for them, conntrack dumps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.cli.options import Option
from tracer.cli.progress import Progress
from tracer.core.conntrack import ConntrackEntry
from tracer.core.point import Point
from tracer.core.warnings import InputWarning

if TYPE_CHECKING:
    from tracer.sources.read import ReadResult


@dataclass(frozen=True, slots=True)
class Place:
    """A capture and the observation point it was taken at."""

    point: Point
    file: str


def places(
    _: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Place, ...]:
    """Return `[HOST:][NETNS/]DEVICE=FILE` texts as places; bad usage when a part is missing."""
    return tuple(_place(text, parameter) for text in texts)


def _place(text: str, parameter: click.Parameter) -> Place:
    name, equals, file = text.partition("=")
    host, colon, rest = name.rpartition(":")
    netns, slash, device = rest.rpartition("/")
    if not (equals and file and device) or (colon and not host) or (slash and not netns):
        message = f"{text!r} is not [HOST:][NETNS/]DEVICE=FILE."
        raise click.BadParameter(message, param=parameter)
    return Place(Point(host or None, netns or None, device), file)


captures_argument = click.argument(
    "captures", nargs=-1, type=click.Path(allow_dash=True), metavar="CAPTURE..."
)
point_option = click.option(
    "--point", "places", cls=Option, section="Input", multiple=True, callback=places,
    metavar="NAME=FILE", help="A capture and where it was taken: [HOST:][NETNS/]DEVICE=FILE.",
)  # fmt: skip
conntrack_option = click.option(
    "--conntrack", cls=Option, section="Input", multiple=True, metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Output of `conntrack -L` or `-E`; those in a capture folder are read by themselves.",
)  # fmt: skip


def read_captures(captures: Sequence[str], places: Sequence[Place]) -> "ReadResult":
    """Return what the captures hold; raises a usage error when none is named."""
    inputs = [*captures, *(place.file for place in places)]
    if not inputs:
        raise click.UsageError("Name a capture file or a folder of captures.")
    from tracer.sources.read import read

    with Progress() as progress:
        return read(
            inputs, points={place.file: place.point for place in places}, progress=progress.update
        )


def read_dumps(
    captures: Sequence[str], dumps: Sequence[str]
) -> tuple[list[ConntrackEntry], list[InputWarning]]:
    """Return the entries of the named conntrack dumps and of those in capture folders."""
    folders = [Path(capture) for capture in captures if Path(capture).is_dir()]
    if not folders and not dumps:
        return [], []
    from tracer.sources.conntrack import read_conntrack, read_conntrack_folder

    parts = [read_conntrack_folder(folder) for folder in folders]
    parts += [read_conntrack(Path(dump)) for dump in dumps]
    return [e for entries, _ in parts for e in entries], [w for _, found in parts for w in found]

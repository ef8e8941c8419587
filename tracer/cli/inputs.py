"""What the user names as input: captures, points for them, conntrack dumps."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tracer.cli.options import Option
from tracer.cli.progress import Progress
from tracer.core.errors import unreadable

if TYPE_CHECKING:
    from tracer.sources.read import Reading, ReadResult

_BATCH_ROWS = 1 << 18  # packets held at once by commands that need not hold all


def named(_: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=FILE texts as a mapping; bad usage where one is not that, or a name twice."""
    points: dict[str, str] = {}
    for text in texts:
        name, _equals, file = text.partition("=")
        if not name or not file:
            raise click.BadParameter(
                f"{text!r} is not NAME=FILE, as in compute03/eth0=nic.pcap.", param=parameter
            )
        if name in points:
            message = f"{name!r} is named twice; put both captures in a folder with points.toml."
            raise click.BadParameter(message, param=parameter)
        points[name] = file
    return points


def present(
    _: click.Context, parameter: click.Parameter, paths: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the paths when each leads somewhere; raises InputError where one does not."""
    for path in paths:
        try:
            os.stat(path)
        except OSError as error:
            raise unreadable(path, error) from None
    return paths


captures_argument = click.argument(
    "captures", nargs=-1, type=click.Path(allow_dash=True, readable=False), metavar="CAPTURE..."
)
point_option = click.option(
    "--point", "points", cls=Option, section="Input", multiple=True, callback=named,
    metavar="NAME=FILE",
    help="A capture and where it was taken: DEVICE, HOST/DEVICE or HOST/NETNS/DEVICE.",
)  # fmt: skip
conntrack_option = click.option(
    "--conntrack", cls=Option, section="Input", multiple=True, metavar="FILE",
    type=click.Path(readable=False), callback=present,
    help="Output of `conntrack -L` or `-E`; found automatically in a capture folder.",
)  # fmt: skip
rules_option = click.option(
    "--rules", cls=Option, section="Input", multiple=True, metavar="FILE",
    type=click.Path(readable=False), callback=present,
    help="Output of iptables-save or `nft list ruleset`; found automatically in a folder.",
)  # fmt: skip


def read_captures(captures: Sequence[str], points: Mapping[str, str]) -> "ReadResult":
    """Return what the captures hold; raises a usage error when none is named."""
    _need(captures, points)
    from tracer.sources.read import read

    with Progress() as progress:
        return read(captures, points=points, progress=progress.update)


def reading_of(captures: Sequence[str], points: Mapping[str, str], progress: Progress) -> "Reading":
    """Return a reading that gives the captures' packets in batches, whatever their size."""
    _need(captures, points)
    from tracer.sources.read import Reading

    return Reading(captures, points=points, progress=progress.update, rows=_BATCH_ROWS)


def _need(captures: Sequence[str], points: Mapping[str, str]) -> None:
    if not captures and not points:
        raise click.UsageError("Name a capture file or a folder of captures.")

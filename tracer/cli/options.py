"""Options several commands share, grouped in help by what they are for."""

from collections.abc import Callable
from typing import Any

import click

from tracer.cli.numbers import Whole
from tracer.cli.overwriting import refuse_overwriting, refuse_unwritable
from tracer.core.address import encode_network
from tracer.core.filter import FlowFilter
from tracer.core.protocols import PROTOCOLS

FORMATS = ("text", "jsonl", "csv", "parquet")
_OTHERS = "Options"
_Command = Callable[..., Any]
_Decorator = Callable[[_Command], _Command]


class Option(click.Option):
    """An option that help shows in a section."""

    def __init__(self, *args: Any, section: str = _OTHERS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help shows its options section by section, the nameless section last.

    It writes to nothing that it reads, and begins nothing whose output cannot be written.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; raises InputError where output cannot be written, or would destroy input
        or other output.
        """
        refuse_unwritable(ctx.params)
        refuse_overwriting(ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, sections in the order in which the options were declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                section = getattr(parameter, "section", _OTHERS)
                sections.setdefault(section, []).append(record)
        last = {_OTHERS: sections.pop(_OTHERS, [])}
        for section, records in (sections | last).items():
            with formatter.section(section):
                formatter.write_dl(records)


def network(
    _: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the texts when each is an address or CIDR; bad usage otherwise."""
    for text in texts:
        try:
            encode_network(text)
        except ValueError:
            message = f"{text!r} is not an IP address or CIDR, such as 192.0.2.7 or 10.0.0.0/8."
            raise click.BadParameter(message, param=parameter) from None
    return texts


def protocol(_: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Return the number of a protocol given by name or number; bad usage when it is neither."""
    if text is None:
        return None
    if text.lower() in PROTOCOLS:
        return PROTOCOLS[text.lower()]
    if text.isdecimal() and int(text) < 256:
        return int(text)
    message = f"{text!r} is none of {', '.join(PROTOCOLS)}, 0-255."
    raise click.BadParameter(message, param=parameter)


_PLAIN = ("", "txt", "text", "log", "out")  # what names of text end in
_SECTION = "Filter, on either side of NAT"
_PORT = Whole(0, 65535)


def _port_option(name: str, text: str, *, many: bool = True) -> _Decorator:
    return click.option(
        name, cls=Option, section=_SECTION, type=_PORT, multiple=many, metavar="N",
        help=text,
    )  # fmt: skip


def _network_option(name: str, text: str) -> _Decorator:
    return click.option(
        name,
        cls=Option,
        section=_SECTION,
        multiple=True,
        metavar="NET",
        callback=network,
        help=text,
    )


_PROTO = click.option(
    "--proto", cls=Option, section=_SECTION, metavar="PROTO", callback=protocol,
    help="icmp, tcp, udp, icmpv6, arp or a number.",
)  # fmt: skip
_FILTERS = (
    _port_option("--icmp-id", "Echo identifier.", many=False),
    _PROTO,
    _network_option("--host", "Source or destination address or CIDR."),
    _network_option("--src", "Source address or CIDR."),
    _network_option("--dst", "Destination address or CIDR."),
    _port_option("--port", "Source or destination port."),
    _port_option("--sport", "Source port."),
    _port_option("--dport", "Destination port."),
)


def filter_options(command: _Command) -> _Command:
    """Give a command the FILTER options; it takes them as `**conditions` for `flow_filter`."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def flow_filter(conditions: dict[str, Any]) -> FlowFilter:
    """Return the FILTER options as a value."""
    return FlowFilter(**conditions)


def output_options(*formats: str) -> _Decorator:
    """Give a command `--format`, `-o` and `--summary`; the first format is the default."""

    def add(command: _Command) -> _Command:
        for option in reversed(_outputs(formats)):
            command = option(command)
        return command

    return add


def _outputs(formats: tuple[str, ...]) -> tuple[Any, ...]:
    return (
        click.option(
            "--format", "format_", cls=Option, section="Output", type=click.Choice(formats),
            help=f"What to write; by default as the name after -o says, otherwise {formats[0]}.",
        ),
        click.option(
            "-o", "--output", cls=Option, section="Output", type=click.Path(readable=False),
            metavar="FILE", help="Write to a file instead of standard output.",
        ),
        click.option(
            "--summary", cls=Option, section="Output", type=click.Path(readable=False),
            metavar="FILE", help="Write the summary (counts, clocks, losses, warnings) as JSON.",
        ),
    )  # fmt: skip


def chosen_format(format_: str | None, output: str | None, formats: tuple[str, ...]) -> str:
    """Return the format asked for, or the one the output's name ends in, or the first one.

    A name without suffix, of text or of a device gives the first; bad usage where a name ends in
    something else: what was meant would silently become another format.
    """
    if format_ is not None:
        return format_
    name = (output or "").rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower()
    suffix = {"json": "jsonl"}.get(suffix, suffix)
    if suffix in formats:
        return suffix
    has_suffix = "." in name.lstrip(".") and not suffix.isdecimal()
    if not has_suffix or suffix in _PLAIN or (output or "").startswith("/dev/"):
        return formats[0]
    known = ", ".join(f".{name}" for name in formats if name != "text")
    message = f"{output!r} ends in none of {known}; say with --format what to write there."
    raise click.BadParameter(message, param_hint="'-o'")

"""The commands and where each one lives; a command's module is imported when it is used."""

from importlib import import_module
from typing import Any

import click

from tracer import __version__
from tracer.cli.failure import ReaderGone

# Command: the one-line help of its module, kept here so that `tracer --help` imports no command.
COMMANDS = {
    "follow": "Show the journeys of packets while they travel, through NAT and back.",
    "offline": "Show the journeys of the packets in captures.",
    "report": "Write an incident report: what happened, where, and on what evidence.",
    "observations": "Write every packet of the captures, decoded, one row each.",
    "schema": "Print the JSON Schema of what the commands write.",
    "doctor": "Check what this host offers, and how to fix what is missing.",
    "lab": "Build a Neutron DVR floating-IP path from network namespaces on this host.",
    "completion": "Print the completion script for a shell.",
}


class LazyGroup(click.Group):
    """A group whose commands are the `command` of `tracer.cli.NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now; None when there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"tracer.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Return what the command returns; click would make failure of a reader that went away."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their one-line help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tracer %(version)s")
def group() -> None:
    """Show every hop of a packet: what changed there, how long it took, where it stopped.

    \b
    Examples:
      sudo tracer follow --icmp-id 22344
      tracer offline incident/ --icmp-id 22344
      tracer offline qr-1f6b0aa3-3d.pcap --point eth0=nic.pcap.gz
      tracer report incident/ -o incident.html
      tracer observations incident/ -o packets.parquet
      tracer doctor
    """

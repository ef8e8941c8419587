"""`tracer lab`: the floating-IP path on this machine, in namespaces of its own."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tracer import lab
from tracer.cli.numbers import Decimal, Whole
from tracer.lab.recording import packet_fields

CASES = tuple(lab.cases())


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Build a Neutron DVR floating-IP path from network namespaces on this host.

    The lab needs root, touches nothing that it did not create, and leaves nothing behind after
    `down`. The CASE of a traffic command is fip-outbound (the default), fip-inbound,
    snat-centralized, east-west, tenant2-outbound or tenant2-inbound.

    \b
    Examples:
      sudo tracer lab up
      sudo tracer lab ping fip-outbound --count 23
      sudo tracer lab record /tmp/journey && tracer offline /tmp/journey
      sudo ip netns exec vm ping 100.121.0.75
      sudo ip netns exec serviceproxy01 ping 100.122.0.145
      sudo tracer lab down
    """


@command.command()
def up() -> None:
    """Build the lab, unless it is complete already.

    \b
    Example:
      sudo tracer lab up && sudo tracer lab ping
    """
    _say(lab.up())


@command.command()
def down() -> None:
    """Remove everything that the lab created, and nothing else.

    \b
    Example:
      sudo tracer lab down
    """
    removed = lab.down()
    click.echo(f"removed {len(removed)} namespaces" if removed else "there is no lab to remove")


@command.command()
def status() -> int:
    """Show the state of the lab; exit with status 1 if it is not up.

    \b
    Example:
      tracer lab status
    """
    found = lab.status()
    _say(found)
    return 0 if found.up else 1


def _say(found: lab.LabStatus) -> None:
    state = "up" if found.up else "incomplete" if found.present else "down"
    click.echo(f"lab: {state}, {len(found.present)} namespaces")
    if found.present and found.missing:
        click.echo(f"missing: {' '.join(found.missing)}")
    if found.foreign:
        click.echo(f"not the lab's: {' '.join(found.foreign)}")
    if found.tagging == "untagged":
        click.echo("provider NICs: untagged (this kernel offers no way to tag VLAN 20)")
    elif found.tagging:
        click.echo(f"provider NICs: VLAN 20, tagged by {found.tagging}")


def _traffic(function: Callable[..., None]) -> Callable[..., None]:
    # What every traffic command takes.
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print the log as JSON lines."),
        click.option(
            "--count",
            default=3,
            show_default=True,
            type=Whole(1),
            help="How many packets to send.",
        ),
        click.argument("case", type=click.Choice(CASES), default=CASES[0], metavar="[CASE]"),
    ):
        function = decorate(function)
    return function


@command.command()
@_traffic
@click.option("--interval", default=0.02, show_default=True, type=Decimal(0),
              help="Seconds between requests.")  # fmt: skip
@click.option("--pattern", help="Fill all payloads with this text instead of numbering them.")
@click.option("--icmp-id", type=Whole(0, 0xFFFF), help="ICMP id; random by default.")
def ping(case: str, count: int, as_json: bool, interval: float, pattern: str | None,
         icmp_id: int | None) -> None:  # fmt: skip
    """Send echo requests along CASE and show the sender's log.

    \b
    Example:
      sudo tracer lab ping fip-inbound --count 5 --icmp-id 22344
    """
    body = pattern.encode() if pattern else None
    sent = lab.ping(case, count, interval_s=interval, pattern=body, icmp_id=icmp_id)
    _show(sent, as_json)


@command.command()
@_traffic
@click.option("--port", default=8080, show_default=True, type=Whole(1, 0xFFFF),
              help="The server's port.")  # fmt: skip
def tcp(case: str, count: int, as_json: bool, port: int) -> None:
    """Exchange numbered segments over one TCP connection along CASE and show the log.

    \b
    Example:
      sudo tracer lab tcp snat-centralized
    """
    _show(lab.send_tcp(case, count, port=port), as_json)


@command.command()
@_traffic
@click.option("--port", default=5353, show_default=True, type=Whole(1, 0xFFFF),
              help="The server's port.")  # fmt: skip
def udp(case: str, count: int, as_json: bool, port: int) -> None:
    """Exchange numbered datagrams along CASE and show the log.

    \b
    Example:
      sudo tracer lab udp east-west --json
    """
    _show(lab.send_udp(case, count, port=port), as_json)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("case", type=click.Choice(CASES), default=CASES[0], metavar="[CASE]")
@click.option("--count", default=3, show_default=True, type=Whole(1),
              help="How many packets of each kind to send.")  # fmt: skip
def record(folder: Path, case: str, count: int) -> None:
    """Capture echo, TCP and UDP along CASE into FOLDER, with tcpdump at every point.

    FOLDER then holds one pcap per point, points.toml, conntrack dumps, and the sender's log,
    truth.json.

    \b
    Example:
      sudo tracer lab record /tmp/journey && tracer offline /tmp/journey
    """

    def traffic() -> list[lab.Sent]:
        sent = lab.send_tcp(case, count) + lab.send_udp(case, count)
        return sent + lab.ping(case, count)

    made = lab.record(folder, lab.points(case), traffic)
    click.echo(f"{folder}: {len(made.files)} captures, {len(made.log)} numbered packets")


def _show(log: Sequence[lab.Sent], as_json: bool) -> None:
    for sent in log:
        click.echo(json.dumps(packet_fields(sent)) if as_json else _line(packet_fields(sent)))


def _line(sent: dict[str, Any]) -> str:
    names = ("number", "icmp_id", "icmp_seq", "ip_id", "sport", "dport")
    known = " ".join(f"{name} {sent[name]}" for name in names if sent[name] is not None)
    return f"{sent['proto']} {sent['kind']:<7} {sent['src']} > {sent['dst']} {known}"

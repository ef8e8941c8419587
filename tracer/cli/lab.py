"""`tracer lab`: the floating-IP path on this machine, in namespaces of its own."""

import click

from tracer import lab


@click.group()
def command() -> None:
    """A Neutron DVR floating-IP path on this kernel, made of network namespaces.

    \b
    Examples:
      sudo tracer lab up
      sudo ip netns exec vm ping 100.121.0.75
      sudo tracer lab down
    """


@command.command()
def up() -> None:
    """Build the lab; a complete one is left as it is."""
    _say(lab.up())


@command.command()
def down() -> None:
    """Remove what the lab made, and nothing else."""
    removed = lab.down()
    click.echo(f"removed {len(removed)} namespaces" if removed else "there is no lab to remove")


@command.command()
def status() -> None:
    """Say what there is of the lab; exit status 1 when it is not up."""
    found = lab.status()
    _say(found)
    if not found.up:
        raise SystemExit(1)


def _say(found: lab.LabStatus) -> None:
    state = "up" if found.up else "incomplete" if found.present else "down"
    click.echo(f"lab: {state}, {len(found.present)} namespaces")
    for label, names in (("missing", found.missing), ("not the lab's", found.foreign)):
        if (found.present and names) or (label != "missing" and names):
            click.echo(f"{label}: {' '.join(names)}")
    if found.up:
        click.echo(f"VLAN 20 on the provider NICs: {found.tagging}")

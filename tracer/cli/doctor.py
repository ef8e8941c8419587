"""`tracer doctor`: what this host offers."""

import dataclasses
import json

import click

from tracer.doctor import Found, diagnose, is_healthy

_STYLES = {"ok": "green", "missing": "red", "unknown": "yellow"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write the checks as JSON, for a bug report.")
def command(as_json: bool) -> None:
    """Check what this host offers, and how to fix what is missing.

    Exits with status 1 if something that every command needs is missing.

    \b
    Examples:
      tracer doctor
      sudo tracer doctor
      tracer doctor --json > doctor.json
    """
    found = diagnose()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        _show(found)
    if not is_healthy(found):
        raise SystemExit(1)


def _show(found: list[Found]) -> None:
    width = max(len(each.name) for each in found)
    for each in found:
        status = click.style(f"{each.status:<7}", fg=_STYLES[each.status])
        click.echo(f"{status}  {each.name:<{width}}  {each.detail}")
        if each.status != "ok":
            click.echo(f"{'':9}needed for {each.needed_for}")
        if each.hint:
            click.echo(f"{'':9}{each.hint}")

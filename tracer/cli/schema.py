"""`tracer schema`: the JSON Schema of what the commands write."""

import json

import click

KINDS = ["journey", "observation", "summary", "segment"]


@click.command()
@click.argument("kind", default="journey", type=click.Choice(KINDS))
def command(kind: str) -> None:
    """Print the JSON Schema of what the commands write.

    \b
    Examples:
      tracer schema
      tracer schema observation | jq '.properties | keys'
      tracer schema summary > summary.schema.json
    """
    from tracer.report.schema import SCHEMAS

    click.echo(json.dumps(SCHEMAS[kind](), indent=2, ensure_ascii=False))

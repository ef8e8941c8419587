"""Compiled code: where it is kept, and a word to the user when it has to be made first."""

import click

from tracer import jit_cache


def ready(*packages: str) -> None:
    """Choose the cache of compiled code, and say on stderr when functions of the packages (the
    last part of their dotted names) are still to be compiled. Call before they are imported.
    """
    jit_cache.prepare()
    if jit_cache.is_cold(*packages):
        click.echo("tracer: compiling for this machine, once; this takes seconds ...", err=True)

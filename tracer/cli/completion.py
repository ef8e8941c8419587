"""`tracer completion`: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    Examples:
      tracer completion bash > ~/.local/share/bash-completion/completions/tracer
      tracer completion zsh > "${fpath[1]}/_tracer"
      tracer completion fish > ~/.config/fish/completions/tracer.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None
    root = ctx.find_root().command
    click.echo(completion(root, {}, "tracer", "_TRACER_COMPLETE").source())

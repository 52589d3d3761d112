"""The command `notifier completion`: prints the completion script of a shell."""

import click
from click.shell_completion import get_completion_class

PROGRAM, VARIABLE = "notifier", "_NOTIFIER_COMPLETE"
"""The name that is completed, and the variable by which the script calls the program."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    bash: notifier completion bash > ~/.local/share/bash-completion/completions/notifier
    zsh:  notifier completion zsh > "${fpath[1]}/_notifier"
    fish: notifier completion fish > ~/.config/fish/completions/notifier.fish
    """  # noqa: D301 - click reads the character
    found = get_completion_class(shell)
    if found is None:
        raise RuntimeError(f"click has no completion for {shell}")
    click.echo(found(context.find_root().command, {}, PROGRAM, VARIABLE).source())

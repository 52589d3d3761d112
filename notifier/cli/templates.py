"""The commands about card templates. Heavy imports happen inside them."""

import json
from pathlib import Path

import click

from notifier.cli.context import CONFIG_OPTION, JSON_OPTION, load_config
from notifier.operations.language import localized


@click.group()
def templates() -> None:
    """List card templates, and copy shipped ones to change them."""


@templates.command("list")
@CONFIG_OPTION
@JSON_OPTION
def list_templates(config_path: Path | None, *, as_json: bool) -> None:
    """List shipped and own templates with their blocks, and what own files replace."""
    from notifier.operations.templates import own_templates  # noqa: PLC0415 - see above

    config = load_config(config_path).config
    if as_json:
        click.echo(json.dumps(own_templates.as_document(config), ensure_ascii=False, indent=2))
    else:
        click.echo(own_templates.format_list(config))


@templates.command("eject")
@CONFIG_OPTION
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy into this folder. Default: cards.template_dir.",
)
@click.option("--force", "is_forced", is_flag=True, help="Replace existing files.")
def eject(config_path: Path | None, names: tuple[str, ...], to: Path | None, *, is_forced: bool) -> None:
    """Copy shipped templates or texts into the folder of own templates."""
    from notifier.operations.templates import own_templates, template_folder  # noqa: PLC0415 - see above

    config = load_config(config_path).config
    if to is not None:
        template_folder.require_own_folder(to, "--to")
    for copy in own_templates.eject(config, names, to=to, is_forced=is_forced):
        click.echo(localized(f"Copied to {copy}.", f"已复制到 {copy}。"))

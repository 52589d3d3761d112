"""The command that runs the Feishu sandbox. Heavy imports happen inside it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click


@click.command()
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 for any free port."
)
@click.option(
    "--webhook",
    is_flag=True,
    help="Send events and clicks by webhook, not over the long connection.",
)
@click.option(
    "--fresh", is_flag=True, help="Start with an app as Feishu creates it: nothing is set or published."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="TYPE[,OPTION=VALUE]",
    help="Start this fault at once, such as setup:bot_off. Repeat for more; docs/sandbox.md lists them.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the notifier's database and Feishu's side here. Default: a temporary folder.",
)
@click.option(
    "--templates",
    "template_dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of own card templates. A saved file shows on the next card.",
)
def sandbox(
    port: int,
    data: Path | None,
    template_dir: Path | None,
    faults: tuple[str, ...],
    *,
    webhook: bool,
    fresh: bool,
) -> None:
    """Run the Feishu sandbox with its web page, and a notifier connected to it."""
    from notifier.operations import sandbox_run  # noqa: PLC0415 - see above

    if template_dir is not None:
        from notifier.operations.templates import template_folder  # noqa: PLC0415 - see above

        template_folder.require_own_folder(template_dir, template_folder.OPTION)
    asyncio.run(
        sandbox_run.run_sandbox(
            port=port,
            webhook=webhook,
            data=data,
            app=replace(sandbox_run.read_app_options(faults, fresh=fresh), template_dir=template_dir),
            echo=click.echo,
        )
    )

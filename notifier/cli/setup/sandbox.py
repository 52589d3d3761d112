"""The command that runs the Feishu sandbox. Heavy imports happen inside it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from notifier.operations.language import localized


@click.command()
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0 for any free port."
)
@click.option("--only-feishu", is_flag=True, help="Run only the sandbox, for your own bot.")
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
    only_feishu: bool,
    webhook: bool,
    fresh: bool,
) -> None:
    """Run the Feishu sandbox with its web page, and a notifier connected to it."""
    from notifier.operations import sandbox_run  # noqa: PLC0415 - see above

    if template_dir is not None and only_feishu:
        raise click.UsageError(
            localized(
                "--templates is for the notifier of the sandbox; leave out --only-feishu.",
                "--templates 用于沙盒中的服务，请去掉 --only-feishu。",
            )
        )
    if webhook and only_feishu:
        raise click.UsageError(
            localized(
                "--webhook configures the notifier of the sandbox; leave out --only-feishu.",
                "--webhook 设置的是沙盒中的服务，请去掉 --only-feishu。",
            )
        )
    if template_dir is not None:
        from notifier.operations.templates import template_folder  # noqa: PLC0415 - see above

        template_folder.require_own_folder(template_dir, template_folder.OPTION)
    asyncio.run(
        sandbox_run.run_sandbox(
            port=port,
            only_feishu=only_feishu,
            webhook=webhook,
            data=data,
            app=replace(sandbox_run.read_app_options(faults, fresh=fresh), template_dir=template_dir),
            echo=click.echo,
        )
    )

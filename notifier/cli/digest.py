"""The digest commands. Heavy imports happen inside them."""

import json
import sys
from pathlib import Path

import click

from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    load_config,
    make_clock,
    open_database,
    print_error,
)
from notifier.operations.language import localized

FOR_OPTION = click.option(
    "--for", "day", required=True, help="A day in the period: 2026-11-23, today or yesterday."
)


@click.group()
def digest() -> None:
    """List, preview and send digests."""


@digest.command("list")
@CONFIG_OPTION
@CLOCK_OPTION
@JSON_OPTION
def list_digests(config_path: Path | None, clock_file: Path | None, *, as_json: bool) -> None:
    """List every digest with its next run and its last runs."""
    from notifier.operations import digests  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        found = digests.list_digests(database, loaded.config, make_clock(clock_file, config_path))
    if as_json:
        click.echo(digests.as_json(found))
        return
    nothing = localized(
        "There are no digests; config.example.yaml shows how to set one up.",
        "没有设置摘要；设置方法见 config.example.yaml。",
    )
    click.echo("\n\n".join(each.as_text() for each in found) or nothing)


@digest.command("preview")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("name")
@FOR_OPTION
@click.option("--account", help="For a referrer digest: the account. Default: the first with a change.")
@click.option("--json", "as_json", is_flag=True, help="Print the card's JSON; do not open the page.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 for any free port."
)
@click.option("--no-browser", is_flag=True, help="Print the page's address; do not open a browser.")
def preview_digest(
    config_path: Path | None,
    clock_file: Path | None,
    name: str,
    day: str,
    account: str | None,
    port: int,
    *,
    as_json: bool,
    no_browser: bool,
) -> None:
    """Show the card in the browser as it would be sent now. Sends nothing."""
    from notifier.operations import digests  # noqa: PLC0415 - see above

    loaded, clock = load_config(config_path), make_clock(clock_file, config_path)
    plan = digests.find_plan(loaded.config, name)
    period = digests.resolve_period(plan, day, clock)
    with open_database(loaded) as database:
        if account or not plan.groups:
            card, people = digests.make_personal_preview_card(
                database, loaded.config, plan, period, clock, account
            )
        else:
            figures = digests.compute_figures(database, loaded.config, plan, period, clock)
            card, people = (
                digests.make_preview_card(loaded.config, figures.digest, clock),
                digests.list_people(figures.digest),
            )
    if as_json:
        shown = digests.render_preview(loaded.config, card, clock)
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    from notifier.cards.templates import DIGEST_TEMPLATES, PERSONAL_TEMPLATES  # noqa: PLC0415 - see above
    from notifier.domain.delivery import CardVariant  # noqa: PLC0415 - see above
    from notifier.operations.preview.result import PreviewChoice  # noqa: PLC0415 - see above
    from notifier.operations.preview.server import serve_preview  # noqa: PLC0415 - see above
    from notifier.operations.preview.template_preview import FixedDataPreview  # noqa: PLC0415 - see above

    template = (PERSONAL_TEMPLATES if card.account_id else DIGEST_TEMPLATES)[CardVariant.FULL]
    title = f"{name} {period.label}"
    serve_preview(
        FixedDataPreview(loaded.config, template, {"card": card}, title=title, people=people),
        PreviewChoice(),
        port=port,
        is_watching=True,
        open_browser=not no_browser,
        echo=click.echo,
    )


@digest.command("send")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("name")
@FOR_OPTION
@click.option("--dry-run", is_flag=True, help="Print the figures; send nothing.")
@click.option("--again", is_flag=True, help="Send a period that was already sent, as a correction.")
def send_digest(
    config_path: Path | None, clock_file: Path | None, name: str, day: str, *, dry_run: bool, again: bool
) -> None:
    """Send a digest now. The running notifier delivers it."""
    from notifier.operations import digests  # noqa: PLC0415 - see above

    loaded, clock = load_config(config_path), make_clock(clock_file, config_path)
    plan = digests.find_plan(loaded.config, name)
    period = digests.resolve_period(plan, day, clock)
    with open_database(loaded) as database:
        if dry_run:
            for line in digests.preview_send(database, loaded.config, plan, period, clock):
                click.echo(line)
            return
        sent = digests.send_digest(database, loaded.config, plan, period, clock, again=again)
    for line in sent.lines:
        click.echo(line)
    if not sent.is_complete:
        print_error(localized("not everything was sent; see above.", "没有全部发送，见上。"))
        sys.exit(1)

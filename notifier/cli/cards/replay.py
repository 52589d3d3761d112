"""The replay command. Heavy imports happen inside it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from notifier.cli.colours import BAD, GOOD, paint
from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    TEMPLATES_OPTION,
    load_config,
    make_clock,
    open_database,
    print_error,
)
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.clock import Clock
    from notifier.config.settings import Config
    from notifier.operations.replay.replay import Replay
    from notifier.store.deliveries.corrections import CorrectionDelivery
    from notifier.store.engine.database import Database


@click.command()
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("identifier", metavar="EVENT_OR_DELIVERY")
@TEMPLATES_OPTION
@click.option("--json-diff", "with_json_diff", is_flag=True, help="Also compare the JSON of the cards.")
@JSON_OPTION
@click.option("--open", "is_opened", is_flag=True, help="Show both cards side by side in the browser.")
@click.option("--send", is_flag=True, help="Send the card of today as a correction, in the same chat.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Send without a question.")
def replay(  # noqa: PLR0913 - one argument per option
    config_path: Path | None,
    clock_file: Path | None,
    identifier: str,
    template_dir: Path | None,
    *,
    with_json_diff: bool,
    as_json: bool,
    is_opened: bool,
    send: bool,
    is_confirmed: bool,
) -> None:
    """Render the cards of an event or a delivery again, and compare them with what was sent."""
    from notifier.operations.replay import replay as operations  # noqa: PLC0415 - see above

    _check_options(template_dir, as_json=as_json, is_opened=is_opened, send=send, is_confirmed=is_confirmed)
    loaded = load_config(config_path, template_dir=template_dir)
    config = loaded.config
    with open_database(loaded) as database:
        clock = make_clock(clock_file, config_path, database)
        found = operations.replay(database, config, identifier, clock)
        if found is None:
            _exit_not_found(identifier)
        if not as_json:
            for line in operations.format_text(found, config, with_json_diff=with_json_diff):
                click.echo(_paint_line(line))
        sent = None
        if send:
            sent = _send(database, config, found, clock, is_confirmed=is_confirmed, is_quiet=as_json)
        if as_json:
            click.echo(operations.format_json(found, with_json_diff=with_json_diff, sent=sent))
    if is_opened and found.cards:
        _open_page(found)


def _open_page(found: "Replay") -> None:
    """Serve the page until Ctrl-C."""
    from notifier.operations.preview.result import PreviewChoice  # noqa: PLC0415 - see above
    from notifier.operations.preview.server import serve_preview  # noqa: PLC0415 - see above
    from notifier.operations.replay.page import ReplayPreview  # noqa: PLC0415 - see above

    serve_preview(
        ReplayPreview(found), PreviewChoice(), port=0, is_watching=False, open_browser=True, echo=click.echo
    )


def _check_options(
    template_dir: Path | None, *, as_json: bool, is_opened: bool, send: bool, is_confirmed: bool
) -> None:
    if is_opened and (send or as_json):
        raise click.UsageError(
            localized("Use --open without --send and --json.", "--open 不能与 --send 或 --json 同用。")
        )
    if send and template_dir is not None:
        raise click.UsageError(
            localized(
                "The running notifier sends with its own templates. Copy yours to cards.template_dir, then leave out "
                "--templates.",
                "运行中的服务使用自己的模板发送。请先把模板放进 cards.template_dir，再去掉 --templates。",
            )
        )
    if send and as_json and not is_confirmed:
        raise click.UsageError(
            localized("--send with --json needs --yes.", "--send 与 --json 同用时需要 --yes。")
        )


def _send(
    database: "Database",
    config: "Config",
    found: "Replay",
    clock: "Clock",
    *,
    is_confirmed: bool,
    is_quiet: bool,
) -> "list[CorrectionDelivery]":
    """Queue the corrections, after a question. Returns them."""
    from notifier.operations.replay import replay as operations  # noqa: PLC0415 - see above

    refusals = operations.list_refusals(found, config)
    if refusals:
        for refusal in refusals:
            print_error(refusal)
        print_error(localized("nothing is sent.", "没有发送。"))
        sys.exit(1)
    question = localized(
        f"Send {len(found.cards)} card(s) as a correction?", f"作为更正发送 {len(found.cards)} 张卡片？"
    )
    is_new = any(card.correction is None for card, _ in found.cards)
    if is_new and not is_confirmed:
        click.confirm(f"\n{question}", abort=True)
    lines, sent = operations.send(database, found, clock)
    for line in lines if not is_quiet else ():
        click.echo(line)
    return sent


def _exit_not_found(identifier: str) -> NoReturn:
    print_error(
        localized(
            f"there is no event or delivery {identifier}; `notifier events list` and `notifier deliveries list` "
            "show them.",
            f"没有事件或投递 {identifier}；列表见 `notifier events list` 和 `notifier deliveries list`。",
        )
    )
    sys.exit(1)


def _paint_line(line: str) -> str:
    if line.startswith(("---", "+++", "@@")):
        return line
    return paint(line, GOOD) if line.startswith("+") else paint(line, BAD) if line.startswith("-") else line

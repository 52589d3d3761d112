"""The delivery commands. Heavy imports happen inside them."""

from pathlib import Path

import click

from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    exit_unknown,
    exit_with_changed,
    list_options,
    load_config,
    make_clock,
    open_database,
)
from notifier.domain.card import Bilingual
from notifier.operations.language import localized

NOT_STALLED = Bilingual(
    zh="状态不是 dead 或 unknown，或没有这个投递；"
    "需要处理的见 `notifier deliveries list --state dead --state unknown`。",
    en="neither dead nor unknown, or there is no such delivery; "
    "`notifier deliveries list --state dead --state unknown` shows those that need attention.",
)


@click.group()
def deliveries() -> None:
    """List deliveries, and retry or drop those that failed."""


@deliveries.command("list")
@list_options(["waiting", "held", "ready", "sending", "sent", "unknown", "rerouted", "dead", "dropped"])
def list_deliveries(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List deliveries, newest first."""
    from notifier.operations import deliveries as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(
            operations.list_deliveries(
                database,
                make_clock(clock_file, config_path, database),
                states=states,
                limit=limit,
                as_json=as_json,
            )
        )


@deliveries.command("show")
@CONFIG_OPTION
@click.argument("delivery_id", type=int)
@JSON_OPTION
def show_delivery(config_path: Path | None, delivery_id: int, *, as_json: bool) -> None:
    """Show one delivery with its attempts and its content."""
    from notifier.operations import deliveries as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = operations.show_delivery(database, delivery_id, as_json=as_json)
    if shown is None:
        exit_unknown("delivery", delivery_id)
    click.echo(shown)


@deliveries.command("retry")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("delivery_ids", type=int, nargs=-1)
@click.option("--all-dead", is_flag=True, help="Retry all dead deliveries. Unknown ones are not retried.")
def retry_deliveries(
    config_path: Path | None, clock_file: Path | None, delivery_ids: tuple[int, ...], *, all_dead: bool
) -> None:
    """Send dead or unknown deliveries again, as new messages. An unknown one may then arrive twice."""
    from notifier.operations import deliveries as operations  # noqa: PLC0415 - see above

    if all_dead == bool(delivery_ids):
        raise click.UsageError(
            localized("Give delivery ids or --all-dead.", "请给出投递编号，或使用 --all-dead。")
        )
    with open_database(load_config(config_path)) as database:
        done, not_stalled = operations.retry_deliveries(
            database, make_clock(clock_file, config_path, database), None if all_dead else delivery_ids
        )
    exit_with_changed("will be sent again", "个投递将重新发送", done, not_stalled, NOT_STALLED)


@deliveries.command("drop")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("delivery_ids", type=int, nargs=-1, required=True)
def drop_deliveries(config_path: Path | None, clock_file: Path | None, delivery_ids: tuple[int, ...]) -> None:
    """Drop dead or unknown deliveries. They are not sent any more."""
    from notifier.operations import deliveries as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        done, not_stalled = operations.drop_deliveries(
            database, make_clock(clock_file, config_path, database), delivery_ids
        )
    exit_with_changed("dropped", "个投递已放弃", done, not_stalled, NOT_STALLED)

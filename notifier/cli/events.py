"""The event commands. Heavy imports happen inside them."""

from pathlib import Path

import click

from notifier.cli.context import (
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

NOT_QUARANTINED = Bilingual(
    zh="状态不是 quarantined，或没有这个事件；需要处理的见 `notifier events list --state quarantined`。",
    en="not quarantined, or there is no such event; "
    "`notifier events list --state quarantined` shows those that need attention.",
)


@click.group()
def events() -> None:
    """List stored events. Process a quarantined one again, or ignore it."""


@events.command("list")
@list_options(["new", "done", "ignored", "quarantined"])
def list_events(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List events, newest first."""
    from notifier.operations import events as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        clock = make_clock(clock_file, config_path, database)
        click.echo(operations.list_events(database, clock, states=states, limit=limit, as_json=as_json))


@events.command("show")
@CONFIG_OPTION
@click.argument("event_id", type=int)
@JSON_OPTION
def show_event(config_path: Path | None, event_id: int, *, as_json: bool) -> None:
    """Show one event with its payload, as Feishu sent it."""
    from notifier.operations import events as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = operations.show_event(database, event_id, as_json=as_json)
    if shown is None:
        exit_unknown("event", event_id)
    click.echo(shown)


@events.command("retry")
@CONFIG_OPTION
@click.argument("event_ids", type=int, nargs=-1, required=True)
def retry_events(config_path: Path | None, event_ids: tuple[int, ...]) -> None:
    """Process quarantined events again, for example after an upgrade."""
    from notifier.operations import events as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        done, others = operations.retry_events(database, event_ids)
    exit_with_changed("will be processed again", "个事件将重新处理", done, others, NOT_QUARANTINED)


@events.command("drop")
@CONFIG_OPTION
@click.argument("event_ids", type=int, nargs=-1, required=True)
def drop_events(config_path: Path | None, event_ids: tuple[int, ...]) -> None:
    """Ignore quarantined events. They stay stored until retention removes them."""
    from notifier.operations import events as operations  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        done, others = operations.drop_events(database, event_ids)
    exit_with_changed("ignored", "个事件已忽略", done, others, NOT_QUARANTINED)

"""The commands about payouts. Heavy imports happen inside them."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from notifier.cli.context import CONFIG_OPTION, load_config, open_database, print_error


@click.group()
def payouts() -> None:
    """What was withdrawn and must be paid: who has it, and what became of it."""


PAYOUT_STATES = click.Choice(["pending", "sent", "paid", "failed", "dead"])


@payouts.command("list")
@CONFIG_OPTION
@click.option(
    "--state", "states", multiple=True, type=PAYOUT_STATES, help="Only these; may be given several times."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_payouts(config_path: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """Newest first."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(payouts.list_payouts(database, states=states, limit=limit, as_json=as_json))


@payouts.command("show")
@CONFIG_OPTION
@click.argument("order_id")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_payout(config_path: Path | None, order_id: str, *, as_json: bool) -> None:
    """One payout with its audit trail."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = payouts.show_payout(database, order_id, as_json=as_json)
    if shown is None:
        _exit_unknown_payout(order_id)
    click.echo(shown)


@payouts.command("export")
@CONFIG_OPTION
@click.option("--since", help="A date or time, 2026-11-01 or 2026-11-01T08:00+08:00. Default: the beginning.")
@click.option("--until", help="Up to here and not including it. Default: now.")
@click.option(
    "--format", "output_format", default="csv", show_default=True, type=click.Choice(["csv", "json"])
)
@click.option("--again", is_flag=True, help="All of the period, whatever left before; changes nothing.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
def export_payouts(
    config_path: Path | None,
    since: str | None,
    until: str | None,
    output_format: str,
    output: Path | None,
    *,
    again: bool,
) -> None:
    """For a paying system that is not called: what was withdrawn and has not left yet. Each row leaves once."""
    from notifier.operations import payout_export  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    window = payout_export.parse_window(since, until, zone=loaded.config.cards.time_zone)
    if output is not None:
        payout_export.check_writable(output)
    with open_database(loaded) as database:
        has_payout_url = bool(loaded.config.payouts.url)
        batch = payout_export.export_payouts(database, window, again=again, has_payout_url=has_payout_url)
    text = payout_export.as_csv(batch.rows) if output_format == "csv" else payout_export.as_json(batch.rows)
    try:
        if output is None:
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()
        else:
            payout_export.write(output, text)
    except OSError as error:
        print_error(
            f"not all was written: {error.strerror}. What is marked as exported is listed by --again."
        )
        sys.exit(1)
    click.echo(batch.summary(again=again), err=True)


@payouts.command("mark")
@CONFIG_OPTION
@click.argument("order_id")
@click.argument("status", type=click.Choice(["paid", "failed"]))
@click.option("--reference", default="", help="The paying system's, at most 128 characters.")
@click.option("--reason", default="", help="Why it failed, at most 500 characters; the referrer reads it.")
def mark_payout(config_path: Path | None, order_id: str, status: str, reference: str, reason: str) -> None:
    """Say by hand what the paying system would report. The referrer is told."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        result = payouts.mark_payout(
            database, loaded.config, order_id=order_id, status=status, reference=reference, reason=reason
        )
    if result is None:
        _exit_unknown_payout(order_id)
    if not result.is_ok:
        print_error(result.text)
        sys.exit(1)
    click.echo(result.text)


@payouts.command("retry")
@CONFIG_OPTION
@click.argument("order_ids", nargs=-1)
@click.option("--all-dead", is_flag=True, help="All that were given up.")
def retry_payouts(config_path: Path | None, order_ids: tuple[str, ...], *, all_dead: bool) -> None:
    """Hand those over again that were given up, with the same key and the same words."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    if all_dead == bool(order_ids):
        raise click.UsageError("Name the payouts, or say --all-dead.")
    loaded = load_config(config_path)
    if not loaded.config.payouts.url:
        raise click.UsageError(
            "payouts.url is not set, so nothing is handed over; `notifier payouts export` takes what waits."
        )
    with open_database(loaded) as database:
        done, not_dead = payouts.retry_payouts(database, None if all_dead else order_ids)
    click.echo(f"{len(done)} will be handed over again{': ' + ', '.join(done) if done else ''}.")
    if not_dead:
        print_error(
            f"{', '.join(not_dead)}: not given up, or unknown; `notifier payouts list --state dead` shows those."
        )
        sys.exit(1)


def _exit_unknown_payout(order_id: str) -> NoReturn:
    print_error(f"there is no payout {order_id}; `notifier payouts list` shows them.")
    sys.exit(1)

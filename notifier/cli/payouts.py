"""The payout commands. Heavy imports happen inside them."""

import sys
from pathlib import Path

import click

from notifier.cli.context import (
    CLOCK_OPTION,
    CONFIG_OPTION,
    JSON_OPTION,
    exit_unknown,
    list_options,
    load_config,
    make_clock,
    open_database,
    print_error,
)


@click.group()
def payouts() -> None:
    """List and export payouts, record their results, and retry them."""


@payouts.command("list")
@list_options(["pending", "sent", "paid", "failed", "dead"])
def list_payouts(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List payouts, newest first."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(
            payouts.list_payouts(
                database, make_clock(clock_file), states=states, limit=limit, as_json=as_json
            )
        )


@payouts.command("show")
@CONFIG_OPTION
@click.argument("order_id")
@JSON_OPTION
def show_payout(config_path: Path | None, order_id: str, *, as_json: bool) -> None:
    """Show one payout with its audit trail."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = payouts.show_payout(database, order_id, as_json=as_json)
    if shown is None:
        exit_unknown("payout", order_id)
    click.echo(shown)


@payouts.command("export")
@CONFIG_OPTION
@CLOCK_OPTION
@click.option("--since", help="First time, such as 2026-11-01 or 2026-11-01T08:00+08:00. Default: no limit.")
@click.option("--until", help="End time, exclusive. Default: now.")
@click.option(
    "--format", "output_format", default="csv", show_default=True, type=click.Choice(["csv", "json"])
)
@click.option("--again", is_flag=True, help="Export the whole period again. Changes nothing.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Output file. Default: standard output."
)
def export_payouts(
    config_path: Path | None,
    clock_file: Path | None,
    since: str | None,
    until: str | None,
    output_format: str,
    output: Path | None,
    *,
    again: bool,
) -> None:
    """Export payouts for a payroll system without an API. Each payout is exported once."""
    from notifier.operations import payout_export  # noqa: PLC0415 - see above

    loaded, clock = load_config(config_path), make_clock(clock_file)
    window = payout_export.parse_window(since, until, clock, zone=loaded.config.cards.time_zone)
    if output is not None:
        payout_export.check_writable(output)
    with open_database(loaded) as database:
        has_payout_url = bool(loaded.config.payouts.url)
        batch = payout_export.export_payouts(
            database, window, clock, again=again, has_payout_url=has_payout_url
        )
    text = payout_export.as_csv(batch.rows) if output_format == "csv" else payout_export.as_json(batch.rows)
    try:
        if output is None:
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()
        else:
            payout_export.write(output, text)
    except OSError as error:
        print_error(f"not all was written: {error.strerror}. They are marked as exported; use --again.")
        sys.exit(1)
    click.echo(batch.summary(again=again), err=True)


@payouts.command("mark")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("order_id")
@click.argument("status", type=click.Choice(["paid", "failed"]))
@click.option("--reference", default="", help="Reference of the payroll system, at most 128 characters.")
@click.option("--reason", default="", help="Why it failed, at most 500 characters. Shown to the referrer.")
def mark_payout(
    config_path: Path | None,
    clock_file: Path | None,
    order_id: str,
    status: str,
    reference: str,
    reason: str,
) -> None:
    """Record the result of a payout manually. The referrer is notified."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        result = payouts.mark_payout(
            database,
            loaded.config,
            make_clock(clock_file),
            order_id=order_id,
            status=status,
            reference=reference,
            reason=reason,
        )
    if result is None:
        exit_unknown("payout", order_id)
    if not result.is_ok:
        print_error(result.text)
        sys.exit(1)
    click.echo(result.text)


@payouts.command("retry")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("order_ids", nargs=-1)
@click.option("--all-dead", is_flag=True, help="Retry all dead payouts.")
def retry_payouts(
    config_path: Path | None, clock_file: Path | None, order_ids: tuple[str, ...], *, all_dead: bool
) -> None:
    """Submit dead payouts again, with the same idempotency key and the same body."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    if all_dead == bool(order_ids):
        raise click.UsageError("Give order ids or --all-dead.")
    loaded = load_config(config_path)
    if not loaded.config.payouts.url:
        raise click.UsageError(
            "payouts.url is not set, so nothing is submitted; use `notifier payouts export`."
        )
    with open_database(loaded) as database:
        done, not_dead = payouts.retry_payouts(
            database, make_clock(clock_file), None if all_dead else order_ids
        )
    click.echo(f"{len(done)} will be submitted again{': ' + ', '.join(done) if done else ''}.")
    if not_dead:
        print_error(
            f"{', '.join(not_dead)}: not dead, or no such payout; `notifier payouts list --state dead` shows those."
        )
        sys.exit(1)

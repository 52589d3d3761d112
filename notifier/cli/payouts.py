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
from notifier.operations.language import localized


@click.group()
def payouts() -> None:
    """List and export payouts, record their results, and retry them."""


@payouts.command("list")
@list_options(["unconfirmed", "pending", "submitting", "sent", "paid", "failed", "dead", "unknown"])
def list_payouts(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List payouts, newest first."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(
            payouts.list_payouts(
                database,
                make_clock(clock_file, config_path, database),
                states=states,
                limit=limit,
                as_json=as_json,
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
    "--include-unknown",
    is_flag=True,
    help="Also export payouts that the payroll system may have paid already. Ask its team first.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("-"),
    help="Output file, pipe or device. Default: standard output.",
)
def export_payouts(
    config_path: Path | None,
    clock_file: Path | None,
    since: str | None,
    until: str | None,
    output_format: str,
    output: Path,
    *,
    again: bool,
    include_unknown: bool,
) -> None:
    """Export payouts for a payroll system without an API. Each payout is exported once."""
    from notifier.operations import payout_export  # noqa: PLC0415 - see above

    loaded, clock = load_config(config_path), make_clock(clock_file, config_path)
    window = payout_export.parse_window(since, until, clock, zone=loaded.config.cards.time_zone)
    payout_export.check_writable(output)
    with open_database(loaded) as database:
        wanted = payout_export.make_filter(
            database,
            window,
            has_payout_url=bool(loaded.config.payouts.url),
            include_unknown=include_unknown,
            again=again,
        )
        try:
            exported = payout_export.export_payouts(
                database,
                wanted,
                clock,
                output=output,
                output_format=output_format,
                progress=_show_progress,
            )
        except payout_export.ExportFailedError as error:
            print_error(str(error))
            sys.exit(1)
    if exported.count >= payout_export.PAGE and sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)  # in place of the progress
    click.echo(exported.summary(), err=True)
    if exported.changed:
        sys.exit(1)


def _show_progress(count: int) -> None:
    """On a terminal, the number of payouts so far, in a line that changes."""
    if sys.stderr.isatty():
        click.echo("\r" + localized(f"{count:,} payouts", f"{count:,} 笔付款"), nl=False, err=True)


@payouts.command("confirm")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("order_id")
def confirm_payout(config_path: Path | None, clock_file: Path | None, order_id: str) -> None:
    """Confirm the amounts of a payout for which Feishu named none. It is then submitted or exported."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        confirmed = payouts.confirm_payout(database, make_clock(clock_file, config_path, database), order_id)
    if not confirmed:
        print_error(
            localized(
                f"{order_id} is not to be confirmed; see `notifier payouts list --state unconfirmed`.",
                f"{order_id} 不需要确认；待确认的见 `notifier payouts list --state unconfirmed`。",
            )
        )
        sys.exit(1)
    click.echo(localized(f"{order_id} is confirmed.", f"{order_id} 已确认。"))


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

    if status == "failed" and not reason.strip():
        raise click.UsageError(
            localized(
                "Say why with --reason; the referrer and HR read it.",
                "请用 --reason 说明原因，内推人和 HR 会看到。",
            )
        )

    loaded = load_config(config_path)
    with open_database(loaded) as database:
        result = payouts.mark_payout(
            database,
            loaded.config,
            make_clock(clock_file, config_path, database),
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
    """Submit dead and unknown payouts again, with the same idempotency key and the same body."""
    from notifier.operations import payouts  # noqa: PLC0415 - see above

    if all_dead == bool(order_ids):
        raise click.UsageError(
            localized("Give order ids or --all-dead.", "请给出订单号，或使用 --all-dead。")
        )
    loaded = load_config(config_path)
    if not loaded.config.payouts.url:
        raise click.UsageError(
            localized(
                "payouts.url is not set, so nothing is submitted; use `notifier payouts export`.",
                "没有设置 payouts.url，不会提交付款；请使用 `notifier payouts export`。",
            )
        )
    with open_database(loaded) as database:
        done, not_dead = payouts.retry_payouts(
            database, make_clock(clock_file, config_path, database), None if all_dead else order_ids
        )
    ids = ", ".join(done)
    click.echo(
        localized(
            f"{len(done)} will be submitted again{': ' + ids if ids else ''}.",
            f"{len(done)} 笔付款将重新提交{'：' + ids if ids else ''}。",
        )
    )
    if not_dead:
        print_error(
            localized(
                f"{', '.join(not_dead)}: neither dead nor unknown, or no such payout; see `notifier payouts list`.",
                f"{', '.join(not_dead)}：状态不是 dead 或 unknown，或没有这笔付款；见 `notifier payouts list`。",
            )
        )
        sys.exit(1)

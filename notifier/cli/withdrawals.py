"""The withdrawal commands. Heavy imports happen inside them."""

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
def withdrawals() -> None:
    """List withdrawals, and retry one that is waiting."""


@withdrawals.command("list")
@list_options(["requested", "withdrawn", "amount_changed", "nothing", "refused", "ended"])
def list_withdrawals(
    config_path: Path | None, clock_file: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool
) -> None:
    """List withdrawals, newest first."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(
            withdrawals.list_withdrawals(
                database,
                make_clock(clock_file, config_path, database),
                states=states,
                limit=limit,
                as_json=as_json,
            )
        )


@withdrawals.command("show")
@CONFIG_OPTION
@click.argument("order_id")
@JSON_OPTION
def show_withdrawal(config_path: Path | None, order_id: str, *, as_json: bool) -> None:
    """Show one withdrawal with its audit trail."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = withdrawals.show_withdrawal(database, order_id, as_json=as_json)
    if shown is None:
        exit_unknown("withdrawal", order_id)
    click.echo(shown)


@withdrawals.command("resume")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("order_id")
def resume_withdrawal(config_path: Path | None, clock_file: Path | None, order_id: str) -> None:
    """Retry a waiting withdrawal now, with the same order id."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        resumed = withdrawals.resume_withdrawal(
            database, make_clock(clock_file, config_path, database), order_id
        )
    if not resumed:
        print_error(
            localized(
                f"{order_id} is not waiting; `notifier withdrawals list --state requested` shows those.",
                f"{order_id} 不在等待中；等待中的见 `notifier withdrawals list --state requested`。",
            )
        )
        sys.exit(1)
    click.echo(
        localized(
            f"{order_id} is retried now, with the same order id.",
            f"{order_id} 将立即重试，仍使用同一订单号。",
        )
    )


@withdrawals.command("end")
@CONFIG_OPTION
@CLOCK_OPTION
@click.argument("order_id")
@click.option(
    "--nothing-moved", is_flag=True, help="You have seen in Feishu Hire that nothing was withdrawn."
)
@click.option(
    "--withdrawn",
    "is_withdrawn",
    is_flag=True,
    help="You have seen in Feishu Hire that the agreed amounts were withdrawn. They become a payout.",
)
def end_withdrawal(
    config_path: Path | None,
    clock_file: Path | None,
    order_id: str,
    *,
    nothing_moved: bool,
    is_withdrawn: bool,
) -> None:
    """End a withdrawal without a result, so that its account can be withdrawn from again."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    if nothing_moved == is_withdrawn:
        raise click.UsageError(
            localized(
                "Look in Feishu Hire whether the balance was withdrawn. If it was not, add --nothing-moved. If it was, "
                "add --withdrawn.",
                "请先在飞书招聘中确认余额是否已提现：未提现请加 --nothing-moved，已提现请加 --withdrawn。",
            )
        )
    loaded = load_config(config_path)
    with open_database(loaded) as database:
        ended = withdrawals.end_withdrawal(
            database,
            loaded.config,
            make_clock(clock_file, config_path, database),
            order_id,
            is_withdrawn=is_withdrawn,
        )
    if not ended.is_ok:
        print_error(ended.text)
        sys.exit(1)
    click.echo(ended.text)

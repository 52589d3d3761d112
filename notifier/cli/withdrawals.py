"""The commands about withdrawals. Heavy imports happen inside them."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from notifier.cli.context import CONFIG_OPTION, load_config, open_database, print_error


@click.group()
def withdrawals() -> None:
    """Look at withdrawals, and hurry one that waits."""


@withdrawals.command("list")
@CONFIG_OPTION
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["requested", "withdrawn", "nothing", "refused"]),
    help="Only these; may be given several times.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_withdrawals(config_path: Path | None, states: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """Newest first."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(withdrawals.list_withdrawals(database, states=states, limit=limit, as_json=as_json))


@withdrawals.command("show")
@CONFIG_OPTION
@click.argument("order_id")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show_withdrawal(config_path: Path | None, order_id: str, *, as_json: bool) -> None:
    """One withdrawal with its audit trail."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        shown = withdrawals.show_withdrawal(database, order_id, as_json=as_json)
    if shown is None:
        _exit_unknown_withdrawal(order_id)
    click.echo(shown)


@withdrawals.command("resume")
@CONFIG_OPTION
@click.argument("order_id")
def resume_withdrawal(config_path: Path | None, order_id: str) -> None:
    """Ask Feishu again now, with the same order id."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        resumed = withdrawals.resume_withdrawal(database, order_id)
    if not resumed:
        print_error(f"{order_id} is not waiting; `notifier withdrawals list --state requested` shows those.")
        sys.exit(1)
    click.echo(f"{order_id} is asked again now, with the same order id.")


def _exit_unknown_withdrawal(order_id: str) -> NoReturn:
    print_error(f"there is no withdrawal {order_id}; `notifier withdrawals list` shows them.")
    sys.exit(1)

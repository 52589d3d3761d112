"""The audit command. Heavy imports happen inside it."""

from pathlib import Path

import click

from notifier.cli.context import CONFIG_OPTION, JSON_OPTION, load_config, open_database


@click.command()
@CONFIG_OPTION
@click.option("--account", "account_id", help="Show only this referral account.")
@click.option("--order", "order_id", help="Show only this withdrawal.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@JSON_OPTION
def audit(
    config_path: Path | None, account_id: str | None, order_id: str | None, limit: int, *, as_json: bool
) -> None:
    """Show the audit trail: clicks, refusals, withdrawals and payouts. Newest first."""
    from notifier.operations import withdrawals  # noqa: PLC0415 - see above

    with open_database(load_config(config_path)) as database:
        click.echo(
            withdrawals.list_audit_entries(
                database, account_id=account_id, order_id=order_id, limit=limit, as_json=as_json
            )
        )

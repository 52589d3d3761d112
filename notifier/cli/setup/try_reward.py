"""The commands `notifier try`: they change rewards of a test app. Heavy imports happen inside them."""

import asyncio
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.context import CONFIG_OPTION, load_config, naming_config_source
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.operations.setup.try_reward import RewardTrial


@click.group("try")
def try_group() -> None:
    """Try the service with real calls. Only on an app with feishu.environment: test."""


@try_group.command("reward")
@CONFIG_OPTION
@click.option("--account", "account_id", help="The referral account that gets the reward.")
@click.option("--points", type=click.IntRange(1, 1_000_000), help="Number of points. Default: 1.")
@click.option("--cash", help="Amount of cash instead of points, such as 12.50.")
@click.option("--currency", default="CNY", show_default=True, help="Currency of --cash.")
@click.option("--talent", "talent_id", default="", help="The candidate that the reward is for.")
@click.option("--application", "application_id", default="", help="The application that the reward is for.")
@click.option(
    "--wait",
    "wait_seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="In seconds.",
)
@click.option("--keep", is_flag=True, help="Do not delete the reward afterwards.")
@click.option("--explain", is_flag=True, help="Print what it does and needs. Call nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def try_reward(  # noqa: PLR0913 - one argument per option
    config_path: Path | None,
    account_id: str | None,
    points: int | None,
    cash: str | None,
    currency: str,
    talent_id: str,
    application_id: str,
    wait_seconds: float,
    *,
    keep: bool,
    explain: bool,
    yes: bool,
) -> None:
    """Import a reward, wait for its card, and delete the reward again."""
    from notifier.domain.money import POINTS, Asset, Kind  # noqa: PLC0415 - see above
    from notifier.operations.setup import try_reward as operations  # noqa: PLC0415 - see above

    if points is not None and cash is not None:
        raise click.UsageError(
            localized("Choose one of --points and --cash.", "--points 和 --cash 只能选一个。")
        )
    if not explain and account_id is None:
        raise click.UsageError(
            localized(
                "Add --account; `notifier accounts list` shows them.",
                "请加上 --account；列表见 `notifier accounts list`。",
            )
        )
    loaded = load_config(config_path, credentials=not explain)
    trial = operations.RewardTrial(
        account_id=account_id or "ACCOUNT",
        asset=POINTS if cash is None else Asset(Kind.CASH, currency.upper()),
        amount=Decimal(points or 1) if cash is None else _parse_cash(cash),
        application_id=application_id,
        talent_id=talent_id,
        wait_seconds=wait_seconds,
        is_kept=keep,
    )
    if explain:
        click.echo("\n".join(operations.explain_trial(loaded.config, trial)))
        return
    with naming_config_source(loaded):
        operations.require_test_app(loaded.config)
    _confirm("\n".join(operations.explain_trial(loaded.config, trial)), trial, yes=yes)
    with operations.watch_cards(loaded.config, trial.account_id) as cards:
        is_ok = asyncio.run(operations.try_reward(loaded.config, trial, cards, click.echo))
    sys.exit(0 if is_ok else 1)


def _parse_cash(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount <= 1_000_000 or amount != round(amount, 2):
        raise click.UsageError(
            localized(
                "--cash: write an amount above 0 with two decimals at most, such as 12.50.",
                "--cash：请填大于 0、最多两位小数的金额，例如 12.50。",
            )
        )
    return amount


def _confirm(explanation: str, trial: "RewardTrial", *, yes: bool) -> None:
    """Ask before the first call. Without a terminal, everything must be given by options."""
    is_interactive = sys.stdin.isatty() and sys.stderr.isatty()
    if not trial.talent_id and not trial.application_id:
        raise click.UsageError(
            localized(
                "Add --talent or --application: Feishu accepts a reward for a candidate only. --explain says more.",
                "请加上 --talent 或 --application：飞书要求奖励对应一位候选人。详见 --explain。",
            )
        )
    if yes:
        return
    if not is_interactive:
        raise click.UsageError(localized("Without a terminal, add --yes.", "没有终端时请加上 --yes。"))
    click.echo(explanation, err=True)
    click.confirm(localized("Go on?", "继续吗？"), abort=True, err=True)


@try_group.command("delete-reward")
@CONFIG_OPTION
@click.argument("reward_id")
def delete_reward(config_path: Path | None, reward_id: str) -> None:
    """Delete a reward that `notifier try reward` left behind."""
    from notifier.operations.setup import try_reward as operations  # noqa: PLC0415 - see above

    loaded = load_config(config_path, credentials=True)
    with naming_config_source(loaded):
        operations.require_test_app(loaded.config)
    is_deleted = asyncio.run(operations.delete_reward(loaded.config, reward_id, click.echo))
    sys.exit(0 if is_deleted else 1)

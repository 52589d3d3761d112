"""`notifier try reward`: imports a reward on a test app, waits for its card, and deletes the reward again."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.account import AccountState
from notifier.domain.money import Asset, Kind
from notifier.errors import (
    AccountUnknown,
    CallError,
    ConfigError,
    NotifierError,
    OutcomeUnknown,
    Refused,
    TemporaryFailure,
)
from notifier.feishu import external_rewards
from notifier.feishu.api import FeishuApi
from notifier.feishu.external_rewards import NewReward
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.operations.formatting import format_amounts
from notifier.operations.language import localized
from notifier.operations.stored_texts import DELIVERY_STATES, describe_error, name_state
from notifier.runtime import factories
from notifier.store.deliveries import delivery_admin
from notifier.store.deliveries.delivery_admin import DeliveryRow
from notifier.store.engine.database import Database

TEST = "test"
SCOPE_MISSING = 99991672
POLL_SECONDS = 1.0
IMPORT_TRIES = 3
FINAL_STATES = frozenset({"sent", "unknown", "rerouted", "dead", "dropped"})
Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTrial:
    """What to try."""

    account_id: str
    """The referral account that gets the reward."""
    asset: Asset
    """Points, or cash in a currency."""
    amount: Decimal
    """How much."""
    application_id: str = ""
    """The application that the reward is for."""
    talent_id: str = ""
    """The candidate that the reward is for. One of the two is required."""
    wait_seconds: float = 60.0
    """How long to wait for the balance, and for the card."""
    is_kept: bool = False
    """Whether the reward stays."""


def require_test_app(config: Config) -> None:
    """Raises ConfigError if the app is not marked as a test app."""
    if config.feishu.environment != TEST:
        raise ConfigError(
            localized(
                "feishu.environment: is production, so no reward is changed. Use another app for tests, and set "
                "feishu.environment: test in its configuration.",
                "feishu.environment：当前为 production，不会改动任何奖励。请使用单独的测试应用，并在其配置中设置 "
                "feishu.environment: test。",
            )
        )


def explain_trial(config: Config, trial: RewardTrial) -> list[str]:
    """Return what the trial does and needs, without a call."""
    amount = format_amounts({trial.asset: trial.amount})
    steps = [
        localized(
            f"1. Reads account {trial.account_id} and its referrer.",
            f"1. 读取账户 {trial.account_id} 及其内推人。",
        ),
        localized(
            f"2. Imports a confirmed external reward of {amount} (POST {external_rewards.PATH}).",
            f"2. 导入一笔已确认的外部奖励 {amount}（POST {external_rewards.PATH}）。",
        ),
        localized(
            "3. Waits for the new balance. Feishu sends the event to `notifier run`, which sends the card.",
            "3. 等待余额变动。飞书把事件推送给 `notifier run`，由它发送卡片。",
        ),
        localized(
            f"4. Deletes the reward again (DELETE {external_rewards.PATH}/ID). Whether Feishu sends an event for it is "
            "not documented: expect a second card.",
            f"4. 删除这笔奖励（DELETE {external_rewards.PATH}/ID）。删除后飞书是否推送事件，文档没有说明："
            "可能会再收到一张卡片。",
        ),
        localized(
            f"It needs the scope {external_rewards.SCOPE} in a published version, an account that this app registered, "
            "and a candidate: --talent or --application. Its number is in the address of the candidate's page in "
            "Feishu Hire.",
            f"需要：已发布版本中有权限 {external_rewards.SCOPE}；账户由本应用注册；以及一位候选人（--talent 或 "
            "--application），编号见飞书招聘候选人页面的网址。",
        ),
    ]
    if config.feishu.environment != TEST:
        steps.append(
            localized(
                "It refuses now, because feishu.environment is not test.",
                "当前会拒绝执行，因为 feishu.environment 不是 test。",
            )
        )
    return steps


class CardWatch:
    """Finds the card of the trial in the database of the running notifier."""

    def __init__(self, database: Database, account_id: str) -> None:
        self._database = database
        self._account_id = account_id
        self._newest_before = max((row.id for row in self._rows()), default=0)

    def find(self) -> DeliveryRow | None:
        """Return the first delivery for the account since the start; None: there is none yet."""
        found = [
            row for row in self._rows() if row.id > self._newest_before and row.account_id == self._account_id
        ]
        return min(found, key=lambda row: row.id, default=None)

    def _rows(self) -> list[DeliveryRow]:
        with self._database.read() as connection:
            return list(delivery_admin.list_deliveries(connection, states=(), limit=100))


@contextmanager
def watch_cards(config: Config, account_id: str) -> Iterator[CardWatch | None]:
    """Open the database of the notifier; None if it cannot be opened here."""
    try:
        database = Database.open(config.store.url, must_exist=True)
    except NotifierError:
        yield None
        return
    try:
        yield CardWatch(database, account_id)
    finally:
        database.close()


async def try_reward(config: Config, trial: RewardTrial, cards: CardWatch | None, echo: Echo) -> bool:
    """Import the reward, wait for its effects, and delete it, also after an error or Ctrl-C.

    cards: None if the database is not at hand. Returns whether the balance changed and, with a database, the card was
    sent. Raises CallError, ConfigError.
    """
    require_test_app(config)
    async with FeishuApi(factories.make_app_access(config), SystemClock()) as api:
        accounts = FeishuReferralAccounts(api)
        before = await _read_account(accounts, trial.account_id)
        reward = _make_reward(trial, before)
        importing = asyncio.ensure_future(_import(api, reward))
        try:
            reward_id = await asyncio.shield(importing)
            echo(
                localized(
                    f"Imported reward {reward_id}: {format_amounts({trial.asset: trial.amount})}.",
                    f"已导入奖励 {reward_id}：{format_amounts({trial.asset: trial.amount})}。",
                )
            )
            is_ok = await _wait_for_balance(accounts, trial, before, echo)
            return await _wait_for_card(cards, trial, echo) and is_ok
        finally:
            await _clean_up(api, importing, trial, echo)


async def _read_account(accounts: FeishuReferralAccounts, account_id: str) -> AccountState:
    try:
        return await accounts.read(account_id)
    except AccountUnknown:
        raise ConfigError(
            localized(
                f"--account: Feishu knows no account {account_id} of this app (code 1002553). "
                "`notifier accounts list` shows those that are registered.",
                f"--account：飞书没有本应用的账户 {account_id}（错误码 1002553）。已注册的账户见 "
                "`notifier accounts list`。",
            )
        ) from None


def _make_reward(trial: RewardTrial, state: AccountState) -> NewReward:
    if state.referrer is None:
        raise ConfigError(
            localized(
                f"--account: Feishu names no referrer of account {trial.account_id}.",
                f"--account：飞书没有返回账户 {trial.account_id} 的内推人。",
            )
        )
    if not state.is_active:
        raise ConfigError(
            localized(
                f"--account: account {trial.account_id} is deactivated, so Feishu sends no event. Run `notifier "
                f"accounts enable {trial.account_id}`.",
                f"--account：账户 {trial.account_id} 已停用，飞书不会推送事件。请运行 `notifier accounts enable "
                f"{trial.account_id}`。",
            )
        )
    return NewReward(
        external_id=f"notifier-try-{uuid.uuid4().hex}",
        referrer_open_id=state.referrer.open_id,
        asset=trial.asset,
        amount=trial.amount,
        application_id=trial.application_id,
        talent_id=trial.talent_id,
    )


async def _import(api: FeishuApi, reward: NewReward) -> str:
    """Import the reward. A call without a clear answer is repeated with the same external id."""
    for number in range(1, IMPORT_TRIES + 1):
        try:
            return await external_rewards.import_reward(api, reward)
        except Refused as error:
            raise _explain_refusal(error, reward.asset) from error
        except (OutcomeUnknown, TemporaryFailure) as error:
            if number == IMPORT_TRIES:
                raise OutcomeUnknown(
                    localized(
                        f"{error.reason}. Look in Feishu Hire for an external reward with the id {reward.external_id}",
                        f"{describe_error(error)}。请在飞书招聘中查找外部编号为 {reward.external_id} 的奖励",
                    ),
                    code=error.code,
                    log_id=error.log_id,
                ) from error
            await asyncio.sleep(error.retry_after_seconds or POLL_SECONDS)
    raise AssertionError("unreachable")


def _explain_refusal(error: Refused, asset: Asset) -> ConfigError:
    if error.code == SCOPE_MISSING:
        return ConfigError(
            localized(
                f"the scope {external_rewards.SCOPE} is missing, or no version with it is published (code "
                f"{error.code}). Add it under Permissions & Scopes, then publish a version.",
                f"缺少权限 {external_rewards.SCOPE}，或含该权限的版本尚未发布（错误码 {error.code}）。"
                "请在“权限管理”中开通，然后创建版本并发布。",
            )
        )
    given = "--points" if asset.kind is Kind.POINTS else f"--cash, --currency {asset.currency}"
    return ConfigError(
        localized(
            f"Feishu refuses the reward ({error}). Check --talent or --application, and {given}.",
            f"飞书拒绝了这笔奖励（{error}）。请核对 --talent 或 --application，以及 {given}。",
        )
    )


async def _wait_for_balance(
    accounts: FeishuReferralAccounts, trial: RewardTrial, before: AccountState, echo: Echo
) -> bool:
    end = time.monotonic() + trial.wait_seconds
    while time.monotonic() < end:
        try:
            state = await accounts.read(trial.account_id)
        except (OutcomeUnknown, TemporaryFailure):
            state = before
        if state.amounts != before.amounts:
            old, new = format_amounts(before.amounts), format_amounts(state.amounts)
            echo(localized(f"Balance: {old} -> {new}.", f"余额：{old} -> {new}。"))
            return True
        await asyncio.sleep(POLL_SECONDS)
    echo(
        localized(
            f"The balance did not change within {trial.wait_seconds:g} s. Look in Feishu Hire for the reward.",
            f"{trial.wait_seconds:g} 秒内余额没有变动，请在飞书招聘中查看这笔奖励。",
        )
    )
    return False


async def _wait_for_card(cards: CardWatch | None, trial: RewardTrial, echo: Echo) -> bool:
    """Whether the card was sent; True if the database is not at hand."""
    if cards is None:
        echo(
            localized(
                "The database of the notifier is not on this machine: look for the card in Feishu.",
                "本机没有服务的数据库：请在飞书中查看是否收到卡片。",
            )
        )
        return True
    end = time.monotonic() + trial.wait_seconds
    found: DeliveryRow | None = None
    while time.monotonic() < end:
        found = await asyncio.to_thread(cards.find)
        if found is not None and found.state in FINAL_STATES:
            break
        await asyncio.sleep(POLL_SECONDS / 4)
    if found is None:
        echo(
            localized(
                f"No event within {trial.wait_seconds:g} s. Does `notifier run` run? `notifier doctor` says why.",
                f"{trial.wait_seconds:g} 秒内没有收到事件。`notifier run` 在运行吗？可用 `notifier doctor` 查找原因。",
            )
        )
        return False
    echo(
        localized(
            f"Card: delivery {found.id} to {found.target} is {found.state}.",
            f"卡片：投递 {found.id}（{found.target}）的状态为{name_state(found.state, DELIVERY_STATES)}。",
        )
    )
    return found.state == "sent"


async def _clean_up(api: FeishuApi, importing: "asyncio.Future[str]", trial: RewardTrial, echo: Echo) -> None:
    """Delete the reward if it was imported. An import that was interrupted is awaited first."""
    try:
        reward_id = await importing
    except CallError:
        return
    if trial.is_kept:
        echo(
            localized(
                f"It stays. Delete it with `notifier try delete-reward {reward_id}`.",
                f"奖励已保留。删除：`notifier try delete-reward {reward_id}`。",
            )
        )
        return
    await _delete(api, reward_id, echo)


async def _delete(api: FeishuApi, reward_id: str, echo: Echo) -> bool:
    try:
        await external_rewards.delete_reward(api, reward_id)
    except Refused as error:
        echo(
            localized(
                f"Reward {reward_id} was NOT deleted: Feishu refuses it (code {error.code}). It may not exist any "
                f"more: look in Feishu Hire. If it does, try `notifier try delete-reward {reward_id}`.",
                f"奖励 {reward_id} 未删除：飞书拒绝了请求（错误码 {error.code}）。可能已不存在，请在飞书招聘中核对；"
                f"若仍存在，请运行 `notifier try delete-reward {reward_id}`。",
            )
        )
        return False
    except CallError as error:
        echo(
            localized(
                f"Reward {reward_id} was NOT deleted: {error}. Try `notifier try delete-reward {reward_id}`, or delete "
                "it in Feishu Hire.",
                f"奖励 {reward_id} 未删除：{describe_error(error)}。请运行 `notifier try delete-reward {reward_id}`，"
                "或在飞书招聘中删除。",
            )
        )
        return False
    echo(localized(f"Deleted reward {reward_id}.", f"已删除奖励 {reward_id}。"))
    return True


async def delete_reward(config: Config, reward_id: str, echo: Echo) -> bool:
    """Delete an imported reward. Returns whether Feishu did. Raises ConfigError, and CallError without a token."""
    require_test_app(config)
    async with FeishuApi(factories.make_app_access(config), SystemClock()) as api:
        await api.token()
        return await _delete(api, reward_id, echo)

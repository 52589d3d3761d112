"""Checks of the running process, and of what has arrived and was sent so far: accounts, last event, last card."""

from collections.abc import Sequence

from notifier.clock import from_millis
from notifier.config.fingerprint import compute_fingerprint
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.errors import AccountUnknown, CallError
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.operations.doctor.findings import Finding, ok, problem, unknown
from notifier.store.probe import SetupFacts
from notifier.store.processes.workers import WorkerRow

HISTORY_IDS = ("process", "accounts", "last_event", "last_card")
REGISTER = Bilingual(
    zh="注册内推人：notifier accounts import people.csv（飞书只为本应用注册的账户推送事件）",
    en="register the referrers: `notifier accounts import people.csv` (Feishu sends events only for accounts that this "
    "app registered)",
)


def examine_process(config: Config, live: Sequence[WorkerRow]) -> Finding:
    """Whether a notifier runs, with this configuration. live: the processes that run on the database."""
    if not live:
        return unknown(
            "process",
            "没有运行中的服务",
            "no notifier runs on this database",
            Bilingual(zh="启动 notifier run", en="start `notifier run`"),
        )
    names = "、".join(each.name for each in live), ", ".join(each.name for each in live)
    has_secret = bool(config.feishu.app_secret.get_secret_value())
    wanted = compute_fingerprint(config) if has_secret else ""
    outdated = [each for each in live if wanted and each.config_fingerprint != wanted]
    if not outdated:
        return ok("process", f"运行中的服务：{names[0]}", f"running: {names[1]}")
    return problem(
        "process",
        f"运行中的服务使用的不是当前配置：{'、'.join(each.name for each in outdated)}",
        f"running with another configuration than this one: {', '.join(each.name for each in outdated)}",
        Bilingual(
            zh="重启服务：配置在启动时读取（环境变量也算在内）",
            en="restart it: the configuration, with its environment variables, is read at the start",
        ),
    )


async def examine_accounts(api: FeishuApi | None, facts: SetupFacts | None) -> Finding:
    """Whether accounts are registered, and Feishu knows them. api: None if no call can succeed."""
    if facts is None or not facts.accounts:
        return problem("accounts", "还没有内推账户", "no referral account is known", REGISTER)
    if api is not None and not await _knows_any(api, facts):
        zh = f"飞书不认识已知的 {facts.accounts} 个账户（1002553）"
        en = f"Feishu knows none of the {facts.accounts} accounts of this database (1002553)"
        return problem("accounts", zh, en, REGISTER)
    zh, en = f"内推账户 {facts.accounts} 个", f"{facts.accounts} referral accounts"
    if facts.deactivated:
        zh, en = f"{zh}，其中停用 {facts.deactivated} 个", f"{en}, {facts.deactivated} of them deactivated"
    return ok("accounts", zh, en)


async def _knows_any(api: FeishuApi, facts: SetupFacts) -> bool:
    """A failed call proves nothing."""
    accounts = FeishuReferralAccounts(api)
    for account_id in facts.newest_accounts:
        try:
            await accounts.referrer(account_id)
        except AccountUnknown:
            continue
        except CallError:
            return True
        return True
    return False


def examine_last_event(facts: SetupFacts | None) -> Finding:
    """When the last balance event arrived."""
    at = facts.last_balance_event_at if facts is not None else None
    if at is None:
        return unknown(
            "last_event",
            "还没有收到余额事件",
            "no balance event has arrived yet",
            Bilingual(zh="在飞书招聘中确认一笔内推奖励", en="confirm a referral reward in Feishu Hire"),
        )
    when = f"{from_millis(at):%Y-%m-%d %H:%M} UTC"
    return ok("last_event", f"最近一次余额事件：{when}", f"last balance event: {when}")


def examine_last_card(facts: SetupFacts | None) -> Finding:
    """When Feishu last accepted a card."""
    at = facts.last_card_at if facts is not None else None
    if at is None:
        return unknown(
            "last_card",
            "还没有发送过卡片",
            "no card was sent yet",
            Bilingual(zh="收到第一个事件后自动发送", en="the first event sends it"),
        )
    when = f"{from_millis(at):%Y-%m-%d %H:%M} UTC"
    return ok("last_card", f"最近一张卡片：{when}", f"last card: {when}")

"""Online checks: call Feishu to check the token, the scopes, and the bot's membership in each group."""

import uuid
from collections.abc import Awaitable, Collection

from notifier.clock import Clock, to_millis
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.domain.money import Kind
from notifier.domain.scopes import SCOPES, Feature
from notifier.errors import AccountUnknown, CallError, NotAuthorised, RecipientUnreachable
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import bot_is_in, list_members
from notifier.feishu.long_connection.discovery import ConnectFailed, ConnectionRefused, discover
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.operations.check_result import CheckResult
from notifier.runtime import factories


async def check_online(config: Config, clock: Clock) -> list[CheckResult]:
    """Check the token, the scopes and the groups. Stops after the token if the token call fails."""
    async with FeishuApi(factories.make_app_access(config), clock) as api:
        try:
            await api.token()
        except NotAuthorised as error:
            return [
                CheckResult(
                    is_ok=False,
                    subject=f"token: {error}",
                    next_step="correct feishu.app_id and feishu.app_secret",
                )
            ]
        except CallError as error:
            return [
                CheckResult(
                    is_ok=False,
                    subject=f"token: {error}",
                    next_step=f"is {config.feishu.base_url} reachable from this machine (proxy, firewall)?",
                )
            ]
        results = [
            CheckResult(is_ok=True, subject=f"token from {config.feishu.base_url}"),
            await _clock(api, clock),
        ]
        if config.feishu.transport is Transport.LONG_CONNECTION:
            results.append(await _long_connection(config))
        results.append(_event_subscription(config))
        features = needed_features(config)
        probes = {
            Feature.RECEIVE: _hire_scope,
            Feature.SEND: _send_scope,
            Feature.WITHDRAW: _withdraw_scope,
            Feature.FILES: _file_scope,
        }
        results += [await probes[feature](api) for feature in features if feature in probes]
        for name, group in config.groups.items():
            results.append(await _group(api, name, group.chat_id))
            results += await _operators(api, name, group.chat_id, group.operators)
        results.append(_fallback(config))
        return results


def needed_features(config: Config) -> list[Feature]:
    """Return the features that the configuration uses, in the order of the table of scopes."""
    uses = {
        Feature.RECEIVE: True,
        Feature.SEND: True,
        Feature.GROUPS: bool(config.groups),
        Feature.OPERATORS: any(group.operators for group in config.groups.values()),
        Feature.WITHDRAW: bool(config.withdrawals.offer_to),
        Feature.FILES: any(digest.file != "never" for digest in config.digests),
    }
    return [feature for feature in Feature if uses[feature]]


MAX_SKEW_MS = 60_000
"""Signatures of the webhook and of payout reports allow 5 minutes."""


async def _clock(api: FeishuApi, clock: Clock) -> CheckResult:
    """Compare our clock with the time in Feishu's answer."""
    try:
        served_at = (await api.call("GET", "/open-apis/bot/v3/info")).served_at
    except CallError as error:
        return CheckResult(is_ok=False, is_checkable=False, subject=f"clock: {_short(error)}")
    if served_at is None:
        return CheckResult(is_ok=False, is_checkable=False, subject="clock: Feishu's answer names no time")
    skew = to_millis(clock.now()) - served_at
    said = f"{abs(skew) / 1000:.0f} s {'ahead of' if skew > 0 else 'behind'} Feishu"
    return CheckResult(
        is_ok=abs(skew) <= MAX_SKEW_MS,
        subject=f"clock: {said}",
        next_step="" if abs(skew) <= MAX_SKEW_MS else "set the clock of this machine, best by NTP",
    )


def _event_subscription(config: Config) -> CheckResult:
    events = "hire.referral_account.assets_update_v1"
    if config.withdrawals.offer_to:
        events += " and card.action.trigger"
    return CheckResult(
        is_ok=False,
        is_checkable=False,
        subject=f"subscription of {events}: Feishu shows it in the developer console only",
        next_step="look there under Events and callbacks; `notifier status` shows when the last event came",
    )


async def _withdraw_scope(api: FeishuApi) -> CheckResult:
    """Withdraw from an account that cannot exist. With the scope, Feishu answers that it is unknown."""
    scope = SCOPES[Feature.WITHDRAW]
    order_id = f"check-{uuid.uuid4().hex}"
    return await _scope_by_nonexistent_account(
        scope,
        FeishuReferralAccounts(api).withdraw(NONEXISTENT_ACCOUNT_ID, order_id=order_id, kinds=(Kind.POINTS,)),
    )


async def _operators(
    api: FeishuApi, name: str, chat_id: str, operators: Collection[str]
) -> list[CheckResult]:
    """Whether each operator is a member of the group: only members see the card with the button."""
    if not operators:
        return []
    subject = f"operators of group {name}"
    try:
        members = await list_members(api, chat_id)
    except CallError as error:
        scope = SCOPES[Feature.OPERATORS]
        next_step = f"add {scope} {PUBLISH}" if error.code in SCOPE_MISSING else "try again"
        return [
            CheckResult(
                is_ok=False, is_checkable=False, subject=f"{subject}: {_short(error)}", next_step=next_step
            )
        ]
    absent = [each for each in operators if each not in members]
    if not absent:
        return [CheckResult(is_ok=True, subject=f"{subject}: {len(operators)}, all members")]
    return [
        CheckResult(
            is_ok=False,
            subject=f"operator {each} is not a member of group {name}, or does not exist",
            next_step="compare the open_id, which differs in each app, or add the person to the group",
        )
        for each in absent
    ]


def _fallback(config: Config) -> CheckResult:
    if config.fallback_group is None:
        return CheckResult(
            is_ok=False,
            subject="fallback_group is not set: a card that cannot reach its person reaches nobody",
            next_step="name a group of HR",
        )
    return CheckResult(is_ok=True, subject=f"fallback group: {config.fallback_group}")


PUBLISH = "in the developer console under Permissions, then create and publish an app version"
SCOPE_MISSING = {99991672, 230027, 234002}
BOT_OFF = 230006
BAD_ACCOUNT_ID = 1002002
EMPTY_UPLOAD = {234001, 234010}
BAD_RECIPIENT = {230001, 99992402, 9499}


async def _long_connection(config: Config) -> CheckResult:
    """Request the address of a long connection. Does not open it."""
    try:
        await discover(factories.make_app_access(config))
    except ConnectionRefused as refused:
        return CheckResult(is_ok=False, subject="long connection: Feishu refuses it", next_step=str(refused))
    except ConnectFailed as reason:
        next_step = "is the app a self-built one, and enabled? Then try again"
        return CheckResult(is_ok=False, subject=f"long connection: {reason}", next_step=next_step)
    return CheckResult(is_ok=True, subject="long connection")


async def _scope_by_nonexistent_account(scope: str, call: Awaitable[object]) -> CheckResult:
    """With the scope, Feishu answers a call about an account that cannot exist with just that."""
    try:
        await call
    except AccountUnknown:
        pass
    except CallError as error:
        if error.code != BAD_ACCOUNT_ID:
            return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}")


async def _hire_scope(api: FeishuApi) -> CheckResult:
    """Look up an account that cannot exist. With the scope, Feishu answers that it is unknown.

    The scope of withdrawals allows the look-up too, but not the event. With it the look-up proves nothing.
    """
    scope = SCOPES[Feature.RECEIVE]
    looked_up = await _scope_by_nonexistent_account(
        scope, FeishuReferralAccounts(api).referrer(NONEXISTENT_ACCOUNT_ID)
    )
    if not looked_up.is_ok or (await _withdraw_scope(api)).is_problem:
        return looked_up
    return CheckResult(
        is_ok=False,
        is_checkable=False,
        subject=f"scope {scope}: {SCOPES[Feature.WITHDRAW]} allows all calls, but the event needs {scope}",
        next_step="look in the developer console under Permissions",
    )


async def _send_scope(api: FeishuApi) -> CheckResult:
    """Send to a recipient that cannot exist. With the scope, Feishu rejects the recipient."""
    scope = SCOPES[Feature.SEND]
    body = {"receive_id": "ou_nobody", "msg_type": "text", "content": '{"text":"."}'}
    try:
        await api.call("POST", "/open-apis/im/v1/messages", query={"receive_id_type": "open_id"}, body=body)
    except RecipientUnreachable:
        return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")
    except CallError as error:
        if error.code in BAD_RECIPIENT:
            return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")
        if error.code == BOT_OFF:
            return CheckResult(
                is_ok=False,
                subject="the app's bot ability is off",
                next_step="add the ability Bot, then publish a version",
            )
        return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}, bot ability")


async def _file_scope(api: FeishuApi) -> CheckResult:
    """Upload an empty file. With the scope, Feishu rejects it because it is empty."""
    scope = SCOPES[Feature.FILES]
    try:
        await FeishuMessageSender(api).upload("check.csv", b"")
    except CallError as error:
        if error.code in EMPTY_UPLOAD:
            return CheckResult(is_ok=True, subject=f"scope {scope}")
        return _failed_scope(scope, error)
    return CheckResult(is_ok=True, subject=f"scope {scope}")


def _short(error: CallError) -> str:
    """Return the reason without its next step, because the check adds a more exact one."""
    return f"{error.reason.partition(';')[0]} (code {error.code})"


def _failed_scope(scope: str, error: CallError) -> CheckResult:
    if error.code in SCOPE_MISSING:
        return CheckResult(
            is_ok=False, subject=f"scope {scope}: {_short(error)}", next_step=f"add {scope} {PUBLISH}"
        )
    return CheckResult(
        is_ok=False, is_checkable=False, subject=f"scope {scope}: {error}", next_step="try again"
    )


async def _group(api: FeishuApi, name: str, chat_id: str) -> CheckResult:
    subject = f"group {name} ({chat_id})"
    try:
        if await bot_is_in(api, chat_id):
            return CheckResult(is_ok=True, subject=f"{subject}: the bot is a member")
    except CallError as error:
        if error.code in SCOPE_MISSING:
            return CheckResult(
                is_ok=False,
                subject=f"{subject}: {_short(error)}",
                next_step=f"add {SCOPES[Feature.GROUPS]} {PUBLISH}",
            )
        return CheckResult(
            is_ok=False,
            subject=f"{subject}: {error}",
            next_step="compare the chat_id with the one in the group's settings",
        )
    return CheckResult(
        is_ok=False, subject=f"{subject}: the bot is not a member", next_step="group settings, Bots, Add bot"
    )

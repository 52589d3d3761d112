"""Checks of the scopes that the configuration needs, and of the ability Bot.

Feishu lists the granted scopes. Where it does not, or names another scope, a call proves it: one about an account or a
recipient that cannot exist, or an empty upload. None of them shows anything to anybody.
"""

import uuid
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from notifier.config.operators import list_operator_emails
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.money import Kind
from notifier.domain.scopes import (
    BOT_MENU,
    RECOMMENDED,
    SCOPES,
    Feature,
    FeatureUse,
    get_scope_name,
    list_needed_features,
)
from notifier.errors import AccountUnknown, CallError, RecipientUnreachable
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import bot_is_in, list_members
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.people import find_people
from notifier.feishu.referral_accounts import NONEXISTENT_ACCOUNT_ID, FeishuReferralAccounts
from notifier.operations.doctor.app_checks import AppFacts, block_unpublished
from notifier.operations.doctor.console_menu import Console, join
from notifier.operations.doctor.findings import Finding, blocked, ok, problem, unknown

SCOPE_MISSING = {99991672, 230027, 234002}
BOT_OFF = {230006, 232025, 234007}
BAD_ACCOUNT_ID = 1002002
EMPTY_UPLOAD = {234001, 234010}
BAD_RECIPIENT = {230001, 230034, 99992402, 9499}
_WITHOUT = {
    Feature.QUESTIONS: Bilingual(
        zh="不能在单聊中向机器人提问", en="people cannot ask the bot in its private chat"
    ),
    Feature.GROUP_QUESTIONS: Bilingual(
        zh="不能在群里 @ 机器人提问", en="people cannot ask the bot by mentioning it in a group"
    ),
}
"""What does not work without a recommended scope."""
UNPROVABLE = Feature.RECEIVE
"""The scope of withdrawals allows the same calls, but not the event."""


class Proof(Enum):
    """What a call proves about a scope."""

    GRANTED = auto()
    MISSING = auto()
    UNKNOWN = auto()


@dataclass(slots=True, kw_only=True)
class ScopeResults:
    """The scopes by their state, and their findings."""

    findings: list[Finding] = field(default_factory=list)
    """One for each needed scope."""
    missing: list[str] = field(default_factory=list)
    """Scopes to add."""
    ungranted: list[str] = field(default_factory=list)
    """Scopes that were added and are not in force."""
    is_bot_off: bool = False
    """Whether a call proved that the app has no ability Bot."""


def needed_features(config: Config) -> list[Feature]:
    """Return the features that the configuration uses, in the order of the table of scopes."""
    return list_needed_features(
        FeatureUse(
            has_groups=bool(config.groups),
            has_operators=any(group.operators for group in config.groups.values()),
            finds_people=bool(list_operator_emails(config)),
            offers_withdrawals=bool(config.withdrawals.offer_to),
            answers_questions=config.answers.enabled,
            sends_files=any(digest.file != "never" for digest in config.digests),
            is_test=config.feishu.environment == "test",
        )
    )


def list_scope_ids(config: Config) -> list[str]:
    """Return the ids of the findings about scopes."""
    return [f"scope.{SCOPES[feature]}" for feature in needed_features(config)]


async def examine_scopes(api: FeishuApi, config: Config, console: Console, facts: AppFacts) -> ScopeResults:
    """Check each needed scope."""
    results = ScopeResults()
    for feature in needed_features(config):
        scope = SCOPES[feature]
        proof = (
            Proof.GRANTED
            if facts.scopes.get(scope)
            else await _probe(api, config, feature, facts.scopes, results)
        )
        if proof is Proof.GRANTED and feature is UNPROVABLE and not facts.scopes.get(scope):
            proof = await _prove_receive(api, facts)
        results.findings.append(_to_finding(feature, proof, console, facts.scopes, results))
    return results


def _to_finding(
    feature: Feature, proof: Proof, console: Console, asked: Mapping[str, bool], results: ScopeResults
) -> Finding:
    scope = SCOPES[feature]
    finding_id, name = f"scope.{scope}", get_scope_name(scope)
    if proof is Proof.GRANTED:
        return ok(finding_id, f"权限“{name.zh}”（{scope}）", f"scope “{name.en}” ({scope})")
    if proof is Proof.UNKNOWN:
        return unknown(
            finding_id,
            f"权限“{name.zh}”（{scope}）无法判断",
            f"scope “{name.en}” ({scope}) cannot be proven",
            console.add_scopes([scope]),
        )
    if scope in asked:
        results.ungranted.append(scope)
        return block_unpublished(finding_id)
    if feature is Feature.REGISTER:
        return unknown(
            finding_id,
            f"没有权限“{name.zh}”（{scope}）：不能用 notifier accounts 登记内推人，也不能提现",
            f"without the scope “{name.en}” ({scope}), `notifier accounts` cannot register referrers, and nobody can "
            "withdraw",
            console.add_scopes([scope]),
        )
    if feature in RECOMMENDED:
        return unknown(
            finding_id,
            f"没有权限“{name.zh}”（{scope}）：{_WITHOUT[feature].zh}",
            f"without the scope “{name.en}” ({scope}), {_WITHOUT[feature].en}",
            console.add_scopes([scope]),
        )
    results.missing.append(scope)
    return problem(
        finding_id,
        f"缺少权限“{name.zh}”（{scope}）",
        f"the scope “{name.en}” ({scope}) is missing",
        console.add_scopes([scope]),
    )


async def _prove_receive(api: FeishuApi, facts: AppFacts) -> Proof:
    """A read succeeded. It proves the scope of the event only if that of withdrawals is missing."""
    if facts.scopes:
        return Proof.MISSING
    withdraw = await _probe_account(
        FeishuReferralAccounts(api).withdraw(
            NONEXISTENT_ACCOUNT_ID, order_id=f"doctor-{uuid.uuid4().hex}", kinds=(Kind.POINTS,)
        )
    )
    return Proof.GRANTED if withdraw is Proof.MISSING else Proof.UNKNOWN


async def _probe(  # noqa: PLR0911 - one line per feature
    api: FeishuApi, config: Config, feature: Feature, asked: Mapping[str, bool], results: ScopeResults
) -> Proof:
    """Make a call that needs the scope and changes nothing. asked: the scopes that Feishu lists; empty: it does not."""
    accounts = FeishuReferralAccounts(api)
    match feature:
        case Feature.RECEIVE:
            return await _probe_account(accounts.referrer(NONEXISTENT_ACCOUNT_ID))
        case Feature.REGISTER | Feature.WITHDRAW:
            order_id = f"doctor-{uuid.uuid4().hex}"
            return await _probe_account(
                accounts.withdraw(NONEXISTENT_ACCOUNT_ID, order_id=order_id, kinds=(Kind.POINTS,))
            )
        case Feature.SEND:
            return await _probe_call(send_to_nobody(api), BAD_RECIPIENT, results)
        case Feature.FILES:
            return await _probe_call(
                FeishuMessageSender(api).upload("doctor.csv", b""), EMPTY_UPLOAD, results
            )
        case Feature.GROUPS:
            chat_id = next(iter(config.groups.values())).chat_id
            return await _probe_call(bot_is_in(api, chat_id), set(), results, others_prove=True)
        case Feature.OPERATORS:
            chat_id = next(each.chat_id for each in config.groups.values() if each.operators)
            return await _probe_call(list_members(api, chat_id), set(), results, others_prove=True)
        case Feature.PEOPLE:
            emails = [each.email for each in list_operator_emails(config)]
            return await _probe_call(find_people(api, emails=emails), set(), results, others_prove=True)
        case Feature.QUESTIONS | Feature.GROUP_QUESTIONS:  # no call needs them, only events
            return Proof.MISSING if asked else Proof.UNKNOWN
        case Feature.TEST_REWARDS:  # every call of this scope changes a reward
            return Proof.MISSING if asked else Proof.UNKNOWN


async def send_to_nobody(api: FeishuApi) -> object:
    """Send to a recipient that cannot exist. With the scope, Feishu rejects the recipient. Raises CallError."""
    body = {"receive_id": "ou_nobody", "msg_type": "text", "content": '{"text":"."}'}
    return await api.call(
        "POST", "/open-apis/im/v1/messages", query={"receive_id_type": "open_id"}, body=body
    )


async def _probe_account(call: Awaitable[object]) -> Proof:
    """With the scope, Feishu answers that the account is unknown."""
    try:
        await call
    except AccountUnknown:
        return Proof.GRANTED
    except CallError as error:
        if error.code == BAD_ACCOUNT_ID:
            return Proof.GRANTED
        return Proof.MISSING if error.code in SCOPE_MISSING else Proof.UNKNOWN
    return Proof.GRANTED


async def _probe_call(
    call: Awaitable[object], proving: set[int], results: ScopeResults, *, others_prove: bool = False
) -> Proof:
    """proving: codes that Feishu answers only with the scope. others_prove: every other code does so, too."""
    try:
        await call
    except RecipientUnreachable:
        return Proof.GRANTED
    except CallError as error:
        if error.code in SCOPE_MISSING:
            return Proof.MISSING
        if error.code in BOT_OFF:
            results.is_bot_off = True
            return Proof.GRANTED
        return Proof.GRANTED if error.code in proving or (others_prove and error.code) else Proof.UNKNOWN
    return Proof.GRANTED


async def examine_bot(api: FeishuApi, console: Console, results: ScopeResults) -> Finding:
    """Whether the app has the ability Bot."""
    is_off = results.is_bot_off
    try:
        await send_to_nobody(api)
    except CallError as error:
        is_off = is_off or error.code in BOT_OFF
        if error.code in SCOPE_MISSING and not is_off:
            send = SCOPES[Feature.SEND]
            return blocked("app.bot", "app.published" if send in results.ungranted else f"scope.{send}")
    if not is_off:
        return ok("app.bot", "应用有机器人能力", "the app has the ability Bot")
    return problem(
        "app.bot",
        "应用没有机器人能力（230006）",
        "the app has no ability Bot (230006)",
        join(console.describe(BOT_MENU, "bot", zh="添加机器人", en="add the bot"), console.publish()),
    )

"""Checks of groups, operators, the availability range and the contact range.

A card that Feishu refuses shows whether a person can be reached: the recipient is checked first. Nothing is sent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from notifier.config.operators import get_open_ids, list_operator_emails
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.scopes import VERSION_MENU
from notifier.errors import CallError
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import bot_is_in, list_members, read_person
from notifier.feishu.messages import MESSAGES_PATH
from notifier.feishu.people import find_people
from notifier.operations.doctor.console_menu import Console, join
from notifier.operations.doctor.findings import NOTHING, Finding, Findings, blocked, ok, problem, unknown
from notifier.operations.doctor.scope_checks import SCOPE_MISSING
from notifier.operations.stored_texts import describe_error

OUTSIDE, FOREIGN, NOT_A_PERSON = 230013, 99992361, 99992351
CARD_REFUSED = {0, 230001, 230025, 230099}
"""Codes that concern the card, so the person can be reached."""
OUTSIDE_CONTACTS = 41050
NO_SUCH_GROUP = {99992356, 232006, 232009, 232010}
REFUSED_CARD = json.dumps({"schema": "2.0", "body": {"elements": [{"tag": "note"}]}})
"""A component that card JSON 2.0 does not have: Feishu refuses the card with 200861."""


async def examine_group(api: FeishuApi, name: str, chat_id: str) -> Finding:
    """Whether the group exists, and the bot is in it."""
    finding_id = f"group.{name}"
    try:
        is_member = await bot_is_in(api, chat_id)
    except CallError as error:
        if error.code in NO_SUCH_GROUP:
            return problem(
                finding_id,
                f"群 {name}：chat_id {chat_id} 不存在或已解散（{error.code}）",
                f"group {name}: there is no group with the chat_id {chat_id} ({error.code})",
                Bilingual(
                    zh=f"在群设置底部复制会话 ID，填入 groups.{name}.chat_id",
                    en=f"copy the chat_id at the end of the group's settings to groups.{name}.chat_id",
                ),
            )
        return unknown(finding_id, f"群 {name}：{describe_error(error)}", f"group {name}: {error}")
    if is_member:
        return ok(finding_id, f"机器人在群 {name} 内", f"the bot is in group {name}")
    return problem(
        finding_id,
        f"机器人不在群 {name} 内（230002）",
        f"the bot is not in group {name} (230002)",
        Bilingual(
            zh="在飞书打开该群：设置 › 群机器人 › 添加机器人",
            en="in Feishu open the group: Settings › Bots › Add Bot",
        ),
    )


async def probe_people(api: FeishuApi, open_ids: Iterable[str]) -> dict[str, int | None]:
    """Return the code of Feishu's answer to a refused card, by open_id; None if there was no answer."""
    codes: dict[str, int | None] = {}
    for open_id in open_ids:
        body = {"receive_id": open_id, "msg_type": "interactive", "content": REFUSED_CARD}
        try:
            await api.call("POST", MESSAGES_PATH, query={"receive_id_type": "open_id"}, body=body)
            codes[open_id] = 0
        except CallError as error:
            codes[open_id] = error.code
    return codes


def examine_availability(console: Console, codes: Mapping[str, int | None], unreachable: int) -> Finding:
    """Whether the app may send to people.

    codes: of probe_people. unreachable: cards of the last week that did not reach their person. A person who can be
    reached now outweighs earlier failures.
    """
    step = join(
        console.describe(
            VERSION_MENU,
            "version",
            zh="把可用范围扩大到所有内推人",
            en="extend the availability range to all referrers",
        ),
        console.publish(),
    )
    outside = [open_id for open_id, code in codes.items() if code == OUTSIDE]
    if outside:
        names = ", ".join(outside)
        zh, en = f"不在应用可用范围内（230013）：{names}", f"outside the availability range (230013): {names}"
        return problem("availability", zh, en, step)
    reached = [open_id for open_id, code in codes.items() if code in CARD_REFUSED]
    if unreachable and not reached:
        zh = f"近一周有 {unreachable} 张卡片因不在可用范围转到兜底群"
        en = (
            f"{unreachable} cards of the last week went to the fallback group: outside the availability range"
        )
        return problem("availability", zh, en, step)
    if reached:
        zh = f"可用范围包含已检查的 {len(reached)} 人（未发送消息）"
        en = f"the availability range covers the {len(reached)} people that were tried (nothing was sent)"
        return ok("availability", zh, en)
    return unknown(
        "availability",
        "可用范围无法判断：还没有可检查的人",
        "availability range: nobody to try it with",
        Bilingual(zh="用 --canary 给自己发一张测试卡片", en="send yourself a test card with --canary"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operators:
    """The operators of the groups."""

    by_group: Mapping[str, Sequence[str]]
    """Their open_ids by the name of the group, with those of people that are written as e-mail addresses."""
    not_found: Mapping[str, Sequence[str]]
    """Places in the configuration whose e-mail address Feishu does not find, by the name of the group."""
    failure: str = ""
    """Why the addresses could not be looked up; empty: they were, or there are none."""


async def resolve_operators(api: FeishuApi, config: Config) -> Operators:
    """Look up the operators that are written as e-mail addresses."""
    emails, found, failure = list_operator_emails(config), {}, ""
    if emails:
        try:
            found = await find_people(api, emails=[each.email for each in emails])
        except CallError as error:
            failure = str(error)
    open_ids = {name: list(get_open_ids(group)) for name, group in config.groups.items()}
    not_found: dict[str, list[str]] = {}
    for each in emails:
        if each.email in found:
            open_ids[each.group].append(found[each.email].open_id)
        elif not failure:
            not_found.setdefault(each.group, []).append(each.key)
    return Operators(by_group=open_ids, not_found=not_found, failure=failure)


async def examine_operators(
    api: FeishuApi, config: Config, operators: Operators, codes: Mapping[str, int | None], findings: Findings
) -> None:
    """Whether each operator is a person of this app and a member of the group, whose card has the button."""
    for name, group in config.groups.items():
        finding_id = f"operators.{name}"
        if not group.operators:
            continue
        if operators.failure and len(get_open_ids(group)) < len(group.operators):
            findings.add(_explain_lookup(finding_id, name, operators.failure))
            continue
        if name in operators.not_found:
            findings.add(_explain_not_found(finding_id, operators.not_found[name]))
            continue
        if findings.has_problem(f"group.{name}"):
            findings.add(blocked(finding_id, f"group.{name}"))
            continue
        open_ids = operators.by_group[name]
        foreign = [each for each in open_ids if codes.get(each) in (FOREIGN, NOT_A_PERSON)]
        if foreign:
            findings.add(_explain_foreign(finding_id, name, foreign))
            continue
        findings.add(await _examine_membership(api, name, group.chat_id, open_ids))


def _explain_lookup(finding_id: str, name: str, failure: str) -> Finding:
    return unknown(
        finding_id,
        f"群 {name} 中用邮箱填写的授权人员无法查询：{failure}",
        f"operators of group {name} that are written as e-mail addresses cannot be looked up: {failure}",
    )


def _explain_not_found(finding_id: str, keys: Sequence[str]) -> Finding:
    places = ", ".join(keys)
    return problem(
        finding_id,
        f"飞书查不到这些邮箱：{places}",
        f"Feishu finds nobody with the e-mail address of {places}",
        Bilingual(
            zh="改正邮箱，或把此人加入应用的通讯录权限范围",
            en="correct it, or add the person to the contact range of the app",
        ),
    )


def _explain_foreign(finding_id: str, name: str, open_ids: Sequence[str]) -> Finding:
    names = ", ".join(open_ids)
    return problem(
        finding_id,
        f"群 {name} 的授权人员不是本应用的 open_id：{names}",
        f"operators of group {name} have an open_id of another app, or do not exist: {names}",
        Bilingual(
            zh=f"open_id 因应用而异：用本应用的凭证查询后填入 groups.{name}.operators",
            en=f"an open_id differs in each app: look it up with this app, and set groups.{name}.operators",
        ),
    )


async def _examine_membership(api: FeishuApi, name: str, chat_id: str, operators: Sequence[str]) -> Finding:
    finding_id = f"operators.{name}"
    try:
        members = await list_members(api, chat_id)
    except CallError as error:
        return unknown(
            finding_id, f"群 {name} 的成员：{describe_error(error)}", f"members of group {name}: {error}"
        )
    absent = [each for each in operators if each not in members]
    if not absent:
        zh, en = f"群 {name} 的授权人员都在群内", f"all operators of group {name} are members"
        return ok(finding_id, zh, en)
    names = ", ".join(absent)
    return problem(
        finding_id,
        f"授权人员不在群 {name} 内：{names}",
        f"operators are not members of group {name}: {names}",
        Bilingual(zh="把他们加入该群", en="add them to the group"),
    )


async def examine_contact_range(api: FeishuApi, console: Console, open_ids: Iterable[str]) -> Finding:
    """Whether the app may read people: names and ids. Only `notifier people` and e-mail addresses need it."""
    finding_id = "contact_range"
    for open_id in open_ids:
        try:
            await read_person(api, open_id)
        except CallError as error:
            if error.code == OUTSIDE_CONTACTS:
                step = console.describe(
                    VERSION_MENU,
                    "version",
                    zh="在权限管理中把通讯录权限范围扩大到所有内推人",
                    en="extend the contact range under Permissions & Scopes to all referrers",
                )
                zh, en = (
                    "通讯录权限范围不包含授权人员或内推人（41050）",
                    "the contact range lacks people (41050)",
                )
                return problem(finding_id, zh, en, join(step, console.publish()))
            if error.code in SCOPE_MISSING:
                return unknown(
                    finding_id,
                    "通讯录权限范围：未开通 contact:contact.base:readonly，无法读取人员",
                    "contact range: not readable without contact:contact.base:readonly",
                    Bilingual(
                        zh="仅查询人员和用邮箱填写授权人员时需要",
                        en="needed only to look people up, and for operators as e-mail addresses",
                    ),
                )
            continue
        return ok(finding_id, "通讯录权限范围可读取人员", "the contact range allows to read people")
    return unknown(
        finding_id, "通讯录权限范围：没有可检查的人", "contact range: nobody to try it with", NOTHING
    )


def examine_fallback(config: Config) -> Finding:
    """Whether cards for people who cannot be reached have a group."""
    if config.fallback_group is not None:
        return ok(
            "fallback_group", f"兜底群：{config.fallback_group}", f"fallback group: {config.fallback_group}"
        )
    report = problem if config.groups else unknown
    return report(
        "fallback_group",
        "未设置兜底群：无法送达本人的卡片不会送达任何人",
        "fallback_group is not set: a card that cannot reach its person reaches nobody",
        Bilingual(
            zh="在 groups 下添加 HR 的群（chat_id 见 `notifier groups`），再把 fallback_group 设为该群的名称",
            en="add a group of HR under groups (`notifier groups` has its chat_id); set fallback_group to its name",
        ),
    )

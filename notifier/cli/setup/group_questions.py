"""The questions of `notifier init` about groups."""

import sys
from typing import TYPE_CHECKING

import click

from notifier.cli.colours import WARNING, paint
from notifier.cli.setup.questions import MAX_LISTED, Questions, parse_chat, parse_more_group
from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.operations.setup.access import AccessResult
    from notifier.operations.setup.config_text import GroupSetup, SetupChoices


def ask_for_groups(
    questions: Questions, access: "AccessResult", former: "SetupChoices"
) -> "dict[str, GroupSetup]":
    """Return the groups by name. Without a terminal there are none."""
    from notifier.operations.setup.config_text import FALLBACK, HR, GroupSetup  # noqa: PLC0415 - as above

    if not questions.is_interactive:
        return {}
    if access.chats_problem:
        text = localized(
            f"The groups cannot be listed: {access.chats_problem}. You can write a chat_id: Feishu shows it at the "
            "end of the group's settings. Or go on without groups, and run `notifier init` again later.",
            f"无法列出群：{access.chats_problem}。可以直接填写 chat_id（见飞书群设置页底部的“会话 ID”），"
            "也可以先跳过，之后再次运行 `notifier init`。",
        )
        click.echo(paint(text, WARNING, stream=sys.stderr), err=True)
    elif not access.chats:
        text = localized(
            "The bot is not in any group yet. Add it in Feishu (group › Settings › Bots), and run `notifier init` "
            "again later, or write a chat_id.",
            "机器人还没有加入任何群。请在飞书把它加入群（群设置 › 群机器人），之后再次运行 `notifier init`，"
            "或直接填写 chat_id。",
        )
        click.echo(text, err=True)
    for number, chat in enumerate(access.chats[:MAX_LISTED], 1):
        click.echo(f"  {number:>3}  {chat.name}  {chat.chat_id}", err=True)

    old, old_fallback = former.groups, former.fallback_group or ""

    def ask(text: str, default: str) -> str:
        answer = questions.ask(
            text,
            lambda each: parse_chat(each, access.chats),
            option="--group",
            default=default,
        )
        return parse_chat(answer, access.chats)

    hr = ask(
        localized(
            "HR group, which receives every card (number or chat_id; -: none)",
            "HR 群，接收所有卡片（序号或 chat_id，不需要则填 -）",
        ),
        old[HR].chat_id if HR in old else "-",
    )
    fallback = ask(
        localized(
            "Fallback group, for cards that cannot be sent and for alarms (number or chat_id; -: none)",
            "兜底群，接收无法送达的卡片和告警（序号或 chat_id，不需要则填 -）",
        ),
        old[old_fallback].chat_id if old_fallback in old else hr or "-",
    )
    chosen = {HR: hr, FALLBACK: fallback}
    groups = {name: GroupSetup(chat_id=chat_id) for name, chat_id in chosen.items() if chat_id}
    groups |= {name: each for name, each in old.items() if name not in (HR, FALLBACK)}
    return groups | _ask_for_more_groups(questions, access)


def _ask_for_more_groups(questions: Questions, access: "AccessResult") -> "dict[str, GroupSetup]":
    """Return further groups, for the routes and digests that the person writes later."""
    from notifier.operations.setup.config_text import GroupSetup  # noqa: PLC0415 - as above

    added: dict[str, GroupSetup] = {}
    while True:
        answer = questions.ask(
            localized(
                "Another group, such as sales=2 or sales=oc_1a2b (empty: no more)",
                "其他群，例如 sales=2 或 sales=oc_1a2b（直接回车结束）",
            ),
            lambda each: parse_more_group(each, access.chats),
            option="--group",
            default="",
        )
        pair = parse_more_group(answer, access.chats)
        if pair is None:
            return added
        added[pair[0]] = GroupSetup(chat_id=pair[1])

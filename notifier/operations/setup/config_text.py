"""Renders config.yaml: the example with its comments, in which only the chosen values differ."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from notifier.config.settings import Config
from notifier.operations.language import localized
from notifier.operations.setup.comments_zh import translate_comments

EXAMPLE_FILE = "config.example.yaml"
HR, FALLBACK, ALARMS = "hr", "fallback", "alarms"
"""Names of groups with a meaning for `notifier init`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSetup:
    """A group of the configuration."""

    chat_id: str
    label: str = ""
    """Name of the group in Feishu, for a comment; "" if it is not known."""
    operators: Sequence[str] = ()
    """Those who may withdraw for the accounts that are shown in the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupChoices:
    """The values of config.yaml that `notifier init` chooses."""

    app_id: str
    """App id from the developer console."""
    base_url: str
    """Address of Feishu, Lark or a sandbox."""
    is_test: bool = False
    """Whether the app is a test app."""
    groups: Mapping[str, GroupSetup] = field(default_factory=dict)
    """Groups by name. One called HR receives every card."""
    fallback_group: str | None = None
    """Name of the group for cards that cannot be delivered."""
    alarm_group: str | None = None
    """Name of the group for alarms about payouts; None: the fallback group."""
    offer_to: Sequence[str] = ()
    """Who gets the withdraw button."""


def read_choices(config: Config) -> SetupChoices:
    """Return the choices of a configuration: the defaults when `notifier init` replaces it."""
    return SetupChoices(
        app_id=config.feishu.app_id,
        base_url=config.feishu.base_url,
        is_test=config.feishu.environment == "test",
        groups={
            name: GroupSetup(chat_id=group.chat_id, operators=group.operators)
            for name, group in config.groups.items()
        },
        fallback_group=config.fallback_group,
        alarm_group=config.payouts.alarm_group,
        offer_to=config.withdrawals.offer_to,
    )


def choose_groups(
    groups: Mapping[str, GroupSetup],
) -> tuple[dict[str, GroupSetup], str | None, str | None]:
    """Return the groups with one name per chat, the fallback group, and the alarm group.

    groups: by name. The configuration allows one name per chat: a second name refers to the first one.
    """
    name_by_chat: dict[str, str] = {}
    for name, group in sorted(groups.items(), key=lambda item: item[0] != HR):
        name_by_chat.setdefault(group.chat_id, name)
    kept = {name: groups[name] for name in name_by_chat.values()}
    fallback, alarms = (
        name_by_chat[groups[name].chat_id] if name in groups else None for name in (FALLBACK, ALARMS)
    )
    return kept, fallback, alarms


def read_example() -> str:
    """Return the text of config.example.yaml: of the installed package, or of the source checkout."""
    package = Path(__file__).resolve().parents[2]
    shipped = package / EXAMPLE_FILE
    return (shipped if shipped.is_file() else package.parent / EXAMPLE_FILE).read_text(encoding="utf-8")


def render_config(choices: SetupChoices) -> str:
    """Return the text of config.yaml, with comments in the language of the locale. It never holds the secret."""
    text = read_example()
    for old, new in _replacements(choices):
        if text.count(f"\n{old}\n") != 1:
            raise RuntimeError(f"{EXAMPLE_FILE} must have this line once: {old}")
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return localized(text, translate_comments(text))


def _replacements(choices: SetupChoices) -> list[tuple[str, str]]:
    """Lines of the example, and the lines to write instead."""
    replaced = [
        ('  app_id: ""', f"  app_id: {_quote(choices.app_id)}"),
        ("  base_url: https://open.feishu.cn", f"  base_url: {choices.base_url}"),
        ("  environment: production", f"  environment: {'test' if choices.is_test else 'production'}"),
    ]
    if choices.groups:
        replaced.append(("groups: {}", "\n".join(["groups:", *_group_lines(choices.groups)])))
    if choices.fallback_group is not None:
        replaced.append(("fallback_group: null", f"fallback_group: {choices.fallback_group}"))
    if choices.alarm_group is not None:
        replaced.append(("  alarm_group: null", f"  alarm_group: {choices.alarm_group}"))
    if choices.offer_to:
        replaced.append(("  offer_to: []", f"  offer_to: [{', '.join(choices.offer_to)}]"))
    if HR in choices.groups:
        replaced += [
            ("  - name: to the referrer", "  - name: to the referrer and HR"),
            (_ROUTE_TARGETS, _ROUTE_TARGETS.replace("[referrer]    ", f"[referrer, {HR}]")),
        ]
    return replaced


_ROUTE_TARGETS = "    to: [referrer]                                # referrer, or names from `groups`"


def _group_lines(groups: Mapping[str, GroupSetup]) -> list[str]:
    lines: list[str] = []
    for name, group in groups.items():
        comment = f"   # {_printable(group.label)}" if _printable(group.label) else ""
        operators = ", ".join(_quote(each) for each in group.operators)
        lines += [
            f"  {name}:",
            f"    chat_id: {_quote(group.chat_id)}{comment}",
            f"    operators: [{operators}]",
        ]
    return lines


def _quote(value: str) -> str:
    """Return the value as YAML text; ids need no quotes."""
    plain = re.fullmatch(r"(?:cli|oc|ou)_[A-Za-z0-9_]+", value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _printable(label: str) -> str:
    return "".join(char for char in label if char.isprintable()).strip()[:60]

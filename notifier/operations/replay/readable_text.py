"""Readable text: the lines that a person reads on a card, in one language, for a comparison of two cards."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from notifier.cards.balance_text import moment
from notifier.domain.delivery import Content

LANGUAGES = {"zh_cn": "中文", "en_us": "English"}
"""The languages of a card, with their names."""
_TIME = re.compile(r"<local_datetime millisecond='(\d+)' format_type='(\w+)'></local_datetime>")
_TAG = re.compile(r"</?(?:font|text_tag|b|i|br)\b[^>]*>")
_HEADER = ("title", "subtitle")


def read_lines(content: Content | None, language: str, zone: tzinfo) -> list[str]:
    """Return the lines of a message, from top to bottom. language: `zh_cn` or `en_us`. zone: for times on the card.

    None, and a file, have no lines.
    """
    if content is None:
        return []
    document = json.loads(content.body)
    if content.msg_type == "text":
        return str(document.get("text", "")).splitlines()
    if content.msg_type != "interactive":
        return []
    header = document.get("header") or {}
    lines = [
        line for name in _HEADER if name in header for line in _text(header[name], language, prefix="# ")
    ]
    lines += _element_lines(document.get("body") or {}, language)
    return [shown for line in lines for shown in _visible(line, zone)]


def _element_lines(node: Any, language: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    match node:
        case list():
            for each in node:
                yield from _element_lines(each, language)
        case {"tag": "person", "user_id": user_id}:
            yield f"[{user_id}]"
        case {"tag": "table"}:
            yield from _table_lines(node, language)
        case {"tag": "chart"}:
            yield from _chart_lines(node)
        case {"tag": "button", **button}:
            yield from _text(button.get("text"), language, prefix="[", suffix="]")
            yield from _element_lines(button.get("confirm"), language)
        case {"tag": "hr"}:
            yield "----"
        case dict():
            if "content" in node:
                yield from _text(node, language)
            for name, value in node.items():
                if name not in {"content", "i18n_content"} and isinstance(value, dict | list):
                    yield from _element_lines(value, language)
        case _:
            return


def _text(node: object, language: str, *, prefix: str = "", suffix: str = "") -> Iterable[str]:
    if not isinstance(node, dict):
        return
    translations = node.get("i18n_content")
    text = node.get("content", "")
    if isinstance(translations, dict):
        text = translations.get(language, text)
    yield f"{prefix}{text}{suffix}"


def _table_lines(table: Mapping[str, Any], language: str) -> Iterator[str]:
    columns = table.get("columns") or []
    heads = []
    for column in columns:
        translated = (column.get("i18n_display_name") or {}).get(language)
        heads.append(str(translated or column.get("display_name") or ""))
    yield " | ".join(heads)
    for row in table.get("rows") or []:
        yield " | ".join(_cell(row.get(column.get("name"))) for column in columns)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(each) for each in value)
    return str(value.get("text", value)) if isinstance(value, dict) else str("" if value is None else value)


def _chart_lines(chart: Mapping[str, Any]) -> Iterator[str]:
    """The values, because their bars and lines have no text."""
    spec = chart.get("chart_spec") or {}
    data = spec.get("data")
    for source in data if isinstance(data, list) else [data]:
        for each in (source or {}).get("values") or []:
            yield "chart: " + ", ".join(str(value) for value in each.values())


def _visible(line: str, zone: tzinfo) -> list[str]:
    def show_time(found: re.Match[str]) -> str:
        day, _, time = moment(int(found[1]), zone).partition(" ")
        return time if found[2] == "time" else day

    text = _TAG.sub("", _TIME.sub(show_time, line))
    return [stripped for each in text.splitlines() if (stripped := each.strip())]

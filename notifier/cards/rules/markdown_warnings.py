"""Warnings about Markdown: what Feishu's dialect shows otherwise than meant."""

import re
from collections.abc import Callable, Iterator

from notifier.cards.rules.card_warnings import Json, Warnings
from notifier.cards.rules.texts import CODE, PHONE_LINK, markdown_tables
from notifier.cards.rules.walk import FoundProblem, Path

SAFE_MARKDOWN_TABLES = 4
_HTML_TAG = re.compile(
    r"</?(b|i|u|s|p|em|strong|del|div|span|h[1-6]|ul|ol|li|table|tr|td|th|img|pre|code|center|small|big)\b[^<>]*>"
)
_LIST_ITEM = re.compile(r" *(?:[-*+]|[0-9]{1,9}[.)]) ")


def markdown_warnings(path: Path, node: Json) -> Warnings:
    """Yield the warnings about the Markdown of one object."""
    if node.get("tag") not in ("markdown", "lark_md"):
        return
    for below, text in _texts(node):
        for check in _CHECKS:
            for rule, message in check(CODE.sub("", text) if "`" in text else text):
                yield FoundProblem(path=(*path, *below), rule=rule, message=message)


def _texts(node: Json) -> Iterator[tuple[Path, str]]:
    content, by_language = node.get("content"), node.get("i18n_content")
    if isinstance(content, str):
        yield ("content",), content
    for language, text in by_language.items() if isinstance(by_language, dict) else ():
        if isinstance(text, str) and text != content:
            yield ("i18n_content", language), text


def _phone_link(text: str) -> Iterator[tuple[str, str]]:
    if f"]({PHONE_LINK}" in text:
        yield "tel-link", "A tel:// link works on phones only."


def _html(text: str) -> Iterator[tuple[str, str]]:
    found = _HTML_TAG.search(text)
    if found:
        yield "markdown-html", f"Feishu's Markdown has no HTML tag <{found[1]}>."


def _indent(text: str) -> Iterator[tuple[str, str]]:
    """Four blanks at the start of a line make a code block, unless the line belongs to a list."""
    is_list = False
    for line in text.split("\n"):
        if not line.strip():
            continue
        is_indented = line.startswith(("    ", "\t"))
        if _LIST_ITEM.match(line):
            if is_indented and not is_list:
                yield (
                    "markdown-indent",
                    "A line begins with four or more blanks, which makes it a code block.",
                )
                return
            is_list = True
        elif is_indented and not is_list:
            yield "markdown-indent", "A line begins with four or more blanks, which makes it a code block."
            return
        elif not is_indented:
            is_list = False


def _tables(text: str) -> Iterator[tuple[str, str]]:
    tables = markdown_tables(text)
    if tables > SAFE_MARKDOWN_TABLES:
        message = f"This text has {tables} tables; a component shows at most {SAFE_MARKDOWN_TABLES}."
        yield "table-count", message


_CHECKS: tuple[Callable[[str], Iterator[tuple[str, str]]], ...] = (_phone_link, _html, _indent, _tables)

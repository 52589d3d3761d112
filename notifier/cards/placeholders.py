"""Placeholders: keep the texts of a card apart from its JSON until the JSON is parsed.

A text becomes a numbered placeholder in the output of a template. It then replaces its placeholder in the parsed
strings. Where Feishu reads Markdown (tags markdown and lark_md, and table cells of these types), it is escaped first.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any

from notifier.errors import TemplateBroken

OPEN, CLOSE = "\ue000", "\ue001"
_MARKS = re.compile(f"{OPEN}[0-9]+{CLOSE}|[{OPEN}{CLOSE}]")
_MARKDOWN_TAGS = ("markdown", "lark_md")
_MARKDOWN_KEYS = frozenset({"content", "i18n_content"})
_NONE: frozenset[object] = frozenset()
_ESCAPED = "&<>*_~`[]()#:!-+/\\\"'$|{}@.="
_ENTITIES = {ord(char): f"&#{ord(char)};" for char in _ESCAPED}


def escape_markdown(text: str) -> str:
    """Return text that Feishu's Markdown shows verbatim, on one line.

    Source: the escape table of Feishu's rich-text page, read 2026-05. We also escape the ampersand, bar, braces, at
    sign, dot (bare links, numbered lists) and equals sign.
    """
    return " ".join(text.splitlines()).translate(_ENTITIES)


def without_placeholders(output: str) -> str:
    """Return output of a template with an ellipsis for each text, for error messages."""
    return _MARKS.sub("…", output)


class Placeholders:
    """The texts of one card, by placeholder."""

    def __init__(self, template: str) -> None:
        """template: its name, for error messages."""
        self._template = template
        self._texts: dict[str, str] = {}

    def add(self, text: str) -> str:
        """Return the placeholder of a text."""
        placeholder = f"{OPEN}{len(self._texts)}{CLOSE}"
        self._texts[placeholder] = text
        return placeholder

    def fill(self, card: dict[str, Any]) -> dict[str, Any]:
        """Put the texts into the parsed JSON of a card, which is changed and returned.

        Each string is looked at once, so a text that looks like a placeholder stays a text. Raises TemplateBroken if a
        template contains one of the two characters that mark a placeholder.
        """
        self._fill_object(card, is_markdown=False)
        return card

    def _fill_object(self, node: dict[str, Any], *, is_markdown: bool) -> None:
        """Fill the names and read the tag first, because they decide which values are Markdown."""
        if not "".join(node).isascii():
            self._fill_names(node)
        tag = node.get("tag")
        if isinstance(tag, str) and not tag.isascii():
            tag = self._filled(tag, is_markdown=False)
        if tag == "table":
            self._fill_table(node, is_markdown=is_markdown)
        else:
            names = _MARKDOWN_KEYS if tag in _MARKDOWN_TAGS else _NONE
            self._fill_members(node, is_markdown=is_markdown, markdown_names=names)

    def _fill_names(self, node: dict[str, Any]) -> None:
        members = list(node.items())
        node.clear()
        node.update((self._filled(name, is_markdown=False), value) for name, value in members)

    def _fill_members(
        self,
        node: dict[str, Any] | list[Any],
        *,
        is_markdown: bool,
        markdown_names: Collection[object] = _NONE,
    ) -> None:
        members: Iterable[tuple[Any, Any]] = node.items() if type(node) is dict else enumerate(node)
        texts = self._texts
        for name, value in members:
            kind = type(value)  # of parsed JSON, which has no subclasses
            if kind is str:
                if value.isascii():
                    continue
                if value in texts and not is_markdown and name not in markdown_names:  # most texts
                    node[name] = texts[value]
                else:
                    node[name] = self._filled(value, is_markdown=is_markdown or name in markdown_names)
            elif kind is dict:
                self._fill_object(value, is_markdown=is_markdown or name in markdown_names)
            elif kind is list:
                self._fill_members(value, is_markdown=is_markdown or name in markdown_names)

    def _fill_table(self, table: dict[str, Any], *, is_markdown: bool) -> None:
        """Fill the rows last, because the columns decide which cells are Markdown."""
        rows = table.get("rows")
        if isinstance(rows, list):
            table["rows"] = []
        self._fill_members(table, is_markdown=is_markdown)
        columns = table.get("columns")
        cells = {
            column.get("name")
            for column in (columns if isinstance(columns, list) else ())
            if isinstance(column, dict) and column.get("data_type") in _MARKDOWN_TAGS
        }
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                self._fill_names(row)
                self._fill_members(row, is_markdown=is_markdown, markdown_names=cells)
                table["rows"].append(row)
            else:
                others = [row]
                self._fill_members(others, is_markdown=is_markdown)
                table["rows"] += others

    def _filled(self, string: str, *, is_markdown: bool) -> str:
        text = self._texts.get(string)
        if text is None:
            return _MARKS.sub(lambda found: self._filled_mark(found[0], is_markdown=is_markdown), string)
        return escape_markdown(text) if is_markdown else text

    def _filled_mark(self, mark: str, *, is_markdown: bool) -> str:
        if mark not in self._texts:
            raise TemplateBroken(f"{self._template}: the characters U+E000 and U+E001 are reserved")
        return self._filled(mark, is_markdown=is_markdown)

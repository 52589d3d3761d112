"""Placeholders: keep the texts of a card apart from its JSON until the JSON is parsed.

A text becomes a numbered placeholder in the output of a template. It then replaces its placeholder in the parsed
strings. Where Feishu reads Markdown (tags markdown and lark_md, and table cells of these types), it is escaped first.
"""

import re
from collections.abc import Collection
from typing import Any

from notifier.errors import TemplateBroken

OPEN, CLOSE = "\ue000", "\ue001"
_MARKS = re.compile(f"{OPEN}[0-9]+{CLOSE}|[{OPEN}{CLOSE}]")
_MARKDOWN_TAGS = frozenset({"markdown", "lark_md"})
_MARKDOWN_KEYS = frozenset({"content", "i18n_content"})
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

    def fill(self, node: Any, *, markdown: bool = False) -> Any:  # noqa: ANN401 - JSON
        """Return parsed JSON with the texts in their places.

        markdown: whether Feishu reads the strings in it as Markdown. Raises TemplateBroken if a template contains one
        of the two characters that mark a placeholder.
        """
        if isinstance(node, str):
            return node if node.isascii() else self._fill_string(node, markdown=markdown)
        if isinstance(node, dict):
            return self._fill_object(node, markdown=markdown)
        if isinstance(node, list):
            return [self.fill(each, markdown=markdown) for each in node]
        return node

    def _fill_string(self, string: str, *, markdown: bool) -> str:
        text = self._texts.get(string)
        if text is not None:
            return escape_markdown(text) if markdown else text
        return _MARKS.sub(lambda found: self._text_of(found[0], markdown=markdown), string)

    def _text_of(self, placeholder: str, *, markdown: bool) -> str:
        text = self._texts.get(placeholder)
        if text is None:
            raise TemplateBroken(f"{self._template}: the characters U+E000 and U+E001 are reserved")
        return escape_markdown(text) if markdown else text

    def _fill_object(self, node: dict[str, Any], *, markdown: bool) -> dict[str, Any]:
        """Fill the names first, because the tag and the names decide whether a value is Markdown."""
        if not all(map(str.isascii, node)):
            node = {self.fill(name): value for name, value in node.items()}
        tag = self.fill(node.get("tag"))
        if tag == "table":
            return self._fill_table(node, markdown=markdown)
        is_markdown = isinstance(tag, str) and tag in _MARKDOWN_TAGS
        return {
            name: self.fill(value, markdown=markdown or (is_markdown and name in _MARKDOWN_KEYS))
            for name, value in node.items()
        }

    def _fill_table(self, node: dict[str, Any], *, markdown: bool) -> dict[str, Any]:
        """Fill the columns first, because they decide which cells are Markdown."""
        filled = {
            name: value if name == "rows" and isinstance(value, list) else self.fill(value, markdown=markdown)
            for name, value in node.items()
        }
        columns = filled.get("columns")
        cells = {
            column.get("name")
            for column in (columns if isinstance(columns, list) else ())
            if isinstance(column, dict) and column.get("data_type") in _MARKDOWN_TAGS
        }
        rows = node.get("rows")
        if isinstance(rows, list):
            filled["rows"] = [self._fill_row(row, cells, markdown=markdown) for row in rows]
        return filled

    def _fill_row(self, row: object, cells: Collection[object], *, markdown: bool) -> object:
        if not isinstance(row, dict):
            return self.fill(row, markdown=markdown)
        named = ((self.fill(name), value) for name, value in row.items())
        return {name: self.fill(value, markdown=markdown or name in cells) for name, value in named}

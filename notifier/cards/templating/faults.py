"""Faults of templates: the template, the line, the text of the line, and what is wrong with it."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from notifier.errors import TemplateBroken

MAX_LINE_TEXT = 100
"""Characters of a line that a message shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFault:
    """An error in a template."""

    template: str
    """The file name; of a shipped template that an own one replaces, with `shipped/`."""
    line: int | None
    """The line in the template, counted from 1. None: no line is known."""
    message: str
    """What is wrong."""
    text: str = ""
    """The text of the line. Empty: not known."""

    def as_error(self, kind_zh: str) -> TemplateBroken:
        """Return the error. kind_zh: its kind in Chinese; the message is Jinja's or Python's own."""
        place = f"{self.template} 第 {self.line} 行" if self.line else self.template
        shown = f"；该行：{self.text}" if self.text else ""
        return TemplateBroken(str(self), zh=f"{place}：{kind_zh}（“{self.message}”）{shown}")

    def __str__(self) -> str:
        place = f"{self.template}, line {self.line}" if self.line else self.template
        return f"{place}: {self.message}" + (f"; the line: {self.text}" if self.text else "")


def name_nearest(name: str, known: Iterable[str], *, noun: str) -> str:
    """Return `; nearest: referrer; fields: a, b`, for the end of a message about an unknown name.

    noun: what the known names are, in the plural.
    """
    names = list(known)
    nearest = difflib.get_close_matches(name, names, 1, 0.6)
    listed = f"; {noun}: {', '.join(names)}" if names else f"; there are no {noun}"
    return (f"; nearest: {nearest[0]}" if nearest else "") + listed


def line_text(source: str, line: int | None) -> str:
    """Return a line of a template as a message shows it; empty if it has no such line."""
    lines = source.splitlines()
    if line is None or not 0 < line <= len(lines):
        return ""
    shown = lines[line - 1].strip()
    return shown if len(shown) <= MAX_LINE_TEXT else f"{shown[: MAX_LINE_TEXT - 1]}…"


def written_path(text: str, name: str) -> str:
    """Return the expression of a line that ends with the field, such as `card.referer`; empty if there is none."""
    found = re.search(rf"[A-Za-z_][\w.\[\]]*\.{re.escape(name)}\b", text)
    return found[0] if found else ""

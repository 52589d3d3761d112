"""Formatting: tables, labels, times and durations for the command line."""

import unicodedata
from collections.abc import Sequence

from notifier.clock import Millis, from_millis
from notifier.domain.money import Amounts, format_amount
from notifier.operations.language import Language, localized

LABEL_WIDTH = 14
"""Columns of a label at the start of a line."""
_UNITS = ((86400, "d", "天"), (3600, "h", "小时"), (60, "min", "分钟"))


def display_width(text: str) -> int:
    """Return how many columns the text takes on a terminal. Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def pad(text: str, width: int) -> str:
    """Fill the text with blanks up to this number of columns."""
    return text + " " * max(0, width - display_width(text))


def label(en: str, zh: str, language: Language | None = None) -> str:
    """Return the label of a line, padded. language: None for that of the locale."""
    return pad(localized(en, zh, language), LABEL_WIDTH)


def format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table with aligned columns."""
    widths = [max(display_width(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return "\n".join(
        "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    )


def format_amounts(amounts: Amounts) -> str:
    """Format amounts in the language of the locale, such as "350.50 CNY, 120 points"."""
    figures = (
        f"{format_amount(amount)} {asset.currency or localized('points', '积分')}"
        for asset, amount in amounts.items()
    )
    return localized(", ", "，").join(figures) or localized("nothing", "无")


def format_counts(counts: dict[str, int]) -> str:
    """Format numbers by state, such as "3 dead, 120 sent". States keep their names: options use them."""
    parts = (localized(f"{count} {state}", f"{state} {count}") for state, count in sorted(counts.items()))
    return localized(", ", "，").join(parts) or localized("none", "无")


def format_iso(at: Millis | None) -> str | None:
    """Format a time (Unix milliseconds) as ISO 8601 in UTC; None stays None."""
    return None if at is None else from_millis(at).isoformat(timespec="seconds")


def format_ago(at: Millis | None, now: Millis, language: Language | None = None) -> str:
    """Format how long ago a time is, both in Unix milliseconds; "never" for None."""
    if at is None:
        return localized("never", "从未", language)
    duration = format_duration(now - at, language)
    return localized(f"{duration} ago", f"{duration}前", language)


def format_duration(millis: int, language: Language | None = None) -> str:
    """Format a duration in its largest whole unit."""
    seconds = max(0, millis) // 1000
    for size, unit, unit_zh in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {localized(unit, unit_zh, language)}"
    return f"{seconds} {localized('s', '秒', language)}"

"""Formatting: tables, times and durations for the command line."""

from collections.abc import Sequence

from notifier.clock import Millis, from_millis


def format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table with aligned columns."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    )


def format_counts(counts: dict[str, int]) -> str:
    """Format numbers by state, such as "3 dead, 120 sent"."""
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"


def format_iso(at: Millis | None) -> str | None:
    """Format a time (Unix milliseconds) as ISO 8601 in UTC; None stays None."""
    return None if at is None else from_millis(at).isoformat(timespec="seconds")


def format_ago(at: Millis | None, now: Millis) -> str:
    """Format how long ago a time is, both in Unix milliseconds; "never" for None."""
    return "never" if at is None else f"{format_duration(now - at)} ago"


def format_duration(millis: int) -> str:
    """Format a duration in its largest whole unit."""
    seconds = max(0, millis) // 1000
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

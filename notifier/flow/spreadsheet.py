"""Spreadsheet: CSV that Excel opens as it is meant: Chinese text, no formulas."""

import csv
import io
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"
"""How Excel knows that a file is UTF-8."""

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would run what begins so."""


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_BEGINNINGS) else text


def line(cells: Iterable[object]) -> str:
    """One row with its end."""
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\r\n").writerow(cells)
    return made.getvalue()

"""Spreadsheet: CSV that Excel opens as it is meant: Chinese text, no formulas."""

import csv
import io
import unicodedata
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"
"""How Excel knows that a file is UTF-8."""

_FORMULA = "=+-@"
_BREAKS = ("\t", "\r", "\n")


def harmless(text: str) -> str:
    """A spreadsheet would run what begins so, also after spaces of any kind, and a full-width sign once converted."""
    shown = "".join(char for char in text if unicodedata.category(char) not in {"Cf", "Cc"}).lstrip()
    runs = unicodedata.normalize("NFKC", shown[:1]) in {*_FORMULA}
    return f"'{text}" if runs or text.startswith(_BREAKS) else text


def line(cells: Iterable[object]) -> str:
    """One row with its end."""
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\r\n").writerow(cells)
    return made.getvalue()

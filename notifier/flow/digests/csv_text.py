"""CSV text that Excel opens correctly: Chinese characters are readable, and no cell runs as a formula."""

import csv
import io
import unicodedata
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"
"""Excel recognises a UTF-8 file by this mark."""

_FORMULA = "=+-@"
_BREAKS = ("\t", "\r", "\n")


def harmless(text: str) -> str:
    """Returns the text of a cell, with an apostrophe in front if a spreadsheet would run it as a formula.

    Leading invisible characters and spaces do not matter. Full-width signs count as their normal forms.
    """
    shown = "".join(char for char in text if unicodedata.category(char) not in {"Cf", "Cc"}).lstrip()
    runs = unicodedata.normalize("NFKC", shown[:1]) in {*_FORMULA}
    return f"'{text}" if runs or text.startswith(_BREAKS) else text


def line(cells: Iterable[object]) -> str:
    """Returns one CSV row, including the line break."""
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\r\n").writerow(cells)
    return made.getvalue()

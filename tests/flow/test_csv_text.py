"""Spreadsheet: no text from outside is a formula, whatever stands before it and however wide it is."""

import pytest

from notifier.flow.digests.csv_text import harmless

SIGNS = [*"=+-@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
SPACES = ["", " ", "\u3000", "\u00a0", "\u2003", "\u200b", "\ufeff", "\u202e", " \u3000"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("space", SPACES)
def test_a_formula_becomes_text(space: str, sign: str) -> None:
    text = f"{space}{sign}SUM(A1)"

    assert f"'{text}" == harmless(text)


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_a_break_at_the_start_does_too(text: str) -> None:
    assert f"'{text}" == harmless(text)


@pytest.mark.parametrize("text", ["", " ", "林小满", "Lin-Xiaoman", "\u3000林", "1=1", "oc_1"])
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert text == harmless(text)

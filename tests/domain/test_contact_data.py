"""Texts from outside: a name, a reason and a reference keep every character that only looks unusual."""

import pytest

from notifier.cards.withdrawal_text import reference
from notifier.domain.contact_data import one_line


@pytest.mark.parametrize(
    "text", ["王\U00031350", "李\U0002ebf0明", "陈\ue863", "می\u200cخواهم", "退回：账户名 ≠ 收款人", "WIRE-1"]
)
def test_a_text_keeps_its_characters(text: str) -> None:
    assert text == one_line(text) == reference(text)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\nb\tc", "a b c"),
        ("a\x00b\x1b[31m", "a b [31m"),
        ("pay \u202eXYZ", "pay XYZ"),
        ("\u200b WIRE\u200b-1 ", "WIRE -1"),
        ("half \ud83d", "half"),
        ("\U000e0041tag", "tag"),
        ("", ""),
    ],
)
def test_what_hides_or_turns_text_is_removed(text: str, shown: str) -> None:
    assert shown == one_line(text)
    assert shown == one_line(shown).encode().decode()

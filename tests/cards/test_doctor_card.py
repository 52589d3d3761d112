"""The test card of `notifier doctor`: valid at Feishu, in both languages, and only its person's press counts."""

import json
from typing import Any

import pytest

from notifier.cards import doctor_card
from notifier.cards.doctor_card import CardTestPress, judge_test_press, make_test_ref
from notifier.cards.rules import card_problems

CARDS = {
    "waiting": doctor_card.waiting_card(make_test_ref("ou_1")),
    "passed": doctor_card.passed_card(),
    "expired": doctor_card.expired_card(),
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_each_card_is_valid_and_says_in_both_languages_that_it_is_a_test(card: dict[str, Any]) -> None:
    assert [] == list(card_problems(card))
    text = json.dumps(card, ensure_ascii=False)
    assert "测试" in text
    assert "test" in text
    assert card["config"]["update_multi"] is True


@pytest.mark.parametrize(
    "expected, presser, press",
    [
        ("ou_1", "ou_1", CardTestPress.EXPECTED),
        ("ou_1", "ou_2", CardTestPress.OTHER_PERSON),
        ("ou_1", "", CardTestPress.OTHER_PERSON),
        (doctor_card.ANYBODY, "ou_2", CardTestPress.EXPECTED),
        (doctor_card.ANYBODY, "", CardTestPress.OTHER_PERSON),
    ],
)
def test_the_press_of_the_right_person_counts(expected: str, presser: str, press: CardTestPress) -> None:
    ref = make_test_ref(expected)

    assert press is judge_test_press(ref, presser)
    assert "ou_" not in ref
    assert len(ref) <= 64


@pytest.mark.parametrize("ref", ["", "doctor-", "doctor-abc", "5d0c7a41b2e84f6f"])
def test_another_button_is_no_test_card(ref: str) -> None:
    assert judge_test_press(ref, "ou_1") is None


def test_no_two_references_are_equal() -> None:
    assert make_test_ref("ou_1") != make_test_ref("ou_1")

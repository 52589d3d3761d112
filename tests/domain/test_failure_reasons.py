"""Reasons for people: a Chinese and an English text for every error code of Feishu."""

import re

import pytest

from notifier.domain.failure_reasons import FAILURE_REASONS, find_failure_reason
from notifier.feishu.failures import FAILURE_RULES


def test_every_rule_has_a_reason_for_people_and_no_reason_is_without_a_rule() -> None:
    assert set(FAILURE_RULES) == set(FAILURE_REASONS)


@pytest.mark.parametrize("code", FAILURE_RULES)
def test_the_chinese_reason_is_chinese_and_the_english_one_is_english(code: int) -> None:
    reason = FAILURE_REASONS[code]

    assert re.search("[\u4e00-\u9fff]", reason.zh)
    assert not re.search("[A-Za-z]", reason.zh)
    assert reason.en.isascii()
    assert re.search("[a-z]", reason.en)
    assert not {reason.zh[-1], reason.en[-1]} & set("。.")


@pytest.mark.parametrize("code", [None, 4711])
def test_an_unknown_code_has_no_reason(code: int | None) -> None:
    assert find_failure_reason(code) is None

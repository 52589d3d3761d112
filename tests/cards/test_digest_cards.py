"""Digest cards: what a reader must find on every one of them, whatever its size and width."""

from collections.abc import Iterator
from typing import Any

import pytest

from notifier.checks import preview
from notifier.config import Config
from notifier.domain.digest_card import DigestCard
from notifier.flow.templates import CardTemplates
from notifier.samples import sample

LANGUAGES = ("zh_cn", "en_us")


def digest(name: str) -> DigestCard:
    found = sample(name, Config())
    assert isinstance(found, DigestCard)
    return found


def rendered(card: DigestCard, template: str = "digest.json.j2") -> dict[str, Any]:
    return CardTemplates().render(template, {"card": card})


def lines(card: object, language: str) -> Iterator[str]:
    """Every line of plain text of the card, in this language."""
    if isinstance(card, dict):
        if card.get("tag") == "plain_text":
            yield from str(card.get("i18n_content", {}).get(language, card["content"])).split("\n")
        for each in card.values():
            yield from lines(each, language)
    elif isinstance(card, list):
        for each in card:
            yield from lines(each, language)


MOVES = {
    "zh_cn": ["新增奖励 +¥2,000.00", "首次登记 +¥350.00", "已提现 -¥1,150.00", "更正及其他减少 -¥50.00"],
    "en_us": ["Rewards in +¥2,000.00", "First seen +¥350.00", "Withdrawn -¥1,150.00", "Corrections -¥50.00"],
}


@pytest.mark.parametrize("template", ["digest.json.j2", "personal_digest.json.j2"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_figure_stands_in_one_line_with_its_name(template: str, language: str) -> None:
    """In columns of their own, names that wrap moved away from their figures on a phone."""
    found = list(lines(preview(Config(), template, "my-week" if "personal" in template else "daily"), language))
    start = found.index(MOVES[language][0])

    assert MOVES[language] == found[start : start + 4]
    assert found[start + 4].endswith(" +¥1,150.00")
    assert "¥9,150.00" == found[start - 1]


@pytest.mark.parametrize(
    "name, zh, en",
    [
        ("daily", "内推奖励日报", "Referral rewards, daily"),
        ("month", "内推奖励月报", "Referral rewards, monthly"),
        ("my-week", "我的内推奖励日报", "My referral rewards, daily"),
    ],
)
def test_the_compact_card_says_which_digest_it_is_and_all_its_figures(name: str, zh: str, en: str) -> None:
    card = preview(Config(), "digest_compact.json.j2", name)
    titles = card["header"]["title"]["i18n_content"]

    assert {"zh_cn": zh, "en_us": en} == titles
    assert "摘要 hr-daily" in lines(card, "zh_cn")
    for language in LANGUAGES:
        found = " / ".join(lines(card, language))
        assert [] == [each for each in MOVES[language] if each not in found]

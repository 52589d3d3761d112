"""Golden cards: every shipped template with every sample, as it is sent. A change shows itself as a diff.

To accept what is rendered now: NOTIFIER_TESTS_UPDATE_GOLDEN=1 pytest tests/cards, then read the diff.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.rules import card_problems
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.config.sections import CardConfig, PayoutConfig
from notifier.config.settings import Config
from notifier.operations.sample_cards import list_samples, make_sample

GOLDEN = Path(__file__).parent / "golden"
CARDS = [(template, name) for template in OUR_TEMPLATES for name in list_samples(template)]
TEMPLATES = CardTemplates()


def rendered(template: str, name: str, config: Config) -> dict[str, Any]:
    card = make_sample(name, config, allowed=list_samples(template))
    return TEMPLATES.render(template, {"card": card})


def golden_file(template: str, name: str) -> Path:
    return GOLDEN / f"{template.removesuffix('.json.j2')}-{name}.json"


@pytest.mark.parametrize("template, name", CARDS)
def test_a_card_is_rendered_as_its_golden_file_says(template: str, name: str) -> None:
    card = rendered(template, name, Config())
    file = golden_file(template, name)
    if os.environ.get("NOTIFIER_TESTS_UPDATE_GOLDEN") == "1":
        file.write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    assert json.loads(file.read_text(encoding="utf-8")) == card


@pytest.mark.parametrize("template, name", CARDS)
def test_feishu_would_take_every_golden_card(template: str, name: str) -> None:
    assert [] == card_problems(json.loads(golden_file(template, name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("template, name", CARDS)
def test_no_text_stands_on_an_opaque_colour(template: str, name: str) -> None:
    """Dark mode shows the same yellow, and near-white text on it."""
    assert '"background_style": "yellow"' not in golden_file(template, name).read_text(encoding="utf-8")


def test_there_is_no_golden_file_without_its_card() -> None:
    assert {golden_file(*each) for each in CARDS} == set(GOLDEN.iterdir())


def test_the_lines_that_the_example_suggests_are_accepted_on_every_card() -> None:
    """A line that Feishu's rules refuse would turn every card into plain text."""
    example = (Path(__file__).parents[2] / "config.example.yaml").read_text(encoding="utf-8")
    suggested = re.findall(r'(?:zh|en): "" +# (.+)', example)
    assert len(suggested) >= 6
    config = Config(
        cards=CardConfig.model_validate(
            {
                "contact": {"zh": suggested[0], "en": suggested[1]},
                "payday": {"zh": suggested[2], "en": suggested[3]},
            }
        ),
        payouts=PayoutConfig.model_validate({"contact": {"zh": suggested[4], "en": suggested[5]}}),
    )

    for template, name in CARDS:
        assert [] == card_problems(rendered(template, name, config)), (template, name)

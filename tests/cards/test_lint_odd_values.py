"""The linter never raises: cards of ours in which random values are replaced by odd ones."""

import copy
import json
import random
from typing import Any

import pytest

from notifier.cards import lint
from notifier.cards.templates import CardTemplates
from notifier.config.settings import Config
from notifier.operations.sample_cards import make_sample

CARDS = [
    CardTemplates().render(template, {"card": make_sample(sample, Config())})
    for template, sample in (
        ("balance_change.json.j2", "withdraw"),
        ("withdrawal.json.j2", "receipt"),
        ("digest.json.j2", "running"),
        ("digest.json.j2", "month"),
    )
]
ODD: list[Any] = [
    *(None, True, 0, -1, 2**80, 1e308, "", " ", "2.0", "${x}", "\ud800", "form", "chart", "10px"),
    *(
        [],
        [[]],
        ["form"],
        [None],
        [{}],
        {},
        {"tag": ["form"]},
        {"tag": {}},
        {"tag": "chart", "chart_spec": 1},
    ),
    *({"content": {}}, {"zh_cn": [], "en_us": 1}, {"type": "callback", "value": []}),
]
"""Values of each JSON type, and parts of cards in wrong places."""
ROUNDS = 200


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with each of its keys or indexes."""
    if isinstance(node, dict):
        steps = list(node)
    elif isinstance(node, list):
        steps = list(range(len(node)))
    else:
        return []
    return [found for step in steps for found in ((node, step), *places(node[step]))]


def test_a_tag_that_is_a_list_has_an_error() -> None:
    chart = {"tag": "chart", "chart_spec": {"type": "bar"}}
    card = {"schema": "2.0", "body": {"elements": [{"tag": ["form"], "elements": [chart]}]}}

    assert {"body.elements[0].tag"} <= {each.path for each in lint(card)}


@pytest.mark.parametrize("seed", range(len(CARDS)))
def test_odd_values_never_raise(seed: int) -> None:
    chosen = random.Random(seed)
    for number in range(ROUNDS):
        card = copy.deepcopy(CARDS[seed])
        for _ in range(chosen.randint(1, 4)):
            container, step = chosen.choice(places(card))
            container[step] = copy.deepcopy(chosen.choice(ODD))
        try:
            lint(json.dumps(card) if number % 2 else card)
        except Exception as error:
            raise AssertionError(f"seed {seed}, round {number}: {json.dumps(card)}") from error

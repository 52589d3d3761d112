"""The withdrawal on the cards: each state for each audience, as it is sent. A change shows itself as a diff.

To accept what is rendered now: NOTIFIER_TESTS_UPDATE_GOLDEN=1 pytest tests/cards, then read the diff.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notifier.cards.balance_text import MAX_AMOUNT_LINES
from notifier.cards.rules import card_problems
from notifier.cards.templates import BALANCE_TEMPLATES, CardTemplates
from notifier.cards.withdrawal_text import MAX_REASON_LENGTH
from notifier.config.settings import Config
from notifier.domain.card import AmountFigure, BalanceChangeCard, Bilingual, WithdrawalPanel
from notifier.operations.sample_cards import make_sample

GOLDEN = Path(__file__).parent / "golden_withdrawal"
REF = "0123456789abcdef0123456789abcdef"
ORDER = "…89abcdef"
AMOUNTS = (
    AmountFigure(label=Bilingual(zh="现金（CNY）", en="Cash (CNY)"), text="¥1,200.00"),
    AmountFigure(label=Bilingual(zh="积分", en="Points"), text="120"),
)
REASON = Bilingual(zh="内推账户已停用", en="The referral account is deactivated")
ASKED = WithdrawalPanel(state="processing", amounts=AMOUNTS, order_id=ORDER, by="ou_sample")
REFUSED = WithdrawalPanel(state="refused", order_id=ORDER, by="ou_sample", reason=REASON)
WITHDRAWN = replace(ASKED, state="withdrawn", at=1_700_000_060_000, at_text="2023-11-15 06:14")
PAID = replace(WITHDRAWN, state="paid", settled_at=1_700_100_060_000, settled_at_text="2023-11-16 10:01")
PANELS = {
    "offered": WithdrawalPanel(state="offered", ref=REF, amounts=AMOUNTS),
    "processing": ASKED,
    "withdrawn": WITHDRAWN,
    "sent": replace(WITHDRAWN, state="sent"),
    "paid": replace(PAID, reference="WIRE-42"),
    "failed": replace(PAID, state="failed", reason=REASON),
    "nothing": replace(ASKED, state="nothing", amounts=()),
    "refused": replace(REFUSED, ref=REF, amounts=AMOUNTS),
    "refused_for_good": REFUSED,
}
AUDIENCES = {"referrer": "increase", "group": "group"}
CARDS = [
    (template, state, audience)
    for template in BALANCE_TEMPLATES.values()
    for state in PANELS
    for audience in AUDIENCES
]
TEMPLATES = CardTemplates()
HOSTILE = '<at id=all></at> [x](http://x.invalid) "}],{"tag":"button"} {{ 7*7 }} \\ \ue000'


def rendered(template: str, panel: WithdrawalPanel | None, audience: str = "referrer") -> dict[str, Any]:
    made = make_sample(AUDIENCES[audience], Config())
    assert isinstance(made, BalanceChangeCard)
    card = replace(made, withdrawal=panel)
    return TEMPLATES.render(template, {"card": card})


def golden_file(template: str, state: str, audience: str) -> Path:
    return GOLDEN / f"{template.removesuffix('.json.j2')}-{state}-{audience}.json"


def tagged(node: Any, tag: str) -> Iterator[dict[str, Any]]:
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from tagged(each, tag)
    if isinstance(node, dict) and node.get("tag") == tag:
        yield node


@pytest.mark.parametrize("template, state, audience", CARDS)
def test_a_withdrawal_is_rendered_as_its_golden_file_says(template: str, state: str, audience: str) -> None:
    card = rendered(template, PANELS[state], audience)
    file = golden_file(template, state, audience)
    if os.environ.get("NOTIFIER_TESTS_UPDATE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    assert json.loads(file.read_text(encoding="utf-8")) == card


def test_there_is_no_golden_file_without_its_withdrawal() -> None:
    assert {golden_file(*each) for each in CARDS} == set(GOLDEN.iterdir())


@pytest.mark.parametrize("template, state, audience", CARDS)
def test_feishu_would_take_every_state_and_nobody_can_forward_it(
    template: str, state: str, audience: str
) -> None:
    card = rendered(template, PANELS[state], audience)

    assert [] == card_problems(card)
    assert card["config"]["enable_forward"] is False


@pytest.mark.parametrize("template, state, audience", CARDS)
def test_the_button_is_there_with_its_id_and_carries_nothing_else(
    template: str, state: str, audience: str
) -> None:
    buttons = list(tagged(rendered(template, PANELS[state], audience), "button"))

    expected = [[{"type": "callback", "value": {"ref": REF}}]] if PANELS[state].ref else []
    assert expected == [button["behaviors"] for button in buttons]


@pytest.mark.parametrize("template", BALANCE_TEMPLATES.values())
def test_the_question_before_it_names_every_amount_in_both_languages(template: str) -> None:
    (button,) = tagged(rendered(template, PANELS["offered"]), "button")
    asked = button["confirm"]["text"]["i18n_content"]

    assert "现金（CNY） ¥1,200.00、积分 120" in asked["zh_cn"]
    assert "无法撤销" in asked["zh_cn"]
    assert "Cash (CNY) ¥1,200.00, Points 120" in asked["en_us"]
    assert "cannot be undone" in asked["en_us"]


@pytest.mark.parametrize("template", BALANCE_TEMPLATES.values())
@pytest.mark.parametrize(
    "audience, by, named",
    [
        ("group", "ou_asked", True),
        ("group", "ou_sample", True),
        ("referrer", "ou_asked", True),
        ("referrer", "ou_sample", False),
    ],
)
def test_who_asked_is_shown_on_the_full_card_to_everybody_else(
    template: str, audience: str, by: str, *, named: bool
) -> None:
    """ou_sample is the referrer."""
    card = rendered(template, replace(PANELS["withdrawn"], by=by), audience)

    changed_accounts = [each["user_id"] for each in tagged(card, "person") if each["size"] == "extra_small"]
    full = template == "balance_change.json.j2"
    assert ([by] if named and full else []) == changed_accounts


@pytest.mark.parametrize("template", BALANCE_TEMPLATES.values())
def test_hostile_text_stays_text(template: str) -> None:
    hostile = replace(
        PANELS["refused"], reason=Bilingual(zh=HOSTILE, en=HOSTILE), order_id=HOSTILE, ref=HOSTILE
    )
    card = rendered(template, hostile)

    (button,) = tagged(card, "button")
    assert {"ref": HOSTILE} == button["behaviors"][0]["value"]
    assert HOSTILE in [text["content"] for text in tagged(card, "plain_text")]
    assert "<at" not in json.dumps(list(tagged(card, "markdown")))
    assert [] == card_problems(card)


@pytest.mark.parametrize("template", BALANCE_TEMPLATES.values())
def test_the_largest_panel_leaves_most_of_the_room_to_the_rest(template: str) -> None:
    amount = AmountFigure(
        label=Bilingual(zh=f"现金（{'长' * 16}）", en=f"Cash ({'W' * 16})"), text="-¥10,000,000,000,000.1234"
    )
    largest = replace(
        PANELS["refused"],
        amounts=(amount,) * MAX_AMOUNT_LINES,
        reason=Bilingual(zh="长" * MAX_REASON_LENGTH, en="长" * MAX_REASON_LENGTH),
        order_id="f" * 64,
    )

    def size(panel: WithdrawalPanel | None) -> int:
        card = rendered(template, panel, "group")
        return len(json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode())

    assert size(largest) - size(None) < 12_000
    assert size(PANELS["offered"]) < 6_000

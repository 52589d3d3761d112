"""Correction: the line stands first in every variant of every card, and breaks no rule."""

import json
from dataclasses import replace

import pytest

from notifier.cards.correction import CORRECTION, mark_correction
from notifier.cards.render import Renderer, plain_text
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.clock import SystemClock
from notifier.config.settings import Config
from notifier.domain.account import Ownership, Referrer
from notifier.domain.card_state import CardState, ClaimedDelivery, PostedCard
from notifier.domain.delivery import CardVariant, Delivery, DeliveryState
from notifier.operations.sample_cards import ALL_SAMPLES, make_sample
from support.builders import ACCOUNT, MODIFIED_AT, notice

RENDERER = Renderer(CardTemplates(), check=card_problems, zone=Config().cards.time_zone, clock=SystemClock())
OWNERSHIP = Ownership(referrer=Referrer(open_id="ou_1", name_zh="林小满"), looked_up_at=MODIFIED_AT)
CARD_VARIANTS = (CardVariant.FULL, CardVariant.NO_MEDIA, CardVariant.COMPACT)


def claimed(variant: CardVariant, *, corrects: int | None) -> ClaimedDelivery:
    delivery = Delivery(
        id=2,
        key="key",
        account_ref=1,
        target="referrer",
        receive_id_type="open_id",
        receive_id="ou_1",
        state=DeliveryState.SENDING,
        variant=variant,
        content=None,
        attempts=1,
        created_at=MODIFIED_AT,
        first_tried_at=None,
        unknown_since=None,
        reroute_reason=None,
        corrects=corrects,
    )
    return ClaimedDelivery(
        delivery=delivery, attempt_id=1, account=ACCOUNT, ownership=OWNERSHIP, notices=(notice(),)
    )


@pytest.mark.parametrize("name", ALL_SAMPLES)
def test_every_sample_is_accepted_in_every_variant_with_and_without_the_line(name: str) -> None:
    card = make_sample(name, Config())
    for variant in CARD_VARIANTS:
        rendered = RENDERER.card(variant, card)
        assert [] == card_problems(mark_correction(rendered))
    assert "<" not in plain_text(card)


@pytest.mark.parametrize("variant", CARD_VARIANTS)
def test_the_line_is_the_first_one_of_a_correction_only(variant: CardVariant) -> None:
    marked = json.loads(RENDERER.content(claimed(variant, corrects=1)).body)
    plain = json.loads(RENDERER.content(claimed(variant, corrects=None)).body)
    line, *others = marked["body"]["elements"]

    assert others == plain["body"]["elements"]
    assert {"zh_cn": CORRECTION.zh, "en_us": CORRECTION.en} == line["text"]["i18n_content"]


def test_the_plain_text_begins_with_it() -> None:
    text = json.loads(RENDERER.content(claimed(CardVariant.TEXT, corrects=1)).body)["text"]

    assert f"{CORRECTION.zh} / {CORRECTION.en}" == text.splitlines()[0]


def test_an_update_of_the_card_keeps_it() -> None:
    posted = PostedCard(
        delivery_id=2,
        account_ref=1,
        target="referrer",
        reroute_reason=None,
        variant=CardVariant.FULL,
        message_id="om_2",
        ownership=OWNERSHIP,
        notices=(notice(),),
        card_state=CardState(button_ref="", holdings={}, withdrawal=None),
        is_correction=True,
    )
    marked, plain = RENDERER.posted(posted), RENDERER.posted(replace(posted, is_correction=False))

    assert marked is not None
    assert plain is not None
    assert marked["body"]["elements"][1:] == plain["body"]["elements"]


def test_a_card_without_elements_stays_as_it_is() -> None:
    card = {"schema": "2.0", "body": "none"}

    assert card == mark_correction(card)

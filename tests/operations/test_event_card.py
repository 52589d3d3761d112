"""Event card: a payload of Feishu's becomes the card of a first notice, or an error that names the field."""

import json
from typing import Any

import pytest

from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.config.settings import Config
from notifier.errors import ConfigError
from notifier.operations.sample_cards import ALL_SAMPLES, list_descriptions
from notifier.operations.samples.descriptions import DESCRIPTIONS
from notifier.operations.samples.event_card import make_card_from_event
from support.builders import ACCOUNT_ID, balance_payload


def test_an_event_becomes_the_card_of_a_first_notice() -> None:
    cash = [{"currency_type": "1", "amount": 350.5}, {"currency_type": "KWD", "amount": "12.375"}]
    payload = balance_payload(cash=cash)
    card = make_card_from_event(payload, Config())
    rendered = CardTemplates().render("balance_change.json.j2", {"card": card})

    assert ("opening", "referrer", ACCOUNT_ID) == (card.direction, card.audience, card.account_id)
    assert ["¥350.50", "KWD12.375", "120"] == [line.after for line in card.lines]
    assert [None] * 3 == [line.delta for line in card.lines]
    assert [] == card_problems(rendered)
    assert card == make_card_from_event(json.loads(payload), Config())


def test_the_card_of_an_event_follows_the_configuration() -> None:
    settings: dict[str, Any] = {
        "withdrawals": {"offer_to": ["referrer"]},
        "cards": {"contact": {"zh": "请联系 HR", "en": "Ask HR"}},
    }
    card = make_card_from_event(balance_payload(), Config.model_validate(settings))

    assert card.withdrawal is not None
    assert "offered" == card.withdrawal.state
    assert card.contact is not None


@pytest.mark.parametrize(
    "payload, named",
    [
        (b"no json", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        ({"header": {}}, "schema"),
        ({"schema": "2.0"}, "header is missing"),
        ({"schema": "2.0", "header": {"event_type": "im.other_v1"}}, "header.event_type"),
        (balance_payload(account_id=None), "event.account_id is missing"),
        (balance_payload(modify_time=None), "event.modify_time is missing"),
        (balance_payload(points="many"), "event.assets.confirmed_bonus.point_bonus"),
        (balance_payload(cash=[{"amount": 1}]), "cash_bonus[0].currency_type"),
    ],
)
def test_an_unusable_event_is_refused_with_the_name_of_the_field(payload: Any, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_card_from_event(payload, Config())

    assert named in str(caught.value)


def test_every_sample_has_a_description_of_one_line_in_both_languages() -> None:
    assert set(ALL_SAMPLES) == set(DESCRIPTIONS)
    texts = [text for each in DESCRIPTIONS.values() for text in (each.zh, each.en)]
    assert [] == [text for text in texts if not text or "\n" in text or len(text) > 80]
    assert len(DESCRIPTIONS) == len({each.en for each in DESCRIPTIONS.values()})
    assert len(ALL_SAMPLES) == len(list_descriptions())

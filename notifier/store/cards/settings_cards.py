"""Settings cards: the deliveries that show a person's preferences, with what they show now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.domain.answers.answer import AnswerKind
from notifier.domain.card_state import PostedCard
from notifier.domain.delivery import CardVariant
from notifier.domain.preferences.button import make_settings_ref
from notifier.domain.preferences.choices import Preferences
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.preferences.settings_state import SettingsState
from notifier.store.answers.answers import load_answers
from notifier.store.people import preferences
from notifier.store.schema.tables import deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSettings:
    """A settings card with what proves whose it is."""

    card: PostedCard
    """The card."""
    open_id: str
    """The person who received it."""
    delivery_key: str
    """Idempotency key of its delivery."""


_GET = sa.select(deliveries).where(
    deliveries.c.id == sa.bindparam("delivery_id"),
    deliveries.c.receive_id_type == "open_id",
    deliveries.c.answer_id.is_not(None),
)


def load_cards(
    connection: Connection, rows: Sequence[sa.Row[*tuple[Any, ...]]], rules: HoldRules
) -> dict[int, PostedCard]:
    """The settings cards among these delivery rows, by delivery."""
    asked = {row.id: row.answer_id for row in rows if row.account_ref is None and row.answer_id is not None}
    found = load_answers(connection, set(asked.values()))
    return {
        row.id: to_settings_card(connection, row, rules)
        for row in rows
        if row.id in asked and found[row.answer_id].kind is AnswerKind.SETTINGS
    }


def find_card(connection: Connection, delivery_id: int, rules: HoldRules) -> FoundSettings | None:
    """The settings card of a delivery; None if there is no such delivery to a person."""
    row = connection.execute(_GET, {"delivery_id": delivery_id}).first()
    if row is None:
        return None
    return FoundSettings(
        card=to_settings_card(connection, row, rules), open_id=row.receive_id, delivery_key=row.delivery_key
    )


def to_settings_card(connection: Connection, row: sa.Row[*tuple[Any, ...]], rules: HoldRules) -> PostedCard:
    """The settings card of a delivery row, as it should look now."""
    state = load_state(connection, row.id, row.delivery_key, row.receive_id, rules)
    return PostedCard(
        delivery_id=row.id,
        account_ref=None,
        target=row.target,
        reroute_reason=None,
        variant=CardVariant(row.variant),
        message_id=row.message_id,
        ownership=None,
        notices=(),
        card_state=None,
        settings=state,
        language=state.preferences.language,
    )


def load_state(
    connection: Connection, delivery_id: int, delivery_key: str, open_id: str, rules: HoldRules
) -> SettingsState:
    """What the settings card of a delivery to this person shows now."""
    chosen = preferences.load_preferences(connection, [open_id]).get(open_id)
    return SettingsState(
        ref=make_settings_ref(delivery_id, delivery_key),
        preferences=chosen or Preferences(open_id=open_id),
        rules=rules,
        waiting=preferences.count_held_for(connection, open_id),
    )

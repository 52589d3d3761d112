"""Replay: the functions behind `notifier replay`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from notifier.clock import Clock
from notifier.config.settings import Config
from notifier.operations.formatting import label
from notifier.operations.replay import comparison, sending
from notifier.operations.replay.comparison import CardComparison
from notifier.operations.replay.finding import find_cards
from notifier.operations.replay.rendering import ReplayedCard, replay_card
from notifier.store.deliveries.corrections import CorrectionDelivery
from notifier.store.engine.database import Database
from notifier.store.inbox import StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The cards of an event or a delivery, then and now."""

    cards: tuple[tuple[ReplayedCard, CardComparison], ...]
    """The cards with their differences, oldest first."""
    event: StoredEvent | None
    """The event; None: a delivery was replayed."""
    reason: str
    """Why there is no card, for the operator; "": there is one."""


def replay(database: Database, config: Config, identifier: str, clock: Clock) -> Replay | None:
    """Render the cards of an event or a delivery again; None if there is neither. Only reads.

    identifier: as for find_cards. Raises ConfigError for an ambiguous one.
    """
    with database.read() as connection:
        found = find_cards(connection, identifier, config)
        if found is None:
            return None
        cards = [replay_card(connection, each, config, clock) for each in found.cards]
    zone = config.cards.time_zone
    return Replay(
        cards=tuple((card, comparison.compare(card, zone)) for card in cards),
        event=found.event,
        reason=found.reason,
    )


def format_text(found: Replay, config: Config, *, with_json_diff: bool) -> list[str]:
    """Return the replay for the terminal, as lines."""
    lines = []
    if found.event is not None:
        event = found.event
        lines += [f"{label('event', '事件')}{event.id}, {event.state}, {event.event_type}, {event.event_key}"]
    if found.reason:
        return [*lines, found.reason]
    for card, differences in found.cards:
        lines += [""] if lines else []
        lines += comparison.to_lines(
            card, differences, with_json_diff=with_json_diff, zone=config.cards.time_zone
        )
    return lines


def format_json(
    found: Replay, *, with_json_diff: bool, sent: Sequence[CorrectionDelivery | None] | None = None
) -> str:
    """Return the replay as JSON: the card, or `cards` if the event has several.

    sent: the correction of each card, if they were sent.
    """
    documents = []
    for number, (card, differences) in enumerate(found.cards):
        document = comparison.to_json(card, differences, with_json_diff=with_json_diff)
        correction = sent[number] if sent is not None else None
        if correction is not None:
            document["corrected_by"] = correction.id
        documents.append(document)
    if not documents:
        documents = [{"before": None, "after": None, "diff": [], "reason": found.reason}]
    event = {} if found.event is None else {"event": found.event.id, "event_key": found.event.event_key}
    shown = documents[0] if len(documents) == 1 else {"cards": documents}
    return json.dumps(shown | event, ensure_ascii=False, indent=2)


def list_refusals(found: Replay, config: Config) -> list[str]:
    """Return why some cards cannot be corrected, for the operator; empty: all can, or already were."""
    if found.reason:
        return [found.reason]
    refusals = (sending.find_refusal(card, differences, config) for card, differences in found.cards)
    return [each for each in refusals if each]


def send(database: Database, found: Replay, clock: Clock) -> tuple[list[str], list[CorrectionDelivery]]:
    """Queue a correction of each card, once. Returns what happened, as lines, and the corrections."""
    cards = [card for card, _ in found.cards]
    sent = sending.send_corrections(database, cards, clock)
    return [sending.describe_sent(card, each) for card, each in zip(cards, sent, strict=True)], sent

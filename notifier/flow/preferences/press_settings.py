"""Handles a press of the save button on a settings card: checks the person, and stores what the form says."""

import logging
from dataclasses import replace

from sqlalchemy.engine import Connection

from notifier.cards.preferences.settings_text import SettingsReply, settings_toast
from notifier.clock import Millis
from notifier.domain.card_state import PostedCard
from notifier.domain.event import Click
from notifier.domain.preferences.button import (
    HalfQuietHoursError,
    InvalidChoiceError,
    SameTimesError,
    apply_form,
    get_delivery_id,
    make_settings_ref,
)
from notifier.domain.preferences.choices import Preferences, write_minute
from notifier.domain.preferences.holding import HoldRules
from notifier.flow.decision import Decision
from notifier.store import audit
from notifier.store.audit import AuditAction
from notifier.store.cards import settings_cards
from notifier.store.deliveries import holding
from notifier.store.people import preferences

log = logging.getLogger(__name__)

_FORM_REPLIES = {
    InvalidChoiceError: SettingsReply.INVALID,
    HalfQuietHoursError: SettingsReply.HALF,
    SameTimesError: SettingsReply.SAME_TIMES,
}


def press_settings(connection: Connection, click: Click, rules: HoldRules, *, now: Millis) -> Decision:
    """Stores the choices of the person, and answers with the card. The newest press of any of the cards counts."""
    card = _find_card(connection, click, rules)
    if isinstance(card, SettingsReply):
        log.warning("click.denied", extra={"reason": card.value, "open_id": click.open_id or None})
        return _refuse(card)
    if card.settings is None:
        raise LookupError(f"delivery {card.delivery_id} shows no settings")
    known = card.settings.preferences
    try:
        chosen = apply_form(known, click.form)
    except (InvalidChoiceError, HalfQuietHoursError, SameTimesError) as error:
        return _refuse(_FORM_REPLIES[type(error)])
    preferences.save_preferences(connection, chosen, now=now)
    waiting = holding.reconsider(connection, chosen.open_id, now=now)
    audit.add_entries(
        connection,
        audit.AuditEntry(
            at=now,
            action=AuditAction.SETTINGS,
            actor=click.open_id,
            outcome=describe(chosen),
            account_ref=None,
            delivery_id=card.delivery_id,
            message_id=click.message_id or None,
        ),
    )
    log.info("preferences.saved", extra={"open_id": chosen.open_id, "event_key": click.key})
    saved = replace(chosen, changed_at=now)
    state = replace(card.settings, preferences=saved, is_saved_now=True, waiting=waiting)
    return Decision(
        toast=settings_toast(SettingsReply.SAVED),
        card=replace(card, settings=state, language=saved.language),
        wakes=True,
        delivery_id=card.delivery_id,
        result=f"settings_{SettingsReply.SAVED}",
    )


def _find_card(connection: Connection, click: Click, rules: HoldRules) -> PostedCard | SettingsReply:
    """The pressed card, or why the press does not count. A forwarded card has another message id."""
    delivery_id = get_delivery_id(click.button_ref)
    found = settings_cards.find_card(connection, delivery_id, rules) if delivery_id is not None else None
    if found is None or click.button_ref != make_settings_ref(found.card.delivery_id, found.delivery_key):
        return SettingsReply.UNKNOWN
    if not click.open_id or click.open_id != found.open_id:
        return SettingsReply.NOT_YOURS
    is_original = found.card.message_id is None or click.message_id == found.card.message_id
    return found.card if is_original else SettingsReply.UNKNOWN


def _refuse(reply: SettingsReply) -> Decision:
    return Decision(toast=settings_toast(reply), result=f"settings_{reply}")


def describe(chosen: Preferences) -> str:
    """Return preferences as one line for operators, such as `daily, quiet 22:00-08:00, Asia/Tokyo, zh`."""
    quiet_hours = chosen.quiet_hours
    parts = [
        chosen.frequency.value,
        f"quiet {write_minute(quiet_hours.begin)}-{write_minute(quiet_hours.end)}" if quiet_hours else "",
        chosen.zone,
        chosen.language.value,
    ]
    return ", ".join(part for part in parts if part)

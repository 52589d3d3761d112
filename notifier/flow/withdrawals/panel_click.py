"""Handles a press of "withdraw all" or "retry" on a digest card: authorises it and stores a batch."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.withdrawal_text import PressReply, denied_toast, panel_toast
from notifier.domain.digest_panel import PanelButton, may_press
from notifier.domain.event import Click
from notifier.domain.withdrawal import DenialReason
from notifier.store import audit
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, digest_panels
from notifier.store.deliveries import delivery_admin
from notifier.store.digests import digest_runs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPress:
    """The answer to a press. show: the card must be rendered again. wakes, result: as in a Decision."""

    toast: Mapping[str, Any]
    show: bool = False
    wakes: bool = False
    result: str


def press_panel_button(
    connection: Connection,
    click: Click,
    button: PanelButton,
    *,
    operators: Mapping[str, Collection[str]],
    now: int,
) -> PanelPress:
    """Decides in the transaction that stores the click. operators: open_ids by group name. now: Unix milliseconds."""
    denial_reason = may_press(click, button, operators=operators, now=now)
    if denial_reason is not None:
        _note(connection, click, button, AuditAction.DENIED, denial_reason.value, now)
        log.warning("click.denied", extra={"reason": denial_reason, "open_id": click.open_id or None})
        is_unconfirmed = denial_reason is DenialReason.UNCONFIRMED
        if is_unconfirmed:
            delivery_admin.repeat_now(connection, button.delivery_id, now=now)
        return PanelPress(toast=denied_toast(denial_reason), wakes=is_unconfirmed, result=denial_reason.value)
    reply, items = _judge(connection, button)
    if reply is PressReply.BEGUN:
        batch_id = batches.create_batch(
            connection,
            delivery_id=button.delivery_id,
            click_key=click.key,
            requested_by=click.open_id,
            items=items,
            now=now,
        )
        if batch_id is None:  # a repeated callback: its batch exists
            reply = PressReply.BUSY
        else:
            outcome = f"batch {batch_id} begun: {button.action}, {len(items)} accounts"
            _note(connection, click, button, AuditAction.BATCH, outcome, now)
            log.info(
                "batch.started",
                extra={"event_key": click.key, "batch_id": batch_id, "accounts": len(items)},
            )
    _note(connection, click, button, AuditAction.CLICK, reply.value, now)
    return PanelPress(
        toast=panel_toast(reply),
        show=reply is not PressReply.NOTHING,
        wakes=reply is PressReply.BEGUN,
        result=reply.value,
    )


def _judge(connection: Connection, button: PanelButton) -> tuple[PressReply, Mapping[int, str]]:
    """Returns the reply and the items of the batch. A button of an earlier revision shows an outdated list."""
    if batches.is_batch_running(connection, button.delivery_id):
        return PressReply.BUSY, {}
    if digest_panels.get_revision(connection, button.delivery_id) != button.revision:
        return PressReply.OVER, {}
    digest = digest_runs.load_content_of_delivery(connection, button.delivery_id)
    items = digest_panels.list_candidates(connection, button.delivery_id, digest, button.action)
    return (PressReply.BEGUN if items else PressReply.NOTHING), items


def _note(
    connection: Connection, click: Click, button: PanelButton, action: AuditAction, outcome: str, now: int
) -> None:
    entry = audit.AuditEntry(
        at=now,
        action=action,
        actor=click.open_id,
        outcome=outcome,
        delivery_id=button.delivery_id,
        message_id=click.message_id or None,
    )
    audit.add_entries(connection, entry)

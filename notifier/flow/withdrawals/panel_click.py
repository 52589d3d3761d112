"""Board click: a press on "withdraw all" or "retry" of a digest's card -> may they? -> a batch on disk."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.withdrawal_text import PressReply, denied_toast, panel_toast
from notifier.domain.digest_panel import PanelButton, may_press
from notifier.domain.event import Click
from notifier.store import audit
from notifier.store.audit import AuditAction
from notifier.store.cards import batches, digest_panels
from notifier.store.digests import digest_runs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPress:
    """show: the card is to be drawn anew. begun: a batch was born."""

    toast: Mapping[str, Any]
    show: bool = False
    begun: bool = False


def press_panel_button(
    connection: Connection,
    click: Click,
    button: PanelButton,
    *,
    operators: Mapping[str, Collection[str]],
    now: int,
) -> PanelPress:
    """In the transaction that keeps the click."""
    denial_reason = may_press(click, button, operators=operators, now=now)
    if denial_reason is not None:
        _note(connection, click, button, AuditAction.DENIED, denial_reason.value, now)
        log.warning("click.denied", extra={"why": denial_reason, "open_id": click.open_id or None})
        return PanelPress(toast=denied_toast(denial_reason))
    said, items = _meaning(connection, button)
    if said is PressReply.BEGUN:
        batch_id = batches.create_batch(
            connection,
            delivery_id=button.delivery_id,
            click_key=click.key,
            requested_by=click.open_id,
            items=items,
            now=now,
        )
        if batch_id is None:  # a replayed callback: its batch exists
            said = PressReply.BUSY
        else:
            outcome = f"batch {batch_id} begun: {button.action}, {len(items)} accounts"
            _note(connection, click, button, AuditAction.BATCH, outcome, now)
            log.info("batch.started", extra={"batch_id": batch_id, "accounts": len(items)})
    _note(connection, click, button, AuditAction.CLICK, said.value, now)
    return PanelPress(
        toast=panel_toast(said), show=said is not PressReply.NOTHING, begun=said is PressReply.BEGUN
    )


def _meaning(connection: Connection, button: PanelButton) -> tuple[PressReply, Mapping[int, str]]:
    """A button of an earlier round shows a list that is no more: the card is drawn anew and asks again."""
    if batches.is_batch_running(connection, button.delivery_id):
        return PressReply.BUSY, {}
    if batches.count_batches(connection, button.delivery_id) != button.revision:
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

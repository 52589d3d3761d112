"""Board click: a press on "withdraw all" or "retry" of a digest's card -> may they? -> a batch on disk."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.withdrawal_text import Said, board_toast, denied_toast
from notifier.domain.digest_panel import Lever, may_pull
from notifier.domain.event import Click
from notifier.store import audit
from notifier.store.audit import What
from notifier.store.cards import batches, digest_panels
from notifier.store.digests import digest_runs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """show: the card is to be drawn anew. begun: a batch was born."""

    toast: Mapping[str, Any]
    show: bool = False
    begun: bool = False


def pull(
    connection: Connection,
    click: Click,
    lever: Lever,
    *,
    operators: Mapping[str, Collection[str]],
    now: int,
) -> Pull:
    """In the transaction that keeps the click."""
    denied = may_pull(click, lever, operators=operators, now=now)
    if denied is not None:
        _note(connection, click, lever, What.DENIED, denied.value, now)
        log.warning("click.denied", extra={"why": denied, "open_id": click.open_id or None})
        return Pull(toast=denied_toast(denied))
    said, items = _meaning(connection, lever)
    if said is Said.BEGUN:
        batch_id = batches.begin(
            connection,
            delivery_id=lever.delivery_id,
            click_key=click.key,
            requested_by=click.open_id,
            items=items,
            now=now,
        )
        if batch_id is None:  # a replayed callback: its batch exists
            said = Said.BUSY
        else:
            outcome = f"batch {batch_id} begun: {lever.action}, {len(items)} accounts"
            _note(connection, click, lever, What.BATCH, outcome, now)
            log.info("batch.begun", extra={"batch_id": batch_id, "accounts": len(items)})
    _note(connection, click, lever, What.CLICK, said.value, now)
    return Pull(toast=board_toast(said), show=said is not Said.NOTHING, begun=said is Said.BEGUN)


def _meaning(connection: Connection, lever: Lever) -> tuple[Said, Mapping[int, str]]:
    """A button of an earlier round shows a list that is no more: the card is drawn anew and asks again."""
    if batches.runs_on(connection, lever.delivery_id):
        return Said.BUSY, {}
    if batches.rounds(connection, lever.delivery_id) != lever.round:
        return Said.OVER, {}
    digest = digest_runs.of_delivery(connection, lever.delivery_id)
    items = digest_panels.candidates(connection, lever.delivery_id, digest, lever.action)
    return (Said.BEGUN if items else Said.NOTHING), items


def _note(connection: Connection, click: Click, lever: Lever, what: What, outcome: str, now: int) -> None:
    entry = audit.Entry(
        at=now,
        what=what,
        actor=click.open_id,
        outcome=outcome,
        delivery_id=lever.delivery_id,
        message_id=click.message_id or None,
    )
    audit.write(connection, entry)

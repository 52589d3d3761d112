"""Claims: leases due deliveries for sending, and stores their contents before the first call.

Every function takes a batch, and its number of statements does not depend on the size of the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import (
    UUID_WINDOW_MS,
    CardVariant,
    Content,
    Delivery,
    DeliveryState,
)
from notifier.domain.preferences.choices import CardLanguage, Preferences
from notifier.domain.preferences.holding import HoldRules
from notifier.domain.rate_limit import SendingLimits
from notifier.store import accounts, notices, rate_limits, recipients
from notifier.store.accounts import StoredAccount
from notifier.store.deliveries import holding
from notifier.store.people import preferences
from notifier.store.schema.tables import attempts, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """Leased deliveries. next_claim_at: when the next claim can succeed, in ms; None if nothing is ready."""

    deliveries: tuple[ClaimedDelivery, ...]
    next_claim_at: float | None
    accounts: Mapping[int, StoredAccount] = field(default_factory=dict)
    """The accounts of these deliveries, by row id."""


_LEASE = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        state=DeliveryState.SENDING,
        worker_id=sa.bindparam("leased_by"),
        attempts=deliveries.c.attempts + 1,
        first_tried_at=sa.func.coalesce(deliveries.c.first_tried_at, sa.bindparam("now")),
        updated_at=sa.bindparam("now"),
    )
)
_EXPIRE = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        state=DeliveryState.UNKNOWN,
        updated_at=sa.bindparam("now"),
        last_error="outcome unknown: Feishu no longer deduplicates this call, so it is not repeated",
    )
)
_START_ATTEMPTS = sa.insert(attempts).returning(attempts.c.id, attempts.c.delivery_id)


def claim_due_deliveries(
    connection: Connection,
    *,
    worker_id: str,
    now: Millis,
    slots: int,
    sending_limits: SendingLimits,
    hold_rules: HoldRules | None = None,
) -> ClaimResult:
    """Lease the oldest due delivery of each recipient, as far as the rate limits allow.

    A recipient has at most one delivery in sending, which keeps the order. slots: maximum number of deliveries. A
    delivery that its recipient wants later is held instead. hold_rules: None for the defaults.
    """
    next_at = recipients.get_next_at(connection)
    if next_at is None or next_at > now or not slots:
        return ClaimResult(deliveries=(), next_claim_at=next_at if slots else None)
    limiter = rate_limits.load_limiter(connection, rate_limits.SENDING).plausible(
        sending_limits.app, now=now, ahead_ms=sending_limits.ahead_ms
    )
    wanted, minute_opens_at = _calls_left_in_minute(connection, now=now, per_minute=sending_limits.per_minute)
    starts = limiter.start_times(
        sending_limits.app, now=now, wanted=min(slots, wanted), ahead_ms=sending_limits.ahead_ms
    )
    if not starts:
        allowed_at = max(limiter.allowed_at(sending_limits.app), minute_opens_at)
        return ClaimResult(deliveries=(), next_claim_at=allowed_at)
    due = recipients.list_due(connection, now=now, limit=len(starts))
    chosen = preferences.load_preferences(
        connection, {row.receive_id for row in due if row.receive_id_type == "open_id"}
    )
    rows = holding.hold_back(connection, due, chosen, hold_rules or HoldRules(), now=now) if chosen else due
    until = now + round(sending_limits.chat.interval_ms)
    recipients.close(connection, [row.receive_id for row in rows], until=until)
    limiter = limiter.after_starts(starts[: len(rows)], sending_limits.app)
    rate_limits.save_limiters(connection, [limiter])
    expired = [row for row in rows if _is_uuid_forgotten(row, now=now)]
    if expired:
        connection.execute(_EXPIRE, {"ids": [row.id for row in expired], "now": now})
        recipients.plan_next(connection, [row.receive_id for row in expired], now=now)
    leased = [row for row in rows if row not in expired]
    stored = accounts.load_accounts(connection, {row.account_ref for row in leased} - {None})
    return ClaimResult(
        deliveries=_lease(connection, leased, stored, chosen, worker_id=worker_id, now=now) if leased else (),
        next_claim_at=max(limiter.allowed_at(sending_limits.app) - sending_limits.ahead_ms, now)
        if len(due) == len(starts)
        else recipients.get_next_at(connection),
        accounts=stored,
    )


WINDOW_MARGIN_MS = 50
"""Feishu counts a call when it arrives: between its start and its end, and the next calls may arrive faster."""
LONGEST_CALL_MS = 240_000
"""A call that started earlier than this before the window has ended before it: an upload and two calls."""
_is_recent = sa.and_(
    attempts.c.started_at.between(sa.bindparam("since") - LONGEST_CALL_MS, sa.bindparam("until")),
    sa.or_(attempts.c.ended_at.is_(None), attempts.c.ended_at >= sa.bindparam("since")),
)
_COUNT_RECENT = sa.select(sa.func.count()).select_from(attempts).where(_is_recent)
_LIST_RECENT = (
    sa.select(sa.func.coalesce(attempts.c.ended_at, sa.bindparam("until")))
    .where(_is_recent)
    .order_by(attempts.c.started_at.desc())
    .offset(sa.bindparam("skipped"))
    .limit(1)
)


def _calls_left_in_minute(connection: Connection, *, now: Millis, per_minute: int) -> tuple[int, Millis]:
    """Calls that the limit of the last 60 seconds still allows, and when the next one is allowed, in ms."""
    window_ms = MINUTE_MS + WINDOW_MARGIN_MS
    minute = {"since": now - window_ms + 1, "until": now}
    used = connection.execute(_COUNT_RECENT, minute).scalar_one()
    if used < per_minute:
        return per_minute - used, now
    oldest = connection.execute(_LIST_RECENT, minute | {"skipped": per_minute - 1}).scalar_one()
    return 0, oldest + window_ms


def _is_uuid_forgotten(row: sa.Row[*tuple[Any, ...]], *, now: Millis) -> bool:
    """Whether Feishu has forgotten the uuid of a call with an unknown outcome.

    A repeat could then arrive twice, so an operator decides. This happens after a long downtime or a long block.
    """
    return row.unknown_since is not None and now - row.unknown_since >= UUID_WINDOW_MS


def _lease(
    connection: Connection,
    rows: Sequence[sa.Row[*tuple[Any, ...]]],
    stored: Mapping[int, StoredAccount],
    chosen: Mapping[str, Preferences],
    *,
    worker_id: str,
    now: Millis,
) -> tuple[ClaimedDelivery, ...]:
    connection.execute(_LEASE, {"ids": [row.id for row in rows], "leased_by": worker_id, "now": now})
    claimed = [to_delivery(row, state=DeliveryState.SENDING, attempts_made=row.attempts + 1) for row in rows]
    started = connection.execute(
        _START_ATTEMPTS,
        [{"delivery_id": each.id, "uuid": each.uuid, "started_at": now} for each in claimed],
    )
    attempt_ids = {row.delivery_id: row.id for row in started}
    unrendered = [
        each.id for each in claimed if each.run_id is None and each.answer_id is None and each.content is None
    ]
    notices_by_delivery = notices.load_notices(connection, unrendered)
    found = []
    for each in claimed:
        account = stored[each.account_ref] if each.account_ref is not None else None
        found.append(
            ClaimedDelivery(
                delivery=each,
                attempt_id=attempt_ids[each.id],
                account=account.key if account else None,
                ownership=account.ownership if account else None,
                notices=notices_by_delivery.get(each.id, ()),
                language=chosen[each.receive_id].language
                if each.receive_id in chosen
                else CardLanguage.FEISHU,
            )
        )
    return tuple(found)


def to_delivery(row: sa.Row[*tuple[Any, ...]], *, state: DeliveryState, attempts_made: int) -> Delivery:
    """The delivery of a row with all columns of the table."""
    content = None
    if row.body is not None:
        content = Content(variant=CardVariant(row.variant), msg_type=row.msg_type, body=row.body)
    return Delivery(
        id=row.id,
        key=row.delivery_key,
        account_ref=row.account_ref,
        target=row.target,
        receive_id_type=row.receive_id_type,
        receive_id=row.receive_id,
        state=state,
        variant=CardVariant(row.variant),
        content=content,
        attempts=attempts_made,
        created_at=row.created_at,
        first_tried_at=row.first_tried_at,
        unknown_since=row.unknown_since,
        reroute_reason=row.reroute_reason,
        last_error=row.last_error,
        order_id=row.order_id,
        run_id=row.run_id,
        file_id=row.file_id,
        event_key=row.event_key,
        event_at=row.event_at,
        corrects=row.corrects,
        hold_reason=row.hold_reason,
        answer_id=row.answer_id,
    )


_FREEZE = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("frozen_id"))
    .values(
        body=sa.bindparam("new_body"),
        msg_type=sa.bindparam("new_msg_type"),
        variant=sa.bindparam("new_variant"),
        degraded_reason=sa.func.coalesce(sa.bindparam("fault", type_=sa.Text), deliveries.c.degraded_reason),
    )
)
_SET_UUID = (
    sa.update(attempts)
    .where(attempts.c.id == sa.bindparam("attempt_id"))
    .values(uuid=sa.bindparam("new_uuid"))
)


def freeze_content(connection: Connection, items: Sequence[tuple[ClaimedDelivery, Content]]) -> None:
    """Store the contents of deliveries before the first call.

    The content of a uuid never changes, because Feishu deduplicates by uuid alone. A content in another variant than
    the delivery's has another uuid.
    """
    if not items:
        return
    frozen = [
        {
            "frozen_id": claimed.delivery.id,
            "new_body": content.body,
            "new_msg_type": content.msg_type,
            "new_variant": content.variant,
            "fault": content.fault,
        }
        for claimed, content in items
    ]
    connection.execute(_FREEZE, frozen)
    renamed = [
        {"attempt_id": claimed.attempt_id, "new_uuid": claimed.delivery.uuid_of(content.variant)}
        for claimed, content in items
        if content.variant is not claimed.delivery.variant
    ]
    if renamed:
        connection.execute(_SET_UUID, renamed)

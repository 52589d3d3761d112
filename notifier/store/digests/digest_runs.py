"""Digest runs. A unique row per digest, period, recipient and correction number guarantees a single send."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import DAY_MS, Millis
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.domain.digest import Digest
from notifier.domain.money import Amounts
from notifier.domain.period import Period
from notifier.domain.route import Recipient
from notifier.store import accounts, recipients
from notifier.store.digests import digest_content
from notifier.store.engine.sql import insert_or_ignore, insert_returning
from notifier.store.notices import make_delivery_key
from notifier.store.schema.tables import (
    deliveries,
    digest_runs,
    digest_schedules,
)

AHEAD_MS = 3 * DAY_MS
"""A run that was due this much later than now was made by a clock that was ahead. A smaller difference may as well come
from a clock that is behind now; then a second digest of the same days would be wrong.
"""
AHEAD_LABEL = " ahead "


class DigestRunState(StrEnum):
    """State of a digest run."""

    IN_PROGRESS = "in_progress"
    """Deliveries to referrers are being created, one account after another."""
    NOTIFIED = "notified"
    """All deliveries are created."""
    EMPTY = "empty"
    """The period has no changes, and the digest skips empty periods."""
    MISSED = "missed"
    """The run was due while no notifier was running, and the catch-up time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRunKey:
    """The unique key of a run, and its times."""

    digest: str
    """Name of the digest in the configuration."""
    period: Period
    """The reported period."""
    recipient: str
    """A group name, `referrers`, or `account:<accounts.id>`."""
    correction_number: int = 0
    """0 for the first send of the period; each later send counts one up."""
    due_at: Millis | None = None
    """When the schedule made the run due; None: an operator sent it."""
    created_at: Millis
    """When the run is claimed, Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRunRow:
    """A stored run. See DigestRunKey."""

    id: int
    """Row id."""
    digest: str
    """Name of the digest."""
    period: str
    """Label of the period."""
    recipient: str
    """A group name or `referrers`."""
    correction_number: int
    """0 for the first send of the period."""
    from_at: Millis
    """First moment of the period."""
    to_at: Millis
    """First moment after the period."""
    due_at: Millis | None
    """When the schedule made it due, Unix milliseconds; None: an operator sent it."""
    created_at: Millis
    """When it was claimed, Unix milliseconds."""
    state: str
    """DigestRunState."""


def register_digest(connection: Connection, digest: str, *, now: Millis) -> Millis:
    """Register a digest and return when it was first registered, in ms. Earlier periods are never sent.

    A future registration without any run was written while the clock was ahead, so it is replaced with `now`.
    """
    insert_or_ignore(connection, digest_schedules, [{"digest": digest, "registered_at": now}])
    connection.execute(
        sa.update(digest_schedules)
        .where(
            digest_schedules.c.digest == digest,
            digest_schedules.c.registered_at > now,
            ~sa.exists().where(
                digest_runs.c.digest == digest, digest_runs.c.period.not_like(f"%{AHEAD_LABEL}%")
            ),
        )
        .values(registered_at=now)
    )
    return connection.execute(
        sa.select(digest_schedules.c.registered_at).where(digest_schedules.c.digest == digest)
    ).scalar_one()


def get_registered_at(connection: Connection, digest: str) -> Millis | None:
    """When the digest was first registered, in ms; None: it is new."""
    query = sa.select(digest_schedules.c.registered_at).where(digest_schedules.c.digest == digest)
    return connection.execute(query).scalar()


def get_last_made_at(connection: Connection, digest: str, recipients: Collection[str]) -> Millis | None:
    """When the digest was last made for one of these recipients, in ms; None: never."""
    query = sa.select(sa.func.max(digest_runs.c.created_at)).where(
        digest_runs.c.digest == digest,
        digest_runs.c.recipient.in_(recipients),
        digest_runs.c.state.in_([DigestRunState.NOTIFIED, DigestRunState.EMPTY]),
    )
    return connection.execute(query).scalar()


def forget_runs_ahead(connection: Connection, digest: str, *, now: Millis) -> int:
    """Forget runs of the schedule whose time has not come, if the clock was far ahead. Returns their number.

    Their rows stay under another label, because their cards may have been sent. What was not sent is dropped.
    """
    ahead = connection.execute(
        sa.select(digest_runs.c.id, digest_runs.c.period, digest_runs.c.due_at).where(
            digest_runs.c.digest == digest,
            digest_runs.c.due_at > now,
            digest_runs.c.period.not_like(f"%{AHEAD_LABEL}%"),
        )
    ).all()
    if not ahead or max(row.due_at for row in ahead) <= now + AHEAD_MS:
        return 0
    for row in ahead:
        connection.execute(
            sa.update(digest_runs)
            .where(digest_runs.c.id == row.id)
            .values(period=f"{row.period}{AHEAD_LABEL}{row.id}")
        )
    ids = [row.id for row in ahead]
    dropped = connection.execute(
        sa.update(deliveries)
        .where(
            deliveries.c.run_id.in_(ids),
            deliveries.c.state.in_((DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.READY)),
            deliveries.c.unknown_since.is_(None),
        )
        .values(state=DeliveryState.DROPPED, updated_at=now, last_error="the clock was ahead")
        .returning(deliveries.c.receive_id)
    ).scalars()
    recipients.plan_next(connection, list(dropped), now=now)
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.run_id.in_(ids))
        .values(delivery_key=deliveries.c.delivery_key + ".ahead")
    )
    return len(ahead)


def list_finished(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of finished first sends. Runs in progress are not included.

    recipients: only these, because each referrer has a row too.
    """
    return {
        where
        for where, state in _load_states(connection, digest, periods, recipients).items()
        if state != DigestRunState.IN_PROGRESS
    }


def list_in_progress(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of first sends in progress. They are completed even after the catch-up time."""
    return {
        where
        for where, state in _load_states(connection, digest, periods, recipients).items()
        if state == DigestRunState.IN_PROGRESS
    }


def _load_states(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> dict[tuple[str, str], str]:
    rows = connection.execute(
        sa.select(digest_runs.c.period, digest_runs.c.recipient, digest_runs.c.state).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period.in_(periods),
            digest_runs.c.recipient.in_(recipients),
            digest_runs.c.correction_number == 0,
        )
    )
    return {(row.period, row.recipient): row.state for row in rows}


def delete_missed(connection: Connection, digest: str, period: str, recipients: Collection[str]) -> None:
    """Delete missed runs before a manual send, so that it counts as the first send."""
    connection.execute(
        sa.delete(digest_runs).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient.in_(recipients),
            digest_runs.c.state == DigestRunState.MISSED,
        )
    )


def get_unfinished_correction(connection: Connection, digest: str, period: str, recipient: str) -> int | None:
    """The correction number of an interrupted run; None if there is none."""
    return connection.execute(
        sa.select(sa.func.max(digest_runs.c.correction_number)).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient == recipient,
            digest_runs.c.state == DigestRunState.IN_PROGRESS,
        )
    ).scalar()


def get_next_correction(connection: Connection, digest: str, period: str, recipient: str) -> int:
    """The correction number of the next send; 0 if the period was never sent."""
    newest = connection.execute(
        sa.select(sa.func.max(digest_runs.c.correction_number)).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient == recipient,
        )
    ).scalar()
    return 0 if newest is None else newest + 1


def claim_run(
    connection: Connection, run_key: DigestRunKey, *, state: DigestRunState, content: Digest | None
) -> int | None:
    """Create a run and return its id; None if the run exists."""
    rows = insert_returning(
        connection,
        digest_runs,
        [
            {
                "digest": run_key.digest,
                "period": run_key.period.label,
                "recipient": run_key.recipient,
                "correction_number": run_key.correction_number,
                "from_at": run_key.period.from_at,
                "to_at": run_key.period.to_at,
                "due_at": run_key.due_at,
                "created_at": run_key.created_at,
                "state": state,
                "content": digest_content.serialize(content) if content is not None else None,
            }
        ],
    )
    return rows[0].id if rows else None


def load_content(connection: Connection, run_id: int) -> Digest:
    """The figures of a run. Raises LookupError if it has none."""
    return load_contents(connection, [run_id])[run_id]


def load_contents(connection: Connection, run_ids: Collection[int]) -> dict[int, Digest]:
    """The figures of these runs, by id. A run without figures is missing."""
    if not run_ids:
        return {}
    rows = connection.execute(
        sa.select(digest_runs.c.id, digest_runs.c.content).where(digest_runs.c.id.in_(sorted(set(run_ids))))
    )
    return {row.id: digest_content.deserialize(row.content) for row in rows if row.content is not None}


def load_content_of_delivery(connection: Connection, delivery_id: int) -> Digest:
    """The figures of the digest that a delivery sends. Raises LookupError if it sends no digest."""
    run_id = connection.execute(
        sa.select(deliveries.c.run_id).where(deliveries.c.id == delivery_id)
    ).scalar_one()
    if run_id is None:
        raise LookupError(f"delivery {delivery_id} sends no digest")
    return load_content(connection, run_id)


def get_previous_closing(
    connection: Connection, digest: str, recipient: str, period: Period
) -> Amounts | None:
    """Closing balances in the newest run of the preceding period; None if there is none."""
    text = connection.execute(
        sa.select(digest_runs.c.content)
        .where(
            digest_runs.c.digest == digest,
            digest_runs.c.recipient == recipient,
            digest_runs.c.to_at == period.from_at,
            digest_runs.c.period.not_like(f"%{AHEAD_LABEL}%"),
            digest_runs.c.content.is_not(None),
        )
        .order_by(digest_runs.c.id.desc())
        .limit(1)
    ).scalar()
    if text is None:
        return None
    return {asset: flow.closing for asset, flow in digest_content.deserialize(text).flows.items()}


def create_delivery(
    connection: Connection,
    run_key: DigestRunKey,
    run_id: int,
    *,
    target: str,
    recipient: Recipient | None,
    account_ref: int | None = None,
    file_id: int | None = None,
) -> None:
    """Create the delivery of a digest card, or with file_id of its file.

    recipient: None while the referrer is not known.
    """
    content_kind = "card" if file_id is None else f"file {file_id}"
    key = make_delivery_key(
        "digest",
        run_key.digest,
        run_key.period.label,
        run_key.recipient,
        str(run_key.correction_number),
        content_kind,
    )
    connection.execute(
        sa.insert(deliveries).values(
            delivery_key=key,
            account_ref=account_ref,
            target=target,
            receive_id_type=recipient.id_type if recipient else "",
            receive_id=recipient.id if recipient else "",
            reroute_reason=recipient.reroute_reason if recipient else None,
            state=DeliveryState.READY if recipient else DeliveryState.WAITING,
            variant=CardVariant.FULL,
            due_at=run_key.created_at,
            created_at=run_key.created_at,
            updated_at=run_key.created_at,
            run_id=run_id,
            file_id=file_id,
        )
    )
    if recipient is not None:
        recipients.plan_next(connection, [recipient.id], now=run_key.created_at)
    elif account_ref is not None:
        accounts.request_lookups(connection, [account_ref], now=run_key.created_at)


def claim_or_resume(connection: Connection, run_key: DigestRunKey) -> tuple[int, int] | None:
    """Create or resume a run to all referrers: (run id, last processed accounts.id); None if it is finished."""
    claim_run(connection, run_key, state=DigestRunState.IN_PROGRESS, content=None)
    row = connection.execute(
        sa.select(digest_runs.c.id, digest_runs.c.last_account_ref, digest_runs.c.state).where(
            digest_runs.c.digest == run_key.digest,
            digest_runs.c.period == run_key.period.label,
            digest_runs.c.recipient == run_key.recipient,
            digest_runs.c.correction_number == run_key.correction_number,
        )
    ).one()
    return (row.id, row.last_account_ref or 0) if row.state == DigestRunState.IN_PROGRESS else None


def save_progress(connection: Connection, run_id: int, *, account_ref: int | None) -> None:
    """Store the progress of a run to all referrers. account_ref: the last account; None: all are done."""
    values: dict[str, object] = (
        {"state": DigestRunState.NOTIFIED} if account_ref is None else {"last_account_ref": account_ref}
    )
    connection.execute(sa.update(digest_runs).where(digest_runs.c.id == run_id).values(**values))


def list_runs(connection: Connection, digest: str, *, limit: int) -> list[DigestRunRow]:
    """Runs of a digest, newest first. Runs to single referrers are excluded: `referrers` represents them."""
    columns = [column for column in digest_runs.c if column.name not in {"content", "last_account_ref"}]
    rows = connection.execute(
        sa.select(*columns)
        .where(digest_runs.c.digest == digest, digest_runs.c.recipient.not_like("account:%"))
        .order_by(digest_runs.c.id.desc())
        .limit(limit)
    )
    return [DigestRunRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def list_missed(connection: Connection, *, since: Millis, limit: int) -> list[DigestRunRow]:
    """Missed runs since this time (ms) that no operator has sent later, newest first."""
    columns = [column for column in digest_runs.c if column.name not in {"content", "last_account_ref"}]
    later = digest_runs.alias()
    sent_since = sa.exists().where(
        later.c.digest == digest_runs.c.digest,
        later.c.period == digest_runs.c.period,
        later.c.recipient == digest_runs.c.recipient,
        later.c.id > digest_runs.c.id,
    )
    rows = connection.execute(
        sa.select(*columns)
        .where(digest_runs.c.created_at >= since, digest_runs.c.state == DigestRunState.MISSED, ~sent_since)
        .order_by(digest_runs.c.id.desc())
        .limit(limit)
    )
    return [DigestRunRow(**row._mapping) for row in rows]  # noqa: SLF001 - as above

"""Digest runs: which digest told which period to whom. The unique row is the right to tell it, whoever takes it."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import NEEDS_ATTENTION, CardVariant, DeliveryState
from notifier.domain.digest import Digest, StalledItems, StalledPayout
from notifier.domain.money import Amounts
from notifier.domain.payout import PayoutState
from notifier.domain.period import Period
from notifier.domain.route import Recipient
from notifier.store.digests import digest_content
from notifier.store.engine.sql import insert_or_ignore, insert_returning
from notifier.store.notices import make_delivery_key
from notifier.store.schema.tables import (
    accounts,
    deliveries,
    digest_files,
    digest_runs,
    digest_schedules,
    payouts,
)


class DigestRunState(StrEnum):
    IN_PROGRESS = "in_progress"
    """Told to one referrer after the other; not through yet."""
    NOTIFIED = "notified"
    EMPTY = "empty"
    """Nothing had happened, and then nothing is to be said."""
    MISSED = "missed"
    """Due while nobody ran, and too long ago to be told by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRunKey:
    """What is unique: one digest tells one period to one recipient once per edition."""

    digest: str
    period: Period
    recipient: str
    correction_number: int = 0
    due_at: Millis | None = None
    created_at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRunRow:
    id: int
    digest: str
    period: str
    recipient: str
    correction_number: int
    from_at: Millis
    to_at: Millis
    due_at: Millis | None
    created_at: Millis
    state: str


def register_digest(connection: Connection, digest: str, *, now: Millis) -> Millis:
    """Since when a running notifier knows this digest; what was due before is not made up for. Before
    anything was told, a moment that has not come yet can only have been written while the clock was ahead.
    """
    insert_or_ignore(connection, digest_schedules, [{"digest": digest, "registered_at": now}])
    connection.execute(
        sa.update(digest_schedules)
        .where(
            digest_schedules.c.digest == digest,
            digest_schedules.c.registered_at > now,
            ~sa.exists().where(digest_runs.c.digest == digest),
        )
        .values(registered_at=now)
    )
    return connection.execute(
        sa.select(digest_schedules.c.registered_at).where(digest_schedules.c.digest == digest)
    ).scalar_one()


def list_finished(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of what needs no telling any more; one that is spreading still does. recipients: those asked
    about, as there is a row for each referrer too.
    """
    return {
        where
        for where, state in _load_states(connection, digest, periods, recipients).items()
        if state != DigestRunState.IN_PROGRESS
    }


def list_in_progress(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of what is being told: it is finished, however late it has become."""
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
    """Nobody was told, so whoever sends it by hand now tells it for the first time."""
    connection.execute(
        sa.delete(digest_runs).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient.in_(recipients),
            digest_runs.c.state == DigestRunState.MISSED,
        )
    )


def get_unfinished_correction(connection: Connection, digest: str, period: str, recipient: str) -> int | None:
    """Of a telling to all referrers that was cut off; None where there is none."""
    return connection.execute(
        sa.select(sa.func.max(digest_runs.c.correction_number)).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient == recipient,
            digest_runs.c.state == DigestRunState.IN_PROGRESS,
        )
    ).scalar()


def get_next_correction(connection: Connection, digest: str, period: str, recipient: str) -> int:
    """0 for what was never told."""
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
    """The run's id; None where somebody has taken this right."""
    row = insert_returning(
        connection,
        digest_runs,
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
        },
    )
    return None if row is None else row.id


def load_content(connection: Connection, run_id: int) -> Digest:
    text = connection.execute(sa.select(digest_runs.c.content).where(digest_runs.c.id == run_id)).scalar_one()
    if text is None:
        raise LookupError(f"digest run {run_id} has nothing to tell")
    return digest_content.deserialize(text)


def load_content_of_delivery(connection: Connection, delivery_id: int) -> Digest:
    """Raises LookupError when this delivery tells no digest."""
    run_id = connection.execute(
        sa.select(deliveries.c.run_id).where(deliveries.c.id == delivery_id)
    ).scalar_one()
    if run_id is None:
        raise LookupError(f"delivery {delivery_id} tells no digest")
    return load_content(connection, run_id)


def get_previous_closing(
    connection: Connection, digest: str, recipient: str, period: Period
) -> Amounts | None:
    """What the newest telling of the period right before this one said the balances were; None if there was none."""
    text = connection.execute(
        sa.select(digest_runs.c.content)
        .where(
            digest_runs.c.digest == digest,
            digest_runs.c.recipient == recipient,
            digest_runs.c.to_at == period.from_at,
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
    """The card, or with file_id the file that follows it. recipient: None while we do not know who the referrer is."""
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


def create_file(connection: Connection, *, name: str, rows: int, compressed: bytes) -> int:
    """packed: the file, deflated."""
    return connection.execute(
        sa.insert(digest_files)
        .values(name=name, rows=rows, compressed=compressed)
        .returning(digest_files.c.id)
    ).scalar_one()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFile:
    """file_key: Feishu's, once it has it. content: None from then on."""

    id: int
    name: str
    file_key: str | None
    content: bytes | None


def get_file(connection: Connection, file_id: int) -> DigestFile:
    row = connection.execute(sa.select(digest_files).where(digest_files.c.id == file_id)).one()
    return DigestFile(
        id=row.id,
        name=row.name,
        file_key=row.file_key,
        content=zlib.decompress(row.compressed) if row.compressed is not None else None,
    )


def mark_uploaded(connection: Connection, file_id: int, *, file_key: str) -> None:
    """Feishu keeps it from now on, also for a message that has to be sent anew."""
    connection.execute(
        sa.update(digest_files).where(digest_files.c.id == file_id).values(file_key=file_key, compressed=None)
    )


def claim_or_resume(connection: Connection, run_key: DigestRunKey) -> tuple[int, int] | None:
    """(run, the account after which to go on) of a telling to all referrers; None when it is through."""
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
    """ref: the last account that was told; None when all were."""
    values: dict[str, object] = (
        {"state": DigestRunState.NOTIFIED} if account_ref is None else {"last_account_ref": account_ref}
    )
    connection.execute(sa.update(digest_runs).where(digest_runs.c.id == run_id).values(**values))


def list_runs(connection: Connection, digest: str, *, limit: int) -> list[DigestRunRow]:
    """Newest first; those to single referrers are left out, as one row stands for all of them."""
    columns = [column for column in digest_runs.c if column.name not in {"content", "last_account_ref"}]
    rows = connection.execute(
        sa.select(*columns)
        .where(digest_runs.c.digest == digest, digest_runs.c.recipient.not_like("account:%"))
        .order_by(digest_runs.c.id.desc())
        .limit(limit)
    )
    return [DigestRunRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def list_missed(connection: Connection, *, since: Millis, limit: int) -> list[DigestRunRow]:
    """Those that nobody was told and no hand has sent since, newest first."""
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


MAX_EXAMPLES = 3


def summarize_stalled(connection: Connection, *, late_before: Millis | None) -> StalledItems:
    """late_before: money withdrawn before then and not paid is late; None: none is."""
    waiting = deliveries.c.state.in_(NEEDS_ATTENTION)
    undelivered = connection.execute(
        sa.select(sa.func.count()).select_from(deliveries).where(waiting)
    ).scalar_one()
    names = connection.execute(
        sa.select(accounts.c.account_id)
        .join(deliveries, deliveries.c.account_ref == accounts.c.id)
        .where(waiting)
        .group_by(accounts.c.account_id)
        .order_by(sa.func.max(deliveries.c.id).desc())
        .limit(MAX_EXAMPLES)
    ).scalars()
    bad = payouts.c.state.in_((PayoutState.DEAD, PayoutState.FAILED))
    late = sa.and_(
        payouts.c.state.in_((PayoutState.PENDING, PayoutState.SENT)),
        payouts.c.created_at < (late_before or 0),
    )
    where = sa.or_(bad, late)
    rows = connection.execute(
        sa.select(payouts.c.order_id, payouts.c.state, payouts.c.created_at, accounts.c.account_id)
        .join(accounts, accounts.c.id == payouts.c.account_ref)
        .where(where)
        .order_by(payouts.c.id)
        .limit(MAX_EXAMPLES)
    ).all()
    return StalledItems(
        undelivered=undelivered,
        undelivered_accounts=tuple(names),
        payouts=connection.execute(sa.select(sa.func.count()).select_from(payouts).where(where)).scalar_one(),
        payout_examples=tuple(
            StalledPayout(
                account_id=row.account_id,
                order_id=row.order_id,
                state=row.state if row.state in {PayoutState.DEAD, PayoutState.FAILED} else "late",
                since=row.created_at,
            )
            for row in rows
        ),
    )


def get_correction(previous_closing: Amounts | None, opening: Amounts) -> Amounts:
    """What was told, where it is not what the books say now; empty where all is as told."""
    if previous_closing is None:
        return {}
    assets = {*previous_closing, *opening}
    differs = any(
        previous_closing.get(asset, Decimal(0)) != opening.get(asset, Decimal(0)) for asset in assets
    )
    return dict(previous_closing) if differs else {}

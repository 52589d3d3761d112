"""Digest runs: which digest told which period to whom. The unique row is the right to tell it, whoever takes it."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.delivery import FOR_A_PERSON, DeliveryState, Rung
from notifier.domain.digest import Digest, Stuck, StuckPayout
from notifier.domain.money import Amounts
from notifier.domain.payout import PayoutState
from notifier.domain.period import Period
from notifier.domain.route import Recipient
from notifier.store.digests import digest_content
from notifier.store.engine.sql import insert_ignoring, insert_returning
from notifier.store.notices import delivery_key
from notifier.store.schema.tables import (
    accounts,
    deliveries,
    digest_clocks,
    digest_files,
    digest_runs,
    payouts,
)


class RunState(StrEnum):
    SPREADING = "spreading"
    """Told to one referrer after the other; not through yet."""
    TOLD = "told"
    QUIET = "quiet"
    """Nothing had happened, and then nothing is to be said."""
    MISSED = "missed"
    """Due while nobody ran, and too long ago to be told by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What is unique: one digest tells one period to one recipient once per edition."""

    digest: str
    period: Period
    recipient: str
    edition: int = 0
    due_at: Millis | None = None
    born_at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    id: int
    digest: str
    period: str
    recipient: str
    edition: int
    from_at: Millis
    to_at: Millis
    due_at: Millis | None
    born_at: Millis
    state: str


def known_since(connection: Connection, digest: str, *, now: Millis) -> Millis:
    """Since when a running notifier knows this digest; what was due before is not made up for. Before
    anything was told, a moment that has not come yet can only have been written while the clock was ahead.
    """
    insert_ignoring(connection, digest_clocks, [{"digest": digest, "known_since": now}])
    connection.execute(
        sa.update(digest_clocks)
        .where(
            digest_clocks.c.digest == digest,
            digest_clocks.c.known_since > now,
            ~sa.exists().where(digest_runs.c.digest == digest),
        )
        .values(known_since=now)
    )
    return connection.execute(
        sa.select(digest_clocks.c.known_since).where(digest_clocks.c.digest == digest)
    ).scalar_one()


def settled(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of what needs no telling any more; one that is spreading still does. recipients: those asked
    about, as there is a row for each referrer too.
    """
    return {
        where
        for where, state in _states(connection, digest, periods, recipients).items()
        if state != RunState.SPREADING
    }


def begun(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> set[tuple[str, str]]:
    """(period, recipient) of what is being told: it is finished, however late it has become."""
    return {
        where
        for where, state in _states(connection, digest, periods, recipients).items()
        if state == RunState.SPREADING
    }


def _states(
    connection: Connection, digest: str, periods: Collection[str], recipients: Collection[str]
) -> dict[tuple[str, str], str]:
    rows = connection.execute(
        sa.select(digest_runs.c.period, digest_runs.c.recipient, digest_runs.c.state).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period.in_(periods),
            digest_runs.c.recipient.in_(recipients),
            digest_runs.c.edition == 0,
        )
    )
    return {(row.period, row.recipient): row.state for row in rows}


def forget_missed(connection: Connection, digest: str, period: str, recipients: Collection[str]) -> None:
    """Nobody was told, so whoever sends it by hand now tells it for the first time."""
    connection.execute(
        sa.delete(digest_runs).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient.in_(recipients),
            digest_runs.c.state == RunState.MISSED,
        )
    )


def unfinished_edition(connection: Connection, digest: str, period: str, recipient: str) -> int | None:
    """Of a telling to all referrers that was cut off; None where there is none."""
    return connection.execute(
        sa.select(sa.func.max(digest_runs.c.edition)).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient == recipient,
            digest_runs.c.state == RunState.SPREADING,
        )
    ).scalar()


def next_edition(connection: Connection, digest: str, period: str, recipient: str) -> int:
    """0 for what was never told."""
    newest = connection.execute(
        sa.select(sa.func.max(digest_runs.c.edition)).where(
            digest_runs.c.digest == digest,
            digest_runs.c.period == period,
            digest_runs.c.recipient == recipient,
        )
    ).scalar()
    return 0 if newest is None else newest + 1


def take(connection: Connection, right: Right, *, state: RunState, content: Digest | None) -> int | None:
    """The run's id; None where somebody has taken this right."""
    row = insert_returning(
        connection,
        digest_runs,
        {
            "digest": right.digest,
            "period": right.period.label,
            "recipient": right.recipient,
            "edition": right.edition,
            "from_at": right.period.from_at,
            "to_at": right.period.to_at,
            "due_at": right.due_at,
            "born_at": right.born_at,
            "state": state,
            "content": digest_content.write(content) if content is not None else None,
        },
    )
    return None if row is None else row.id


def content_of(connection: Connection, run_id: int) -> Digest:
    text = connection.execute(sa.select(digest_runs.c.content).where(digest_runs.c.id == run_id)).scalar_one()
    if text is None:
        raise LookupError(f"digest run {run_id} has nothing to tell")
    return digest_content.read(text)


def of_delivery(connection: Connection, delivery_id: int) -> Digest:
    """Raises LookupError when this delivery tells no digest."""
    run_id = connection.execute(
        sa.select(deliveries.c.run_id).where(deliveries.c.id == delivery_id)
    ).scalar_one()
    if run_id is None:
        raise LookupError(f"delivery {delivery_id} tells no digest")
    return content_of(connection, run_id)


def closing_before(connection: Connection, digest: str, recipient: str, period: Period) -> Amounts | None:
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
    return {asset: flow.closing for asset, flow in digest_content.read(text).flows.items()}


def add_delivery(
    connection: Connection,
    right: Right,
    run_id: int,
    *,
    target: str,
    recipient: Recipient | None,
    account_ref: int | None = None,
    file_id: int | None = None,
) -> None:
    """The card, or with file_id the file that follows it. recipient: None while we do not know who the referrer is."""
    what = "card" if file_id is None else f"file {file_id}"
    key = delivery_key("digest", right.digest, right.period.label, right.recipient, str(right.edition), what)
    connection.execute(
        sa.insert(deliveries).values(
            delivery_key=key,
            account_ref=account_ref,
            target=target,
            receive_id_type=recipient.id_type if recipient else "",
            receive_id=recipient.id if recipient else "",
            reroute_reason=recipient.reroute_reason if recipient else None,
            state=DeliveryState.READY if recipient else DeliveryState.WAITING,
            rung=Rung.FULL,
            due_at=right.born_at,
            created_at=right.born_at,
            updated_at=right.born_at,
            run_id=run_id,
            file_id=file_id,
        )
    )


def add_file(connection: Connection, *, name: str, rows: int, packed: bytes) -> int:
    """packed: the file, deflated."""
    return connection.execute(
        sa.insert(digest_files).values(name=name, rows=rows, packed=packed).returning(digest_files.c.id)
    ).scalar_one()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """file_key: Feishu's, once it has it. content: None from then on."""

    id: int
    name: str
    file_key: str | None
    content: bytes | None


def file(connection: Connection, file_id: int) -> KeptFile:
    row = connection.execute(sa.select(digest_files).where(digest_files.c.id == file_id)).one()
    return KeptFile(
        id=row.id,
        name=row.name,
        file_key=row.file_key,
        content=zlib.decompress(row.packed) if row.packed is not None else None,
    )


def uploaded(connection: Connection, file_id: int, *, file_key: str) -> None:
    """Feishu keeps it from now on, also for a message that has to be sent anew."""
    connection.execute(
        sa.update(digest_files).where(digest_files.c.id == file_id).values(file_key=file_key, packed=None)
    )


def spreading(connection: Connection, right: Right) -> tuple[int, int] | None:
    """(run, the account after which to go on) of a telling to all referrers; None when it is through."""
    take(connection, right, state=RunState.SPREADING, content=None)
    row = connection.execute(
        sa.select(digest_runs.c.id, digest_runs.c.next_ref, digest_runs.c.state).where(
            digest_runs.c.digest == right.digest,
            digest_runs.c.period == right.period.label,
            digest_runs.c.recipient == right.recipient,
            digest_runs.c.edition == right.edition,
        )
    ).one()
    return (row.id, row.next_ref or 0) if row.state == RunState.SPREADING else None


def spread_to(connection: Connection, run_id: int, *, ref: int | None) -> None:
    """ref: the last account that was told; None when all were."""
    values: dict[str, object] = {"state": RunState.TOLD} if ref is None else {"next_ref": ref}
    connection.execute(sa.update(digest_runs).where(digest_runs.c.id == run_id).values(**values))


def listed(connection: Connection, digest: str, *, limit: int) -> list[RunRow]:
    """Newest first; those to single referrers are left out, as one row stands for all of them."""
    columns = [column for column in digest_runs.c if column.name not in {"content", "next_ref"}]
    rows = connection.execute(
        sa.select(*columns)
        .where(digest_runs.c.digest == digest, digest_runs.c.recipient.not_like("account:%"))
        .order_by(digest_runs.c.id.desc())
        .limit(limit)
    )
    return [RunRow(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def missed(connection: Connection, *, since: Millis, limit: int) -> list[RunRow]:
    """Those that nobody was told and no hand has sent since, newest first."""
    columns = [column for column in digest_runs.c if column.name not in {"content", "next_ref"}]
    later = digest_runs.alias()
    sent_since = sa.exists().where(
        later.c.digest == digest_runs.c.digest,
        later.c.period == digest_runs.c.period,
        later.c.recipient == digest_runs.c.recipient,
        later.c.id > digest_runs.c.id,
    )
    rows = connection.execute(
        sa.select(*columns)
        .where(digest_runs.c.born_at >= since, digest_runs.c.state == RunState.MISSED, ~sent_since)
        .order_by(digest_runs.c.id.desc())
        .limit(limit)
    )
    return [RunRow(**row._mapping) for row in rows]  # noqa: SLF001 - as above


MOST_EXAMPLES = 3


def stuck(connection: Connection, *, late_before: Millis | None) -> Stuck:
    """late_before: money withdrawn before then and not paid is late; None: none is."""
    waiting = deliveries.c.state.in_(FOR_A_PERSON)
    undelivered = connection.execute(
        sa.select(sa.func.count()).select_from(deliveries).where(waiting)
    ).scalar_one()
    names = connection.execute(
        sa.select(accounts.c.account_id)
        .join(deliveries, deliveries.c.account_ref == accounts.c.id)
        .where(waiting)
        .group_by(accounts.c.account_id)
        .order_by(sa.func.max(deliveries.c.id).desc())
        .limit(MOST_EXAMPLES)
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
        .limit(MOST_EXAMPLES)
    ).all()
    return Stuck(
        undelivered=undelivered,
        undelivered_accounts=tuple(names),
        payouts=connection.execute(sa.select(sa.func.count()).select_from(payouts).where(where)).scalar_one(),
        payout_examples=tuple(
            StuckPayout(
                account_id=row.account_id,
                order_id=row.order_id,
                state=row.state if row.state in {PayoutState.DEAD, PayoutState.FAILED} else "late",
                since=row.created_at,
            )
            for row in rows
        ),
    )


def unlike(told: Amounts | None, opening: Amounts) -> Amounts:
    """What was told, where it is not what the books say now; empty where all is as told."""
    if told is None:
        return {}
    assets = {*told, *opening}
    differs = any(told.get(asset, Decimal(0)) != opening.get(asset, Decimal(0)) for asset in assets)
    return dict(told) if differs else {}

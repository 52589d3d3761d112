"""Digests in a real store: the step as the app wires it, and what it left behind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from notifier.cards.digest_fit import make_digest_fit
from notifier.config.settings import Config
from notifier.domain.account import Ownership, Referrer
from notifier.domain.digest import Digest, DigestPlan
from notifier.domain.event import AccountKey
from notifier.domain.money import Kind
from notifier.domain.period import Span
from notifier.domain.route import AddressBook
from notifier.flow.digests.send_digest import DigestDeps
from notifier.flow.digests.send_due import DigestSender
from notifier.flow.notices import NoticeWriter
from notifier.runtime.factories import make_renderer
from notifier.store import accounts, ledger
from notifier.store.digests import digest_content
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries, digest_files, digest_runs
from support.builders import balance_report
from support.clock import FakeClock

HOUR = 3600
DAY = 24 * HOUR
SHANGHAI = ZoneInfo("Asia/Shanghai")
PLAN = DigestPlan(
    name="hr-daily",
    groups=("hr",),
    to_referrers=False,
    cron="7 9 * * *",
    zone=SHANGHAI,
    span=Span.DAY,
    working=None,
    skip_quiet=False,
    jitter_ms=0,
    chart_days=7,
    rows=20,
    file="when_cut",
    withdraw=True,
    catch_up_ms=72 * HOUR * 1000,
)
BEFORE = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
"""08:00 on Monday in Shanghai, an hour and seven minutes before the digest of Sunday."""
ADDRESS_BOOK = AddressBook(groups={"hr": "oc_hr", "finance": "oc_finance"}, fallback=None)


def make_clock(start: datetime = BEFORE) -> FakeClock:
    return FakeClock(start)


def digest_deps(clock: FakeClock, *plans: DigestPlan) -> DigestDeps:
    return DigestDeps(
        plans=plans or (PLAN,),
        notices=NoticeWriter(address_book=ADDRESS_BOOK, max_age_ms=10**12),
        fit=make_digest_fit(make_renderer(Config(), clock)),
        kinds=tuple(Kind),
        late_after_ms=7 * DAY * 1000,
        clock=clock,
        wake=lambda: None,
    )


def make_digester(database: Database, clock: FakeClock, *plans: DigestPlan) -> DigestSender:
    return DigestSender(database, digest_deps(clock, *plans))


async def run_until_idle(one: DigestSender) -> None:
    while await one.run_once() == 0:
        pass


def account(number: int) -> AccountKey:
    return AccountKey(tenant_key="tk", app_id="cli_x", account_id=str(7_000_000_000_000_000_000 + number))


def store_balance(database: Database, number: int, at: datetime, *, points: int = 0, **cash: str) -> int:
    """The account's row. Its owner is known."""
    report = balance_report(
        cash=cash, points=points, modified_at=round(at.timestamp() * 1000), account=account(number)
    )

    def enter(connection: sa.Connection) -> int:
        ref = ledger.apply_reports(connection, [(1, report)])[0].account_ref
        who = Referrer(open_id=f"ou_{number}", name_zh=f"同事{number}", name_en=f"Colleague {number}")
        accounts.save_ownership(connection, ref, Ownership(referrer=who, looked_up_at=report.modified_at))
        return ref

    return database.write(enter).result()


def read_runs(database: Database) -> list[tuple[str, str, int, str]]:
    """(period, recipient, edition, state) of each, in the order of birth."""
    columns = (
        digest_runs.c.period,
        digest_runs.c.recipient,
        digest_runs.c.correction_number,
        digest_runs.c.state,
    )
    with database.read() as connection:
        rows = connection.execute(sa.select(*columns).order_by(digest_runs.c.id)).all()
    return [tuple(row) for row in rows]


def read_digests(database: Database) -> list[Digest]:
    """What was told, in the order of birth."""
    with database.read() as connection:
        texts = connection.execute(
            sa.select(digest_runs.c.content)
            .where(digest_runs.c.content.is_not(None))
            .order_by(digest_runs.c.id)
        ).scalars()
        return [digest_content.deserialize(text) for text in texts]


def read_digest_deliveries(database: Database) -> list[Any]:
    """Deliveries of digests, in the order of birth."""
    with database.read() as connection:
        return list(
            connection.execute(
                sa.select(deliveries).where(deliveries.c.run_id.is_not(None)).order_by(deliveries.c.id)
            ).all()
        )


def read_files(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(digest_files).order_by(digest_files.c.id)).all())


def weekly(**values: Any) -> DigestPlan:
    return replace(PLAN, name="my-week", span=Span.WEEK, cron="7 9 * * mon", **values)

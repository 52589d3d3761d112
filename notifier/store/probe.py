"""Tries a database without changing it, and reads what it proves about the set-up: for `notifier doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from notifier.clock import Millis
from notifier.domain.answers.question import MESSAGE_RECEIVED
from notifier.domain.card import Bilingual
from notifier.domain.event import BALANCE_CHANGED, BALANCE_MISSED, CARD_CLICKED
from notifier.errors import ConfigError, NotifierError
from notifier.store.engine.backends import find_backend
from notifier.store.engine.outage import get_next_step, to_store_error
from notifier.store.schema import upgrade
from notifier.store.schema.tables import accounts, deliveries, inbox, workers

SOME = 5
"""How many accounts and referrers are examples."""

_MAY_CREATE = sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
NO_CREATE = Bilingual(
    zh="store.url：用户不能创建表。请让它成为数据库的所有者，或以结构的所有者身份执行："
    "GRANT USAGE, CREATE ON SCHEMA public TO <用户>",
    en="store.url: the user may not create tables. Make it the owner of the database, or run as the owner of the "
    "schema: GRANT USAGE, CREATE ON SCHEMA public TO <user>",
)


def find_problem(url: str) -> Bilingual | None:
    """Why a notifier could not work on this database, with the next step. None: it could.

    It opens it, checks server and schema, and tries a write without effect. Raises ConfigError for a wrong address.
    """
    backend = find_backend(url)
    engine = backend.make_engine(url)
    try:
        with backend.prepare(engine):
            return _find_problem(engine)
    except sa.exc.DBAPIError as error:
        found: NotifierError
        if get_next_step(error) is None:
            found = backend.to_open_error(error, engine.url)
        else:
            found = to_store_error(error, engine.url)
        return Bilingual(zh=found.zh, en=str(found))
    except NotifierError as error:
        return Bilingual(zh=error.zh, en=str(error))
    finally:
        engine.dispose()


def _find_problem(engine: Engine) -> Bilingual | None:
    if upgrade.stored_version(engine) is None:
        if engine.dialect.name != "postgresql":
            return None
        with engine.connect() as connection:
            return None if connection.execute(_MAY_CREATE).scalar() else NO_CREATE
    try:
        upgrade.require_supported(engine)
    except ConfigError as error:
        return Bilingual(zh=error.zh, en=str(error))
    with engine.begin() as connection:
        connection.execute(sa.update(workers).values(heartbeat_at=workers.c.heartbeat_at).where(sa.false()))
    return None


def find_file(url: str) -> Path | None:
    """The file of the database; None: a server keeps the data."""
    return find_backend(url).get_file(url)


def read_schema(url: str) -> str | None:
    """The schema revision of a database that `find_problem` accepts; None: it has no tables yet."""
    engine = find_backend(url).make_engine(url)
    try:
        return upgrade.stored_version(engine)
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFacts:
    """What the database proves about the set-up. Times in Unix milliseconds; None: never."""

    accounts: int
    """Known accounts of the app."""
    deactivated: int
    """Those that are deactivated."""
    newest_accounts: Sequence[str]
    """Feishu's ids of some accounts."""
    referrers: Sequence[str]
    """open_ids of some referrers."""
    last_balance_event_at: Millis | None
    """When the newest balance event arrived."""
    last_missed_at: Millis | None
    """When a reconciliation last found a change without an event."""
    last_click_at: Millis | None
    """When the newest press of a card arrived."""
    last_question_at: Millis | None
    """When the newest message to the bot arrived."""
    last_card_at: Millis | None
    """When Feishu last accepted a card."""
    unreachable: int
    """Cards of the last week that went to the fallback group, because the person is outside the availability range."""


def read_setup_facts(connection: Connection, *, app_id: str, since: Millis) -> SetupFacts:
    """Read what the database proves. since: the start of the last week, Unix milliseconds."""
    of_app = sa.select(accounts).where(accounts.c.app_id == app_id).subquery()
    total, deactivated = connection.execute(
        sa.select(sa.func.count(), sa.func.count().filter(of_app.c.deactivated_at.is_not(None))).select_from(
            of_app
        )
    ).one()
    some = connection.execute(
        sa.select(of_app.c.account_id, of_app.c.referrer_open_id).order_by(of_app.c.id.desc()).limit(SOME)
    ).all()
    is_outside = deliveries.c.reroute_reason.contains("availability range", autoescape=True)
    return SetupFacts(
        accounts=total,
        deactivated=deactivated,
        newest_accounts=[row.account_id for row in some],
        referrers=[row.referrer_open_id for row in some if row.referrer_open_id],
        last_balance_event_at=_last_arrival(connection, BALANCE_CHANGED),
        last_missed_at=_last_arrival(connection, BALANCE_MISSED),
        last_click_at=_last_arrival(connection, CARD_CLICKED),
        last_question_at=_last_arrival(connection, MESSAGE_RECEIVED),
        last_card_at=connection.execute(
            sa.select(sa.func.max(deliveries.c.updated_at)).where(deliveries.c.state == "sent")
        ).scalar(),
        unreachable=connection.execute(
            sa.select(sa.func.count())
            .select_from(deliveries)
            .where(deliveries.c.updated_at >= since, is_outside)
        ).scalar_one(),
    )


def _last_arrival(connection: Connection, event_type: str) -> Millis | None:
    return connection.execute(
        sa.select(sa.func.max(inbox.c.received_at)).where(inbox.c.event_type == event_type)
    ).scalar()

"""Preferences: what each person chose about the own notices. A person without a row has the defaults."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.preferences.choices import CardLanguage, Frequency, Preferences, QuietHours
from notifier.store.engine.sql import literal, upsert
from notifier.store.schema.tables import deliveries, delivery_notices, preferences

_LOAD = sa.select(preferences).where(preferences.c.open_id.in_(sa.bindparam("open_ids", expanding=True)))
_COUNT_HELD = (
    sa.select(sa.func.count())
    .select_from(deliveries)
    .outerjoin(delivery_notices, delivery_notices.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.receive_id == sa.bindparam("open_id"), deliveries.c.state == literal("held"))
)


def load_preferences(connection: Connection, open_ids: Collection[str]) -> dict[str, Preferences]:
    """The preferences of these people, by open_id. People who chose nothing are missing."""
    if not open_ids:
        return {}
    rows = connection.execute(_LOAD, {"open_ids": sorted(set(open_ids))})
    return {row.open_id: _to_preferences(row) for row in rows}


def save_preferences(connection: Connection, chosen: Preferences, *, now: Millis) -> None:
    """Store what a person chose at `now`, in place of what they chose before."""
    quiet_hours = chosen.quiet_hours
    upsert(
        connection,
        preferences,
        [
            {
                "open_id": chosen.open_id,
                "frequency": chosen.frequency,
                "quiet_begin": quiet_hours.begin if quiet_hours else None,
                "quiet_end": quiet_hours.end if quiet_hours else None,
                "zone": chosen.zone,
                "language": chosen.language,
                "changed_at": now,
            }
        ],
    )


def count_held_for(connection: Connection, open_id: str) -> int:
    """The number of notices and scheduled digests that are held for a person."""
    return connection.execute(_COUNT_HELD, {"open_id": open_id}).scalar_one()


def _to_preferences(row: sa.Row[*tuple[Any, ...]]) -> Preferences:
    has_quiet_hours = row.quiet_begin is not None and row.quiet_end is not None
    return Preferences(
        open_id=row.open_id,
        frequency=Frequency(row.frequency),
        quiet_hours=QuietHours(begin=row.quiet_begin, end=row.quiet_end) if has_quiet_hours else None,
        zone=row.zone,
        language=CardLanguage(row.language),
        changed_at=row.changed_at,
    )

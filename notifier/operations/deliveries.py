"""Deliveries: the functions behind `notifier deliveries`."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from notifier.clock import Clock, Millis, to_millis
from notifier.operations.formatting import format_ago, format_iso, format_table
from notifier.store.deliveries import delivery_admin
from notifier.store.deliveries.delivery_admin import DeliveryDetails, DeliveryRow
from notifier.store.engine.database import Database


def list_deliveries(
    database: Database, clock: Clock, *, states: Sequence[str], limit: int, as_json: bool
) -> str:
    """List deliveries in these states, newest first, as a table or JSON."""
    with database.read() as connection:
        rows = delivery_admin.list_deliveries(connection, states=states, limit=limit)
    if as_json:
        return json.dumps([_row_json(row) for row in rows], ensure_ascii=False, indent=2)
    if not rows:
        return "No deliveries."
    heads = ("id", "state", "to", "account", "variant", "tries", "changed", "reason")
    now = to_millis(clock.now())
    return format_table(heads, [_row_cells(row, now) for row in rows])


def _row_json(row: DeliveryRow) -> dict[str, Any]:
    times = {name: format_iso(getattr(row, name)) for name in ("created_at", "updated_at", "due_at")}
    return dataclasses.asdict(row) | times


def _row_cells(row: DeliveryRow, now: Millis) -> tuple[str, ...]:
    reason = row.last_error or ""
    return (
        str(row.id),
        row.state,
        f"{row.target} {row.receive_id}".strip(),
        row.account_id,
        row.variant,
        str(row.attempts),
        format_ago(row.updated_at, now),
        reason if len(reason) <= 60 else f"{reason[:59]}…",
    )


def show_delivery(database: Database, delivery_id: int, *, as_json: bool) -> str | None:
    """Return one delivery with its attempts and its card, or None if there is no such delivery."""
    with database.read() as connection:
        found = delivery_admin.show_delivery(connection, delivery_id)
    if found is None:
        return None
    if as_json:
        return json.dumps(
            dataclasses.asdict(found) | {"row": _row_json(found.row)}, ensure_ascii=False, indent=2
        )
    return "\n".join(_detail_lines(found))


def _detail_lines(found: DeliveryDetails) -> Iterable[str]:
    row = found.row
    yield f"delivery      {row.id}, {row.state}, {row.variant} card"
    yield f"to            {row.target} {row.receive_id}".rstrip()
    yield f"account       {row.account_id}, {found.notices} change{'s' if found.notices != 1 else ''}"
    yield f"created       {format_iso(row.created_at)}, last changed {format_iso(row.updated_at)}"
    if row.state in {"waiting", "ready"}:
        yield f"due           {format_iso(row.due_at)}"
    if found.rerouted_from:
        yield f"instead of    delivery {found.rerouted_from}: {found.reroute_reason}"
    elif found.reroute_reason:
        yield f"rerouted      {found.reroute_reason}"
    if row.message_id:
        yield f"message       {row.message_id} in {found.chat_id}"
    if found.degraded_reason:
        yield f"degraded      because {found.degraded_reason}"
    if row.last_error:
        yield f"reason        {row.last_error}{f' (code {row.last_code})' if row.last_code else ''}"
    for number, each in enumerate(found.attempts, start=1):
        duration = f"{each.ended_at - each.started_at} ms" if each.ended_at is not None else "no end yet"
        summary = " ".join(
            part for part in (each.outcome, each.reason, each.log_id and f"[log id {each.log_id}]") if part
        )
        yield f"try {number:<9} {format_iso(each.started_at)}, {duration}, uuid {each.uuid}: {summary}"
    if found.body:
        yield "content"
        yield _indented(found.body)


def _indented(body: str) -> str:
    """Return the content of a message as indented JSON, or as it is if it is not JSON."""
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        text = body
    return "\n".join(f"  {line}" for line in text.splitlines())


def retry_deliveries(
    database: Database, clock: Clock, ids: Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """Retry deliveries. ids: None for all dead ones. Returns the ids retried, and those neither dead nor unknown."""
    now = to_millis(clock.now())
    if ids is None:
        with database.read() as connection:
            ids = delivery_admin.list_dead_ids(connection)
    done = [
        one for one in ids if database.write(partial(delivery_admin.retry, delivery_id=one, now=now)).result()
    ]
    return done, [one for one in ids if one not in done]


def drop_deliveries(database: Database, clock: Clock, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Drop deliveries. Returns the ids dropped, and the ids that are neither dead nor unknown."""
    now = to_millis(clock.now())
    done = [
        one for one in ids if database.write(partial(delivery_admin.drop, delivery_id=one, now=now)).result()
    ]
    return done, [one for one in ids if one not in done]

"""Payout export: a file for a payroll system without an API. A payout is exported once, or again on request."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis, to_millis
from notifier.domain.payout import Payout, PayoutState
from notifier.errors import ConfigError
from notifier.flow.digests.csv_text import BYTE_ORDER_MARK, harmless, line
from notifier.operations.formatting import format_iso
from notifier.store import audit, payouts
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database

COLUMNS = (
    "order_id",
    "account_id",
    "tenant_key",
    "referrer_open_id",
    "kind",
    "currency",
    "amount",
    "withdrawn_at",
    "exported_at",
)

ExportRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExportWindow:
    """Selects payouts withdrawn in [since, until)."""

    since: Millis
    until: Millis


@dataclass(frozen=True, slots=True)
class PayoutExport:
    """Result of an export.

    rows: the payout bodies as submitted by call, with `exported_at` (None in the first export).
    being_submitted: the number of payouts left out because the notifier submits them to payouts.url.
    """

    rows: list[ExportRow]
    being_submitted: int

    def summary(self, *, again: bool) -> str:
        count = len(self.rows)
        text = f"{count} payout{'s' if count != 1 else ''} {'listed again' if again else 'exported'}."
        if self.being_submitted:
            text += (
                f" {self.being_submitted} left out: payouts.url is set, and the notifier submits them there."
            )
        return text


def parse_window(since: str | None, until: str | None, clock: Clock, *, zone: tzinfo) -> ExportWindow:
    """Parse the window. A date means midnight in the zone. Raises ConfigError for an invalid time or order."""
    found = ExportWindow(
        since=0 if since is None else _parse_time("--since", since, zone),
        until=to_millis(clock.now()) + 1 if until is None else _parse_time("--until", until, zone),
    )
    if found.since >= found.until:
        raise ConfigError("--since must be before --until.")
    return found


def _parse_time(name: str, text: str, zone: tzinfo) -> Millis:
    try:
        if len(text) == len("2026-11-01"):
            return to_millis(datetime.combine(date.fromisoformat(text), time(), tzinfo=zone))
        at = datetime.fromisoformat(text)
        return to_millis(at if at.tzinfo else at.replace(tzinfo=zone))
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{name}: {text!r} is not a time. Write 2026-11-01, or 2026-11-01T08:00 with or without +08:00."
        ) from error


def export_payouts(
    database: Database, window: ExportWindow, clock: Clock, *, again: bool, has_payout_url: bool
) -> PayoutExport:
    """Mark payouts as exported and return them. If the caller fails to write them, export them with `again`.

    has_payout_url: payouts.url is set, so the notifier submits pending payouts there.
    """
    now = to_millis(clock.now())
    states = (PayoutState.DEAD,) if has_payout_url else (PayoutState.PENDING, PayoutState.DEAD)

    def mark(connection: Connection) -> PayoutExport:
        found = payouts.list_exportable(
            connection, since=window.since, until=window.until, states=None if again else states
        )
        if again:
            return PayoutExport([_row(each) for each in found], 0)
        for each in found:
            payouts.mark_exported(connection, each, now=now)
            audit.add_entries(connection, _entry(each, now))
        pending = (
            payouts.list_exportable(
                connection, since=window.since, until=window.until, states=(PayoutState.PENDING,)
            )
            if has_payout_url
            else []
        )
        return PayoutExport([_row(each) for each in found], len(pending))

    return database.write(mark).result()


def _entry(payout: Payout, now: Millis) -> audit.AuditEntry:
    return audit.AuditEntry(
        at=now,
        action=AuditAction.PAYOUT,
        actor=audit.COMMAND_LINE,
        outcome="exported",
        account_ref=payout.account_ref,
        order_id=payout.order_id,
    )


def _row(payout: Payout) -> ExportRow:
    return json.loads(payout.body) | {"exported_at": format_iso(payout.exported_at)}


def as_csv(rows: Sequence[ExportRow]) -> str:
    """Format rows as CSV, with one line per amount."""
    cells = (row | amount for row in rows for amount in row["amounts"])
    lines = (line(_format_cell(each.get(name)) for name in COLUMNS) for each in cells)
    return "".join([BYTE_ORDER_MARK, line(COLUMNS), *lines])


def _format_cell(value: object) -> str:
    return harmless("" if value is None else str(value))


def as_json(rows: Sequence[ExportRow]) -> str:
    return json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n"


def check_writable(output: Path) -> None:
    """Check that the file can be written. Call it before the export. Raises ConfigError."""
    folder = output.absolute().parent
    try:
        is_writable = folder.is_dir() and os.access(folder, os.W_OK) and not output.is_dir()
    except OSError:  # such as a name that is too long
        is_writable = False
    if not is_writable:
        raise ConfigError(f"--output: {output} cannot be written; name a file in a folder you may write to.")


def write(output: Path, text: str) -> None:
    """Write the file atomically. Raises OSError."""
    folder = output.absolute().parent
    with tempfile.NamedTemporaryFile("wb", dir=folder, delete=False) as file:
        written = Path(file.name)
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            written.replace(output)
        except OSError:
            written.unlink(missing_ok=True)
            raise

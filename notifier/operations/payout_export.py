"""Payout export: a file for a paying system that is not called. A row leaves as new once, and again when asked."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Millis, SystemClock, to_millis
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
    """Withdrawn in [since, until)."""

    since: Millis
    until: Millis


@dataclass(frozen=True, slots=True)
class PayoutExport:
    """rows: as handed over by call, with `exported_at`, None for what leaves for the first time. under_way: how
    many were left out because a call is handing them over.
    """

    rows: list[ExportRow]
    being_submitted: int

    def summary(self, *, again: bool) -> str:
        count = len(self.rows)
        text = f"{count} payout{'s' if count != 1 else ''} {'listed again' if again else 'exported'}."
        if self.being_submitted:
            text += (
                f" {self.being_submitted} left out: payouts.url is set, and they are being handed over there."
            )
        return text


def parse_window(since: str | None, until: str | None, *, zone: tzinfo) -> ExportWindow:
    """Dates mean midnight in the zone. Raises ConfigError for what is no time, or the wrong way round."""
    found = ExportWindow(
        since=0 if since is None else _parse_time("--since", since, zone),
        until=to_millis(SystemClock().now()) + 1 if until is None else _parse_time("--until", until, zone),
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
            f"{name}: {text!r} is no time. Write 2026-11-01, or 2026-11-01T08:00 with or without +08:00."
        ) from error


def export_payouts(
    database: Database, window: ExportWindow, *, again: bool, has_payout_url: bool
) -> PayoutExport:
    """Marked as exported before anybody sees them; a crash in between is repaired by `again`.

    called: payouts.url is set, so that what is pending is on its way there already.
    """
    now = to_millis(SystemClock().now())
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
    """One line per amount."""
    cells = (row | amount for row in rows for amount in row["amounts"])
    lines = (line(_format_cell(each.get(name)) for name in COLUMNS) for each in cells)
    return "".join([BYTE_ORDER_MARK, line(COLUMNS), *lines])


def _format_cell(value: object) -> str:
    return harmless("" if value is None else str(value))


def as_json(rows: Sequence[ExportRow]) -> str:
    return json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n"


def check_writable(output: Path) -> None:
    """Before anything is marked. Raises ConfigError."""
    folder = output.absolute().parent
    try:
        is_active = folder.is_dir() and os.access(folder, os.W_OK) and not output.is_dir()
    except OSError:  # such as a name that is too long
        is_active = False
    if not is_active:
        raise ConfigError(f"--output: {output} cannot be written; name a file in a folder you may write to.")


def write(output: Path, text: str) -> None:
    """All or nothing."""
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

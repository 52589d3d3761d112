"""Payout reports: what `notifier payouts list|show|mark|retry` print and do. No names, no contact data."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import Connection

from notifier.clock import Millis, SystemClock, to_millis
from notifier.config.settings import Config
from notifier.domain.payout import Payout, PayoutReport, PayoutState, Taken
from notifier.errors import ConfigError
from notifier.flow.withdrawals.apply_payout_report import settle
from notifier.operations.formatting import ago, iso, table
from notifier.runtime import factories
from notifier.store import audit, payouts
from notifier.store.audit import What
from notifier.store.engine.database import Database

LONGEST_REFERENCE, LONGEST_REASON = 128, 500
TIMES = ("created_at", "due_at", "sent_at", "exported_at", "settled_at", "alarmed_at")


def listed(database: Database, *, states: Sequence[str], limit: int, as_json: bool) -> str:
    with database.read() as connection:
        found = payouts.listed(connection, states=states, limit=limit)
    if as_json:
        return _json([_as_json(each) for each in found])
    if not found:
        return "No payouts."
    heads = ("order id", "state", "account", "amounts", "withdrawn", "tries", "reference", "reason")
    now = _now()
    return table(heads, [_cells(each, now) for each in found])


def shown(database: Database, order_id: str, *, as_json: bool) -> str | None:
    """None when there is no such payout."""
    with database.read() as connection:
        found = payouts.of_order(connection, order_id)
        if found is None:
            return None
        trail = audit.rows(connection, order_id=order_id, limit=1000)[::-1]
    if as_json:
        rows = [asdict(row) | {"at": iso(row.at)} for row in trail]
        return _json(_as_json(found) | {"audit": rows})
    lines = [
        f"payout        {found.order_id}, {found.state}",
        f"account       {found.account.account_id}",
        f"amounts       {amounts_text(found)}",
        f"withdrawn     {json.loads(found.body)['withdrawn_at']}",
        f"tries         {found.attempts}",
    ]
    for name, at in (
        ("handed over", found.sent_at),
        ("exported", found.exported_at),
        ("settled", found.settled_at),
        ("HR alarmed", found.alarmed_at),
    ):
        lines += [f"{name:<13} {iso(at)}"] if at is not None else []
    lines += [f"reference     {found.reference}"] if found.reference else []
    lines += [f"reason        {found.reason}"] if found.reason else []
    lines += ["", *(f"  {iso(row.at)}  {row.what}  {row.actor or '-'}  {row.outcome}" for row in trail)]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Said:
    good: bool
    text: str


def mark(
    database: Database, config: Config, *, order_id: str, status: str, reference: str, reason: str
) -> Said | None:
    """The same way as a signed report. None when there is no such payout."""
    for name, value, longest in (
        ("--reference", reference, LONGEST_REFERENCE),
        ("--reason", reason, LONGEST_REASON),
    ):
        if len(value) > longest:
            raise ConfigError(f"{name} is longer than {longest} characters.")
    now = _now()
    report = PayoutReport(
        order_id=order_id,
        status=PayoutState(status),
        reference=_one_line(reference),
        reason=_one_line(reason),
        at=now,
    )
    telling = factories.telling(config)

    def write(connection: Connection) -> tuple[Taken, str]:
        """What came of it, and under which reference it is known now."""
        taken = settle(connection, report, telling, actor=audit.COMMAND_LINE, what=What.MANUAL, now=now)
        known = payouts.of_order(connection, order_id)
        return taken, known.reference if known else ""

    taken, reference_known = database.write(write).result()
    match taken:
        case Taken.NEW:
            return Said(good=True, text=f"{order_id} is {status}; the referrer is told.")
        case Taken.SAME:
            return Said(good=True, text=f"{order_id} was {status} already; nothing changed.")
        case Taken.CONFLICT:
            return Said(
                good=False,
                text=f"{order_id} was paid already, under another reference, {reference_known}. Was it paid "
                "twice? Nothing changed.",
            )
        case Taken.OLDER:
            return Said(
                good=False, text=f"{order_id}: a newer report is known; is this machine's clock right?"
            )
        case Taken.UNKNOWN:
            return None


def retry(database: Database, ids: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """ids: None means all that were given up. The ones done, and the others."""
    now = _now()
    if ids is None:
        with database.read() as connection:
            dead = payouts.listed(connection, states=(PayoutState.DEAD,), limit=100_000)
        ids = [each.order_id for each in dead]

    def again(connection: Connection, order_id: str) -> bool:
        payout = payouts.of_order(connection, order_id)
        if payout is None or not payouts.retry(connection, order_id, now=now):
            return False
        entry = audit.Entry(
            at=now,
            what=What.MANUAL,
            actor=audit.COMMAND_LINE,
            outcome="to be handed over again",
            account_ref=payout.account_ref,
            order_id=order_id,
        )
        audit.write(connection, entry)
        return True

    done = [one for one in ids if database.write(lambda c, one=one: again(c, one)).result()]  # type: ignore[misc]
    return done, [one for one in ids if one not in done]


def amounts_text(payout: Payout) -> str:
    amounts = json.loads(payout.body).get("amounts", [])
    return ", ".join(f"{each['amount']} {each['currency'] or each['kind']}" for each in amounts) or "nothing"


def _cells(payout: Payout, now: Millis) -> tuple[str, ...]:
    return (
        payout.order_id,
        payout.state,
        payout.account.account_id,
        amounts_text(payout),
        ago(payout.created_at, now),
        str(payout.attempts),
        payout.reference,
        payout.reason or "",
    )


def _as_json(payout: Payout) -> dict[str, Any]:
    plain = {name: getattr(payout, name) for name in ("order_id", "state", "attempts", "reference", "reason")}
    times = {name: iso(getattr(payout, name)) for name in TIMES}
    return plain | times | {"body": json.loads(payout.body)}


def _one_line(text: str) -> str:
    """As a signed report is read, so that the same reference is the same by either way."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _now() -> Millis:
    return to_millis(SystemClock().now())

"""The audit trail: newest first, by account or by order."""

from typing import Any

from notifier.domain.event import AccountKey
from notifier.store import audit
from notifier.store.audit import AuditAction, AuditEntry, AuditRow
from notifier.store.engine.database import Database
from support.builders import ACCOUNT, ACCOUNT_ID
from support.delivery_rows import NOW, account_ref

OTHER = AccountKey(tenant_key="tk", app_id="cli_x", account_id="other")


def written(database: Database, outcome: str, **values: Any) -> None:
    entry = AuditEntry(
        **{"at": NOW, "action": AuditAction.CLICK, "actor": "ou_lin", "outcome": outcome, **values}
    )
    database.write(lambda c: audit.add_entries(c, entry)).result()


def outcomes(database: Database, *, limit: int = 100, **filters: str) -> list[str]:
    with database.read() as connection:
        return [row.outcome for row in audit.list_entries(connection, limit=limit, **filters)]


def test_a_row_tells_who_did_what_on_which_card(database: Database) -> None:
    ref = account_ref(database)
    written(
        database,
        "requested as referrer",
        action=AuditAction.ORDER,
        account_ref=ref,
        order_id="rn-1",
        delivery_id=7,
        message_id="om_1",
    )

    with database.read() as connection:
        (row,) = audit.list_entries(connection, limit=1)
    assert row == AuditRow(
        id=row.id,
        at=NOW,
        action="order",
        actor="ou_lin",
        account_id=ACCOUNT_ID,
        order_id="rn-1",
        delivery_id=7,
        message_id="om_1",
        outcome="requested as referrer",
    )


def test_the_newest_row_stands_first(database: Database) -> None:
    for number in range(3):
        written(database, f"row {number}", at=NOW - number)

    assert ["row 2", "row 1", "row 0"] == outcomes(database)
    assert ["row 2", "row 1"] == outcomes(database, limit=2)


def test_rows_of_one_account_or_order_can_be_asked_for(database: Database) -> None:
    ours, other = account_ref(database, ACCOUNT), account_ref(database, OTHER)
    written(database, "ours 1", account_ref=ours, order_id="rn-1")
    written(database, "other", account_ref=other, order_id="rn-2")
    written(database, "ours 2", account_ref=ours, order_id="rn-3")
    written(database, "nobody's")

    assert ["ours 2", "ours 1"] == outcomes(database, account_id=ACCOUNT_ID)
    assert ["other"] == outcomes(database, order_id="rn-2")
    assert [] == outcomes(database, account_id=ACCOUNT_ID, order_id="rn-2")
    assert ["nobody's", "ours 2", "other", "ours 1"] == outcomes(database)


def test_what_names_no_account_is_kept_too(database: Database) -> None:
    written(database, "unknown_button", action=AuditAction.DENIED, actor="")

    with database.read() as connection:
        (row,) = audit.list_entries(connection, limit=1)
    assert ("denied", "", None, None) == (row.action, row.actor, row.account_id, row.message_id)


def test_ids_longer_than_any_of_feishus_are_cut(database: Database) -> None:
    written(database, "long", actor="a" * 500, message_id="m" * 500)

    with database.read() as connection:
        (row,) = audit.list_entries(connection, limit=1)
    assert ("a" * 64, "m" * 64) == (row.actor, row.message_id)

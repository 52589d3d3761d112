"""SQLite's plan of every statement of the program that a test runs: none but rare ones read a whole table."""

import re
import sys
from types import FrameType
from typing import Any

import sqlalchemy as sa

from notifier.store.engine.database import Database
from notifier.store.schema.tables import metadata

GROWING = {
    *("accounts", "attempts", "balances", "buttons", "card_updates", "changes", "deliveries"),
    *("delivery_notices", "inbox", "notices", "recipients", "snapshots", "withdrawals", "payouts"),
    *("batches", "batch_items", "digest_runs", "audit", "panel_buttons"),
    *("questions", "answers"),
}
"""Tables with a row for each event, card, account or click."""

READ_ALL = {
    "accounts.list_failing_lookups": "command `status`",
    "accounts.find_account_refs": "commands that name an account",
    "audit.get_newest_outcome": "once at each start, and only if an operator is named by e-mail address",
    "answers.questions.count_by_command": "command `status`",
    "audit.list_entries": "command `audit`: newest rows first, up to a limit",
    "deliveries.delivery_admin.list_deliveries": "command `deliveries`: newest rows first, up to a limit",
    "digests.period_totals._current_balances": "a digest sums all balances",
    "digests.rankings._pick_round_robin": "a digest over all balances",
    "digests.period_totals.iter_account_totals": "a digest over all accounts",
    "processes.clock_jumps.shift_due_times": "once after each jump of the clock",
    "digests.rankings.count_holders": "a digest over all balances",
    "inbox.count_by_state": "command `status`",
    "ledger.find_imbalances": "a check of all accounts",
    "ledger.load_history": "tests",
    "payouts.count_by_state": "command `status`",
    "payouts.list_payouts": "command `payouts`: newest rows first, up to a limit",
    "people.account_list.count_accounts": "command `accounts list`",
    "people.account_list.list_accounts": "command `accounts list`: newest changes first, up to a limit",
    "people.registrations.find_tenant_key": "command `accounts import`: the newest account of the app",
    "people.registrations.find_accounts_of": "command `accounts import`: once for 200 people",
    "recipients.plan_all": "once at each start: a row for each person",
    "withdrawals.list_withdrawals": "command `withdrawals`: newest rows first, up to a limit",
}
"""Functions of the store whose statements may read a whole table, and why."""

PARTIAL_INDEXES = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}
"""They hold only rows that wait for something."""


def shape_of(text: str) -> str:
    """The statement without the length of its lists, and with one mark for each value."""
    marked = re.sub(r"%\(\w+\)s(::\w+)?", "?", " ".join(text.split()))
    return re.sub(r"(\(\?(, (\?|\d+))*\)(, )?)+", "(...)", marked)


def explain(connection: sa.Connection, text: str, parameters: Any) -> list[str]:
    """SQLite's plan of a statement, as it is really bound: a line for each step."""
    cursor = connection.connection.cursor()
    return [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()]


def full_scans(text: str, plan: list[str]) -> list[str]:
    """The steps that read a whole table that grows."""
    return [step for step in plan if _reads_all(text, step)]


def _reads_all(text: str, step: str) -> bool:
    if "AUTOMATIC" in step:
        return True
    found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return found is not None and _table_of(text, found[1]) in GROWING and found[2] not in PARTIAL_INDEXES


def _table_of(text: str, name: str) -> str:
    """The table behind an alias."""
    found = re.search(rf"(\w+) AS {name}\b", text)
    return found[1] if found else name


class PlanWatch:
    """Explains each statement of the program once, after the test that ran it first."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._new: list[tuple[str, str, Any]] = []

    def watch(self, database: Database) -> None:
        sa.event.listen(database.engine, "before_cursor_execute", self._note)

    def check(self, database: Database) -> list[str]:
        """The statements that read a whole table and may not, each with its function."""
        sa.event.remove(database.engine, "before_cursor_execute", self._note)
        found = []
        with database.engine.connect() as connection:
            for caller, text, parameters in self._new:
                scans = full_scans(text, explain(connection, text, parameters))
                if scans and caller not in READ_ALL:
                    found.append(f"{caller}: {scans} in {text}")
        self._new.clear()
        return found

    def _note(
        self,
        _connection: object,
        _cursor: object,
        text: str,
        parameters: Any,
        _context: object,
        _is_many: object,
    ) -> None:
        shape = shape_of(text)
        if shape in self._known or not text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            return
        caller = _calling_function()
        if caller is None:
            return
        self._known.add(shape)
        self._new.append((caller, text, parameters[0] if isinstance(parameters, list) else parameters))


def _calling_function() -> str | None:
    """The innermost function of the program's store on the stack. None: the test itself runs the statement."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("notifier.store.") and not name.startswith("notifier.store.engine."):
            return f"{name.removeprefix('notifier.store.')}.{frame.f_code.co_name}"
        frame = frame.f_back
    return None

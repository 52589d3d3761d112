"""A crash between two durable steps: the program kills itself at a chosen step.

A step is a transaction that writes, named by what it writes. `when` is the side of its COMMIT on which the process
sends itself SIGKILL: "before", so that all of it is undone, or "after", so that it stays and no other process knows.
The program has no code for this: the plan is attached to SQLAlchemy.
"""

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

CRASH_POINTS = {
    "start: worker registered": r"INSERT INTO workers",
    "start: look-ups released": r"UPDATE accounts SET lookup_due_at=\? WHERE accounts.waits_since",
    "heartbeat": r"UPDATE workers",
    "event stored": r"INSERT INTO inbox",
    "event applied": r"UPDATE inbox SET state",
    "notice created": r"INSERT INTO notices",
    "look-up begun": r"UPDATE accounts SET lookup_due_at=\? WHERE accounts.id",
    "referrer known": r"UPDATE deliveries SET receive_id_type",
    "card claimed": r"INSERT INTO attempts",
    "card frozen": r"UPDATE deliveries SET variant=",
    "card sent": r"UPDATE deliveries SET state=\?, updated_at=\?, worker_id=\?, message_id=",
    "order stored": r"INSERT INTO withdrawals",
    "withdrawal claimed": r"UPDATE withdrawals SET worker_id=\? WHERE withdrawals.id",
    "withdrawal call begun": r"UPDATE withdrawals SET attempts=.* expected=",
    "withdrawal finished": r"UPDATE withdrawals SET state=\?, worker_id=\?, withdrawn=",
    "own withdrawal seen": r"UPDATE withdrawals SET is_in_ledger",
    "payout claimed": r"UPDATE payouts SET state=\?, first_tried_at",
    "payout submitted": r"UPDATE payouts SET state=\?, attempts=",
    "payout reported": r"UPDATE payouts SET state=\?, sent_at=",
    "card change shown": r"UPDATE card_updates SET applied_version",
}
"""What a transaction is called by a statement in it; one transaction may be several steps at once."""
QUESTION_POINTS = {
    "question stored": r"INSERT INTO questions",
    "question answered": r"INSERT INTO answers",
}
"""The same for questions to the bot, which the sweep does not ask."""

HOLD_POINTS = {
    "notices held": r"UPDATE deliveries SET state=\?, due_at=\?, hold_reason=",
    "notices folded": r"UPDATE delivery_notices SET delivery_id",
    "held released": r"UPDATE deliveries SET state=\?, due_at=\?, created_at=",
}
"""The same, of people who want their notices later."""

_PARAMETER = r"(?:\?|%\(\w+\)s(?:::\w+)?)"
"""A parameter of SQLite or of PostgreSQL."""
_WRITE = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b")


class CrashPlan:
    """Kills this process at the nth time that a step is committed."""

    def __init__(self, *, step: str, when: str, nth: int, hit: Path) -> None:
        self._pattern = re.compile(
            (CRASH_POINTS | QUESTION_POINTS | HOLD_POINTS)[step].replace(r"\?", _PARAMETER), re.DOTALL
        )
        self._gap = {"step": step, "when": when}
        self._when, self._left, self._hit = when, nth, hit
        self._written = threading.local()

    def install(self) -> None:
        commit: Any = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            written, self._written.statements = getattr(self._written, "statements", []), []
            if not self._is_reached(written):
                commit(dialect, connection)
                return
            if self._when == "after":
                commit(dialect, connection)
            self._hit.write_text(json.dumps(self._gap), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if _WRITE.match(statement):
                self._written.statements = [*getattr(self._written, "statements", []), statement]

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
        sa.event.listen(sa.Engine, "before_cursor_execute", note)

    def _is_reached(self, written: list[str]) -> bool:
        if not any(self._pattern.match(statement) for statement in written):
            return False
        self._left -= 1
        return self._left <= 0

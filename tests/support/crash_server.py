"""Crashing: the notifier's own command line, forked from a process that has imported everything once, and killed by
itself at a step that was chosen. Orders come on stdin, answers go to stdout, a line of JSON each:

    {"start": ["run", ...], "log": file, "crash": {"step", "when", "nth"} or null, "hit": file}  ->  {"pid"}
    {"poll": pid}, {"wait": pid}  ->  {"status"}, null while it runs

A step is a transaction that writes, told by what it writes. `when` says on which side of its COMMIT the process sends
itself SIGKILL: "before", so that all of it is undone, or "after", so that it stays and nobody has heard of it. Which
gap it was is put into `hit` first. Nothing of this is in the notifier: it is hung into SQLAlchemy from here.

Forked while there is one thread and no running loop, so that a child is as good as a new process, without the seconds
that the imports take.
"""

import gc
import importlib
import json
import os
import re
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from notifier.cli.main import cli

MODULES = (
    "notifier.runtime.app",
    "notifier.feishu.long_connection.client",
    "notifier.store.schema.upgrade",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
)
"""All that a run imports while it starts."""

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


def _run_child(request: dict[str, Any]) -> None:
    """The child: never returns."""
    code = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if request["crash"]:
            CrashPlan(**request["crash"], hit=Path(request["hit"])).install()
        cli(request["start"], prog_name="notifier")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it is, it belongs into the log, and this process must end
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    if "wait" in request:
        return {"status": os.waitpid(request["wait"], 0)[1]}
    if "poll" in request:
        pid, status = os.waitpid(request["poll"], os.WNOHANG)
        return {"status": status if pid else None}
    if threading.active_count() > 1:
        raise RuntimeError("a process with several threads must not be forked")
    pid = os.fork()
    if not pid:
        _run_child(request)
    return {"pid": pid}


def main() -> None:
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()

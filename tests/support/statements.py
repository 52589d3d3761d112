"""Records the SQL statements of a database, as they are really bound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from notifier.store.engine.database import Database

_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "EXPLAIN")


@dataclass(slots=True)
class Recording:
    """The statements of one recording, with the parameters of the first row of each."""

    statements: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The SQL texts in order."""
        return [text for text, _ in self.statements]


@contextmanager
def recorded(database: Database) -> Iterator[Recording]:
    """Records every statement of the block but those that begin and end transactions."""
    recording = Recording()

    def note(
        _connection: object, _cursor: object, text: str, parameters: Any, _context: object, _is_many: object
    ) -> None:
        if not text.startswith(_CONTROL):
            first = parameters[0] if isinstance(parameters, list) else parameters
            recording.statements.append((text, first))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield recording
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)

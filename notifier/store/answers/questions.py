"""Questions: stored once per message, with the decision how they are treated."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.answers.question import Command, EarlierQuestion, Question, QuestionState, Treatment
from notifier.store.engine.sql import insert_or_ignore, literal
from notifier.store.schema.tables import questions


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQuestion:
    """A question with the decision about it."""

    question: Question
    """The question."""
    treatment: Treatment
    """How it is treated."""
    reason: str
    """Why it is ignored; "": it is not."""
    received_at: Millis
    """When its event was stored, Unix milliseconds."""
    event_key: str
    """Key of the event."""
    id: int = 0
    """Row id; 0: not stored yet."""


_LIST_KNOWN = sa.select(questions.c.app_id, questions.c.question_key).where(
    questions.c.question_key.in_(sa.bindparam("keys", expanding=True))
)
_LIST_EARLIER = sa.select(
    questions.c.app_id,
    questions.c.open_id,
    questions.c.command,
    questions.c.treatment,
    questions.c.received_at,
).where(
    questions.c.open_id.in_(sa.bindparam("people", expanding=True)),
    questions.c.received_at > sa.bindparam("since"),
)


def list_known_keys(connection: Connection, keys: Collection[str]) -> set[tuple[str, str]]:
    """(app, key) of the questions with these keys that are stored already."""
    rows = connection.execute(_LIST_KNOWN, {"keys": sorted(keys)})
    return {(row.app_id, row.question_key) for row in rows}


def list_earlier(
    connection: Connection, open_ids: Collection[str], *, since: Millis
) -> dict[tuple[str, str], list[EarlierQuestion]]:
    """The questions of these people after `since` (ms), by app and open_id."""
    found: dict[tuple[str, str], list[EarlierQuestion]] = {}
    for row in connection.execute(_LIST_EARLIER, {"people": sorted(open_ids), "since": since}):
        earlier = EarlierQuestion(
            command=Command(row.command), treatment=Treatment(row.treatment), received_at=row.received_at
        )
        found.setdefault((row.app_id, row.open_id), []).append(earlier)
    return found


def add_questions(connection: Connection, new: Sequence[StoredQuestion]) -> None:
    """Store questions. One whose key exists is skipped."""
    insert_or_ignore(connection, questions, [_to_question_row(each) for each in new])


def _to_question_row(each: StoredQuestion) -> dict[str, object]:
    question = each.question
    is_ignored = each.treatment is Treatment.IGNORE
    return {
        "app_id": question.app_id,
        "question_key": question.key,
        "tenant_key": question.tenant_key,
        "open_id": question.open_id,
        "command": question.command,
        "treatment": each.treatment,
        "message_id": question.message_id,
        "group_chat_id": question.group_chat_id,
        "asked_at": question.asked_at,
        "received_at": each.received_at,
        "event_key": each.event_key,
        "state": QuestionState.IGNORED if is_ignored else QuestionState.NEW,
        "due_at": each.received_at,
        "reason": each.reason or None,
    }


_is_new = questions.c.state == literal("new")
_LIST_DUE = (
    sa.select(questions)
    .where(
        _is_new,
        questions.c.due_at <= sa.bindparam("now"),
        questions.c.id.not_in(sa.bindparam("in_flight", expanding=True)),
    )
    .order_by(questions.c.due_at, questions.c.id)
    .limit(sa.bindparam("limit"))
)
_NEXT_DUE = sa.select(sa.func.min(questions.c.due_at)).where(
    _is_new, questions.c.id.not_in(sa.bindparam("in_flight", expanding=True))
)
_END = (
    sa.update(questions)
    .where(questions.c.id == sa.bindparam("question_id"), _is_new)
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"))
)
_POSTPONE = (
    sa.update(questions)
    .where(questions.c.id == sa.bindparam("question_id"), _is_new)
    .values(due_at=sa.bindparam("new_due_at"))
)


def list_due_questions(
    connection: Connection, *, now: Millis, limit: int, in_flight_ids: Collection[int]
) -> list[StoredQuestion]:
    """Questions without an answer whose time has come, longest wait first, except those being answered."""
    rows = connection.execute(_LIST_DUE, {"now": now, "limit": limit, "in_flight": sorted(in_flight_ids)})
    return [_to_question(row) for row in rows]


def get_next_question_at(connection: Connection, *, in_flight_ids: Collection[int]) -> Millis | None:
    """When the next question is due, in ms; None if there is none."""
    return connection.execute(_NEXT_DUE, {"in_flight": sorted(in_flight_ids)}).scalar()


def end_question(
    connection: Connection, question_id: int, *, state: QuestionState, reason: str | None = None
) -> bool:
    """Store that a question was answered, or why it is ignored. False if that was stored before."""
    values = {"question_id": question_id, "new_state": state, "new_reason": reason}
    return connection.execute(_END, values).rowcount == 1


def postpone_question(connection: Connection, question_id: int, *, due_at: Millis) -> None:
    """Answer a question later. due_at: in ms."""
    connection.execute(_POSTPONE, {"question_id": question_id, "new_due_at": due_at})


def count_open_questions(connection: Connection) -> int:
    """Number of questions without an answer."""
    return connection.execute(sa.select(sa.func.count()).select_from(questions).where(_is_new)).scalar_one()


def count_by_command(connection: Connection, *, since: Millis) -> dict[str, int]:
    """Number of questions after `since` (ms), by command."""
    rows = connection.execute(
        sa.select(questions.c.command, sa.func.count())
        .where(questions.c.received_at > since)
        .group_by(questions.c.command)
    )
    return {command: count for command, count in rows}  # noqa: C416 - rows are not pairs to mypy


def _to_question(row: sa.Row[*tuple[Any, ...]]) -> StoredQuestion:
    return StoredQuestion(
        id=row.id,
        question=Question(
            key=row.question_key,
            app_id=row.app_id,
            tenant_key=row.tenant_key,
            open_id=row.open_id,
            command=Command(row.command),
            message_id=row.message_id,
            group_chat_id=row.group_chat_id,
            asked_at=row.asked_at,
        ),
        treatment=Treatment(row.treatment),
        reason=row.reason or "",
        received_at=row.received_at,
        event_key=row.event_key,
    )

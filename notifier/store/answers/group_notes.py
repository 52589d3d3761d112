"""Group notes: the reply in the group where a question was asked, queued when its private answer has a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.answers.answer import Answer, AnswerKind
from notifier.domain.delivery import CardVariant, Delivery, DeliveryState
from notifier.store import recipients
from notifier.store.answers.answers import read_answer, write_answer
from notifier.store.notices import make_delivery_key
from notifier.store.schema.tables import answers, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAnswer:
    """A private answer with its result."""

    delivery: Delivery
    """Its delivery."""
    is_sent: bool
    """Whether Feishu accepted it."""


_LOAD = sa.select(answers.c.id, answers.c.content, answers.c.question_key).where(
    answers.c.id.in_(sa.bindparam("ids", expanding=True))
)
_LIST_KNOWN = sa.select(deliveries.c.delivery_key).where(
    deliveries.c.delivery_key.in_(sa.bindparam("keys", expanding=True))
)
_ADD_ANSWER = sa.insert(answers).returning(answers.c.id)
_ADD_DELIVERY = sa.insert(deliveries)


def queue_group_notes(connection: Connection, ended: Sequence[EndedAnswer], *, now: Millis) -> None:
    """Queue the notes of these answers. An answer has one note at most, also when it ends again after a retry.

    The caller stores the results in the same transaction.
    """
    if not ended:
        return
    rows = connection.execute(_LOAD, {"ids": sorted({each.delivery.answer_id or 0 for each in ended})}).all()
    with_note = {row.id: row for row in rows if read_answer(row.content).group_note is not None}
    keys = {
        make_delivery_key(each.delivery.key, "note"): each
        for each in ended
        if each.delivery.answer_id in with_note
    }
    if not keys:
        return
    known = set(connection.execute(_LIST_KNOWN, {"keys": sorted(keys)}).scalars())
    for key, each in keys.items():
        if key not in known:
            _queue(connection, key, each, with_note[each.delivery.answer_id or 0], now=now)


def _queue(
    connection: Connection, key: str, ended: EndedAnswer, row: sa.Row[*tuple[Any, ...]], *, now: Millis
) -> None:
    note = read_answer(row.content).group_note
    if note is None:
        return
    kind = AnswerKind.NOTE if ended.is_sent else AnswerKind.NOTE_FAILED
    shown = Answer(kind=kind, reply_to=note.reply_to)
    values = {
        "kind": kind,
        "content": write_answer(shown),
        "created_at": now,
        "question_key": row.question_key,
    }
    answer_id = connection.execute(_ADD_ANSWER, values).scalar_one()
    connection.execute(
        _ADD_DELIVERY,
        {
            "delivery_key": key,
            "target": note.target,
            "receive_id_type": "chat_id",
            "receive_id": note.chat_id,
            "state": DeliveryState.READY,
            "variant": CardVariant.FULL,
            "due_at": now,
            "created_at": now,
            "updated_at": now,
            "event_key": ended.delivery.event_key,
            "event_at": ended.delivery.event_at,
            "answer_id": answer_id,
        },
    )
    recipients.plan_next(connection, [note.chat_id], now=now)

"""Answers: what each message that answers a question shows, and its delivery."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.answers.answer import Answer, AnswerKind, GroupNote, HistoryRow, NoOfferReason
from notifier.domain.delivery import CardVariant, DeliveryState
from notifier.domain.event import AccountKey
from notifier.domain.ledger import content_of, read_content
from notifier.domain.money import Asset, Kind
from notifier.store import recipients
from notifier.store.answers.questions import StoredQuestion
from notifier.store.notices import make_delivery_key
from notifier.store.schema.tables import answers, deliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """An answer to queue."""

    answer: Answer
    """What it shows."""
    part: str
    """Distinguishes the answers to one question; part of the idempotency key."""
    target: str
    """`referrer` for the person who asked, or the name of a group."""
    receive_id_type: str
    """`open_id` or `chat_id`."""
    receive_id: str
    """The person, or the group."""
    account_ref: int | None = None
    """Row id of the account whose withdrawal the card may offer; None: it offers none."""


_ADD_ANSWERS = sa.insert(answers).returning(answers.c.id, sort_by_parameter_order=True)
_ADD_DELIVERIES = sa.insert(deliveries)


def queue_answers(
    connection: Connection, stored: StoredQuestion, new: Sequence[NewAnswer], *, now: Millis
) -> None:
    """Store answers to a question and their deliveries. The caller ends the question in the same transaction."""
    question = stored.question
    rows = [
        {
            "kind": each.answer.kind,
            "content": write_answer(each.answer),
            "created_at": now,
            "question_key": question.key,
        }
        for each in new
    ]
    ids = connection.execute(_ADD_ANSWERS, rows).scalars().all()
    connection.execute(
        _ADD_DELIVERIES,
        [
            {
                "delivery_key": make_delivery_key("answer", question.app_id, question.key, each.part),
                "account_ref": each.account_ref,
                "target": each.target,
                "receive_id_type": each.receive_id_type,
                "receive_id": each.receive_id,
                "state": DeliveryState.READY,
                "variant": CardVariant.FULL,
                "due_at": now,
                "created_at": now,
                "updated_at": now,
                "event_key": stored.event_key,
                "event_at": stored.received_at,
                "answer_id": answer_id,
            }
            for each, answer_id in zip(new, ids, strict=True)
        ],
    )
    recipients.plan_next(connection, [each.receive_id for each in new], now=now)


_LOAD = sa.select(answers.c.id, answers.c.content).where(
    answers.c.id.in_(sa.bindparam("ids", expanding=True))
)


def load_answers(connection: Connection, answer_ids: Collection[int]) -> dict[int, Answer]:
    """These answers by id."""
    if not answer_ids:
        return {}
    rows = connection.execute(_LOAD, {"ids": sorted(set(answer_ids))})
    return {row.id: read_answer(row.content) for row in rows}


def write_answer(answer: Answer) -> str:
    """Return an answer as JSON text."""
    document: dict[str, Any] = {"kind": answer.kind}
    if answer.account is not None:
        document["account"] = [
            answer.account.tenant_key,
            answer.account.app_id,
            answer.account.account_id,
        ]
    if answer.referrer is not None:
        document["referrer"] = [answer.referrer.open_id, answer.referrer.name_zh, answer.referrer.name_en]
    if answer.amounts is not None:
        document["amounts"] = content_of(answer.amounts)
    if answer.group_note is not None:
        note = answer.group_note
        document["group_note"] = [note.target, note.chat_id, note.reply_to]
    if answer.history:
        document["history"] = [_write_row(row) for row in answer.history]
    plain = {
        "balance_at": answer.balance_at,
        "is_stored": answer.is_stored,
        "is_deactivated": answer.is_deactivated,
        "no_offer": answer.no_offer,
        "has_more_history": answer.has_more_history,
        "hidden_accounts": answer.hidden_accounts,
        "asked_at": answer.asked_at,
        "reply_to": answer.reply_to,
    }
    document |= {name: value for name, value in plain.items() if value not in (None, False, 0, "")}
    return json.dumps(document, ensure_ascii=False)


def read_answer(text: str) -> Answer:
    """Return the answer that `write_answer` wrote."""
    document = json.loads(text)
    account, referrer = document.pop("account", None), document.pop("referrer", None)
    amounts, no_offer = document.pop("amounts", None), document.pop("no_offer", None)
    history, note = document.pop("history", ()), document.pop("group_note", None)
    return Answer(
        kind=AnswerKind(document.pop("kind")),
        account=AccountKey(tenant_key=account[0], app_id=account[1], account_id=account[2])
        if account
        else None,
        referrer=Referrer(open_id=referrer[0], name_zh=referrer[1], name_en=referrer[2])
        if referrer
        else None,
        amounts=None if amounts is None else read_content(amounts),
        no_offer=None if no_offer is None else NoOfferReason(no_offer),
        history=tuple(_read_row(row) for row in history),
        group_note=GroupNote(target=note[0], chat_id=note[1], reply_to=note[2]) if note else None,
        **document,
    )


def _write_row(row: HistoryRow) -> dict[str, Any]:
    deltas = [[asset.kind, asset.currency, str(amount)] for asset, amount in row.deltas.items()]
    return {
        "at": row.at,
        "deltas": deltas,
        "is_opening": row.is_opening,
        "state": row.state,
        "order_id": row.order_id,
    }


def _read_row(document: Mapping[str, Any]) -> HistoryRow:
    deltas = {Asset(Kind(kind), currency): Decimal(amount) for kind, currency, amount in document["deltas"]}
    return HistoryRow(
        at=document["at"],
        deltas=deltas,
        is_opening=document["is_opening"],
        state=document["state"],
        order_id=document["order_id"],
    )

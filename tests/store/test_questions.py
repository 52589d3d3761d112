"""Questions and answers in the store: once per message, in a fixed number of statements, and with their history."""

import json
from decimal import Decimal

import pytest
import sqlalchemy as sa

from notifier.clock import DAY_MS
from notifier.domain.account import Ownership, Referrer
from notifier.domain.answers.answer import Answer, AnswerKind, HistoryRow, NoOfferReason
from notifier.domain.answers.question import MESSAGE_RECEIVED, Command, QuestionState
from notifier.domain.event import Event
from notifier.domain.money import POINTS
from notifier.feishu.question_wire import read_question
from notifier.feishu.wire import read_event
from notifier.flow.events.store_questions import AskDeps, store_questions
from notifier.store import accounts, ledger, recipients, retention
from notifier.store.answers import answers, history, own_accounts, questions
from notifier.store.answers.answers import NewAnswer
from notifier.store.answers.questions import StoredQuestion
from notifier.store.engine.database import Database
from notifier.store.inbox import EventInserter, InboxEntry, InboxState
from notifier.store.schema.tables import answers as answers_table
from notifier.store.schema.tables import deliveries
from notifier.store.schema.tables import questions as questions_table
from support.builders import ACCOUNT, CNY, MODIFIED_AT, balance_report
from support.clock import FakeClock
from support.statements import recorded

DEPS = AskDeps(read=read_question, commands=frozenset(Command) - {Command.SETTINGS})
LIN = Referrer(open_id="ou_lin", name_zh="林", name_en="Lin")


def message(number: int, *, text: str = "余额", open_id: str = "", event_id: str = "") -> Event:
    header = {
        "event_id": event_id or f"ev-{number}",
        "event_type": MESSAGE_RECEIVED,
        "tenant_key": "tk",
        "app_id": "cli_x",
    }
    content = {
        "sender": {"sender_id": {"open_id": open_id or f"ou_{number}"}, "sender_type": "user"},
        "message": {
            "message_id": f"om_{number}",
            "chat_id": "oc_1",
            "chat_type": "p2p",
            "message_type": "text",
            "content": json.dumps({"text": text}),
        },
    }
    payload = json.dumps({"schema": "2.0", "header": header, "event": content}).encode()
    return read_event(payload, app_id="cli_x")


def ask(database: Database, clock: FakeClock, *events: Event) -> list[InboxState]:
    entries = [InboxEntry(id=7, event=each, received_at=clock.millis) for each in events]
    outcomes = database.write(lambda c: store_questions(c, entries, DEPS)).result()
    return [each.state for each in outcomes]


def due(database: Database, clock: FakeClock) -> list[StoredQuestion]:
    with database.read() as connection:
        return questions.list_due_questions(connection, now=clock.millis, limit=99, in_flight_ids=())


def test_a_message_is_stored_once_whatever_the_id_of_its_event(database: Database, clock: FakeClock) -> None:
    twice = [message(1), message(1, event_id="ev-other")]

    assert [InboxState.DONE, InboxState.IGNORED] == ask(database, clock, *twice)
    assert [InboxState.IGNORED] == ask(database, clock, message(1, event_id="ev-third"))

    [stored] = due(database, clock)
    assert ("message:om_1", "ev-1") == (stored.question.key, stored.event_key)


def test_a_batch_of_any_size_costs_the_same_number_of_statements(
    database: Database, clock: FakeClock
) -> None:
    ask(database, clock, message(1))  # opens the connection
    counts = []
    for numbers in (range(100, 102), range(200, 250)):
        with recorded(database) as recording:
            ask(database, clock, *(message(number) for number in numbers))
        counts.append(len(recording.texts))

    assert counts[0] == counts[1] <= 3
    assert 53 == len(due(database, clock))


def test_the_questions_of_one_batch_count_for_each_other(database: Database, clock: FakeClock) -> None:
    ask(database, clock, *(message(n, open_id="ou_lin") for n in range(8)), message(9, text="?"))

    with database.read() as connection:
        rows = connection.execute(
            sa.select(questions_table.c.treatment, questions_table.c.command).order_by(questions_table.c.id)
        ).all()
    assert ["answer"] * 5 + ["too_many", "ignore", "ignore", "answer"] == [row.treatment for row in rows]
    assert "unknown" == rows[-1].command
    assert 7 == len(due(database, clock)), "with the note"


def test_a_command_that_is_not_offered_is_no_command(database: Database, clock: FakeClock) -> None:
    ask(database, clock, message(1, text="设置"))

    [stored] = due(database, clock)
    assert Command.UNKNOWN is stored.question.command


EVERYTHING = Answer(
    kind=AnswerKind.WITHDRAW,
    account=ACCOUNT,
    referrer=LIN,
    amounts={CNY: Decimal("350.5000")},
    balance_at=7,
    is_stored=True,
    is_deactivated=True,
    no_offer=NoOfferReason.EMPTY,
    history=(
        HistoryRow(at=1, deltas={CNY: Decimal("-1.5")}, state="paid", order_id="rn-1"),
        HistoryRow(at=0, deltas={POINTS: Decimal(3)}, is_opening=True),
    ),
    has_more_history=True,
    hidden_accounts=2,
    asked_at=9,
    reply_to="om_1",
)


@pytest.mark.parametrize(
    "answer", [EVERYTHING, Answer(kind=AnswerKind.HELP), Answer(kind=AnswerKind.BALANCE, amounts={})]
)
def test_an_answer_is_read_as_it_was_written(answer: Answer) -> None:
    assert answer == answers.read_answer(answers.write_answer(answer))


def test_answers_are_queued_once_and_deleted_with_their_deliveries(
    database: Database, clock: FakeClock
) -> None:
    ask(database, clock, message(1))
    [stored] = due(database, clock)
    new = [
        NewAnswer(
            answer=each,
            part=each.kind,
            target="referrer",
            receive_id_type="open_id",
            receive_id="ou_1",
        )
        for each in (EVERYTHING, Answer(kind=AnswerKind.NOTE))
    ]

    def end(connection: sa.Connection) -> bool:
        if not questions.end_question(connection, stored.id, state=QuestionState.ANSWERED):
            return False
        answers.queue_answers(connection, stored, new, now=clock.millis)
        return True

    assert [True, False] == [database.write(end).result() for _ in range(2)]
    with database.read() as connection:
        rows = connection.execute(sa.select(deliveries).order_by(deliveries.c.id)).all()
        loaded = answers.load_answers(connection, [row.answer_id for row in rows])
        assert recipients.get_next_at(connection) == clock.millis
    assert [EVERYTHING, new[1].answer] == [loaded[row.answer_id] for row in rows]
    assert 2 == len({row.delivery_key for row in rows})

    def delete_deliveries(connection: sa.Connection) -> None:
        connection.execute(sa.delete(deliveries))
        recipients.plan_next(connection, ["ou_1"], now=clock.millis)

    def prune(connection: sa.Connection) -> list[int]:
        old = {"before": clock.millis + 1, "limit": 10}
        return [
            retention.prune_questions(connection, (0, 0), **old).deleted["questions"],
            retention.prune_answers(connection, (0, 0), **old).deleted["answers"],
        ]

    assert [1, 0] == database.write(prune).result(), "their deliveries show them"
    database.write(delete_deliveries).result()
    assert [0, 2] == database.write(prune).result()
    with database.read() as connection:
        assert 0 == connection.execute(sa.select(sa.func.count()).select_from(answers_table)).scalar()


def test_the_accounts_of_a_person_are_those_of_this_app_and_tenant(
    database: Database, clock: FakeClock
) -> None:
    def make(connection: sa.Connection) -> None:
        [applied] = ledger.apply_reports(connection, [(None, balance_report(points=1))])
        accounts.save_ownership(
            connection, applied.account_ref, Ownership(referrer=LIN, looked_up_at=clock.millis)
        )

    database.write(make).result()
    people = [
        ("cli_x", "tk", "ou_lin"),
        ("cli_x", "tk2", "ou_lin"),
        ("cli_y", "tk", "ou_lin"),
        ("cli_x", "tk", "x"),
    ]
    with database.read() as connection:
        found = own_accounts.list_own_accounts(connection, people)

    assert [1, 0, 0, 0] == [len(found[each]) for each in people]
    assert ACCOUNT == found[people[0]][0].key


def test_the_history_of_changes_is_newest_first_and_ends(database: Database) -> None:
    reports = [
        (None, balance_report(points=day + 1, modified_at=MODIFIED_AT + day * DAY_MS)) for day in range(12)
    ]
    [first, *_] = database.write(lambda c: ledger.apply_reports(c, reports)).result()

    with database.read() as connection:
        rows, has_more = history.load_history(connection, first.account_ref)
        newest, _ = history.load_history(connection, first.account_ref, limit=1)
        everything, ends = history.load_history(connection, first.account_ref, limit=12)

    assert (10, True, False) == (len(rows), has_more, ends)
    assert rows[0] == newest[0]
    assert {POINTS: Decimal(1)} == rows[0].deltas
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert [False] * 11 + [True] == [row.is_opening for row in everything]


def test_the_event_of_a_message_is_stored_before_it_is_read(database: Database, clock: FakeClock) -> None:
    database.write_many(EventInserter(clock), message(1)).result()

    assert [] == due(database, clock)

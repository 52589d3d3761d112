"""Stores the questions of a batch of inbox entries, and decides how each is treated, in the same transaction."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import Millis
from notifier.domain.answers.question import (
    HELP_PAUSE_MS,
    QUESTIONS,
    Command,
    EarlierQuestion,
    Question,
    Treatment,
    treat,
)
from notifier.domain.event import Event
from notifier.store.answers import questions
from notifier.store.answers.questions import StoredQuestion
from notifier.store.inbox import EntryOutcome, InboxEntry, InboxState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDeps:
    """How questions are read."""

    read: Callable[..., Question | str]
    """Parses an event. Returns the question, or why it is none. It never raises."""
    commands: Collection[Command]
    """The commands that are offered. Any other is treated as a text that is no command."""


def is_question(entry: InboxEntry) -> bool:
    """Whether the event may hold a question."""
    return entry.event.event_type in QUESTIONS


def store_questions(
    connection: Connection, entries: Sequence[InboxEntry], deps: AskDeps
) -> list[EntryOutcome]:
    """Stores the questions of these entries. Returns the outcome of each entry, in order.

    The number of statements does not depend on the number of entries. A message that arrived before, as another event,
    is ignored.
    """
    read = [_read(entry, deps) for entry in entries]
    asked = [each for each in read if isinstance(each, StoredQuestion)]
    known = questions.list_known_keys(connection, {each.question.key for each in asked}) if asked else set()
    since = min((each.received_at for each in asked), default=0) - HELP_PAUSE_MS
    people = {each.question.open_id for each in asked}
    earlier = questions.list_earlier(connection, people, since=since) if asked else {}
    outcomes: list[EntryOutcome] = []
    new: list[StoredQuestion] = []
    for entry, each in zip(entries, read, strict=True):
        if isinstance(each, str):
            outcomes.append(EntryOutcome(entry_id=entry.id, state=InboxState.IGNORED, reason=each))
            continue
        key = (each.question.app_id, each.question.key)
        if key in known:
            reason = "this message arrived before, as another event"
            outcomes.append(EntryOutcome(entry_id=entry.id, state=InboxState.IGNORED, reason=reason))
            continue
        known.add(key)
        decided = _decide(each, earlier.setdefault((each.question.app_id, each.question.open_id), []))
        new.append(decided)
        outcomes.append(EntryOutcome(entry_id=entry.id, state=InboxState.DONE))
    questions.add_questions(connection, new)
    for decided in new:
        _note(decided)
    return outcomes


def _read(entry: InboxEntry, deps: AskDeps) -> StoredQuestion | str:
    event: Event = entry.event
    question = deps.read(event, received_at=entry.received_at)
    if isinstance(question, str):
        return question
    if question.command not in deps.commands:
        question = replace(question, command=Command.UNKNOWN)
    return StoredQuestion(
        question=question,
        treatment=Treatment.ANSWER,
        reason="",
        received_at=entry.received_at,
        event_key=event.key,
    )


def _decide(asked: StoredQuestion, earlier: list[EarlierQuestion]) -> StoredQuestion:
    """Decides, and adds the question to the earlier ones of the person."""
    now: Millis = asked.received_at
    command = asked.question.command
    treatment, reason = treat(command, earlier, asked_at=asked.question.asked_at, now=now)
    earlier.append(EarlierQuestion(command=command, treatment=treatment, received_at=now))
    return replace(asked, treatment=treatment, reason=reason)


def _note(decided: StoredQuestion) -> None:
    """Neither the text of a message nor the person is logged."""
    question = decided.question
    metrics.QUESTIONS.labels(question.command, decided.treatment).inc()
    log.info(
        "question.received",
        extra={
            "event_key": decided.event_key,
            "command": question.command,
            "place": "group" if question.group_chat_id else "private" if question.message_id else "menu",
            "treatment": decided.treatment,
            "reason": decided.reason or None,
        },
    )

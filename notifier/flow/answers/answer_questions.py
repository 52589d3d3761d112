"""The worker that answers questions: reads the accounts of the person at Feishu and queues the answers.

The answers are deliveries with an idempotency key each. They are created in the transaction that ends the question, so
a question is answered once, whenever the process stops. Every answer with figures goes to the person who asked. In a
group they get a reply without figures, which is queued when the private answer has a result: see `GroupNote`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import MINUTE_MS, Clock, Millis
from notifier.domain.account import AccountState
from notifier.domain.answers.answer import Answer, AnswerKind, GroupNote
from notifier.domain.answers.question import (
    LATE_AFTER_MS,
    Command,
    Question,
    QuestionState,
    Treatment,
)
from notifier.domain.event import Event
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import REFERRER, AddressBook
from notifier.domain.withdrawal import WithdrawOffer
from notifier.errors import AccountUnknown, CallError
from notifier.flow.answers.account_answers import AccountAnswers, BalanceReading, MustWaitForLedger
from notifier.flow.call_worker import CallWorker, ClaimedJobs, close_limiter
from notifier.flow.ports import ReferralAccounts
from notifier.store import rate_limits
from notifier.store.answers import answers, own_accounts, questions
from notifier.store.answers.answers import NewAnswer
from notifier.store.answers.own_accounts import OwnAccount
from notifier.store.answers.questions import StoredQuestion
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 5
"""Accounts of one person that are answered. The last answer names the number of the others."""
READ_PATIENCE_MS = 5_000
"""A read that the rate limit does not allow within this time is not made, and the stored balance is shown."""
LEDGER_WAIT_MS = 500
"""How long a question waits until a balance that was just read is in the ledger. Its offer is made from the ledger."""
LOOKUP_WAIT_MS = MINUTE_MS
"""How long a question of a person without an account waits for the referrers of accounts that are known already."""
LOOKUP_PAUSE_MS = 500
"""The pause between two tries of such a question."""
GROUP = "group"
"""Target of a reply in a group that the configuration does not name."""


class MustWaitForLookups(Exception):
    """No account of the person is known, and the referrers of some accounts are still being looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDeps:
    """The dependencies of a QuestionAnswerer."""

    referral_accounts: ReferralAccounts
    """Reads accounts at Feishu."""
    limit: RateLimit
    """The rate limit of these reads, shared with the look-ups of referrers."""
    withdraw_offer: WithdrawOffer
    """Which cards offer a withdrawal."""
    address_book: AddressBook
    """Names the group of a chat."""
    max_age_ms: int
    """How long a looked-up referrer is valid, in milliseconds, while Feishu cannot be asked."""
    encode_reading: Callable[..., Event]
    """Encodes a balance report as an event of the given type."""
    clock: Clock
    """The source of the current time."""
    wake: Callable[[], None]
    """Called when answers were queued, or a balance that was read is in the inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueQuestion:
    """A question to answer now."""

    stored: StoredQuestion
    """The question."""
    accounts: tuple[OwnAccount, ...] = ()
    """The accounts that the answer shows."""
    hidden_accounts: int = 0
    """Further accounts of the person."""


class QuestionAnswerer(CallWorker[DueQuestion]):
    """Answers questions, oldest first."""

    def __init__(self, database: Database, deps: AnswerDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when a question is answered and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps
        self._accounts = AccountAnswers(
            deps.withdraw_offer, deps.encode_reading, deps.clock, max_age_ms=deps.max_age_ms
        )
        self._waited: set[int] = set()
        """Questions that waited for the ledger once. They do not wait again."""
        self._newest_refs: dict[int, int] = {}
        """By questions that wait for look-ups: the newest account at the first try. Later ones do not matter."""

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[DueQuestion]:
        due = questions.list_due_questions(connection, now=now, limit=free, in_flight_ids=in_flight_ids)
        if not due:
            next_at = questions.get_next_question_at(connection, in_flight_ids=in_flight_ids)
            return ClaimedJobs(next_claim_at=next_at)
        return ClaimedJobs(jobs=self._with_accounts(connection, due), next_claim_at=now)

    def _with_accounts(self, connection: Connection, due: Sequence[StoredQuestion]) -> list[DueQuestion]:
        asking = {each.id: _person(each) for each in due if _needs_accounts(each)}
        found = own_accounts.list_own_accounts(connection, set(asking.values()))
        jobs = []
        for each in due:
            own = found[asking[each.id]] if each.id in asking else []
            jobs.append(
                DueQuestion(
                    stored=each,
                    accounts=tuple(own[:MAX_ACCOUNTS]),
                    hidden_accounts=max(0, len(own) - MAX_ACCOUNTS),
                )
            )
        return jobs

    def _row_id(self, job: DueQuestion) -> int:
        return job.stored.id

    async def _call(self, job: DueQuestion) -> None:
        until = max(job.stored.received_at, self._now() - READ_PATIENCE_MS) + READ_PATIENCE_MS
        readings = await asyncio.gather(*(self._read(each, until=until) for each in job.accounts))
        sent = await self._store(lambda c: self._answer(c, job, readings))
        self._deps.wake()
        if sent is None:
            return
        stored = job.stored
        metrics.ANSWERS.labels(stored.question.command).inc()
        log.info(
            "question.answered",
            extra={
                "event_key": stored.event_key,
                "command": stored.question.command,
                "answers": sent,
                "read_failed": sum(each.error is not None for each in readings) or None,
                "since_event_ms": max(self._now() - stored.received_at, 0),
            },
        )

    async def _read(self, account: OwnAccount, *, until: Millis) -> BalanceReading:
        """Reads an account. until: when to give up if the rate limit allows no read, Unix milliseconds."""
        if not await self._wait_for_turn(until):
            return BalanceReading(account=account)
        try:
            state: AccountState = await self._deps.referral_accounts.read(account.key.account_id)
        except AccountUnknown as error:
            return BalanceReading(account=account, error=error, is_gone=True)
        except CallError as error:
            failure = error
            now = self._now()
            await self._store(lambda c: close_limiter(c, rate_limits.LOOKUPS, failure, now=now))
            log.warning(
                "question.read_failed",
                extra={"account_id": account.key.account_id, "reason": str(error)},
            )
            return BalanceReading(account=account, error=error)
        return BalanceReading(account=account, state=state)

    async def _wait_for_turn(self, until: Millis) -> bool:
        """Waits until the rate limit allows a read, and counts it. False if that takes too long."""
        while True:
            wait_ms = await self._store(self._take_turn)
            if wait_ms <= 0:
                return True
            if self._now() + wait_ms > until:
                return False
            await asyncio.sleep(wait_ms / 1000)

    def _take_turn(self, connection: Connection) -> float:
        """Counts a read if the rate limit allows one. Returns the milliseconds to wait; 0 if it was counted."""
        now, limit = self._now(), self._deps.limit
        limiter = rate_limits.load_limiter(connection, rate_limits.LOOKUPS).plausible(limit, now=now)
        if not limiter.allowed_calls(limit, now=now, wanted=1):
            return max(limiter.allowed_at(limit) - now, 1.0)
        metrics.count_calls(rate_limits.LOOKUPS, 1)
        rate_limits.save_limiters(connection, [limiter.after_one(limit, now=now)])
        return 0.0

    def _answer(
        self, connection: Connection, job: DueQuestion, readings: Sequence[BalanceReading]
    ) -> int | None:
        """Ends the question and queues its answers. Returns their number; None if it was ended before, or waits."""
        now, stored = self._now(), job.stored
        may_wait = stored.id not in self._waited
        try:
            found = self._make_answers(connection, job, readings, now=now, may_wait=may_wait)
        except MustWaitForLedger:
            self._waited.add(stored.id)
            questions.postpone_question(connection, stored.id, due_at=now + LEDGER_WAIT_MS)
            return None
        except MustWaitForLookups:
            questions.postpone_question(connection, stored.id, due_at=now + LOOKUP_PAUSE_MS)
            return None
        self._waited.discard(stored.id)
        self._newest_refs.pop(stored.id, None)
        if not questions.end_question(connection, stored.id, state=QuestionState.ANSWERED):
            return None
        answers.queue_answers(connection, stored, found, now=now)
        return len(found)

    def _make_answers(
        self,
        connection: Connection,
        job: DueQuestion,
        readings: Sequence[BalanceReading],
        *,
        now: Millis,
        may_wait: bool,
    ) -> list[NewAnswer]:
        question = job.stored.question
        if job.stored.treatment is Treatment.TOO_MANY:
            return [self._to_person(question, Answer(kind=AnswerKind.TOO_MANY))]
        found = self._list_private(connection, job, readings, now=now, may_wait=may_wait)
        if now - question.asked_at > LATE_AFTER_MS:
            found = [replace(each, answer=replace(each.answer, asked_at=question.asked_at)) for each in found]
        if question.group_chat_id:
            first = replace(found[0].answer, group_note=self._group_note(question))
            found[0] = replace(found[0], answer=first)
        return found

    def _list_private(
        self,
        connection: Connection,
        job: DueQuestion,
        readings: Sequence[BalanceReading],
        *,
        now: Millis,
        may_wait: bool,
    ) -> list[NewAnswer]:
        question = job.stored.question
        if question.command is Command.SETTINGS:
            return [self._to_person(question, Answer(kind=AnswerKind.SETTINGS))]
        if not question.command.is_about_accounts:
            return [self._to_person(question, Answer(kind=AnswerKind.HELP))]
        found = self._accounts.make(connection, question, readings, now=now, may_wait=may_wait)
        if not found:
            return [self._to_person(question, self._without_account(connection, job.stored, now))]
        if job.hidden_accounts:
            ref, last = found[-1]
            found[-1] = (ref, replace(last, hidden_accounts=job.hidden_accounts))
        return [self._to_person(question, answer, account_ref=ref) for ref, answer in found]

    def _without_account(self, connection: Connection, stored: StoredQuestion, now: Millis) -> Answer:
        """The answer to a person without a known account. Raises MustWaitForLookups while one may turn out theirs."""
        may_wait = 0 <= now - stored.received_at < LOOKUP_WAIT_MS
        if may_wait and own_accounts.list_own_accounts(connection, [_person(stored)])[_person(stored)]:
            raise MustWaitForLookups  # found since the claim
        if stored.id not in self._newest_refs:
            self._newest_refs[stored.id] = own_accounts.get_newest_ref(connection)
        newest_ref = self._newest_refs[stored.id]
        if not own_accounts.has_unknown_referrers(connection, stored.question.app_id, newest_ref=newest_ref):
            return Answer(kind=AnswerKind.NO_ACCOUNT)
        if may_wait:
            raise MustWaitForLookups
        return Answer(kind=AnswerKind.UNAVAILABLE)

    def _to_person(self, question: Question, answer: Answer, *, account_ref: int | None = None) -> NewAnswer:
        """Figures go to nobody else than the person who asked."""
        account = answer.account.account_id if answer.account else ""
        return NewAnswer(
            answer=answer,
            part=f"{answer.kind} {account}",
            target=REFERRER,
            receive_id_type="open_id",
            receive_id=question.open_id,
            account_ref=account_ref if answer.kind.offers_withdrawal else None,
        )

    def _group_note(self, question: Question) -> GroupNote:
        return GroupNote(
            target=self._deps.address_book.group_at(question.group_chat_id) or GROUP,
            chat_id=question.group_chat_id,
            reply_to=question.message_id,
        )


def _needs_accounts(each: StoredQuestion) -> bool:
    return each.treatment is Treatment.ANSWER and each.question.command.is_about_accounts


def _person(each: StoredQuestion) -> tuple[str, str, str]:
    return each.question.app_id, each.question.tenant_key, each.question.open_id

"""Makes the answers about the accounts of a person, from what Feishu says now or from what is stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis
from notifier.domain.account import AccountState, Ownership
from notifier.domain.answers.answer import Answer, AnswerKind, NoOfferReason
from notifier.domain.answers.question import Command, Question
from notifier.domain.event import Event
from notifier.domain.ledger import content_of
from notifier.domain.money import Amounts
from notifier.domain.reconciliation import Comparison, compare
from notifier.domain.route import REFERRER
from notifier.domain.withdrawal import WithdrawOffer, withdrawable
from notifier.errors import CallError
from notifier.flow.events.recover import BalanceRecovery
from notifier.store import accounts, reconciliations, withdrawal_history, withdrawals
from notifier.store.answers import history
from notifier.store.answers.own_accounts import OwnAccount

MAX_OPEN_WITHDRAWALS = 3
"""Withdrawals that wait for their payment, on a card with the balance."""


class MustWaitForLedger(Exception):
    """A balance that was read differs from the ledger. It is entered first, because the offer is made from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceReading:
    """What Feishu says about an account."""

    account: OwnAccount
    """The account."""
    state: AccountState | None = None
    """What Feishu says now; None: it was not asked, or did not say."""
    error: CallError | None = None
    """Why the read failed; None: it did not, or was not made."""
    is_gone: bool = False
    """Whether Feishu knows no such account."""


class AccountAnswers:
    """Makes one answer for each account."""

    def __init__(
        self,
        withdraw_offer: WithdrawOffer,
        encode_reading: Callable[..., Event],
        clock: Clock,
        *,
        max_age_ms: int,
    ) -> None:
        """max_age_ms: how long a looked-up referrer is valid while Feishu cannot be asked, in milliseconds."""
        self._offer = withdraw_offer
        self._recovery = BalanceRecovery(encode_reading, clock)
        self._max_age_ms = max_age_ms

    def make(
        self,
        connection: Connection,
        question: Question,
        readings: Sequence[BalanceReading],
        *,
        now: Millis,
        may_wait: bool,
    ) -> list[tuple[int, Answer]]:
        """Returns the answers with their accounts. Empty: the person has no account.

        An account that Feishu no longer gives to the person is left out. may_wait: whether to enter balances that
        differ into the ledger first; then it raises MustWaitForLedger after it has stored them.
        """
        accounts.lock_accounts(connection, [each.account.account_ref for each in readings])
        for each in readings:
            _save_state(connection, each, now)
        own = [each for each in readings if not each.is_gone and _is_theirs(each, question)]
        if may_wait and question.command is not Command.HISTORY:
            self._recover(connection, own, now)
        return [(each.account.account_ref, self._to_answer(connection, question, each, now)) for each in own]

    def _recover(self, connection: Connection, own: Sequence[BalanceReading], now: Millis) -> None:
        """Enters balances that differ from the ledger. Raises MustWaitForLedger if there are any."""
        known = reconciliations.load_known_balances(connection, [each.account.account_ref for each in own])
        has_recovered = False
        for each in own:
            if each.state is None:
                continue
            held = withdrawal_history.get_holdings(connection, each.account.account_ref)
            balance = known[each.account.account_ref]
            if content_of(held) == content_of(each.state.amounts):
                continue
            if compare(balance, each.state.amounts) is Comparison.WITHDRAWING:
                continue
            if each.account.modified_at is None:  # registered, and no event so far
                balance = replace(balance, modified_at=0)
            self._recovery.recover(connection, balance, each.state, now=now)
            has_recovered = True
        if has_recovered:
            raise MustWaitForLedger

    def _to_answer(
        self, connection: Connection, question: Question, reading: BalanceReading, now: Millis
    ) -> Answer:
        account, state = reading.account, reading.state
        shown = Answer(
            kind=AnswerKind(question.command.value),
            account=account.key,
            referrer=(state.referrer if state else None) or account.ownership.referrer,
            is_stored=state is None,
            is_deactivated=account.is_deactivated if state is None else not state.is_active,
        )
        if state is None and not account.ownership.is_fresh(now=now, max_age=self._max_age_ms):
            return Answer(kind=AnswerKind.UNAVAILABLE)  # it may have another referrer now
        if question.command is Command.HISTORY:
            rows, has_more = history.load_history(connection, account.account_ref)
            return replace(shown, history=rows, has_more_history=has_more)
        held = withdrawal_history.get_holdings(connection, account.account_ref)
        return replace(
            shown,
            amounts=held if state is None else state.amounts,
            balance_at=account.modified_at if state is None else state.at or now,
            no_offer=self._find_no_offer(connection, account.account_ref, shown, held),
            history=history.list_open_withdrawals(
                connection, account.account_ref, limit=MAX_OPEN_WITHDRAWALS
            ),
        )

    def _find_no_offer(
        self, connection: Connection, account_ref: int, shown: Answer, held: Amounts
    ) -> NoOfferReason | None:
        if withdrawals.find_unfinished(connection, account_ref) is not None:
            return None
        if shown.is_deactivated:
            return NoOfferReason.DEACTIVATED
        if REFERRER not in self._offer.targets:
            return NoOfferReason.NOT_OFFERED if shown.kind is AnswerKind.WITHDRAW else None
        if not withdrawable(held, self._offer.kinds):
            return NoOfferReason.EMPTY
        return None if self._offer.is_for(REFERRER, held) else NoOfferReason.BELOW_MINIMUM


def _save_state(connection: Connection, reading: BalanceReading, now: Millis) -> None:
    account, state = reading.account, reading.state
    if reading.is_gone:
        accounts.save_ownership(connection, account.account_ref, Ownership(referrer=None, looked_up_at=now))
    if state is None:
        return
    if state.is_active is account.is_deactivated:
        accounts.save_is_active(connection, account.account_ref, is_active=state.is_active, now=now)
    if state.referrer is not None:
        ownership = Ownership(referrer=state.referrer, looked_up_at=now)
        accounts.save_ownership(connection, account.account_ref, ownership)


def _is_theirs(reading: BalanceReading, question: Question) -> bool:
    """Whether the account belongs to the person, as Feishu says now, or as it said last."""
    state = reading.state
    referrer = state.referrer if state is not None and state.referrer else reading.account.ownership.referrer
    return referrer is not None and referrer.open_id == question.open_id

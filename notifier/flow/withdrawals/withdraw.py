"""The worker that carries out withdrawal orders at Feishu, and creates the payout, the notices and the card updates.

The order id is stored before the first call and is the same in every call. Only a clear refusal ends an order without
a withdrawal. An order with an unknown outcome is retried without limit.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier import metrics
from notifier.clock import MINUTE_MS, Clock, Millis
from notifier.domain.account import AccountState, Ownership
from notifier.domain.event import Event
from notifier.domain.money import Amounts, describe_amounts
from notifier.domain.notice import NoticeReason
from notifier.domain.payout import PayoutState, body_of
from notifier.domain.rate_limit import RateLimit
from notifier.domain.reconciliation import Comparison, compare
from notifier.domain.withdrawal import (
    OTHER_REFERRER,
    STILL_THERE,
    STUCK_AFTER_MS,
    Role,
    Withdrawal,
    WithdrawalState,
    after_failure,
    may_repeat,
    withdrawable,
)
from notifier.errors import AccountDeactivated, CallError, OutcomeUnknown, TemporaryFailure
from notifier.flow.call_worker import CallWorker, ClaimedJobs, claim_within_limit, close_limiter
from notifier.flow.events.recover import BalanceRecovery
from notifier.flow.notices import NoticeWriter, result_reason
from notifier.flow.ports import ReferralAccounts
from notifier.store import accounts, audit, payouts, rate_limits, reconciliations, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.cards import digest_panels
from notifier.store.engine.database import Database
from notifier.store.withdrawals import WithdrawalResult

log = logging.getLogger(__name__)

_RESULT_EVENTS = {
    WithdrawalState.WITHDRAWN: "withdrawal.withdrawn",
    WithdrawalState.AMOUNT_CHANGED: "withdrawal.amount_changed",
    WithdrawalState.NOTHING: "withdrawal.skipped",
    WithdrawalState.REFUSED: "withdrawal.refused",
}
"""Log events by the final state."""
STUCK_CHECK_MS = MINUTE_MS
"""The interval between two checks for orders without a result, in milliseconds."""
MAX_ALARMS = 20
"""Such orders in one check. Hundreds of messages at once would hide each other in the group."""
WAITS_FOR_OUTCOME = "the outcome of a call is not known, and Feishu holds another balance than the agreed one"
"""A repeat could withdraw an amount that nobody agreed to. The order waits for an operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDeps:
    """The dependencies of a Withdrawer."""

    referral_accounts: ReferralAccounts
    """Reads and withdraws balances at Feishu."""
    notices: NoticeWriter
    """Writes notices about the result."""
    limit: RateLimit
    """The rate limit of withdrawals."""
    clock: Clock
    """The source of the current time."""
    worker_id: str
    """The id of this process, which claims the orders."""
    encode_reading: Callable[..., Event]
    """Encodes a balance report as an event of the given type."""
    wake: Callable[[], None]
    """Called when cards must be updated, notices are queued, a payout is created, or a balance was recovered."""


class Withdrawer(CallWorker[Withdrawal]):
    """Carries out withdrawal orders."""

    def __init__(self, database: Database, deps: WithdrawDeps, *, wake: Callable[[], None]) -> None:
        """wake: called when an order's calls end and its slot is free."""
        super().__init__(database, deps.clock, wake=wake)
        self._deps = deps
        self._stuck_check_at = 0
        self._recovery = BalanceRecovery(deps.encode_reading, deps.clock)

    def _claim(
        self, connection: Connection, *, now: Millis, free: int, in_flight_ids: frozenset[int]
    ) -> ClaimedJobs[Withdrawal]:
        due_at = withdrawals.get_next_due_at(connection, in_flight_ids=in_flight_ids)
        if due_at is None or due_at > now:
            return ClaimedJobs(next_claim_at=due_at)
        return claim_within_limit(
            connection,
            rate_limits.WITHDRAWALS,
            self._deps.limit,
            now=now,
            wanted=free,
            claim=lambda allowed: withdrawals.claim_due(
                connection,
                worker_id=self._deps.worker_id,
                now=now,
                limit=allowed,
                in_flight_ids=in_flight_ids,
            ),
        )

    def _row_id(self, job: Withdrawal) -> int:
        return job.id

    async def run_once(self) -> float:
        """Alarms about orders without a result, then carries out due ones. Returns the seconds until the next run."""
        now = self._now()
        if (
            now >= self._stuck_check_at or self._stuck_check_at - now > STUCK_CHECK_MS
        ):  # the clock was set back
            self._stuck_check_at = now + STUCK_CHECK_MS
            await self._alarm_stuck_orders(now)
        return await super().run_once()

    async def _alarm_stuck_orders(self, now: Millis) -> None:
        def save(connection: Connection) -> list[Withdrawal]:
            before = now - STUCK_AFTER_MS
            stuck = withdrawals.claim_stuck(connection, before=before, now=now, limit=MAX_ALARMS)
            for order in stuck:
                self._note(connection, order, "no clear answer for hours", now)
                self._deps.notices.alarm(connection, order, NoticeReason.STUCK, now=now)
            return stuck

        stuck = await self._store(save)
        for order in stuck:
            log.error("withdrawal.stalled", extra={"order_id": order.order_id, "reason": order.reason})
        if stuck:
            self._deps.wake()

    async def _call(self, job: Withdrawal) -> None:
        try:
            if await self._may_call(job):
                await self._withdraw(job)
        except CallError as error:
            await self._failed(job, error)
        except Exception:
            # the claim ends with the call: an operator must be able to end an order whose calls always break
            await self._store(lambda c: withdrawals.release_claim(c, job, worker_id=self._deps.worker_id))
            raise

    async def _may_call(self, order: Withdrawal) -> bool:
        """Reads the balance and stores the start of the call. Feishu withdraws all of it, so it must be as agreed.

        Returns False if the order ended here, or if this process lost it.
        """
        try:
            state = await self._deps.referral_accounts.read(order.account.account_id)
        except OutcomeUnknown as error:  # a read changes nothing, so it may simply be repeated
            raise TemporaryFailure(error.reason, code=error.code, log_id=error.log_id) from error
        available = withdrawable(state.amounts, order.kinds)
        if order.unknown_since is not None:
            if not may_repeat(order, available):
                await self._finish_without_repeat(order, state)
                return False
            return await self._store(lambda c: self._begin_call(c, order, None))
        result = self._result_without_call(order, state, available)
        if result is None:
            return await self._store(lambda c: self._begin_call(c, order, state))
        await self._finish(order, result, state)
        return False

    async def _finish_without_repeat(self, order: Withdrawal, state: AccountState) -> None:
        """A repeat could withdraw an amount that nobody agreed to.

        If a balance report seems to include the withdrawal, the agreed amounts are paid after an operator has confirmed
        them: HR may have removed the same amount. Otherwise the order waits.
        """
        if not order.is_in_ledger:
            raise TemporaryFailure(WAITS_FOR_OUTCOME)
        result = WithdrawalResult(
            state=WithdrawalState.WITHDRAWN,
            now=self._now(),
            withdrawn=order.agreed,
            reason="no call had an answer, and a balance report shows the withdrawal",
            is_unconfirmed=True,
        )
        await self._finish(order, result, state)

    def _result_without_call(
        self, order: Withdrawal, state: AccountState, available: Amounts
    ) -> WithdrawalResult | None:
        """The result of an order that must not be called. None: call it."""
        now = self._now()
        referrer_id = state.referrer.open_id if state.referrer else None
        if order.role is Role.REFERRER and referrer_id != order.requested_by:
            return WithdrawalResult(state=WithdrawalState.REFUSED, now=now, reason=OTHER_REFERRER)
        if not available:
            nothing = WithdrawalResult(state=WithdrawalState.NOTHING, now=now, reason="nothing to withdraw")
            return nothing if state.is_active else None
        if available != order.agreed:
            reason = (
                f"agreed to {describe_amounts(order.agreed)}, but Feishu holds {describe_amounts(available)}"
            )
            return WithdrawalResult(state=WithdrawalState.AMOUNT_CHANGED, now=now, reason=reason)
        return None

    def _begin_call(self, connection: Connection, order: Withdrawal, state: AccountState | None) -> bool:
        """state: the account just before the first call; None for a repeat, whose balance may be a later one."""
        if state is not None:
            self._save_account_state(connection, order, state)
        return withdrawals.mark_call_started(
            connection,
            order,
            worker_id=self._deps.worker_id,
            expected=withdrawable(state.amounts, order.kinds) if state is not None else None,
            now=self._now(),
        )

    async def _withdraw(self, order: Withdrawal) -> None:
        answer = await self._deps.referral_accounts.withdraw(
            order.account.account_id, order_id=order.order_id, kinds=order.kinds
        )
        if not answer.amounts and answer.at is None and not answer.order_id:
            raise OutcomeUnknown("the answer to a withdrawal says nothing")
        withdrawn = withdrawable(answer.amounts, order.kinds)
        if any(asset not in withdrawn for asset in order.agreed):
            await self._finish_without_amounts(order, withdrawn, answer.at)
            return
        await self._finish(
            order,
            WithdrawalResult(
                state=WithdrawalState.WITHDRAWN, now=self._now(), withdrawn=withdrawn, at=answer.at
            ),
        )

    async def _finish_without_amounts(self, order: Withdrawal, named: Amounts, at: Millis | None) -> None:
        """Feishu booked the order and did not name all amounts, although the balance was there just before the call.

        The balance shows which of the two is right. If it is gone, the agreed amounts are paid after an operator has
        confirmed them. named: the amounts that Feishu named. at: when Feishu booked it, Unix milliseconds; None: not
        known.
        """
        try:
            state = await self._deps.referral_accounts.read(order.account.account_id)
        except CallError as error:  # the repeat of the order leads here again
            raise OutcomeUnknown(f"Feishu named no amounts: {error.reason}", code=error.code) from error
        available = withdrawable(state.amounts, order.kinds)
        now = self._now()
        missing = {asset: amount for asset, amount in order.agreed.items() if asset not in named}
        is_still_there = all(available.get(asset, 0) >= amount for asset, amount in missing.items())
        if is_still_there and named:
            result = WithdrawalResult(state=WithdrawalState.WITHDRAWN, now=now, withdrawn=named, at=at)
        elif is_still_there:
            result = WithdrawalResult(state=WithdrawalState.REFUSED, now=now, reason=STILL_THERE)
        else:
            result = WithdrawalResult(
                state=WithdrawalState.WITHDRAWN,
                now=now,
                withdrawn={**order.agreed, **named},
                at=at,
                reason="Feishu booked the order without all amounts, and the balance is gone",
                is_unconfirmed=True,
            )
        await self._finish(order, result, state)

    async def _finish(
        self,
        order: Withdrawal,
        result: WithdrawalResult,
        state: AccountState | None = None,
        *,
        deactivated: bool = False,
    ) -> None:
        def save(connection: Connection) -> bool:
            if state is not None:
                self._save_account_state(connection, order, state)
            if deactivated:
                accounts.save_is_active(connection, order.account_ref, is_active=False, now=result.now)
            if not withdrawals.finish(connection, order, result, worker_id=self._deps.worker_id):
                return False
            if result.state is WithdrawalState.AMOUNT_CHANGED and state is not None:
                self._offer_again(connection, order, state, result.now)
            outcome = result.state.value + (f": {result.reason}" if result.reason else "")
            self._note(connection, order, outcome, result.now)
            self._create_follow_ups(connection, order, result)
            return True

        if await self._store(save):
            metrics.WITHDRAWALS_ENDED.labels(result.state).inc()
            metrics.WITHDRAWAL_SECONDS.observe(max(result.now - order.requested_at, 0) / 1000)
            log.info(
                _RESULT_EVENTS[result.state],
                extra={
                    "order_id": order.order_id,
                    "account_id": order.account.account_id,
                    "code": result.code,
                    "since_request_ms": max(self._now() - order.requested_at, 0),
                },
            )
        self._deps.wake()

    def _offer_again(
        self, connection: Connection, order: Withdrawal, state: AccountState, now: Millis
    ) -> None:
        """Enters the balance just read into the ledger, so that the cards offer it at once. Its event may be late."""
        known = reconciliations.load_known_balances(connection, [order.account_ref])[order.account_ref]
        if compare(known, state.amounts) is not Comparison.CONFIRMED:
            self._recovery.recover(connection, known, state, now=now)
        digest_panels.renew_listed_button(
            connection,
            order.delivery_id,
            order.account_ref,
            amounts=withdrawable(state.amounts, order.kinds),
            now=now,
        )

    def _create_follow_ups(self, connection: Connection, order: Withdrawal, result: WithdrawalResult) -> None:
        """Creates the payout and the notices in the transaction that stores the result."""
        reason = result_reason(result.state, None)
        if reason is None:
            return
        if result.state is WithdrawalState.WITHDRAWN:
            ownership = accounts.get_ownership(connection, order.account_ref)
            at = result.at if result.at is not None else result.now
            referrer = ownership.referrer if ownership else None
            body = body_of(order, withdrawn=result.withdrawn or {}, at=at, referrer=referrer)
            state = PayoutState.UNCONFIRMED if result.is_unconfirmed else PayoutState.PENDING
            now = self._now()  # inside the transaction: an export may have ended since the answer came
            payouts.create_payout(connection, order, body=body, now=now, state=state)
            self._deps.notices.write_result(connection, order, reason, now=result.now)
            if result.is_unconfirmed:
                self._deps.notices.alarm(connection, order, NoticeReason.PAYOUT_UNCONFIRMED, now=now)
        else:
            self._deps.notices.write_where_cards_expired(connection, order, reason, now=result.now)

    async def _failed(self, order: Withdrawal, error: CallError) -> None:
        now = self._now()
        age_seconds = max(0, now - order.requested_at) // 1000
        tried = replace(order, attempts=max(order.attempts + 1, age_seconds.bit_length()))
        retry = after_failure(tried, error, now=now, jitter=random.random())  # noqa: S311 - spread, not secrecy
        if retry.state is WithdrawalState.REFUSED:
            result = WithdrawalResult(
                state=retry.state, now=now, reason=retry.reason, code=retry.code, log_id=retry.log_id
            )
            await self._finish(order, result, deactivated=isinstance(error, AccountDeactivated))
            return

        def save(connection: Connection) -> None:
            withdrawals.postpone(connection, order, retry, worker_id=self._deps.worker_id)
            close_limiter(connection, rate_limits.WITHDRAWALS, error, now=now)
            self._note(connection, order, f"not known yet: {error.reason}", now)

        await self._store(save)
        log.warning(
            "withdrawal.postponed",
            extra={"order_id": order.order_id, "reason": str(error), "again_in_ms": retry.due_at - now},
        )

    def _save_account_state(self, connection: Connection, order: Withdrawal, state: AccountState) -> None:
        accounts.save_is_active(connection, order.account_ref, is_active=state.is_active, now=self._now())
        if state.referrer is not None:
            accounts.save_ownership(
                connection, order.account_ref, Ownership(referrer=state.referrer, looked_up_at=self._now())
            )

    def _note(self, connection: Connection, order: Withdrawal, outcome: str, now: Millis) -> None:
        audit.add_entries(
            connection,
            audit.AuditEntry(
                at=now,
                action=AuditAction.ANSWER,
                actor=audit.FEISHU,
                outcome=outcome,
                account_ref=order.account_ref,
                order_id=order.order_id,
                delivery_id=None,
            ),
        )

"""Withdraw: a requested order -> the balance as it is now -> Feishu's answer -> payout, receipt, cards.

The order id is on disk before the first call and the same in every call. Only a clear no ends an order that took
nothing; what is unknown is asked again, for ever.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.clock import Clock, to_millis
from notifier.domain.account import AccountState, Ownership
from notifier.domain.delivery import limiter_block_ms
from notifier.domain.payout import body_of
from notifier.domain.rate_limit import RateLimit
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState, after_failure, withdrawable
from notifier.errors import AccountDeactivated, CallError, OutcomeUnknown, TemporaryFailure
from notifier.flow.in_flight import InFlight, await_write
from notifier.flow.notices import NoticeWriter, result_reason
from notifier.flow.ports import ReferralAccounts
from notifier.store import accounts, audit, payouts, rate_limits, withdrawals
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database
from notifier.store.withdrawals import WithdrawalResult

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 8
IDLE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDeps:
    """outside: Feishu. pace: of withdrawals. wake: told when cards are to be changed, people told, and money paid."""

    referral_accounts: ReferralAccounts
    notices: NoticeWriter
    limit: RateLimit
    clock: Clock
    worker_id: str
    wake: Callable[[], None]


class Withdrawer:
    """Holds the orders in flight. wake: a slot is free."""

    def __init__(self, database: Database, deps: WithdrawDeps, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._deps = deps
        self._in_flight = InFlight(on_finished=wake)

    async def run_once(self) -> float:
        """Seconds until it makes sense to ask again (or until woken)."""
        now = self._now()
        slots = MAX_IN_FLIGHT - len(self._in_flight)
        if slots <= 0:
            return IDLE_MS / 1000
        in_flight_ids = self._in_flight.rows
        orders, next_claim_at = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, in_flight_ids=in_flight_ids))
        )
        for order in orders:
            self._in_flight.start(order.id, self._execute(order))
        return 0 if orders else max(0.0, next_claim_at - now) / 1000

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are asked again after the next start, with their order id."""
        await self._in_flight.drain(seconds)

    def _claim(
        self, connection: Connection, *, now: int, slots: int, in_flight_ids: frozenset[int]
    ) -> tuple[list[Withdrawal], float]:
        due_at = withdrawals.get_next_due_at(connection, in_flight_ids=in_flight_ids)
        if due_at is None or due_at > now:
            return [], now + IDLE_MS if due_at is None else min(due_at, now + IDLE_MS)
        limit = self._deps.limit
        limiter = rate_limits.load_limiter(connection, rate_limits.WITHDRAWALS).plausible(limit, now=now)
        allowed = limiter.allowed_calls(limit, now=now, wanted=slots)
        if not allowed:
            return [], limiter.allowed_at(limit)
        orders = withdrawals.claim_due(
            connection, worker_id=self._deps.worker_id, now=now, limit=allowed, in_flight_ids=in_flight_ids
        )
        rate_limits.save_limiters(connection, [limiter.after(len(orders), limit, now=now)])
        return orders, now

    async def _execute(self, order: Withdrawal) -> None:
        try:
            if await (self._call_again(order) if order.called else self._is_worth_a_call(order)):
                await self._call(order)
        except CallError as error:
            await self._failed(order, error)

    async def _is_worth_a_call(self, order: Withdrawal) -> bool:
        """The balance as Feishu knows it now, kept beside the order; an order for nothing ends here."""
        try:
            state = await self._deps.referral_accounts.read(order.account.account_id)
        except OutcomeUnknown as error:  # reading moves nothing, so nothing is unknown
            raise TemporaryFailure(error.reason, code=error.code, log_id=error.log_id) from error
        expected = withdrawable(state.amounts, order.kinds)
        worker_id = state.referrer.open_id if state.referrer else None
        if order.role is Role.REFERRER and worker_id != order.requested_by:
            reason = "the account is not theirs who asked"
            await self._finish(
                order, WithdrawalResult(state=WithdrawalState.REFUSED, now=self._now(), reason=reason), state
            )
            return False
        if not expected and state.is_active:
            await self._finish(
                order,
                WithdrawalResult(
                    state=WithdrawalState.NOTHING, now=self._now(), reason="nothing to withdraw"
                ),
                state,
            )
            return False
        return await await_write(self._database.write(lambda c: self._begin_call(c, order, state)))

    async def _call_again(self, order: Withdrawal) -> bool:
        return await await_write(
            self._database.write(
                lambda c: withdrawals.mark_call_started(
                    c, order, worker_id=self._deps.worker_id, expected=None, now=self._now()
                )
            )
        )

    def _begin_call(self, connection: Connection, order: Withdrawal, state: AccountState) -> bool:
        self._keep_state(connection, order, state)
        return withdrawals.mark_call_started(
            connection,
            order,
            worker_id=self._deps.worker_id,
            expected=withdrawable(state.amounts, order.kinds),
            now=self._now(),
        )

    async def _call(self, order: Withdrawal) -> None:
        done = await self._deps.referral_accounts.withdraw(
            order.account.account_id, order_id=order.order_id, kinds=order.kinds
        )
        if not done.amounts and done.at is None and not done.order_id:
            raise OutcomeUnknown("the answer to a withdrawal says nothing")
        withdrawn = withdrawable(done.amounts, order.kinds)
        state = WithdrawalState.WITHDRAWN if withdrawn else WithdrawalState.NOTHING
        await self._finish(
            order, WithdrawalResult(state=state, now=self._now(), withdrawn=withdrawn, at=done.at)
        )

    async def _finish(
        self,
        order: Withdrawal,
        ending: WithdrawalResult,
        state: AccountState | None = None,
        *,
        deactivated: bool = False,
    ) -> None:
        def keep(connection: Connection) -> bool:
            if state is not None:
                self._keep_state(connection, order, state)
            if deactivated:
                accounts.save_is_active(connection, order.account_ref, is_active=False, now=ending.now)
            if not withdrawals.finish(connection, order, ending):
                return False
            outcome = ending.state.value + (f": {ending.reason}" if ending.reason else "")
            self._note(connection, order, outcome, ending.now)
            self._create_follow_ups(connection, order, ending)
            return True

        if await await_write(self._database.write(keep)):
            log.info(
                "withdrawal.%s",
                ending.state,
                extra={
                    "order_id": order.order_id,
                    "account_id": order.account.account_id,
                    "code": ending.code,
                },
            )
        self._deps.wake()

    def _create_follow_ups(self, connection: Connection, order: Withdrawal, ending: WithdrawalResult) -> None:
        """What was taken must be paid and told; both are born with it."""
        reason = result_reason(ending.state, None)
        if reason is None:
            return
        if ending.state is WithdrawalState.WITHDRAWN:
            worker_id = accounts.get_ownership(connection, order.account_ref)
            at = ending.at if ending.at is not None else ending.now
            referrer = worker_id.referrer if worker_id else None
            body = body_of(order, withdrawn=ending.withdrawn or {}, at=at, referrer=referrer)
            payouts.create_payout(connection, order, body=body, now=ending.now)
            self._deps.notices.write_result(connection, order, reason, now=ending.now)
        else:
            self._deps.notices.write_where_cards_expired(connection, order, reason, now=ending.now)

    async def _failed(self, order: Withdrawal, error: CallError) -> None:
        now = self._now()
        age_seconds = max(0, now - order.requested_at) // 1000
        tried = replace(order, attempts=max(order.attempts + 1, age_seconds.bit_length()))
        step = after_failure(tried, error, now=now, jitter=random.random())  # noqa: S311 - spread, not secrecy
        if step.state is WithdrawalState.REFUSED:
            ending = WithdrawalResult(
                state=step.state, now=now, reason=step.reason, code=step.code, log_id=step.log_id
            )
            await self._finish(order, ending, deactivated=isinstance(error, AccountDeactivated))
            return

        def keep(connection: Connection) -> None:
            withdrawals.postpone(connection, order, step)
            closed_for = limiter_block_ms(error)
            if closed_for:
                rate_limits.block(
                    connection, rate_limits.WITHDRAWALS, until=now + closed_for, reason=error.reason
                )
            self._note(connection, order, f"not known yet: {error.reason}", now)

        await await_write(self._database.write(keep))
        log.warning(
            "withdrawal.postponed",
            extra={"order_id": order.order_id, "reason": str(error), "again_in_ms": step.due_at - now},
        )

    def _keep_state(self, connection: Connection, order: Withdrawal, state: AccountState) -> None:
        accounts.save_is_active(connection, order.account_ref, is_active=state.is_active, now=self._now())
        if state.referrer is not None:
            accounts.save_ownership(
                connection, order.account_ref, Ownership(referrer=state.referrer, looked_up_at=self._now())
            )

    def _note(self, connection: Connection, order: Withdrawal, outcome: str, now: int) -> None:
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

    def _now(self) -> int:
        return to_millis(self._deps.clock.now())

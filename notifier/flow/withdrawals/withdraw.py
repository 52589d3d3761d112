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
from notifier.domain.delivery import closes_gate_for_ms
from notifier.domain.payout import body_of
from notifier.domain.rate_limit import Pace
from notifier.domain.withdrawal import Role, Withdrawal, WithdrawalState, after_failure, takeable
from notifier.errors import AccountDeactivated, CallError, NotDone, OutcomeUnknown
from notifier.flow.in_flight import InFlight, kept
from notifier.flow.notices import Telling, end_of
from notifier.flow.ports import Treasury
from notifier.store import accounts, audit, payouts, rate_limits, withdrawals
from notifier.store.audit import What
from notifier.store.engine.database import Database
from notifier.store.withdrawals import Ending

log = logging.getLogger(__name__)

TOGETHER = 8
IDLE_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawParts:
    """outside: Feishu. pace: of withdrawals. wake: told when cards are to be changed, people told, and money paid."""

    outside: Treasury
    telling: Telling
    pace: Pace
    clock: Clock
    owner: str
    wake: Callable[[], None]


class Withdrawer:
    """Holds the orders in flight. wake: a slot is free."""

    def __init__(self, database: Database, parts: WithdrawParts, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._parts = parts
        self._in_flight = InFlight(landed=wake)

    async def turn(self) -> float:
        """Seconds until it makes sense to ask again (or until woken)."""
        now = self._now()
        slots = TOGETHER - len(self._in_flight)
        if slots <= 0:
            return IDLE_MS / 1000
        held = self._in_flight.rows
        orders, again_at = await asyncio.wrap_future(
            self._database.write(lambda c: self._claim(c, now=now, slots=slots, held=held))
        )
        for order in orders:
            self._in_flight.start(order.id, self._carry_out(order))
        return 0 if orders else max(0.0, again_at - now) / 1000

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish; the others are asked again after the next start, with their order id."""
        await self._in_flight.drain(seconds)

    def _claim(
        self, connection: Connection, *, now: int, slots: int, held: frozenset[int]
    ) -> tuple[list[Withdrawal], float]:
        due_at = withdrawals.next_due(connection, held=held)
        if due_at is None or due_at > now:
            return [], now + IDLE_MS if due_at is None else min(due_at, now + IDLE_MS)
        pace = self._parts.pace
        gate = rate_limits.load(connection, rate_limits.WITHDRAWALS).sane(pace, now=now)
        allowed = gate.passes(pace, now=now, wanted=slots)
        if not allowed:
            return [], gate.opens_at(pace)
        orders = withdrawals.claim(connection, owner=self._parts.owner, now=now, limit=allowed, held=held)
        rate_limits.keep(connection, [gate.after(len(orders), pace, now=now)])
        return orders, now

    async def _carry_out(self, order: Withdrawal) -> None:
        try:
            if await (self._call_again(order) if order.called else self._is_worth_a_call(order)):
                await self._call(order)
        except CallError as error:
            await self._failed(order, error)

    async def _is_worth_a_call(self, order: Withdrawal) -> bool:
        """The balance as Feishu knows it now, kept beside the order; an order for nothing ends here."""
        try:
            state = await self._parts.outside.read(order.account.account_id)
        except OutcomeUnknown as error:  # reading moves nothing, so nothing is unknown
            raise NotDone(error.reason, code=error.code, log_id=error.log_id) from error
        expected = takeable(state.amounts, order.kinds)
        owner = state.referrer.open_id if state.referrer else None
        if order.role is Role.REFERRER and owner != order.requested_by:
            reason = "the account is not theirs who asked"
            await self._end(
                order, Ending(state=WithdrawalState.REFUSED, now=self._now(), reason=reason), state
            )
            return False
        if not expected and state.usable:
            await self._end(
                order,
                Ending(state=WithdrawalState.NOTHING, now=self._now(), reason="nothing to withdraw"),
                state,
            )
            return False
        return await kept(self._database.write(lambda c: self._begin_call(c, order, state)))

    async def _call_again(self, order: Withdrawal) -> bool:
        return await kept(
            self._database.write(
                lambda c: withdrawals.calling(
                    c, order, owner=self._parts.owner, expected=None, now=self._now()
                )
            )
        )

    def _begin_call(self, connection: Connection, order: Withdrawal, state: AccountState) -> bool:
        self._keep_state(connection, order, state)
        return withdrawals.calling(
            connection,
            order,
            owner=self._parts.owner,
            expected=takeable(state.amounts, order.kinds),
            now=self._now(),
        )

    async def _call(self, order: Withdrawal) -> None:
        done = await self._parts.outside.withdraw(
            order.account.account_id, order_id=order.order_id, kinds=order.kinds
        )
        if not done.amounts and done.at is None and not done.order_id:
            raise OutcomeUnknown("the answer to a withdrawal says nothing")
        taken = takeable(done.amounts, order.kinds)
        state = WithdrawalState.WITHDRAWN if taken else WithdrawalState.NOTHING
        await self._end(order, Ending(state=state, now=self._now(), taken=taken, at=done.at))

    async def _end(
        self,
        order: Withdrawal,
        ending: Ending,
        state: AccountState | None = None,
        *,
        deactivated: bool = False,
    ) -> None:
        def keep(connection: Connection) -> bool:
            if state is not None:
                self._keep_state(connection, order, state)
            if deactivated:
                accounts.keep_usable(connection, order.account_ref, usable=False, now=ending.now)
            if not withdrawals.end(connection, order, ending):
                return False
            outcome = ending.state.value + (f": {ending.reason}" if ending.reason else "")
            self._note(connection, order, outcome, ending.now)
            self._follow_up(connection, order, ending)
            return True

        if await kept(self._database.write(keep)):
            log.info(
                "withdrawal.%s",
                ending.state,
                extra={
                    "order_id": order.order_id,
                    "account_id": order.account.account_id,
                    "code": ending.code,
                },
            )
        self._parts.wake()

    def _follow_up(self, connection: Connection, order: Withdrawal, ending: Ending) -> None:
        """What was taken must be paid and told; both are born with it."""
        reason = end_of(ending.state, None)
        if reason is None:
            return
        if ending.state is WithdrawalState.WITHDRAWN:
            owner = accounts.ownership(connection, order.account_ref)
            at = ending.at if ending.at is not None else ending.now
            referrer = owner.referrer if owner else None
            body = body_of(order, taken=ending.taken or {}, at=at, referrer=referrer)
            payouts.begin(connection, order, body=body, now=ending.now)
            self._parts.telling.tell_the_end(connection, order, reason, now=ending.now)
        else:
            self._parts.telling.tell_out_of_reach(connection, order, reason, now=ending.now)

    async def _failed(self, order: Withdrawal, error: CallError) -> None:
        now = self._now()
        age_seconds = max(0, now - order.requested_at) // 1000
        tried = replace(order, attempts=max(order.attempts + 1, age_seconds.bit_length()))
        step = after_failure(tried, error, now=now, jitter=random.random())  # noqa: S311 - spread, not secrecy
        if step.state is WithdrawalState.REFUSED:
            ending = Ending(state=step.state, now=now, reason=step.reason, code=step.code, log_id=step.log_id)
            await self._end(order, ending, deactivated=isinstance(error, AccountDeactivated))
            return

        def keep(connection: Connection) -> None:
            withdrawals.postpone(connection, order, step)
            closed_for = closes_gate_for_ms(error)
            if closed_for:
                rate_limits.shut(
                    connection, rate_limits.WITHDRAWALS, until=now + closed_for, reason=error.reason
                )
            self._note(connection, order, f"not known yet: {error.reason}", now)

        await kept(self._database.write(keep))
        log.warning(
            "withdrawal.again",
            extra={"order_id": order.order_id, "reason": str(error), "again_in_ms": step.due_at - now},
        )

    def _keep_state(self, connection: Connection, order: Withdrawal, state: AccountState) -> None:
        accounts.keep_usable(connection, order.account_ref, usable=state.usable, now=self._now())
        if state.referrer is not None:
            accounts.keep_ownership(
                connection, order.account_ref, Ownership(referrer=state.referrer, looked_up_at=self._now())
            )

    def _note(self, connection: Connection, order: Withdrawal, outcome: str, now: int) -> None:
        audit.write(
            connection,
            audit.Entry(
                at=now,
                what=What.ANSWER,
                actor=audit.FEISHU,
                outcome=outcome,
                account_ref=order.account_ref,
                order_id=order.order_id,
                delivery_id=None,
            ),
        )

    def _now(self) -> int:
        return to_millis(self._parts.clock.now())

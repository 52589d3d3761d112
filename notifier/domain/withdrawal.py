"""Withdrawal: the whole balance of the chosen kinds is withdrawn once. Rules for permissions, clicks and answers.

Feishu's call takes no amount: it withdraws the balance of that moment. So a press agrees to the amounts that its card
offered, and the call is made only while the balance equals them.

requested -> withdrawn      Feishu booked it; no further call
    |     -> amount_changed the balance differs from the amounts agreed to; nothing was withdrawn, the button is back
    |     -> nothing        there was nothing to withdraw, before or at the call
    |     -> refused        Feishu refused it and a retry cannot help; the card shows the button again
    |     -> ended          an operator found that nothing was withdrawn; the card shows the button again. If the agreed
    |                       amounts were withdrawn, it becomes withdrawn
    '-> requested           not done, or outcome unknown: retried with the same order id, without limit
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from notifier.clock import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import pause_ms
from notifier.domain.event import AccountKey, Click
from notifier.domain.ledger import BalanceChange, differences
from notifier.domain.money import Amounts, Kind
from notifier.errors import AppSuspended, CallError, NotAuthorised, OutcomeUnknown, TemporaryFailure

CARD_LIVES_MS = 14 * DAY_MS
"""Feishu neither sends callbacks for older cards nor updates them (message page, read 2026-05)."""


OTHER_REFERRER = "the account belongs to another referrer"
STILL_THERE = "Feishu booked the order without amounts, and the balance is still there"
"""Reasons for which the service itself refuses an order. Neither has a code of Feishu."""


class WithdrawalState(StrEnum):
    """State of a withdrawal; the module docstring shows the transitions."""

    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    AMOUNT_CHANGED = "amount_changed"
    NOTHING = "nothing"
    REFUSED = "refused"
    ENDED = "ended"


class Role(StrEnum):
    """In which role a person acts on an account."""

    REFERRER = "referrer"
    OPERATOR = "operator"


class DenialReason(StrEnum):
    """Why a person may not act. The checks run in this order; the first that fails gives the reason."""

    NOBODY = "nobody"
    """The callback names no operator."""
    UNKNOWN_BUTTON = "unknown_button"
    """The service has no button with this id, or never learned in which message it is."""
    FOREIGN = "foreign"
    """The operator, or the callback, belongs to another tenant or app."""
    UNCONFIRMED = "unconfirmed"
    """Feishu has not confirmed the card yet: the answer to our send is late or lost, so its message id is not known."""
    OTHER_MESSAGE = "other_message"
    """The button is in a message that the service did not send: a forwarded card."""
    EXPIRED = "expired"
    """The card is older than Feishu's limit."""
    REFERRER_UNKNOWN = "referrer_unknown"
    """Feishu has not named the referrer of the account, so nobody can be authorised."""
    NOT_YOURS = "not_yours"
    """Neither the referrer nor a listed operator of the group."""
    DEACTIVATED = "deactivated"
    """Feishu reported that the account is deactivated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """The button that an opaque id identifies."""

    button_ref: str
    """The opaque id."""
    delivery_id: int
    """Row id of the delivery that posted the card."""
    account_ref: int
    """Row id of the account."""
    account: AccountKey
    """The account at Feishu."""
    withdrawal_count: int
    """Number of completed withdrawals of the account when the button was rendered. The button is stale once there are
    more.
    """
    amounts: Amounts
    """What the button offers to withdraw, as its card shows it."""
    posted_at: Millis
    """When Feishu accepted the card, Unix milliseconds. A later update of the card does not change it."""
    message_id: str | None
    """The message that contains the card; None: not known from Feishu yet."""
    group: str | None
    """Name of the group that sees the card; None: a private chat."""
    ownership: Ownership | None
    """The newest answer about the referrer; None: never looked up."""
    is_active: bool | None
    """Whether Feishu last reported the account as active; None: never read."""
    is_unconfirmed: bool = False
    """Whether the card was sent, and Feishu's answer with the message id is still to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Whether a person may act.

    role: the role in which they may act; None: they may not. denial_reason: why not.
    """

    role: Role | None = None
    denial_reason: DenialReason | None = None


def authorise(  # noqa: PLR0911 - one return per rule reads as the list it is
    click: Click, button: Button | None, *, operators: Mapping[str, Collection[str]], now: Millis
) -> Authorization:
    """Check whether the person may withdraw. Missing or unknown values deny the request.

    operators: by group name, the open_ids that may act for the accounts shown in it. now: Unix milliseconds.
    """
    if not click.open_id:
        return Authorization(denial_reason=DenialReason.NOBODY)
    if button is None:
        return Authorization(denial_reason=DenialReason.UNKNOWN_BUTTON)
    if not _is_ours(click, button.account):
        return Authorization(denial_reason=DenialReason.FOREIGN)
    if button.is_unconfirmed:
        return Authorization(denial_reason=DenialReason.UNCONFIRMED)
    if button.message_id is None:  # Feishu never named the message, so the card may be the original one
        return Authorization(denial_reason=DenialReason.UNKNOWN_BUTTON)
    if not click.message_id or click.message_id != button.message_id:
        return Authorization(denial_reason=DenialReason.OTHER_MESSAGE)
    if now - button.posted_at >= CARD_LIVES_MS:
        return Authorization(denial_reason=DenialReason.EXPIRED)
    referrer = button.ownership.referrer if button.ownership else None
    if referrer is None:
        return Authorization(denial_reason=DenialReason.REFERRER_UNKNOWN)
    role = _role(click.open_id, referrer, button.group, operators)
    if role is None:
        return Authorization(denial_reason=DenialReason.NOT_YOURS)
    if button.is_active is False:
        return Authorization(denial_reason=DenialReason.DEACTIVATED)
    return Authorization(role=role)


def _is_ours(click: Click, account: AccountKey) -> bool:
    """Whether callback, person and account belong to the same app and tenant. A missing value means no."""
    said = bool(click.app_id and click.tenant_key)
    same_app = click.app_id == account.app_id
    return said and same_app and click.tenant_key == click.operator_tenant == account.tenant_key


def _role(
    open_id: str, referrer: Referrer, group: str | None, operators: Mapping[str, Collection[str]]
) -> Role | None:
    if open_id == referrer.open_id:
        return Role.REFERRER
    if group is not None and open_id in operators.get(group, ()):
        return Role.OPERATOR
    return None


class PressOutcome(StrEnum):
    """What a permitted click leads to, decided from local state only."""

    BEGIN = "begin"
    """The withdrawal starts."""
    BUSY = "busy"
    """A withdrawal of this account is running."""
    STALE = "stale"
    """The balance is not the one that the card offers. The card is updated, and the person must confirm again."""
    DONE = "done"
    """The card is older than the last withdrawal, and there is nothing new to withdraw."""
    EMPTY = "empty"
    """There is nothing to withdraw."""


def judge_press(
    button: Button, *, withdrawal_count: int, unfinished: bool, holdings: Amounts, kinds: Collection[Kind]
) -> PressOutcome:
    """Return what a permitted click leads to.

    withdrawal_count: number of finished withdrawals of the account. unfinished: whether a withdrawal is running.
    holdings: the balance in the ledger.
    """
    if unfinished:
        return PressOutcome.BUSY
    available = withdrawable(holdings, kinds)
    if not available:
        return PressOutcome.EMPTY if button.withdrawal_count == withdrawal_count else PressOutcome.DONE
    is_current = button.withdrawal_count == withdrawal_count and button.amounts == available
    return PressOutcome.BEGIN if is_current else PressOutcome.STALE


def withdrawable(holdings: Amounts, kinds: Collection[Kind]) -> Amounts:
    """Return what a withdrawal of these kinds would withdraw.

    A kind with a negative amount in any currency is left out, because Feishu withdraws all amounts of a kind, and it
    is not documented what becomes of a negative one.
    """
    negative = {asset.kind for asset, amount in holdings.items() if amount < 0}
    chosen = set(kinds) - negative
    return {asset: amount for asset, amount in holdings.items() if asset.kind in chosen and amount > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """One withdrawal order."""

    id: int
    """Row id."""
    order_id: str
    """Set before the first call and used for every call. It never changes."""
    account_ref: int
    """Row id of the account."""
    account: AccountKey
    """The account at Feishu."""
    kinds: tuple[Kind, ...]
    """The kinds to withdraw."""
    state: WithdrawalState
    """Its current state."""
    withdrawal_count: int
    """Number of completed withdrawals of the account when this one was requested."""
    requested_by: str
    """open_id of the person who requested it."""
    delivery_id: int
    """Row id of the delivery whose button was pressed."""
    role: Role
    """Role of that person."""
    requested_at: Millis
    """Unix milliseconds."""
    agreed: Amounts
    """The amounts that the pressed card offered. Nothing else may be withdrawn."""
    attempts: int = 0
    """Number of `withdraw` calls that were started."""
    due_at: Millis = 0
    """When to call next, Unix milliseconds."""
    expected: Amounts | None = None
    """The balance that was read just before the call; None: not read yet."""
    withdrawn: Amounts | None = None
    """The amounts that Feishu reports as withdrawn; None: no answer yet."""
    withdrawn_at: Millis | None = None
    """When Feishu booked it, Unix milliseconds; None: not booked, or the time is not known."""
    ended_at: Millis | None = None
    """When it reached a final state, Unix milliseconds."""
    unknown_since: Millis | None = None
    """Time of the first call whose outcome is unknown, Unix milliseconds; None: no such call."""
    reason: str | None = None
    """Text of the newest failure."""
    code: int | None = None
    """Feishu's error code of that failure."""
    log_id: str | None = None
    """Feishu's log id of that failure, for its support."""
    is_in_ledger: bool = False
    """Whether a balance report shows that the amounts are gone."""
    ledger_modified_at: Millis | None = None
    """`modified_at` of the first balance report that shows it, Unix milliseconds; None: none does."""

    @property
    def awaits_report(self) -> bool:
        """Whether a call was made, successful or unknown, that no balance report includes yet."""
        is_possible = self.state in {WithdrawalState.REQUESTED, WithdrawalState.WITHDRAWN}
        return is_possible and self.attempts > 0 and not self.is_in_ledger

    @property
    def called(self) -> bool:
        """Whether Feishu may know the order id."""
        return self.attempts > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRetry:
    """What happens to a withdrawal after a failed call."""

    state: WithdrawalState
    """The next state."""
    due_at: Millis
    """When to call again, Unix milliseconds."""
    unknown_since: Millis | None
    """As on a Withdrawal."""
    reason: str
    """Text of the failure."""
    code: int | None
    """Feishu's error code; None: none."""
    log_id: str | None
    """Feishu's log id, for its support; None: none."""


def after_failure(withdrawal: Withdrawal, error: CallError, *, now: Millis, jitter: float) -> WithdrawalRetry:
    """Return what happens to a withdrawal after a failed call.

    A clear refusal ends it. All other failures are retried with the same order id, without limit. A refusal after
    an unknown outcome does not end it, because the first call may have moved the money. now: Unix milliseconds.
    jitter: 0 to 1.
    """
    unknown_since = withdrawal.unknown_since
    if isinstance(error, OutcomeUnknown) and unknown_since is None:
        unknown_since = now
    clear_no = not isinstance(error, TemporaryFailure | OutcomeUnknown | NotAuthorised | AppSuspended)
    again = not clear_no or unknown_since is not None
    asked = round(1000 * (error.retry_after_seconds or 0))
    pause = max(asked, pause_ms(attempts=withdrawal.attempts, jitter=jitter))
    return WithdrawalRetry(
        state=WithdrawalState.REQUESTED if again else WithdrawalState.REFUSED,
        due_at=now + pause,
        unknown_since=unknown_since,
        reason=error.reason,
        code=error.code,
        log_id=error.log_id,
    )


STUCK_AFTER_MS = 6 * HOUR_MS
"""An order without a clear answer for this long needs an operator. A failure of Feishu seldom lasts longer."""


def may_repeat(withdrawal: Withdrawal, available: Amounts) -> bool:
    """Whether a call with an unknown outcome may be repeated: only where a repeat cannot withdraw another amount.

    If the first call withdrew, a repeat returns its result. If it did not, a repeat withdraws what is there now. A
    balance report that seems to include the withdrawal proves nothing: HR may have removed the same amount.
    available: what Feishu holds now.
    """
    return not available or available == withdrawal.agreed


NEAR_MS = 5_000
"""Feishu sets the times of a withdrawal and of its balance event separately. They may differ by this much."""

SKEW_MS = 10 * MINUTE_MS
"""Before Feishu reports its own time, our time is used. It may differ by this much if the amounts match."""


def reflects(withdrawal: Withdrawal, changes: Sequence[BalanceChange], *, modified_at: Millis) -> bool:
    """Whether a balance report includes this withdrawal, judged by its time and, near that time, by its amounts."""
    withdrawn_amounts = to_withdrawn_amounts(withdrawal)
    deltas = {change.asset: change.delta for change in changes}
    at = withdrawal.withdrawn_at
    if not withdrawn_amounts:
        return False
    if at is None:
        late_enough = modified_at >= withdrawal.requested_at - SKEW_MS
        return late_enough and all(
            deltas.get(asset, Decimal(0)) <= -amount for asset, amount in withdrawn_amounts.items()
        )
    if modified_at > at + NEAR_MS:
        return True
    return modified_at >= at - NEAR_MS and all(
        deltas.get(asset, Decimal(0)) < 0 for asset in withdrawn_amounts
    )


def to_withdrawn_amounts(withdrawal: Withdrawal) -> Amounts:
    """Return the withdrawn amounts, or the expected ones while the answer is not known."""
    return withdrawal.withdrawn if withdrawal.withdrawn is not None else withdrawal.expected or {}


def subtract_own_withdrawals(
    changes: Sequence[BalanceChange], after: Amounts, withdrawn_amounts: Amounts
) -> tuple[BalanceChange, ...]:
    """Return the changes that remain for a notice after our own withdrawals are subtracted.

    The remaining balance is never negative. If the ledger held less than was withdrawn, it was behind or already
    included the withdrawal.
    """
    before = {change.asset: change.before for change in changes}
    assets = sorted({*before, *withdrawn_amounts})
    held = {asset: before.get(asset, after.get(asset, Decimal(0))) for asset in assets}
    left = {
        asset: max(held[asset] - withdrawn_amounts[asset], Decimal(0))
        if withdrawn_amounts.get(asset)
        else held[asset]
        for asset in assets
    }
    return differences(left, {asset: after.get(asset, Decimal(0)) for asset in assets})


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawOffer:
    """The configured offer of withdrawals.

    targets: `referrer` or group names; empty: no card has a button. kinds: the kinds to withdraw. least_amount: in
    the unit of the asset; one asset that reaches it is enough.
    """

    targets: frozenset[str] = frozenset()
    kinds: tuple[Kind, ...] = (Kind.POINTS, Kind.CASH)
    least_amount: Decimal = Decimal(0)

    def is_for(self, target: str, holdings: Amounts) -> bool:
        """Whether a card for this target offers a withdrawal of this balance."""
        return target in self.targets and any(
            amount >= self.least_amount for amount in withdrawable(holdings, self.kinds).values()
        )

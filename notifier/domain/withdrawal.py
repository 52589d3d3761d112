"""Withdrawal: the whole balance of the chosen kinds, taken once. Who may, what a click means, what an answer means.

requested -> withdrawn      Feishu booked it; nothing more is asked
    |     -> nothing        there was nothing to take, before or at the call
    |     -> refused        Feishu said no and repeating cannot help; the button comes back
    '-> requested           not done, or unknown: asked again with the same order id, for ever
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.account import Ownership, Referrer
from notifier.domain.delivery import pause_ms
from notifier.domain.event import AccountKey, Click
from notifier.domain.ledger import BalanceChange, differences
from notifier.domain.money import Amounts, Kind
from notifier.errors import AppSuspended, CallError, NotAuthorised, OutcomeUnknown, TemporaryFailure

CARD_LIVES_MS = 14 * 86_400_000
"""Feishu neither calls back for nor updates an older card (message page, read 2026-05)."""


class WithdrawalState(StrEnum):
    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    NOTHING = "nothing"
    REFUSED = "refused"


class Role(StrEnum):
    """As whom somebody acts on an account."""

    REFERRER = "referrer"
    OPERATOR = "operator"


class DenialReason(StrEnum):
    """Why somebody may not act. The first that applies, in this order."""

    NOBODY = "nobody"
    """The callback names no operator."""
    UNKNOWN_BUTTON = "unknown_button"
    """No button of ours has this id."""
    FOREIGN = "foreign"
    """The operator, or the callback, belongs to another tenant or app."""
    OTHER_MESSAGE = "other_message"
    """The button hangs on a message that we did not send: a forwarded card."""
    EXPIRED = "expired"
    """The card is older than Feishu lets cards live."""
    OWNER_UNKNOWN = "referrer_unknown"
    """Feishu has not said whose account it is, so nobody can be told from a stranger."""
    NOT_YOURS = "not_yours"
    """Neither the referrer nor a listed operator of the group."""
    DEACTIVATED = "deactivated"
    """Feishu said that the account is deactivated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """What an opaque id stands for.

    epoch: how many withdrawals of the account were over when it was drawn; it is stale once there are more.
    posted_at: when Feishu took the card; a button drawn anew on it makes it no younger. message_id: of the card it
    hangs on, None until Feishu has told us. group: name of the group that sees the card, None for a person's own
    chat. active: what Feishu last said of the account; None while nobody asked.
    """

    button_ref: str
    delivery_id: int
    account_ref: int
    account: AccountKey
    withdrawal_count: int
    posted_at: Millis
    message_id: str | None
    group: str | None
    ownership: Ownership | None
    is_active: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """role: as whom the clicker may act; None when not, and then denied says why."""

    role: Role | None = None
    denial_reason: DenialReason | None = None


def authorise(  # noqa: PLR0911 - one return per rule reads as the list it is
    click: Click, button: Button | None, *, operators: Mapping[str, Collection[str]], now: Millis
) -> Authorization:
    """Who may withdraw. Fails closed: what is missing or unknown is a no.

    operators: by group name, the open_ids that may act for the accounts shown in it.
    """
    if not click.open_id:
        return Authorization(denial_reason=DenialReason.NOBODY)
    if button is None:
        return Authorization(denial_reason=DenialReason.UNKNOWN_BUTTON)
    if not _is_ours(click, button.account):
        return Authorization(denial_reason=DenialReason.FOREIGN)
    if not click.message_id or click.message_id != button.message_id:
        return Authorization(denial_reason=DenialReason.OTHER_MESSAGE)
    if now - button.posted_at >= CARD_LIVES_MS:
        return Authorization(denial_reason=DenialReason.EXPIRED)
    referrer = button.ownership.referrer if button.ownership else None
    if referrer is None:
        return Authorization(denial_reason=DenialReason.OWNER_UNKNOWN)
    role = _role(click.open_id, referrer, button.group, operators)
    if role is None:
        return Authorization(denial_reason=DenialReason.NOT_YOURS)
    if button.is_active is False:
        return Authorization(denial_reason=DenialReason.DEACTIVATED)
    return Authorization(role=role)


def _is_ours(click: Click, account: AccountKey) -> bool:
    """Callback, clicker and account are of one app and one tenant, and all of them say so."""
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
    """What a permitted click comes to, from local state alone."""

    BEGIN = "begin"
    BUSY = "busy"
    """A withdrawal of this account is under way."""
    STALE = "stale"
    """The card is from before the last withdrawal: show what is there now and ask again."""
    DONE = "done"
    """The card is from before the last withdrawal, and nothing has come since."""
    EMPTY = "empty"
    """There is nothing to take."""


def judge_press(
    *, button_count: int, withdrawal_count: int, unfinished: bool, holdings: Amounts, kinds: Collection[Kind]
) -> PressOutcome:
    """holdings: the balance as the ledger knows it. epoch: withdrawals of the account that are over."""
    if unfinished:
        return PressOutcome.BUSY
    something = bool(withdrawable(holdings, kinds))
    if button_count != withdrawal_count:
        return PressOutcome.STALE if something else PressOutcome.DONE
    return PressOutcome.BEGIN if something else PressOutcome.EMPTY


def withdrawable(holdings: Amounts, kinds: Collection[Kind]) -> Amounts:
    """What a withdrawal of these kinds would take. A negative holding is no money to take."""
    return {asset: amount for asset, amount in holdings.items() if asset.kind in kinds and amount > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """One order. order_id: fixed before the first call, used for every call, for ever.

    attempts: calls of `withdraw` that were begun. expected: the balance read just before the call, None before.
    taken: what Feishu says it took. requested_by: open_id. unknown_since: first call without a known outcome.
    """

    id: int
    order_id: str
    account_ref: int
    account: AccountKey
    kinds: tuple[Kind, ...]
    state: WithdrawalState
    withdrawal_count: int
    requested_by: str
    role: Role
    requested_at: Millis
    attempts: int = 0
    due_at: Millis = 0
    expected: Amounts | None = None
    withdrawn: Amounts | None = None
    withdrawn_at: Millis | None = None
    ended_at: Millis | None = None
    unknown_since: Millis | None = None
    reason: str | None = None
    code: int | None = None
    log_id: str | None = None

    @property
    def called(self) -> bool:
        """Feishu may know the order id."""
        return self.attempts > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRetry:
    """Where a withdrawal goes after a failed call."""

    state: WithdrawalState
    due_at: Millis
    unknown_since: Millis | None
    reason: str
    code: int | None
    log_id: str | None


def after_failure(withdrawal: Withdrawal, error: CallError, *, now: Millis, jitter: float) -> WithdrawalRetry:
    """A clear no ends it; everything else is asked again with the same order id and never given up.

    A no after an unknown outcome ends nothing: the first call may have moved the money. jitter: 0..1.
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


NEAR_MS = 5_000
"""Feishu stamps a withdrawal and its balance event separately; this far apart they may still be one."""

SKEW_MS = 10 * 60_000
"""Until Feishu has told its own time, ours stands in; so far off it may be, where the figures are the very ones."""


def reflects(withdrawal: Withdrawal, changes: Sequence[BalanceChange], *, modified_at: Millis) -> bool:
    """Whether a balance report was made after this withdrawal: by its time, or near that time by its figures."""
    withdrawn_amounts = withdrawn_changes(withdrawal)
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


def withdrawn_changes(withdrawal: Withdrawal) -> Amounts:
    """What it took, or what it will have taken while the answer is not known."""
    return withdrawal.withdrawn if withdrawal.withdrawn is not None else withdrawal.expected or {}


def subtract_own_withdrawals(
    changes: Sequence[BalanceChange], after: Amounts, withdrawn_amounts: Amounts
) -> tuple[BalanceChange, ...]:
    """The changes that are left to tell when our own withdrawal is no news: counted from the balance it left.

    It never left less than nothing: where we held less than it took, our ledger was behind, or had seen it already.
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
    """targets: `referrer` or group names; empty means that no card has a button. least_amount: in the asset's own
    unit; one asset that reaches it is enough.
    """

    targets: frozenset[str] = frozenset()
    kinds: tuple[Kind, ...] = (Kind.POINTS, Kind.CASH)
    least_amount: Decimal = Decimal(0)

    def is_for(self, target: str, holdings: Amounts) -> bool:
        return target in self.targets and any(
            amount >= self.least_amount for amount in withdrawable(holdings, self.kinds).values()
        )

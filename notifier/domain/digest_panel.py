"""Digest panel: the part of a digest's card that requests withdrawals, for one account or for all listed ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.event import Click
from notifier.domain.money import Amounts
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import CARD_LIVES_MS, DenialReason, WithdrawalState


class Action(StrEnum):
    """What a button of the panel requests."""

    ONE = "one"
    """The account chosen in the select."""
    ALL = "all"
    """Every account in the select."""
    RETRY = "retry"
    """The accounts whose withdrawal failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelButton:
    """A button on a digest panel."""

    action: Action
    """What it requests."""
    delivery_id: int
    """Row id of the delivery that posted the card."""
    revision: str
    """Identifies the list of accounts and amounts that the card showed when the button was rendered."""
    tenant_key: str
    """Tenant of the listed accounts."""
    app_id: str
    """App of the listed accounts."""
    group: str | None
    """As on a withdrawal Button."""
    posted_at: Millis
    """As on a withdrawal Button."""
    message_id: str | None
    """As on a withdrawal Button."""
    is_unconfirmed: bool = False
    """As on a withdrawal Button."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An account in the select of a panel."""

    button_ref: str
    """Opaque id of the account's button; a click contains it as the chosen option."""
    account_ref: int
    """Row id of the account."""
    account_id: str
    """Feishu's account id."""
    referrer: Referrer | None
    """None: not known."""
    amounts: Amounts
    """What can be withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of an account on this card."""

    account_id: str
    """Feishu's account id."""
    referrer: Referrer | None
    """None: not known."""
    state: WithdrawalState | None
    """State of the account's newest order from this card; None: the batch requested none."""
    order_id: str
    """"": no order."""
    amounts: Amounts
    """The amounts of the order."""
    payout: PayoutState | None = None
    """State of the payout; None: no payout."""
    skipped: "SkipReason | None" = None
    """Why no withdrawal was requested; None: one was."""
    code: int | None = None
    """Error code of Feishu's refusal; None: none."""
    reason: str = ""
    """Text of Feishu's refusal."""
    again: bool = False
    """Whether the retry button requests it again."""


class SkipReason(StrEnum):
    """Why a batch requested no withdrawal for an account."""

    BUSY = "busy"
    """A withdrawal of the account was already running."""
    CHANGED = "changed"
    """Its balance is not the one that was listed. The card lists the new one."""
    DONE = "done"
    """It was withdrawn after it was listed."""
    EMPTY = "empty"
    """It has nothing to withdraw."""
    REFERRER_UNKNOWN = "referrer_unknown"
    DEACTIVATED = "deactivated"
    NOT_ALLOWED = "not_allowed"
    """The person is no longer an operator of the group."""
    EXPIRED = "expired"
    """The card is too old."""
    DENIED = "denied"
    """Denied for any other reason."""

    @property
    def is_denial(self) -> bool:
        """Whether the request was not permitted."""
        return self not in {SkipReason.BUSY, SkipReason.CHANGED, SkipReason.DONE, SkipReason.EMPTY}

    @property
    def may_pass(self) -> bool:
        """Whether a later request can succeed."""
        return self in {SkipReason.BUSY, SkipReason.CHANGED} or self.is_denial


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a batch of withdrawals."""

    total: int
    """Number of accounts in the batch."""
    done: int
    """Number of finished accounts, including withdrawn, failed and skipped ones."""
    failed: int
    """Number of failed withdrawals."""
    skipped: Mapping[SkipReason, int]
    """Number of skipped accounts by reason."""
    running: bool
    """Whether the batch is still running."""
    by: str
    """open_id of the person who started it."""
    withdrawn: int = 0
    """Number of withdrawn accounts."""

    @property
    def remaining(self) -> int:
        """Number of accounts that are not finished."""
        return self.total - self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPanel:
    """The state of a panel."""

    one: str = ""
    """Opaque id of the button for the chosen account; "": no button."""
    all: str = ""
    """Opaque id of the button for all listed accounts; "": no button."""
    retry: str = ""
    """Opaque id of the button for failed withdrawals; "": no button."""
    options: tuple[Option, ...] = ()
    """The accounts in the select."""
    results: tuple[Result, ...] = ()
    """Results by account."""
    progress: Progress | None = None
    """Progress of the newest batch; None: no batch yet."""
    superseded: int = 0
    """Number of accounts that a newer card in the same chat offers instead."""

    @property
    def failed(self) -> int:
        """Number of accounts that the retry button requests."""
        return sum(each.again for each in self.results)


def may_press(  # noqa: PLR0911 - one return per rule reads as the list it is
    click: Click, button: PanelButton, *, operators: Mapping[str, Collection[str]], now: Millis
) -> DenialReason | None:
    """Check whether the person may request several withdrawals at once. Return None if so, else the reason.

    The person must be a listed operator of the group that sees the card. Each account is authorised separately
    afterwards (domain/withdrawal.py: authorise). operators: permitted open_ids by group name. now: Unix
    milliseconds.
    """
    if not click.open_id:
        return DenialReason.NOBODY
    said = bool(click.app_id and click.tenant_key)
    ours = click.app_id == button.app_id and click.tenant_key == click.operator_tenant == button.tenant_key
    if not said or not ours:
        return DenialReason.FOREIGN
    if button.is_unconfirmed:
        return DenialReason.UNCONFIRMED
    if button.message_id is None:
        return DenialReason.UNKNOWN_BUTTON
    if not click.message_id or click.message_id != button.message_id:
        return DenialReason.OTHER_MESSAGE
    if now - button.posted_at >= CARD_LIVES_MS:
        return DenialReason.EXPIRED
    if button.group is None or click.open_id not in operators.get(button.group, ()):
        return DenialReason.NOT_YOURS
    return None

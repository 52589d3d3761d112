"""Board: the part of a digest's card on which withdrawals are asked for, one at a time or all that are listed."""

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
    ONE = "one"
    """The account chosen in the select."""
    ALL = "all"
    """Every account that the select offers."""
    RETRY = "retry"
    """Those whose withdrawal failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelButton:
    """A button on a board. round: how many batches of the card were over when it was drawn. tenant_key, app_id: of the
    accounts on it. group, posted_at, message_id: as on a Button.
    """

    action: Action
    delivery_id: int
    revision: int
    tenant_key: str
    app_id: str
    group: str | None
    posted_at: Millis
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An account that may be chosen. ref: of its button, which is what the click says."""

    button_ref: str
    account_ref: int
    account_id: str
    referrer: Referrer | None
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of an account on this card. state: of its newest order from this card, None where the batch asked
    nothing for it; skipped says why. order_id: "" for none. payout: of the money, None while there is none. code,
    reason: of Feishu's refusal. again: the retry asks for it.
    """

    account_id: str
    referrer: Referrer | None
    state: WithdrawalState | None
    order_id: str
    amounts: Amounts
    payout: PayoutState | None = None
    skipped: "SkipReason | None" = None
    code: int | None = None
    reason: str = ""
    again: bool = False


class SkipReason(StrEnum):
    """Why a batch asked nothing for an account."""

    BUSY = "busy"
    """A withdrawal of it was under way already."""
    DONE = "done"
    """It was withdrawn since it was listed."""
    EMPTY = "empty"
    OWNER_UNKNOWN = "referrer_unknown"
    DEACTIVATED = "deactivated"
    NOT_ALLOWED = "not_allowed"
    """Who asked is no operator of the group any more."""
    EXPIRED = "expired"
    """The card is too old by now."""
    DENIED = "denied"
    """For any other reason to say no."""

    @property
    def is_denial(self) -> bool:
        return self not in {SkipReason.BUSY, SkipReason.DONE, SkipReason.EMPTY}

    @property
    def may_pass(self) -> bool:
        """Asking again makes sense."""
        return self is SkipReason.BUSY or self.is_denial


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A batch. done: over, however it ended; withdrawn, failed and skipped are among them. running: not over yet. by:
    open_id.
    """

    total: int
    done: int
    failed: int
    skipped: Mapping[SkipReason, int]
    running: bool
    by: str
    withdrawn: int = 0

    @property
    def remaining(self) -> int:
        return self.total - self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPanel:
    """one, all, retry: refs of the buttons, "" for none. progress: of the newest batch, None before there was one."""

    one: str = ""
    all: str = ""
    retry: str = ""
    options: tuple[Option, ...] = ()
    results: tuple[Result, ...] = ()
    progress: Progress | None = None

    @property
    def failed(self) -> int:
        return sum(each.again for each in self.results)


def may_press(
    click: Click, button: PanelButton, *, operators: Mapping[str, Collection[str]], now: Millis
) -> DenialReason | None:
    """Who may ask for many at once: a listed operator of the group that sees the card. None is a yes; each account is
    judged again by itself (domain/withdrawal: authorise).
    """
    if not click.open_id:
        return DenialReason.NOBODY
    said = bool(click.app_id and click.tenant_key)
    ours = click.app_id == button.app_id and click.tenant_key == click.operator_tenant == button.tenant_key
    if not said or not ours:
        return DenialReason.FOREIGN
    if not click.message_id or click.message_id != button.message_id:
        return DenialReason.OTHER_MESSAGE
    if now - button.posted_at >= CARD_LIVES_MS:
        return DenialReason.EXPIRED
    if button.group is None or click.open_id not in operators.get(button.group, ()):
        return DenialReason.NOT_YOURS
    return None

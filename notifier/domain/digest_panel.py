"""Board: the part of a digest's card on which withdrawals are asked for, one at a time or all that are listed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.event import Click
from notifier.domain.money import Amounts
from notifier.domain.payout import PayoutState
from notifier.domain.withdrawal import CARD_LIVES_MS, Denied, WithdrawalState


class Action(StrEnum):
    ONE = "one"
    """The account chosen in the select."""
    ALL = "all"
    """Every account that the select offers."""
    RETRY = "retry"
    """Those whose withdrawal failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """A button on a board. round: how many batches of the card were over when it was drawn. tenant_key, app_id: of the
    accounts on it. group, hung_at, message_id: as on a Button.
    """

    action: Action
    delivery_id: int
    round: int
    tenant_key: str
    app_id: str
    group: str | None
    hung_at: Millis
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An account that may be chosen. ref: of its button, which is what the click says."""

    ref: str
    account_ref: int
    account_id: str
    referrer: Referrer | None
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of an account on this card. state: of its newest order from this card, None where the batch asked
    nothing for it; left_out says why. order_id: "" for none. payout: of the money, None while there is none. code,
    reason: of Feishu's refusal. again: the retry asks for it.
    """

    account_id: str
    referrer: Referrer | None
    state: WithdrawalState | None
    order_id: str
    amounts: Amounts
    payout: PayoutState | None = None
    left_out: "LeftOut | None" = None
    code: int | None = None
    reason: str = ""
    again: bool = False


class LeftOut(StrEnum):
    """Why a batch asked nothing for an account."""

    BUSY = "busy"
    """A withdrawal of it was under way already."""
    DONE = "done"
    """It was withdrawn since it was listed."""
    EMPTY = "empty"
    OWNER_UNKNOWN = "owner_unknown"
    DEACTIVATED = "deactivated"
    NOT_ALLOWED = "not_allowed"
    """Who asked is no operator of the group any more."""
    EXPIRED = "expired"
    """The card is too old by now."""
    DENIED = "denied"
    """For any other reason to say no."""

    @property
    def is_denial(self) -> bool:
        return self not in {LeftOut.BUSY, LeftOut.DONE, LeftOut.EMPTY}

    @property
    def may_pass(self) -> bool:
        """Asking again makes sense."""
        return self is LeftOut.BUSY or self.is_denial


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A batch. done: over, however it ended; withdrawn, failed and left_out are among them. running: not over yet. by:
    open_id.
    """

    total: int
    done: int
    failed: int
    left_out: Mapping[LeftOut, int]
    running: bool
    by: str
    withdrawn: int = 0

    @property
    def remaining(self) -> int:
        return self.total - self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
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


def may_pull(
    click: Click, lever: Lever, *, operators: Mapping[str, Collection[str]], now: Millis
) -> Denied | None:
    """Who may ask for many at once: a listed operator of the group that sees the card. None is a yes; each account is
    judged again by itself (domain/withdrawal: authorise).
    """
    if not click.open_id:
        return Denied.NOBODY
    said = bool(click.app_id and click.tenant_key)
    ours = click.app_id == lever.app_id and click.tenant_key == click.operator_tenant == lever.tenant_key
    if not said or not ours:
        return Denied.FOREIGN
    if not click.message_id or click.message_id != lever.message_id:
        return Denied.OTHER_MESSAGE
    if now - lever.hung_at >= CARD_LIVES_MS:
        return Denied.EXPIRED
    if lever.group is None or click.open_id not in operators.get(lever.group, ()):
        return Denied.NOT_YOURS
    return None

"""Route: a rule that selects the recipients of a notice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from notifier.domain.account import Referrer
from notifier.domain.ledger import BalanceChange
from notifier.domain.money import Kind
from notifier.domain.notice import Direction, Notice, NoticeReason

REFERRER = "referrer"
"""The target for the person behind the account. Every other target is the name of a group."""


class RerouteReason(StrEnum):
    """Why a notice goes to the fallback group instead of its intended recipient."""

    ACCOUNT_UNKNOWN = "account_unknown"
    """Feishu knows no such account, so the service cannot determine the referrer."""
    UNREACHABLE = "unreachable"
    """Feishu does not deliver to the referrer."""
    GROUP_UNREACHABLE = "group_unreachable"
    """Feishu does not deliver to the group. Without an error code: the group left the configuration."""

    def with_details(self, details: str, *, code: int | None = None) -> str:
        """Return the form that the database stores: `<reason>: <details>` or `<reason> <code>: <details>`.

        details: English text for operators; cards never show it. code: Feishu's error code, from which a card
        derives its own text.
        """
        return f"{self} {code}: {details}" if code is not None else f"{self}: {details}"


def parse_reroute_reason(stored: str) -> tuple[RerouteReason, int | None]:
    """Return the reason and Feishu's error code, or None for the code if the stored text contains none.

    Raises ValueError if the text does not begin with a RerouteReason.
    """
    reason, _, code = stored.partition(":")[0].partition(" ")
    return RerouteReason(reason), int(code) if code.isdecimal() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A chat or a person.

    id_type: `open_id` or `chat_id`. reroute_reason: set if this is the fallback group.
    """

    id_type: str
    id: str
    reroute_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressBook:
    """The configured groups.

    groups: chat_id by group name. fallback: name of the group for notices that cannot reach their recipient; None:
    there is none.
    """

    groups: Mapping[str, str]
    fallback: str | None

    def recipient(self, target: str, referrer: Referrer | None) -> Recipient | None:
        """Return the recipient for a target. None: the referrer or the group is unknown and there is no fallback
        group.
        """
        if target != REFERRER:
            if target not in self.groups:
                details = f"the configuration names no group {target} any more"
                return self.fallback_recipient(RerouteReason.GROUP_UNREACHABLE.with_details(details))
            return Recipient(id_type="chat_id", id=self.groups[target])
        if referrer is not None:
            return Recipient(id_type="open_id", id=referrer.open_id)
        return self.fallback_recipient(RerouteReason.ACCOUNT_UNKNOWN)

    def group_at(self, chat_id: str) -> str | None:
        """Return the name of the group with this chat_id, or None."""
        return next((name for name, chat in self.groups.items() if chat == chat_id), None)

    def fallback_recipient(self, reason: str) -> Recipient | None:
        """Return the fallback group with this reason, or None if none is configured."""
        if self.fallback is None:
            return None
        return Recipient(id_type="chat_id", id=self.groups[self.fallback], reroute_reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The condition of a route. All values that are set must hold for the same change; an empty set matches
    everything.
    """

    directions: frozenset[Direction] = frozenset()
    """Directions of the change."""
    kinds: frozenset[Kind] = frozenset()
    """Kinds of the asset."""
    currencies: frozenset[str] = frozenset()
    """Currencies of the asset."""
    accounts: frozenset[str] = frozenset()
    """Feishu's account ids."""
    least_amount: Decimal | None = None
    """Smallest absolute amount of the change, in the unit of the asset; at an opening: of the balance."""

    def holds_for(self, notice: Notice) -> bool:
        """Whether the notice meets the condition."""
        if self.accounts and notice.account.account_id not in self.accounts:
            return False
        if not notice.changes:
            return self._holds_for_nothing(notice)
        return any(self._holds_for_change(notice, change) for change in notice.changes)

    def _holds_for_change(self, notice: Notice, change: BalanceChange) -> bool:
        amount = change.after if notice.reason is NoticeReason.OPENING else change.delta
        return (
            (not self.directions or notice.direction_of(change) in self.directions)
            and (not self.kinds or change.asset.kind in self.kinds)
            and (not self.currencies or change.asset.currency in self.currencies)
            and (self.least_amount is None or abs(amount) >= self.least_amount)
        )

    def _holds_for_nothing(self, notice: Notice) -> bool:
        """Whether the condition holds for a new account without a balance. Only a condition without filters on
        amounts does.
        """
        direction_fits = not self.directions or (
            notice.reason is NoticeReason.OPENING and Direction.OPENING in self.directions
        )
        return direction_fits and not self.kinds and not self.currencies and not self.least_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule of the configuration.

    targets: REFERRER or group names. keep_going: whether later routes are evaluated too.
    """

    name: str
    when: Condition
    targets: tuple[str, ...]
    keep_going: bool = False


def targets_of(notice: Notice, routes: Iterable[Route]) -> Sequence[str]:
    """Return the targets to notify, each once, in the order of the routes. Empty: no route matches."""
    found: dict[str, None] = {}
    for route in routes:
        if route.when.holds_for(notice):
            found.update(dict.fromkeys(route.targets))
            if not route.keep_going:
                break
    return tuple(found)

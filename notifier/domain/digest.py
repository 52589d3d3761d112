"""Digest: what happened in a period, told at once. Figures are taken from the ledger when it is born, and kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.money import Amounts, Asset
from notifier.domain.period import (
    Period,
    Span,
    WorkCalendar,
)

ZERO = Decimal(0)
LATE_AFTER_MS = 10 * 60_000
"""Born later than this after its time, a digest says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFlow:
    """One asset over a period. opening: the sum of all changes before it. closing: what accounts held at its end, by
    their balances. first_seen: balances of accounts that were heard of for the first time, of which nobody can say
    when they were earned. rewards: what came in. withdrawn: what our withdrawals took, as a positive amount.
    corrections: every other decrease, negative. net: the sum of the changes. steps: how many changes there were.
    """

    opening: Decimal = ZERO
    first_seen: Decimal = ZERO
    rewards: Decimal = ZERO
    withdrawn: Decimal = ZERO
    corrections: Decimal = ZERO
    net: Decimal = ZERO
    closing: Decimal = ZERO
    steps: int = 0

    @property
    def adds_up(self) -> bool:
        """Two proofs: the parts make the net, and opening and net make what accounts really held."""
        parts = self.first_seen + self.rewards - self.withdrawn + self.corrections
        return parts == self.net and self.opening + self.net == self.closing

    @property
    def is_empty(self) -> bool:
        return not any((self.opening, self.net, self.closing, self.rewards, self.withdrawn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One account in a table. amounts: what changed, or what it holds. referrer: None where Feishu has not said."""

    account_ref: int
    account_id: str
    referrer: Referrer | None
    amounts: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFlow:
    """label: the local day, as 11-24. first_seen: as in Flow."""

    label: str
    rewards: Decimal
    withdrawn: Decimal
    first_seen: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledPayout:
    """state: dead, failed, or late for money that is withdrawn and not paid for too long."""

    account_id: str
    order_id: str
    state: str
    since: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledItems:
    """What a person must look at. undelivered: cards that reached nobody. accounts of some of them, newest first."""

    undelivered: int = 0
    undelivered_accounts: tuple[str, ...] = ()
    payouts: int = 0
    payout_examples: tuple[StalledPayout, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """name: from the configuration. zone: its time zone by name, "" for one told before that was kept. due_at: when it
    should have been told, None for one asked for by hand. edition: 0, and higher for each time it is told
    again. people: accounts with a change. changed: the largest changes. holders: the largest balances when it
    was born; the withdrawals that it offers. more_changed, more_holders: how many are not listed. charted: the
    asset of the chart, None for no chart. previous_closing: the closing that the digest of the period before told,
    where it differs from this opening; what came late makes the difference. file_rows: of the file that
    follows, 0 for none. offers: whether accounts can be withdrawn on its card.
    """

    name: str
    period: Period
    due_at: Millis | None
    created_at: Millis
    correction_number: int = 0
    flows: Mapping[Asset, AssetFlow] = field(default_factory=dict)
    changed_accounts: int = 0
    changed: tuple[Holder, ...] = ()
    holders: tuple[Holder, ...] = ()
    more_changed: int = 0
    more_holders: int = 0
    charted: Asset | None = None
    chart: tuple[DayFlow, ...] = ()
    stalled: StalledItems = field(default_factory=StalledItems)
    previous_closing: Amounts = field(default_factory=dict)
    file_rows: int = 0
    offers_withdrawal: bool = False
    zone: str = ""

    @property
    def is_late(self) -> bool:
        return self.due_at is not None and self.created_at - self.due_at > LATE_AFTER_MS

    @property
    def adds_up(self) -> bool:
        return all(flow.adds_up for flow in self.flows.values())

    @property
    def is_quiet(self) -> bool:
        """Nothing changed in its period."""
        return self.changed_accounts == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPlan:
    """One digest as configured. cron: five fields. working: where it comes on working days only. skip_quiet: nothing is
    said where nothing changed. rows: at most in a table. file: always, when_cut or never. catch_up_ms: what was due
    longer ago is not told by itself.
    """

    name: str
    groups: tuple[str, ...]
    to_referrers: bool
    cron: str
    zone: ZoneInfo
    span: Span
    working: WorkCalendar | None
    skip_quiet: bool
    jitter_ms: int
    chart_days: int
    rows: int
    file: str
    withdraw: bool
    catch_up_ms: int

"""Digest: a summary of one period. Its figures are read from the ledger when it is created, and stored with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from notifier.clock import MINUTE_MS, Millis
from notifier.domain.account import Referrer
from notifier.domain.money import Amounts, Asset
from notifier.domain.period import (
    Period,
    Span,
    WorkCalendar,
)

ZERO = Decimal(0)
LATE_AFTER_MS = 10 * MINUTE_MS
"""If a digest is created later than this after its due time, its card shows the delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFlow:
    """The changes of one asset over a period."""

    opening: Decimal = ZERO
    """Sum of all changes before the period."""
    first_seen: Decimal = ZERO
    """Balances of accounts that the service saw for the first time. When they were earned is not known."""
    rewards: Decimal = ZERO
    """Sum of the increases."""
    withdrawn: Decimal = ZERO
    """Amount of our own withdrawals, positive."""
    corrections: Decimal = ZERO
    """Sum of all other decreases, negative."""
    net: Decimal = ZERO
    """Sum of all changes."""
    closing: Decimal = ZERO
    """Sum of the account balances at the end of the period."""
    later: Decimal = ZERO
    """Sum of the changes between the end of the period and the creation of the digest."""
    steps: int = 0
    """Number of changes."""

    @property
    def adds_up(self) -> bool:
        """Whether two checks hold: the parts add up to `net`, and `opening` plus `net` equals the real balances."""
        parts = self.first_seen + self.rewards - self.withdrawn + self.corrections
        return parts == self.net and self.opening + self.net == self.closing

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show for this asset: no movement and no balance."""
        return not (self.has_moved or any((self.opening, self.net, self.closing, self.later)))

    @property
    def has_moved(self) -> bool:
        """Whether anything changed in the period, even if the changes cancel out."""
        return bool(self.steps) or any((self.first_seen, self.rewards, self.withdrawn, self.corrections))

    @property
    def balance(self) -> Decimal:
        """Sum of the account balances when the digest was created."""
        return self.closing + self.later


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One account in a table of a digest."""

    account_ref: int
    """Row id of the account."""
    account_id: str
    """Feishu's account id."""
    referrer: Referrer | None
    """None: not known from Feishu."""
    amounts: Amounts
    """The change in the period, or the balance, depending on the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFlow:
    """One day in the chart of a digest."""

    label: str
    """The local day, for example 11-24."""
    rewards: Decimal
    withdrawn: Decimal
    first_seen: Decimal = ZERO
    """As on an AssetFlow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledPayout:
    """A payout that needs attention."""

    account_id: str
    order_id: str
    state: str
    """`dead`, `failed`, or `late` if the money was withdrawn and has not been paid for too long."""
    since: Millis
    """Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledItems:
    """Deliveries and payouts that need attention."""

    undelivered: int = 0
    """Number of deliveries that did not reach their recipient."""
    undelivered_accounts: tuple[str, ...] = ()
    """Account ids of some of them, newest first."""
    payouts: int = 0
    """Number of payouts that need attention."""
    payout_examples: tuple[StalledPayout, ...] = ()
    """Some of these payouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest as it was created."""

    name: str
    """Name in the configuration."""
    period: Period
    """The time that it covers."""
    due_at: Millis | None
    """When it was due, Unix milliseconds; None: an operator requested it."""
    created_at: Millis
    """Unix milliseconds."""
    correction_number: int = 0
    """0 for the first digest of a period; increases each time the digest is created again."""
    flows: Mapping[Asset, AssetFlow] = field(default_factory=dict)
    """Totals by asset."""
    changed_accounts: int = 0
    """Number of accounts with a change."""
    changed: tuple[Holder, ...] = ()
    """The accounts with the largest changes."""
    holders: tuple[Holder, ...] = ()
    """The accounts with the largest balances at its creation. Its card offers withdrawals for them."""
    more_changed: int = 0
    """Number of accounts with a net change that are not listed."""
    cancelled_out: int = 0
    """Number of changed accounts whose net change is zero. They are not listed."""
    more_holders: int = 0
    """Number of accounts with a balance that are not listed."""
    charted: Asset | None = None
    """Asset of the chart; None: no chart."""
    chart: tuple[DayFlow, ...] = ()
    """The days of the chart, oldest first."""
    stalled: StalledItems = field(default_factory=StalledItems)
    """What needs attention."""
    previous_closing: Amounts = field(default_factory=dict)
    """Closing balances in the digest of the previous period, where they differ from `opening`. Changes that arrived
    late cause the difference.
    """
    file_rows: int = 0
    """Number of rows in the file that follows; 0: no file."""
    offers_withdrawal: bool = False
    """Whether accounts can be withdrawn on its card."""
    zone: str = ""
    """Name of its time zone; "": created before the zone was stored."""

    @property
    def is_late(self) -> bool:
        """Whether it was created later than LATE_AFTER_MS after its due time."""
        return self.due_at is not None and self.created_at - self.due_at > LATE_AFTER_MS

    @property
    def adds_up(self) -> bool:
        """Whether the checks hold for every asset."""
        return all(flow.adds_up for flow in self.flows.values())

    @property
    def is_quiet(self) -> bool:
        """Whether nothing changed in its period."""
        return self.changed_accounts == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPlan:
    """One digest as configured."""

    name: str
    """Name of the digest."""
    groups: tuple[str, ...]
    """Names of the groups that receive it."""
    to_referrers: bool
    """Whether each referrer receives a digest of the own account."""
    cron: str
    """Cron expression with five fields."""
    zone: ZoneInfo
    """Time zone of the cron expression and of the period."""
    span: Span
    """Length of its period."""
    working: WorkCalendar | None
    """If set, the digest is sent on working days of this calendar only."""
    skip_quiet: bool
    """Whether it is skipped if nothing changed."""
    jitter_ms: int
    """Greatest random delay, milliseconds."""
    chart_days: int
    """Number of days in the chart."""
    rows: int
    """Greatest number of rows in a table."""
    file: str
    """`always`, `when_cut` or `never`."""
    withdraw: bool
    """Whether its card offers withdrawals."""
    catch_up_ms: int
    """Digests that were due longer ago than this are not sent automatically."""


def get_correction(previous_closing: Amounts | None, opening: Amounts) -> Amounts:
    """The previous closing balances, if they differ from the opening balances now; else empty.

    They differ if late events changed an earlier period.
    """
    if previous_closing is None:
        return {}
    assets = {*previous_closing, *opening}
    differs = any(
        previous_closing.get(asset, Decimal(0)) != opening.get(asset, Decimal(0)) for asset in assets
    )
    return dict(previous_closing) if differs else {}

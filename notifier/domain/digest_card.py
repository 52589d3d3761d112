"""Digest card: what a template may use to show a digest, as `card`. The texts in it are data, as on every card."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.clock import Millis
from notifier.domain.card import Bilingual, Person, WithdrawalPanel


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBlock:
    """One asset over the period. All amounts are formatted for people; changes carry their sign."""

    label: Bilingual
    """Name of the asset."""
    opening: str
    """Balance at the start."""
    first_seen: str | None
    """Balances of accounts that are new to the service; None: none."""
    rewards: str
    """Increases."""
    withdrawn: str | None
    """Our own withdrawals; None: none."""
    corrections: str | None
    """Other decreases; None: none."""
    net: str
    """Sum of the changes."""
    net_signed: str
    """The same for use in a sum, for example "+ ¥280.00"."""
    trend: str
    """`up`, `down` or `flat`."""
    closing: str
    """Balance at the end of the period. The card shows `balance` instead."""
    later: str | None
    """Changes after the period; None: none."""
    later_signed: str
    """The same for use in a sum, as `net_signed`; "": none."""
    balance: str
    """Balance at `created_at`."""
    previous_closing: str | None
    """Closing balance in the previous digest, if it differs from `opening`; None: equal or no such digest."""
    adds_up: bool
    """Whether the figures are consistent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountRow:
    """One account in a table."""

    open_id: str
    """The referrer; "": not known."""
    account_id: str
    """Feishu's account id."""
    name: str
    """Name of the referrer."""
    amounts: str
    """Formatted amounts, the same in every language."""
    ref: str = ""
    """Opaque id of the account's option in the select; "": no option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """The result of one account in a batch of withdrawals."""

    open_id: str
    """As on an AmountRow."""
    account_id: str
    """As on an AmountRow."""
    amounts: str
    """Formatted amounts."""
    state: str
    """`processing`, `withdrawn`, `sent`, `paid`, `failed` (the payment), `nothing`, `refused` or `skipped` (no
    withdrawal was requested).
    """
    reason: str = ""
    """Why it was refused or skipped, in both languages; "" in every other state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """The progress of a batch of withdrawals."""

    total: int
    """Number of accounts in the batch."""
    done: int
    """Number of finished accounts, including failed and skipped ones and those with nothing to withdraw."""
    failed: int
    """Number of failed withdrawals."""
    skipped: tuple[Bilingual, ...]
    """Texts for the skipped accounts, by reason."""
    skipped_count: int
    """Number of skipped accounts."""
    nothing: int
    """Number of accounts with nothing to withdraw."""
    running: bool
    """Whether the batch is still running."""
    all_withdrawn: bool
    """Whether every chosen account was withdrawn."""
    time_left: Bilingual
    """Estimate of the remaining time."""
    by: str
    """open_id of the person who started the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """The part of the card that requests withdrawals."""

    one: str = ""
    """Opaque id of the button for the chosen account; "": no button."""
    all: str = ""
    """Opaque id of the button for all listed accounts; "": no button."""
    retry: str = ""
    """Opaque id of the button for failed withdrawals; "": no button."""
    options: tuple[AmountRow, ...] = ()
    """The accounts in the select."""
    total: str = ""
    """Amounts that "all" would withdraw, as far as known."""
    retry_count: int = 0
    """Number of accounts that "retry" requests."""
    results: tuple[ResultRow, ...] = ()
    """Results by account, failures first."""
    progress: ProgressView | None = None
    """Progress of the newest batch; None: no batch yet."""
    superseded: int = 0
    """Number of listed accounts whose balance a newer card in the same chat offers instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledView:
    """What needs attention."""

    undelivered: int = 0
    """Number of deliveries that did not reach their recipient."""
    undelivered_accounts: str = ""
    """Account ids of some of them."""
    payouts: int = 0
    """Number of payouts that need attention."""
    lines: tuple[Bilingual, ...] = ()
    """Texts for some of these payouts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCard:
    """What `digest.json.j2`, `personal_digest.json.j2` and their compact forms may use, as `card`.

    Times as text are in the time zone of the digest and name it.
    """

    audience: str
    """`group` or `referrer`."""
    name: str
    """Name of the digest in the configuration."""
    span: str
    """`day`, `week` or `month`."""
    period: Bilingual
    """The period from first to last day."""
    until_text: str = ""
    """If the period is not over: the time up to which the digest counts. "": the period is over."""
    late_text: str = ""
    """If the digest is late: the time when it was due. "": not late."""
    correction: int = 0
    """0, or how often the digest was created again."""
    created_at: Millis
    """When the figures were read, Unix milliseconds. All balances on the card are from this time."""
    created_at_text: str
    """The same time as text."""
    changed_accounts: int = 0
    """Number of accounts with a change."""
    flows: tuple[FlowBlock, ...] = ()
    """One per asset, the currency of most accounts first."""
    more_flows: int = 0
    """Number of assets that are not shown."""
    adds_up: bool = True
    """Whether the figures are consistent."""
    quiet: bool = False
    """Whether nothing changed."""
    changed: tuple[AmountRow, ...] = ()
    """The accounts with the largest changes."""
    more_changed: int = 0
    """Number of accounts with a net change that are not listed."""
    cancelled_out: int = 0
    """Number of changed accounts whose net change is zero. They are not listed."""
    holders: tuple[AmountRow, ...] = ()
    """The accounts with the largest balances."""
    more_holders: int = 0
    """Number of accounts with a balance that are not listed."""
    chart: Mapping[str, object] | None = None
    """A VChart specification; None: no chart."""
    chart_title: Bilingual | None = None
    """What the chart shows, for the line above it; None: no chart."""
    chart_note: Bilingual | None = None
    """Amounts of bars that are cut off, because they would flatten all others; None: no bar is cut off."""
    stalled: StalledView = field(default_factory=StalledView)
    """What needs attention."""
    file_rows: int = 0
    """Number of rows in the file that follows; 0: no file."""
    panel: PanelView = field(default_factory=PanelView)
    """The part that requests withdrawals."""
    account_id: str = ""
    """Feishu's account id, for a referrer's own digest."""
    referrer: Person | None = None
    """The person, for a referrer's own digest."""
    withdrawal: WithdrawalPanel | None = None
    """The withdrawal part, for a referrer's own digest."""
    reroute_reason: Bilingual | None = None
    """Why the card did not go to its intended recipient; None: it did."""

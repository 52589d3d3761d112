"""Digest card: what a template may use to show a digest, as `card`. Texts in it are data, as on every card."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.clock import Millis
from notifier.domain.card import Bilingual, Person, WithdrawalPanel


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBlock:
    """One asset over the period. All amounts as people write them; those that came or went carry their sign.
    first_seen, withdrawn, corrections, previous_closing: None where there is none. previous_closing: what the digest before said
    the balance was, where it is not this opening. adds_up: the proof holds. net_signed: for a sum, as "+ ¥280.00".
    """

    label: Bilingual
    opening: str
    first_seen: str | None
    rewards: str
    withdrawn: str | None
    corrections: str | None
    net: str
    net_signed: str
    trend: str
    closing: str
    previous_closing: str | None
    adds_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountRow:
    """open_id: "" where nobody knows whose account it is. amounts: the same in every language. ref: of the account's
    option, "" for none.
    """

    open_id: str
    account_id: str
    name: str
    amounts: str
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """state: processing, withdrawn, sent, paid, failed (the money), nothing, refused or skipped (nothing was asked for
    it). reason: of what was refused or left out, in both languages at once; else "".
    """

    open_id: str
    account_id: str
    amounts: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """done of total are over; failed, skipped and nothing are among them. all_withdrawn: every chosen account was.
    nothing: how many had nothing to take. time_left: how long the rest takes.
    """

    total: int
    done: int
    failed: int
    skipped: tuple[Bilingual, ...]
    skipped_count: int
    nothing: int
    running: bool
    all_withdrawn: bool
    time_left: Bilingual
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """one, all, retry: refs of the buttons, "" for none. total: what "all" takes, as far as is known; retry_count: how
    many "retry" asks for. results: what went wrong comes first.
    """

    one: str = ""
    all: str = ""
    retry: str = ""
    options: tuple[AmountRow, ...] = ()
    total: str = ""
    retry_count: int = 0
    results: tuple[ResultRow, ...] = ()
    progress: ProgressView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledView:
    """undelivered: cards that reached nobody. payouts: money that is stuck; lines names some of it."""

    undelivered: int = 0
    undelivered_accounts: str = ""
    payouts: int = 0
    lines: tuple[Bilingual, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCard:
    """What `digest.json.j2`, `personal_digest.json.j2` and their compact forms may use, as `card`.

    audience: group or referrer. name: the digest's, from the configuration. span: day, week or month. period: from
    first to last day. Times as text are in the digest's own zone and name it. until_text: where the period is not
    over, up to when it is told; "" where it is. late_text: when it should have come, where it is late; else "".
    correction: 0, or how often it is told again. created_at: when the figures were taken, which is also what holders
    are as of. flows: one per asset, the cash that most people have first; more_flows are not shown. chart: a
    VChart specification, None for no chart. file_rows: of the list that follows as a file, 0 for none. account_id,
    referrer, withdrawal: for a referrer's own.
    """

    audience: str
    name: str
    span: str
    period: Bilingual
    until_text: str = ""
    late_text: str = ""
    correction: int = 0
    created_at: Millis
    created_at_text: str
    changed_accounts: int = 0
    flows: tuple[FlowBlock, ...] = ()
    more_flows: int = 0
    adds_up: bool = True
    quiet: bool = False
    changed: tuple[AmountRow, ...] = ()
    more_changed: int = 0
    holders: tuple[AmountRow, ...] = ()
    more_holders: int = 0
    chart: Mapping[str, object] | None = None
    stalled: StalledView = field(default_factory=StalledView)
    file_rows: int = 0
    panel: PanelView = field(default_factory=PanelView)
    account_id: str = ""
    referrer: Person | None = None
    withdrawal: WithdrawalPanel | None = None
    reroute_reason: Bilingual | None = None

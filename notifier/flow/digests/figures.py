"""Computes the figures of a digest and its CSV files from the ledger. It only reads, and may take seconds."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from notifier.cards.balance_text import clean
from notifier.cards.digest_text import MAX_FLOWS, shown_assets
from notifier.clock import Millis
from notifier.domain.digest import AssetFlow, DayFlow, Digest, DigestPlan
from notifier.domain.money import POINTS, Asset, Kind
from notifier.domain.period import ONE_DAY, Period, days_before, midnight
from notifier.flow.digests.csv_text import BYTE_ORDER_MARK, harmless, line
from notifier.store.digests import period_totals, rankings, stalled_items
from notifier.store.digests.period_totals import AccountTotals, TimeRange

MAX_FILE_BYTES = 25_000_000
"""The size at which a new file starts, uncompressed. Feishu accepts files up to 30 MB."""

COLUMNS = (
    "账户 account_id",
    "内推人 referrer",
    "open_id",
    "类别 kind",
    "币种 currency",
    "期初 opening",
    "首次登记 first_seen",
    "新增 rewards",
    "已提现 withdrawn",
    "更正 corrections",
    "净变动 net",
    "期末 closing",
    "期后变动 later",
    "余额 balance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """One CSV file of a digest."""

    name: str
    """The file name as the recipient sees it."""
    rows: int
    """The number of data rows."""
    compressed: bytes
    """The content, compressed with zlib."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The result of `gather`."""

    digest: Digest
    """What the card shows."""
    files: tuple[ListFile, ...] = ()
    """The complete list of accounts. Empty if the plan does not require it."""


Fit = Callable[[Digest], Digest]
"""Removes table rows until the card is within Feishu's limits."""


def gather(
    connection: Connection,
    plan: DigestPlan,
    period: Period,
    *,
    due_at: Millis | None,
    now: Millis,
    late_before: Millis | None,
    kinds: tuple[Kind, ...],
    fit: Fit,
) -> Figures:
    """Computes the figures of a period. The caller provides one transaction, so that all figures match.

    due_at, now: in Unix milliseconds. late_before: unpaid payouts older than this are late; None: no payout is late.
    kinds: the kinds of balance that can be withdrawn.
    """
    stretch = TimeRange(from_at=period.from_at, to_at=period.to_at)
    changed = rankings.list_most_changed(connection, stretch, limit=plan.rows)
    holders = rankings.list_largest_holders(connection, kinds=kinds, limit=plan.rows)
    changed_accounts = rankings.count_changed_accounts(connection, stretch)
    cancelled_out = rankings.count_cancelled_out(connection, stretch)
    flows = period_totals.compute_flows(connection, stretch)
    charted = _charted(flows) if plan.chart_days else None
    chart = _chart(connection, plan, period, charted, flows) if charted is not None else ()
    if not any(day.rewards or day.withdrawn or day.first_seen for day in chart):
        charted, chart = None, ()  # an empty chart says nothing
    digest = Digest(
        name=plan.name,
        period=period,
        due_at=due_at,
        created_at=now,
        flows=flows,
        changed_accounts=changed_accounts,
        changed=changed,
        holders=holders,
        more_changed=max(0, changed_accounts - cancelled_out - len(changed)),
        cancelled_out=cancelled_out,
        more_holders=max(0, rankings.count_holders(connection, kinds=kinds) - len(holders)),
        charted=charted,
        chart=chart,
        stalled=stalled_items.summarize_stalled(connection, late_before=late_before),
        offers_withdrawal=plan.withdraw,
        zone=plan.zone.key,
    )
    fitted = fit(digest)
    cut = bool(fitted.more_changed or fitted.more_holders or len(shown_assets(fitted)) > MAX_FLOWS)
    if plan.file == "never" or (plan.file == "when_cut" and not cut):
        return Figures(digest=fitted)
    files = tuple(_files(period_totals.iter_account_totals(connection, stretch), period))
    return Figures(digest=replace(fitted, file_rows=sum(file.rows for file in files)), files=files)


def _charted(flows: dict[Asset, AssetFlow]) -> Asset | None:
    """Returns the currency with the most changes, because amounts of two currencies cannot be compared.

    Without any cash movement it returns points, or None if there are none.
    """
    cash = [asset for asset, flow in flows.items() if asset.kind is Kind.CASH and not flow.is_empty]
    if cash:
        return max(cash, key=lambda asset: (flows[asset].steps, flows[asset].closing, asset.currency))
    return POINTS if POINTS in flows else None


def _chart(
    connection: Connection, plan: DigestPlan, period: Period, asset: Asset, flows: Mapping[Asset, AssetFlow]
) -> tuple[DayFlow, ...]:
    """Returns the days up to the last day of the period. flows: the totals of the period."""
    days = days_before(period.last + ONE_DAY, plan.chart_days)
    found = []
    for day in days:
        end = min(midnight(day + ONE_DAY, plan.zone), period.to_at)
        start = midnight(day, plan.zone)
        moved: Mapping[Asset, AssetFlow] = {}
        if (start, end) == (period.from_at, period.to_at):
            moved = flows
        elif start < end:
            moved = period_totals.compute_movements(connection, TimeRange(from_at=start, to_at=end))
        flow = moved.get(asset, AssetFlow())
        found.append(
            DayFlow(
                label=f"{day:%m-%d}",
                rewards=flow.rewards,
                withdrawn=flow.withdrawn,
                first_seen=flow.first_seen,
            )
        )
    return tuple(found)


def _files(rows: Iterable[AccountTotals], period: Period) -> Iterator[ListFile]:
    """Writes rows into compressed buffers one by one. A hundred thousand accounts use a few megabytes of memory."""
    number, rows = 0, iter(rows)
    row = next(rows, None)
    while row is not None or number == 0:
        number += 1
        sheet = _Sheet()
        while row is not None and sheet.size < MAX_FILE_BYTES:
            sheet.add(_cells(row))
            row = next(rows, None)
        days = f"{period.first}" if period.first == period.last else f"{period.first}_{period.last}"
        name = f"内推奖励_{days}{f'_{number}' if number > 1 else ''}.csv"
        yield ListFile(name=name, rows=sheet.rows, compressed=sheet.close())


class _Sheet:
    """A CSV file that is compressed while it is written."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(6)
        self._packed: list[bytes] = []
        self.size = 0
        self.rows = 0
        self._put(BYTE_ORDER_MARK)
        self._put(line(COLUMNS))

    def add(self, cells: Iterable[str]) -> None:
        self.rows += 1
        self._put(line(cells))

    def close(self) -> bytes:
        return b"".join([*self._packed, self._packer.flush()])

    def _put(self, text: str) -> None:
        data = text.encode()
        self.size += len(data)
        if packed := self._packer.compress(data):
            self._packed.append(packed)


def _cells(row: AccountTotals) -> list[str]:
    """Withdrawals are negative, so that the columns of a row add up to its net change."""
    flow, who = row.flow, row.referrer
    amounts = (
        flow.opening,
        flow.first_seen,
        flow.rewards,
        0 - flow.withdrawn,  # a unary minus gives -0, which a spreadsheet shows
        flow.corrections,
        flow.net,
        flow.closing,
        flow.later,
        flow.balance,
    )
    return [
        _text(row.account_id, 64),
        _text(who.name_zh or who.name_en if who else "", 40),
        _text(who.open_id if who else "", 64),
        row.asset.kind,
        _text(row.asset.currency, 16),
        *(f"{amount.normalize():f}" for amount in amounts),
    ]


def _text(text: str, most: int) -> str:
    """Adds a tab to a long number. Excel then keeps it as text, without rounding, and does not show the tab."""
    shown = text if text.isdigit() else clean(text, most)
    if len(shown) > 15 and shown.isdigit():
        return f"{shown}\t"
    return harmless(shown)

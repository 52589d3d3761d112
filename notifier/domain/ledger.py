"""The ledger's rules: balance reports in any order become one history whose changes add up.

A history is the account's reports sorted by (modified_at, reported_at, content); a change is the difference
between two neighbours, the first one counted from nothing. A report that arrives late is put into its place
and splits the change that spanned it, so the history does not depend on the order of arrival. Only a report
that becomes the newest is announced, against the newest before it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from notifier.clock import Millis
from notifier.domain.money import Amounts, Asset, Kind, without_zeros

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One known balance of one account.

    content: the amounts as canonical text; with modified_at it is the snapshot's identity.
    reported_at: of the earliest copy we have seen.
    """

    modified_at: Millis
    reported_at: Millis
    content: str

    @property
    def order(self) -> tuple[Millis, Millis, str]:
        return (self.modified_at, self.reported_at, self.content)

    @property
    def amounts(self) -> dict[Asset, Decimal]:
        return read_content(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """One asset's step from one known balance to the next."""

    asset: Asset
    before: Decimal
    after: Decimal

    @property
    def delta(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpdate:
    """What a report does to the history around it.

    changes: for each snapshot whose change is new or differs, in order, its full list of changes.
    newest: the snapshot the account's balance is now, or None when it is not touched.
    announced: what to tell; None for nothing. A first sight of the account is an empty `before` side:
    see is_opening.
    """

    kept: tuple[Snapshot, ...]
    changes: tuple[tuple[Snapshot, tuple[BalanceChange, ...]], ...]
    newest: Snapshot | None
    changes_to_notify: tuple[BalanceChange, ...] | None
    is_opening: bool = False


def content_of(amounts: Amounts) -> str:
    """Canonical text: equal holdings give equal text."""
    rows = [[asset.kind, asset.currency, str(amount)] for asset, amount in without_zeros(amounts).items()]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def read_content(content: str) -> dict[Asset, Decimal]:
    return {Asset(Kind(kind), currency): Decimal(amount) for kind, currency, amount in json.loads(content)}


def differences(before: Amounts, after: Amounts) -> tuple[BalanceChange, ...]:
    """One change for each asset that differs; what is absent counts as zero."""
    pairs = ((asset, before.get(asset, ZERO), after.get(asset, ZERO)) for asset in sorted({*before, *after}))
    return tuple(BalanceChange(asset=asset, before=old, after=new) for asset, old, new in pairs if old != new)


def place_report(
    report: Snapshot, *, earlier: Snapshot | None, same_time: Sequence[Snapshot], later: Snapshot | None
) -> LedgerUpdate | None:
    """Where a report belongs in the history, or None if it tells nothing new.

    earlier, later: the neighbours with another modified_at. same_time: all with the report's.
    """
    twin = next((known for known in same_time if known.content == report.content), None)
    if twin is not None and twin.reported_at <= report.reported_at:
        return None
    group = tuple(
        sorted([*(known for known in same_time if known is not twin), report], key=lambda s: s.order)
    )
    chain = [*([earlier] if earlier else []), *group, *([later] if later else [])]
    rewritten = tuple(
        (current, differences(previous.amounts if previous else {}, current.amounts))
        for previous, current in zip([None, *chain], chain, strict=False)
        if current is not earlier
    )
    newest = group[-1] if later is None else None
    return LedgerUpdate(
        kept=group,
        changes=rewritten,
        newest=newest,
        changes_to_notify=_changes_to_notify(
            report, newest=newest, twin=twin, earlier=earlier, same_time=same_time
        ),
        is_opening=earlier is None and not same_time and later is None,
    )


def _changes_to_notify(
    report: Snapshot,
    *,
    newest: Snapshot | None,
    twin: Snapshot | None,
    earlier: Snapshot | None,
    same_time: Sequence[Snapshot],
) -> tuple[BalanceChange, ...] | None:
    """Against the balance last told. A copy of what we know is never told, even if it moves among its peers."""
    if newest is not report or twin is not None:
        return None
    told = max(same_time, key=lambda known: known.order, default=earlier)
    changes = differences(told.amounts if told else {}, report.amounts)
    return changes if changes or told is None else None

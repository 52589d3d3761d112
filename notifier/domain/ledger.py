"""Ledger rules: balance reports in any order become one history whose changes add up.

A history is the account's reports sorted by (modified_at, reported_at, content). A change is the difference
between two neighbours; the first change starts from zero. A late report is inserted at its place and splits the
change that spanned it, so the history does not depend on the order of arrival. Only a report that becomes the
newest causes a notice. Its changes are relative to the previous newest report.
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
    """One known balance of one account."""

    modified_at: Millis
    """Time of the change at Feishu, Unix milliseconds."""
    reported_at: Millis
    """Creation time of the earliest copy that was received, Unix milliseconds."""
    content: str
    """The amounts as canonical text. Together with `modified_at` it identifies the snapshot."""

    @property
    def order(self) -> tuple[Millis, Millis, str]:
        """Sort key of the history."""
        return (self.modified_at, self.reported_at, self.content)

    @property
    def amounts(self) -> dict[Asset, Decimal]:
        """The balance, parsed from `content`."""
        return read_content(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """The change of one asset between two known balances."""

    asset: Asset
    before: Decimal
    after: Decimal

    @property
    def delta(self) -> Decimal:
        """The difference; negative for a decrease."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpdate:
    """How a report changes the history around it."""

    kept: tuple[Snapshot, ...]
    """The snapshots with the modified_at of the report, in order."""
    changes: tuple[tuple[Snapshot, tuple[BalanceChange, ...]], ...]
    """Each snapshot whose changes are new or different, in order, with all its changes."""
    newest: Snapshot | None
    """The snapshot that is now the account's balance; None: the balance stays as it was."""
    changes_to_notify: tuple[BalanceChange, ...] | None
    """The changes for a notice; None: no notice."""
    is_opening: bool = False
    """Whether this is the first balance of the account. Its changes start from zero."""


def content_of(amounts: Amounts) -> str:
    """Return the amounts as canonical text: equal amounts give equal text."""
    rows = [[asset.kind, asset.currency, str(amount)] for asset, amount in without_zeros(amounts).items()]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def read_content(content: str) -> dict[Asset, Decimal]:
    """Parse the text of `content_of`."""
    return {Asset(Kind(kind), currency): Decimal(amount) for kind, currency, amount in json.loads(content)}


def differences(before: Amounts, after: Amounts) -> tuple[BalanceChange, ...]:
    """Return one change for each asset that differs. A missing asset counts as zero."""
    pairs = ((asset, before.get(asset, ZERO), after.get(asset, ZERO)) for asset in sorted({*before, *after}))
    return tuple(BalanceChange(asset=asset, before=old, after=new) for asset, old, new in pairs if old != new)


def place_report(
    report: Snapshot, *, earlier: Snapshot | None, same_time: Sequence[Snapshot], later: Snapshot | None
) -> LedgerUpdate | None:
    """Return how a report changes the history, or None if it contains nothing new.

    earlier, later: the neighbours with a different modified_at. same_time: all snapshots with the modified_at of
    the report.
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
    """Return the changes since the newest known balance. A copy of a known report causes no notice, even if its place
    changes.
    """
    if newest is not report or twin is not None:
        return None
    previous = max(same_time, key=lambda known: known.order, default=earlier)
    changes = differences(previous.amounts if previous else {}, report.amounts)
    return changes if changes or previous is None else None

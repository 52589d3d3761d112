"""Offer: to whom a card shows the button, for which kinds, and from which amount."""

from dataclasses import dataclass
from decimal import Decimal

from notifier.domain.money import Amounts, Kind
from notifier.domain.withdrawal import takeable


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """targets: `referrer` or group names; empty means that no card has a button. least_amount: in the asset's own
    unit; one asset that reaches it is enough.
    """

    targets: frozenset[str] = frozenset()
    kinds: tuple[Kind, ...] = (Kind.POINTS, Kind.CASH)
    least_amount: Decimal = Decimal(0)

    def is_for(self, target: str, holdings: Amounts) -> bool:
        return target in self.targets and any(
            amount >= self.least_amount for amount in takeable(holdings, self.kinds).values()
        )

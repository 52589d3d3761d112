"""Money: what a referral account holds, exactly. Amounts are Decimal with the asset they are in."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

UNIT = Decimal("0.0001")
"""The finest amount we keep. Feishu speaks of 2 decimals; four leave room for float noise to show itself."""

LARGEST = Decimal(10) ** 13
"""A balance past this is no reward but an error in transit. It also keeps sums of units inside 64 bits."""


class Kind(StrEnum):
    POINTS = "points"
    CASH = "cash"


@dataclass(frozen=True, slots=True, order=True)
class Asset:
    """What is counted: points, or cash in one currency.

    currency: ISO 4217 code where we know it, else verbatim as Feishu sent it; empty for points.
    """

    kind: Kind
    currency: str = ""

    def __post_init__(self) -> None:
        if (self.kind is Kind.POINTS) != (self.currency == ""):
            raise ValueError(f"points have no currency, cash has one: {self.kind} {self.currency!r}")


POINTS = Asset(Kind.POINTS)

Amounts = Mapping[Asset, Decimal]
"""A full set of holdings; an asset that is absent is zero."""


def exact_amount(number: Decimal) -> Decimal:
    """The amount that was meant, in steps of UNIT.

    Binary float noise (0.30000000000000004) is taken away; a real fifth decimal is refused, as we could
    neither keep nor show it. Raises ValueError with the reason.
    """
    if not number.is_finite():
        raise ValueError(f"{number} is not a number")
    if number.copy_abs() > LARGEST:  # abs() would overflow on 1e1000000
        raise ValueError(f"{number} is larger than {LARGEST:,} in size")
    try:
        kept = number.quantize(UNIT)
    except InvalidOperation as error:
        raise ValueError(f"{number} has too many digits") from error
    noise = max(Decimal("1e-9"), abs(number) * Decimal(2) ** -52)
    if abs(kept - number) > noise:
        raise ValueError(f"{number} has more than 4 decimals")
    return kept


def to_units(amount: Decimal) -> int:
    """Whole ten-thousandths: how amounts are stored, so that databases add them exactly."""
    units = amount / UNIT
    if units != units.to_integral_value():
        raise ValueError(f"{amount} is not a whole number of {UNIT}")
    return int(units)


def from_units(units: int) -> Decimal:
    return units * UNIT


def without_zeros(amounts: Amounts) -> dict[Asset, Decimal]:
    """The same holdings in one canonical form: sorted, exact, zeros left out."""
    return {asset: amounts[asset].quantize(UNIT) for asset in sorted(amounts) if amounts[asset] != 0}

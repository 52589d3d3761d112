"""Money: the exact amounts that a referral account holds. Each amount is a Decimal with its asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

UNIT = Decimal("0.0001")
"""The smallest amount that is stored. Feishu documents 2 decimals; with 4, float noise can be detected."""

LARGEST = Decimal(10) ** 13
"""A greater balance must be an error in the data. The limit also keeps sums of units within 64 bits."""


class Kind(StrEnum):
    """Kind of an asset."""

    POINTS = "points"
    CASH = "cash"


@dataclass(frozen=True, slots=True, order=True)
class Asset:
    """What an amount counts: points, or cash in one currency.

    currency: ISO 4217 code if known, else verbatim as Feishu sent it; empty for points.
    """

    kind: Kind
    currency: str = ""

    def __post_init__(self) -> None:
        if (self.kind is Kind.POINTS) != (self.currency == ""):
            raise ValueError(f"points have no currency, cash has one: {self.kind} {self.currency!r}")


POINTS = Asset(Kind.POINTS)

Amounts = Mapping[Asset, Decimal]
"""All amounts of an account; a missing asset is zero."""


def exact_amount(number: Decimal) -> Decimal:
    """Return the amount in steps of UNIT.

    Binary float noise (0.30000000000000004) is removed. A real fifth decimal is rejected, because it can be
    neither stored nor shown. Raises ValueError with the reason.
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
    """Return the amount in whole ten-thousandths, as stored, so that databases add amounts exactly. Raises
    ValueError.
    """
    units = amount / UNIT
    if units != units.to_integral_value():
        raise ValueError(f"{amount} is not a whole number of {UNIT}")
    return int(units)


def from_units(units: int) -> Decimal:
    """Return the amount of a stored number of units."""
    return units * UNIT


def describe_amounts(amounts: Amounts) -> str:
    """Return the amounts for logs and JSON, such as "350.50 CNY, 120 points"."""
    figures = (f"{format_amount(amount)} {asset.currency or asset.kind}" for asset, amount in amounts.items())
    return ", ".join(figures) or "nothing"


def format_amount(amount: Decimal) -> str:
    """Return the amount with at least two decimals, unless the amount is whole."""
    if amount == amount.to_integral_value():
        return f"{amount:.0f}"
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:f}"


def without_zeros(amounts: Amounts) -> dict[Asset, Decimal]:
    """Return the amounts in canonical form: sorted, exact, without zeros."""
    return {asset: amounts[asset].quantize(UNIT) for asset in sorted(amounts) if amounts[asset] != 0}

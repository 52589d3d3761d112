"""Money: amounts are what was meant, or refused with a reason."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.money import (
    LARGEST,
    POINTS,
    UNIT,
    Asset,
    Kind,
    exact_amount,
    from_units,
    to_units,
    without_zeros,
)
from support.builders import CNY, USD


@pytest.mark.parametrize(
    "kept, number",
    [
        ("0.0000", "0"),
        ("350.5000", "350.5"),
        ("-0.0100", "-0.01"),
        ("0.1234", "0.1234"),
        ("1000000000000.0000", "1e12"),
        ("10000000000000.0000", "1e13"),
        ("-10000000000000.0000", "-1e13"),
    ],
)
def test_an_amount_is_kept_in_ten_thousandths(kept: str, number: str) -> None:
    assert kept == str(exact_amount(Decimal(number)))


@pytest.mark.parametrize(
    "meant, number",
    [
        ("0.3000", "0.30000000000000004"),
        ("0.2000", "0.19999999999999998"),
        ("-0.3000", "-0.30000000000000004"),
        ("1234567.8900", "1234567.8899999999"),
        ("12345678901.2300", "12345678901.230001"),
        ("0.0000", "1e-17"),
        ("0.0000", "1e-1000000"),
    ],
)
def test_noise_of_binary_floats_is_taken_away(meant: str, number: str) -> None:
    assert Decimal(meant) == exact_amount(Decimal(number))


@pytest.mark.parametrize(
    "number, reason",
    [
        ("0.00001", "more than 4 decimals"),
        ("350.12345", "more than 4 decimals"),
        ("350.1234001", "more than 4 decimals"),
        ("10000000000000.0001", "larger than"),
        ("-10000000000000.0001", "larger than"),
        ("1e400", "larger than"),
        ("1e1000000", "larger than"),
        ("-1e999999999", "larger than"),
        ("NaN", "is not a number"),
        ("sNaN", "is not a number"),
        ("Infinity", "is not a number"),
        ("-Infinity", "is not a number"),
    ],
)
def test_what_cannot_be_an_amount_is_refused_with_its_reason(number: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exact_amount(Decimal(number))


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_every_amount_with_two_decimals_survives_being_written_as_a_float(cents: int) -> None:
    assert Decimal(cents) / 100 == exact_amount(Decimal(repr(cents / 100)))


@given(st.integers(min_value=-(10**13), max_value=10**13))
def test_every_amount_with_two_decimals_survives_being_a_float_in_full(cents: int) -> None:
    assert Decimal(cents) / 100 == exact_amount(Decimal(cents / 100))


@given(st.decimals())
def test_any_decimal_is_an_amount_or_a_value_error(number: Decimal) -> None:
    try:
        kept = exact_amount(number)
    except ValueError:
        return

    assert kept.as_tuple().exponent == UNIT.as_tuple().exponent
    assert abs(kept) <= LARGEST


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_stored_units_and_amounts_are_the_same_thing(units: int) -> None:
    assert units == to_units(from_units(units))


def test_the_largest_amount_fits_into_a_stored_number_many_times() -> None:
    assert 2**63 > 50 * to_units(LARGEST)


def test_an_amount_between_two_units_cannot_be_stored() -> None:
    with pytest.raises(ValueError, match="whole number"):
        to_units(Decimal("0.00015"))


@pytest.mark.parametrize("kind, currency", [(Kind.POINTS, "CNY"), (Kind.CASH, "")])
def test_points_have_no_currency_and_cash_has_one(kind: Kind, currency: str) -> None:
    with pytest.raises(ValueError, match="points have no currency, cash has one"):
        Asset(kind, currency)


def test_holdings_have_one_form_whatever_their_order_digits_and_zeros() -> None:
    loose = {USD: Decimal("-0.00"), POINTS: Decimal(120), CNY: Decimal("350.5")}
    exact = {CNY: Decimal("350.5000"), POINTS: Decimal("120.0")}

    assert [(CNY, "350.5000"), (POINTS, "120.0000")] == [(a, str(n)) for a, n in without_zeros(loose).items()]
    assert list(without_zeros(exact).items()) == list(without_zeros(loose).items())

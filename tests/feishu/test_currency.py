"""Currencies: text and number mean the same, and what we do not know passes unchanged."""

import pytest

from notifier.feishu.currency import BY_NUMBER, LONGEST, currency_code

PAGE = {
    1: "CNY",
    2: "USD",
    3: "GBP",
    4: "HKD",
    5: "TWD",
    6: "EUR",
    7: "JPY",
    8: "INR",
    9: "MYR",
    10: "SGD",
    11: "DKK",
    12: "CHF",
    13: "RUB",
    14: "VND",
    15: "IDR",
    16: "BRL",
    17: "THB",
    18: "AED",
    19: "KRW",
    20: "MOP",
    21: "AUD",
    22: "MAD",
    23: "CAD",
    24: "NZD",
    25: "NOK",
    26: "SAR",
    27: "LAK",
    28: "KHR",
    29: "MMK",
    30: "NPR",
    31: "TRY",
    32: "ILS",
    33: "PLN",
    34: "MXN",
    35: "EGP",
    36: "PHP",
    37: "ZAR",
    38: "SEK",
    39: "BND",
    40: "GEL",
    41: "KGS",
    42: "BYN",
    43: "AZN",
    44: "NGN",
    45: "CDF",
    46: "ZWL",
    47: "PKR",
    48: "BDT",
}
"""Feishu Hire's enum page, read 2026-05."""


@pytest.mark.parametrize("number, code", PAGE.items())
def test_a_currency_is_the_same_as_number_as_numeric_text_and_as_code(number: int, code: str) -> None:
    assert code == currency_code(number)
    assert code == currency_code(str(number))
    assert code == currency_code(f"{number:03}")
    assert code == currency_code(code)
    assert code == currency_code(code.lower())
    assert code == currency_code(f" {code} ")


def test_we_know_the_currencies_of_the_page_and_no_others() -> None:
    assert {str(number): code for number, code in PAGE.items()} == BY_NUMBER


@pytest.mark.parametrize(
    "verbatim, value",
    [
        ("XAU", "XAU"),
        ("xau", "xau"),
        ("49", 49),
        ("49", "49"),
        ("0", 0),
        ("0", "0"),
        ("-1", -1),
        ("人民币", "人民币"),
        ("1.0", "1.0"),
        ("X" * LONGEST, "X" * LONGEST),
    ],
)
def test_what_we_do_not_know_passes_unchanged(verbatim: str, value: object) -> None:
    assert verbatim == currency_code(value)


@pytest.mark.parametrize(
    "value, reason",
    [
        (None, "neither text nor a whole number"),
        (True, "neither text nor a whole number"),
        (1.0, "neither text nor a whole number"),
        ([], "neither text nor a whole number"),
        ({"code": "CNY"}, "neither text nor a whole number"),
        ("", "is empty"),
        ("   ", "is empty"),
        ("X" * (LONGEST + 1), "no currency code"),
        (10**LONGEST, "no currency code"),
        ("C\x00NY", "no currency code"),
        ("C\nNY", "no currency code"),
        ("\ud800", "no currency code"),
    ],
)
def test_what_names_no_currency_is_refused_with_a_reason(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        currency_code(value)

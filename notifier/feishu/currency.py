"""Currency codes of Feishu Hire: ISO codes in its samples, numbers in the enum of the field.

Source: Hire enum page, read 2026-05. It has the numbers 1 to 48 with Chinese names; the ISO 4217 codes are ours.
"""

_NUMBERED = [
    "CNY",
    "USD",
    "GBP",
    "HKD",
    "TWD",
    "EUR",
    "JPY",
    "INR",
    "MYR",
    "SGD",
    "DKK",
    "CHF",
    "RUB",
    "VND",
    "IDR",
    "BRL",
    "THB",
    "AED",
    "KRW",
    "MOP",
    "AUD",
    "MAD",
    "CAD",
    "NZD",
    "NOK",
    "SAR",
    "LAK",
    "KHR",
    "MMK",
    "NPR",
    "TRY",
    "ILS",
    "PLN",
    "MXN",
    "EGP",
    "PHP",
    "ZAR",
    "SEK",
    "BND",
    "GEL",
    "KGS",
    "BYN",
    "AZN",
    "NGN",
    "CDF",
    "ZWL",
    "PKR",
    "BDT",
]

BY_NUMBER = {str(number): code for number, code in enumerate(_NUMBERED, start=1)}

LONGEST = 16


def currency_code(value: object) -> str:
    """Return the ISO code for `"CNY"`, `"cny"`, `"1"` or `1`; an unknown code verbatim.

    Raises ValueError if the value names no currency: missing, empty, too long, or neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"the currency is {value!r}, neither text nor a whole number")
    text = str(value).strip()
    if not text:
        raise ValueError("the currency is empty")
    if len(text) > LONGEST or not text.isprintable():
        raise ValueError(f"the currency {text[:40]!r} is no currency code")
    known = text.upper()
    return BY_NUMBER.get(text.lstrip("0"), known if known in _NUMBERED else text)

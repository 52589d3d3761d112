"""Balance changes of referral accounts, and the JSON form of a balance in Feishu's API."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.tenant import Account, LedgerEntry, Tenant

_CURRENCIES_IN_ORDER = (
    "CNY USD GBP HKD TWD EUR JPY INR MYR SGD DKK CHF RUB VND IDR BRL THB AED KRW MOP AUD MAD CAD NZD "
    "NOK SAR LAK KHR MMK NPR TRY ILS PLN MXN EGP PHP ZAR SEK BND GEL KGS BYN AZN NGN CDF ZWL PKR BDT"
)
CURRENCY_NUMBERS = {code: number for number, code in enumerate(_CURRENCIES_IN_ORDER.split(), 1)}
CURRENCY_FORMS = ("iso", "number", "numeric_string")


class BadBalanceChangeError(ValueError):
    """An invalid balance change. The text is shown to the caller."""


def parse_cash(cash: Mapping[str, object]) -> dict[str, Decimal]:
    """Parses changes such as {"CNY": "+500.00"} by ISO currency. Raises BadBalanceChangeError."""
    return {currency: _amount(currency, text) for currency, text in cash.items()}


def _amount(currency: str, text: object) -> Decimal:
    if currency not in CURRENCY_NUMBERS:
        raise BadBalanceChangeError(
            f"currency {currency!r} is not one of Feishu's 48 (such as CNY, USD, JPY)"
        )
    if not isinstance(text, str):
        raise BadBalanceChangeError(f'the amount for {currency} must be text such as "+500.00", not {text!r}')
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise BadBalanceChangeError(f"the amount for {currency} is not a number: {text!r}") from error
    if not amount.is_finite() or amount != amount.quantize(Decimal("0.01")):
        raise BadBalanceChangeError(f"the amount for {currency} may have 2 decimals at most: {text!r}")
    return amount


def add_to_balance(
    tenant: Tenant,
    account: Account,
    *,
    points: int,
    cash: Mapping[str, Decimal],
    reason: str,
    reference: str = "",
) -> None:
    """Adds points and cash (by ISO currency, negative to reduce) to an account, and lists it in the ledger."""
    account.points += points
    for currency, delta in cash.items():
        account.cash[currency] = account.cash.get(currency, Decimal(0)) + delta
    if points or any(cash.values()):
        tenant.ledger.append(
            LedgerEntry(
                at_ms=tenant.clock.now_ms(),
                account_id=account.account_id,
                points=points,
                cash=dict(cash),
                reason=reason,
                reference=reference,
            )
        )


def cash_bonus(cash: Mapping[str, Decimal], form: str) -> list[JsonObject]:
    """The `cash_bonus` list of Feishu's API. Amounts are JSON floats, as in the real API.

    form: one of `CURRENCY_FORMS`, how the currency is written.
    """
    return [
        {"currency_type": _currency_to_wire(code, form), "amount": float(amount)}
        for code, amount in cash.items()
    ]


def _currency_to_wire(code: str, form: str) -> str | int:
    if form == "number":
        return CURRENCY_NUMBERS[code]
    return str(CURRENCY_NUMBERS[code]) if form == "numeric_string" else code


def assets(account: Account) -> JsonObject:
    """The `assets` object of Feishu's API for the current balance of an account."""
    bonus = {"point_bonus": account.points, "cash_bonus": cash_bonus(account.cash, account.currency_form)}
    return {"confirmed_bonus": bonus}

"""Conversion between Feishu's JSON and domain values. Numbers become Decimal, never float, to keep amounts exact."""

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from notifier.clock import Millis
from notifier.domain.account import Referrer
from notifier.domain.event import UNREADABLE, AccountKey, BalanceReport, Event
from notifier.domain.money import POINTS, Amounts, Asset, Kind, exact_amount, without_zeros
from notifier.errors import Quarantined
from notifier.feishu.currency import currency_code

LONGEST_KEY = 128
LONGEST_ID = 64
NUMBER_DIGITS = 400
"""Maximum length of a number. A longer one is no amount, and parsing it would cost too much CPU time."""


def read_json(raw: bytes | str) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Parse JSON; fractions become Decimal.

    Raises ValueError for invalid JSON, for NaN and Infinity, and for numbers longer than NUMBER_DIGITS.
    """
    try:
        return json.loads(
            raw, parse_float=_parse_decimal, parse_int=_parse_int, parse_constant=_reject_constant
        )
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not readable as JSON: {error}") from error


def _parse_decimal(text: str) -> Decimal:
    if len(text) > NUMBER_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    try:
        return Decimal(text)
    except ArithmeticError as error:  # also 1e99999999999999999999, which JSON allows
        raise ValueError(f"{describe(text)} is not a number") from error


def _parse_int(text: str) -> int:
    if len(text) > NUMBER_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def read_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object; {} if the bytes are none."""
    try:
        body = read_json(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def read_event(payload: bytes, *, app_id: str, body: Mapping[str, Any] | None = None) -> Event:
    """Read the envelope of a payload; never raises. An invalid payload becomes an Event of type `unreadable`.

    app_id: the configured app, used if the payload names none. body: the parsed payload, if the caller has it.
    """
    header = _header_of(read_object(payload) if body is None else body)
    key = header.get("event_id") or header.get("uuid")
    if not isinstance(key, str) or not key:
        key = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    elif len(key) > LONGEST_KEY:
        key = f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return Event(
        key=sanitize(key),
        event_type=_text(header.get("event_type"))[:LONGEST_KEY] or UNREADABLE,
        tenant_key=_text(header.get("tenant_key"))[:LONGEST_ID],
        app_id=_text(header.get("app_id"))[:LONGEST_ID] or app_id,
        created_at=millis_or_zero(header.get("create_time")),
        payload=without_tokens(payload),
    )


_TOKEN = re.compile(rb'("token"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
"""A payload that ends inside its token is stored too, as unreadable."""


def without_tokens(payload: bytes) -> bytes:
    """Return the payload with every `token` emptied, and every other byte as it was.

    `header.token` is the app's verification token, and a callback's `token` permits changes of its card. Neither is
    needed after the payload has arrived, so neither is stored.
    """
    return _TOKEN.sub(rb'\1""', payload)


def _header_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header of schema 2.0, or the equivalent fields of schema 1.0."""
    header = body.get("header")
    if isinstance(header, dict):
        return header
    event = body.get("event")
    if isinstance(event, dict):  # schema 1.0
        return {
            "uuid": body.get("uuid"),
            "event_type": event.get("type"),
            "tenant_key": event.get("tenant_key"),
            "app_id": event.get("app_id"),
        }
    return {}


def _text(value: object) -> str:
    return sanitize(value) if isinstance(value, str) else ""


def sanitize(text: str) -> str:
    """Replace lone surrogates and NUL by `?`: UTF-8 cannot encode the former, PostgreSQL cannot store the latter."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def read_balance_report(event: Event) -> BalanceReport:
    """Parse a balance event. Raises Quarantined, with the reason, if a field is missing or invalid."""
    try:
        body = read_json(event.payload)
        return _balance_report(body, event)
    except ValueError as error:
        raise Quarantined(str(error)) from error


def encode_balance_reading(report: BalanceReport, *, event_type: str) -> Event:
    """Return a balance that was read from the API as a balance event, so that the same pipeline processes it.

    Equal readings get equal event keys. event_type: the type of the new event.
    """
    account = report.account
    cash = [
        {"currency_type": asset.currency, "amount": format(amount, "f")}
        for asset, amount in sorted(report.amounts.items())
        if asset.kind is Kind.CASH
    ]
    bonus = {"point_bonus": format(report.amounts.get(POINTS, Decimal(0)), "f"), "cash_bonus": cash}
    moment = str(report.modified_at)
    inner = {"account_id": account.account_id, "assets": {"confirmed_bonus": bonus}, "modify_time": moment}
    content = json.dumps([account.tenant_key, inner], sort_keys=True)
    header = {
        "event_id": f"read:{hashlib.sha256(content.encode()).hexdigest()}",
        "event_type": event_type,
        "create_time": str(report.reported_at),
        "app_id": account.app_id,
        "tenant_key": account.tenant_key,
    }
    document = {"schema": "2.0", "header": header, "event": inner}
    return read_event(json.dumps(document, ensure_ascii=False).encode(), app_id=account.app_id)


def _balance_report(body: object, event: Event) -> BalanceReport:
    inner = json_object(json_object(body, "the payload").get("event"), "event")
    account_id = inner.get("account_id")
    if isinstance(account_id, int) and not isinstance(account_id, bool):
        account_id = str(account_id)
    if not isinstance(account_id, str) or not account_id or len(account_id) > LONGEST_ID:
        raise ValueError(f"event.account_id is {describe(account_id)}, not the id of an account")
    return BalanceReport(
        account=AccountKey(tenant_key=event.tenant_key, app_id=event.app_id, account_id=sanitize(account_id)),
        modified_at=_modify_time(inner.get("modify_time")),
        reported_at=event.created_at,
        amounts=read_assets(inner.get("assets"), "event.assets"),
    )


def read_assets(assets: object, path: str) -> Amounts:
    """Parse `assets` of an event or account. An absent kind or currency is zero, as Feishu omits empty ones.

    path: where the object is in its document, for the error. Raises ValueError, which names the path.
    """
    return read_bonus(json_object(assets, path).get("confirmed_bonus"), f"{path}.confirmed_bonus")


def read_bonus(bonus: object, where: str) -> Amounts:
    """Parse `point_bonus` and `cash_bonus` of one object, like `read_assets`.

    where: the path of the object. Raises ValueError, which names the path.
    """
    bonus = json_object(bonus, where)
    amounts: dict[Asset, Decimal] = {POINTS: _points(bonus.get("point_bonus"), f"{where}.point_bonus")}
    cash = bonus.get("cash_bonus")
    if cash is None:
        cash = []
    if not isinstance(cash, list):
        raise ValueError(f"{where}.cash_bonus is {describe(cash)}, not a list")
    for number, entry in enumerate(cash):
        entry_path = f"{where}.cash_bonus[{number}]"
        asset = Asset(
            Kind.CASH,
            _with_path(
                f"{entry_path}.currency_type",
                currency_code,
                json_object(entry, entry_path).get("currency_type"),
            ),
        )
        if asset in amounts:
            raise ValueError(f"{entry_path}: {asset.currency} occurs twice")
        amounts[asset] = _amount(entry.get("amount", 0), f"{entry_path}.amount")
    return without_zeros(amounts)


def _points(value: object, path: str) -> Decimal:
    if value is None:
        return Decimal(0)
    points = _amount(value, path)
    if points != points.to_integral_value():
        raise ValueError(f"{path} is {describe(value)}, not a whole number of points")
    return points


def _amount(value: object, path: str) -> Decimal:
    """Parse an amount, given as a JSON number or as text. Feishu's SDK accepts both, so both may occur."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{path} is {describe(value)}, not a number")
    return _with_path(path, _parse_exact, value)


def _parse_exact(value: int | Decimal | str) -> Decimal:
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii() or "_" in text:  # Python accepts 1_000 and full-width digits
            raise ValueError(f"{describe(value)} is not a number")
        value = _parse_decimal(text)
    return exact_amount(Decimal(value))


def _with_path(path: str, read: Any, value: object) -> Any:  # noqa: ANN401 - passes through what read gives
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _modify_time(value: object) -> Millis:
    moment = millis_or_zero(value)
    if moment <= 0:
        raise ValueError(f"event.modify_time is {describe(value)}, not a time in milliseconds")
    return moment


def millis_or_zero(value: object) -> Millis:
    """Parse a Unix time of 10 (seconds), 13 (milliseconds) or 16 (microseconds) digits; Feishu uses all three.

    Returns milliseconds; 0 if the value is no time.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (value.isascii() and value.isdigit() and len(value) <= 16):
        return 0
    number = int(value)
    if len(value) > 14:
        return number // 1000
    return number * 1000 if len(value) <= 10 else number


def json_object(value: object, path: str) -> dict[str, Any]:
    """Return the value if it is a JSON object. Raises ValueError, which names the path, if it is not."""
    if not isinstance(value, dict):
        raise ValueError(f"{path} is {describe(value)}, not an object")
    return value


def describe(value: object) -> str:
    """Return a short representation of an invalid value, for error messages."""
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_referrer(account: object) -> Referrer | None:
    """Return the referrer in a get_account_assets response, or None if it names none."""
    referrer = account.get("referrer") if isinstance(account, dict) else None
    if not isinstance(referrer, dict):
        return None
    open_id = _text(referrer.get("id"))
    name = referrer.get("name")
    names = name if isinstance(name, dict) else {}
    if not open_id or len(open_id) > LONGEST_ID:
        return None
    return Referrer(open_id=open_id, name_zh=_text(names.get("zh_cn")), name_en=_text(names.get("en_us")))

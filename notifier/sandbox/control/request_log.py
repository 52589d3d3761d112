"""The readable form of logged calls: bodies parsed, bytes as their size, secrets as ***."""

import json
import re
from collections.abc import Iterable

from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.settings import SECRET_PATTERN
from notifier.sandbox.tenant import Exchange, RequestRecord, Tenant

HIDDEN = "***"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_HIDDEN_NAMES = (
    "app_secret|AppSecret|client_secret|(?:tenant_|app_|user_|id_|device_)?access_token|refresh_token|app_ticket|ticket"
    "|access_key|encrypt_key|verification_token|token|password"
)
_SECRET_MEMBER = re.compile(rf'(\\*"(?:{_HIDDEN_NAMES})\\*"\s*:\s*\\*")[^"\\]*')
"""A member of a JSON object, also of JSON inside of strings."""
_SECRET_PARAMETER = re.compile(rf"((?:^|[?&\s\"])(?:{_HIDDEN_NAMES})=)[^&\s\"]+")
"""A parameter of a query or of an encoded form."""
TEXT_TYPES = ("application/json", "text/", "application/x-www-form-urlencoded", "application/xml")


def request_json(record: RequestRecord, tenant: Tenant) -> JsonObject:
    """A logged call with its headers, bodies and answer. They are null if they are no longer kept."""
    exchange = tenant.exchanges.get(record.log_id)
    if exchange is None:
        unknown = ("request_headers", "request_body", "answer_headers", "answer_body")
        return {**record.to_json(), "query": "", **dict.fromkeys(unknown)}
    return {
        **record.to_json(),
        "query": hide_secrets(exchange.query),
        "request_headers": _headers(exchange.request_headers),
        "request_body": _content(exchange.request_headers, exchange.request_body, exchange.request_bytes),
        "answer_headers": _headers(exchange.answer_headers) if exchange.answer_headers else None,
        "answer_body": _answer(exchange),
    }


def hide_secrets(text: str) -> str:
    """The text with *** in place of each secret: those of the sandbox, and values whose name marks a secret."""
    text = _SECRET_MEMBER.sub(rf"\g<1>{HIDDEN}", text)
    return SECRET_PATTERN.sub(HIDDEN, _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", text))


def _answer(exchange: Exchange) -> JsonObject | None:
    return _content(exchange.answer_headers, exchange.answer_body, exchange.answer_bytes)


def _headers(headers: Iterable[tuple[str, str]]) -> JsonObject:
    """By name. Several values of one name are joined by a comma."""
    shown: dict[str, str] = {}
    for name, value in headers:
        text = HIDDEN if name.lower() in SECRET_HEADERS else hide_secrets(value)
        shown[name] = f"{shown[name]}, {text}" if name in shown else text
    return dict(shown)


def _content(headers: Iterable[tuple[str, str]], kept: bytes, size: int) -> JsonObject | None:
    """None for an empty body. JSON is parsed; other text is shown as it is; bytes are not shown."""
    if not size:
        return None
    found = (value for name, value in headers if name.lower() == "content-type")
    content_type = next(found, "").partition(";")[0].strip().lower()
    shown: JsonObject = {"size": size, "content_type": content_type}
    if not content_type.startswith(TEXT_TYPES) or not kept:
        return shown
    text = hide_secrets(kept.decode(errors="replace"))
    if content_type == "application/json" and len(kept) == size:
        try:
            return {**shown, "json": json.loads(text)}
        except (ValueError, RecursionError):
            return {**shown, "text": text}
    return {**shown, "text": text}

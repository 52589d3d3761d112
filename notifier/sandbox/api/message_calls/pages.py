"""Pages of a list, as Feishu's list calls return them."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field

_T = TypeVar("_T")
PAGE_SIZE = 20
"""The default of `page_size`."""


def build_page(
    call: Call,
    items: Sequence[_T],
    *,
    key: Callable[[_T], str],
    to_wire: Callable[[_T], JsonObject],
    largest: int = 50,
    bad_token_code: int = 230001,
) -> JsonObject:
    """The page of `items` that the call asks for: {"items", "has_more", "page_token"}.

    The token names the last item of the page before, so that new items do not move the pages. Raises 99992402 for
    a page_size outside of 1 to `largest`, and `bad_token_code` for a token of another list.
    """
    start = 0
    if token := call.query.get("page_token"):
        last = _decode(token)
        keys = [key(item) for item in items]
        if last not in keys:
            raise RefusedError(bad_token_code, "ext=invalid page_token")
        start = keys.index(last) + 1
    end = start + _page_size(call, largest)
    page = items[start:end]
    answer: JsonObject = {"items": [to_wire(item) for item in page], "has_more": len(items) > end}
    if answer["has_more"]:
        answer["page_token"] = base64.urlsafe_b64encode(key(page[-1]).encode()).decode()
    return answer


def whole_number(call: Call, name: str) -> int | None:
    """The value of a query parameter, None without one. Raises 99992402."""
    text = call.query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise bad_field(name, "must be a whole number", text)
    return int(text)


def _page_size(call: Call, largest: int) -> int:
    size = whole_number(call, "page_size")
    if size is None:
        return PAGE_SIZE
    if not 1 <= size <= largest:
        raise bad_field("page_size", f"must be from 1 to {largest}", size)
    return size


def _decode(token: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None

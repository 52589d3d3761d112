"""Pages of a list: `page_size` and `page_token` of a request, `has_more` and `page_token` of its answer."""

from collections.abc import Sequence
from typing import TypeVar

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.error_codes import RefusedError, bad_field

_T = TypeVar("_T")


def one_page(
    call: Call,
    items: Sequence[_T],
    *,
    default: int,
    maximum: int,
    bad_size_code: int | None = None,
    bad_token_code: int | None = None,
) -> tuple[list[_T], dict[str, object]]:
    """The items of the wanted page, and the members of the answer that lead to the next one.

    bad_size_code, bad_token_code: codes of calls that do not answer 99992402.
    """
    size, token = call.query.get("page_size") or str(default), call.query.get("page_token") or "0"
    if not size.isdecimal() or not 1 <= int(size) <= maximum:
        if bad_size_code is not None:
            raise RefusedError(bad_size_code)
        raise bad_field("page_size", f"must be from 1 to {maximum}", size)
    if not token.isdecimal() or len(token) > 9:
        if bad_token_code is not None:
            raise RefusedError(bad_token_code)
        raise bad_field("page_token", "is not from an earlier answer", token)
    start, end = int(token), int(token) + int(size)
    has_more = end < len(items)
    return list(items[start:end]), {"has_more": has_more, "page_token": str(end) if has_more else ""}

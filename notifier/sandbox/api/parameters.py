"""Parameters that many calls share: pages of a list, and the kinds of ids of people."""

from collections.abc import Sequence
from typing import TypeVar

from notifier.sandbox.api.gateway import Call
from notifier.sandbox.error_codes import RefusedError, bad_field
from notifier.sandbox.tenant import Tenant, TenantPerson

_T = TypeVar("_T")
ID_TYPES = ("open_id", "union_id", "user_id")


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


def user_id_type(call: Call, name: str = "user_id_type") -> str:
    """The kind of id that the request uses for people. Raises 99992402."""
    id_type = call.query.get(name, "open_id")
    if id_type not in ID_TYPES:
        raise bad_field(name, f"must be one of {', '.join(ID_TYPES)}", id_type)
    return id_type


def find_person_by(tenant: Tenant, id_type: str, person_id: str) -> TenantPerson | None:
    """The person with an id of this kind; None without one, and for an open_id of another app."""
    if id_type == "open_id" and tenant.is_foreign(person_id):
        return None
    return next((one for one in tenant.people.values() if getattr(one, id_type) == person_id), None)

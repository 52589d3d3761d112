"""Finds the open_ids of people by e-mail address or mobile number.

Source: contact-v3 user/batch_get_id page, read 2026-05. Limits: 50 addresses and 50 numbers in a call, 50 calls a
second. A person outside the contact range, or without such an address, is returned without an id and without an error.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from notifier.feishu.api import FeishuApi

PATH = "/open-apis/contact/v3/users/batch_get_id"
QUERIES_PER_CALL = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPerson:
    """A person that Feishu found. has_resigned: False also if Feishu gives no status, which needs another scope."""

    open_id: str
    has_resigned: bool = False


async def find_people(
    api: FeishuApi,
    *,
    emails: Collection[str] = (),
    mobiles: Collection[str] = (),
    include_resigned: bool = False,
) -> dict[str, FoundPerson]:
    """Return the people by the address or number that found them; those that Feishu does not find are missing.

    mobiles: with + and country code. Raises CallError, for example if the scope contact:user.id:readonly is missing.
    """
    found: dict[str, FoundPerson] = {}
    for field, key, queries in (("emails", "email", emails), ("mobiles", "mobile", mobiles)):
        distinct = list(dict.fromkeys(queries))
        for start in range(0, len(distinct), QUERIES_PER_CALL):
            batch = distinct[start : start + QUERIES_PER_CALL]
            body = {field: batch, "include_resigned": include_resigned}
            response = await api.call("POST", PATH, query={"user_id_type": "open_id"}, body=body)
            found |= _read_users(response.data.get("user_list"), key, batch)
    return found


def _read_users(users: object, key: str, queries: Sequence[str]) -> dict[str, FoundPerson]:
    """Feishu may write an address or a number in another form than the query; then the digits or letters decide."""
    by_form = {_plain(query): query for query in queries}
    found: dict[str, FoundPerson] = {}
    for user in users if isinstance(users, list) else []:
        if not isinstance(user, dict):
            continue
        query, open_id, status = user.get(key), user.get("user_id"), user.get("status")
        if not isinstance(query, str) or not isinstance(open_id, str) or not open_id:
            continue
        original = by_form.get(_plain(query))
        if original is not None:
            resigned = isinstance(status, dict) and status.get("is_resigned") is True
            found[original] = FoundPerson(open_id=open_id, has_resigned=resigned)
    return found


def _plain(text: str) -> str:
    return text.strip().lower().removeprefix("+86").removeprefix("+")

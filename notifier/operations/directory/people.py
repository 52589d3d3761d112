"""Finds the open_ids of people for this app, for the operators of the configuration."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from notifier.clock import Clock
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.contact_data import one_line
from notifier.domain.scopes import SCOPES, Feature
from notifier.errors import CallError, NotifierError
from notifier.feishu.api import FeishuApi
from notifier.feishu.people import find_people
from notifier.operations.accounts import texts
from notifier.operations.accounts.contacts import Mobile
from notifier.operations.language import Language, get_language, say
from notifier.runtime.factories import make_app_access

RESIGNED = Bilingual(zh="已离职", en="has left the company")
NOT_FOUND = Bilingual(
    zh="查不到：邮箱或手机号不对，或不在应用的通讯录权限范围内",
    en="not found: the address or number is wrong, or the person is outside the contact range of the app",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLookup:
    """The result for one address or number. problem: why nobody was found, or None."""

    query: str = field(repr=False)
    open_id: str | None
    name: str
    problem: Bilingual | None


async def find_operators(
    config: Config, clock: Clock, *, emails: Sequence[str], mobiles: Sequence[Mobile]
) -> list[PersonLookup]:
    """Find people in the given order. Raises CallError, or NotifierError if the scope is missing."""
    numbers = [each.with_plus for each in mobiles]
    async with FeishuApi(make_app_access(config), clock) as api:
        try:
            found = await find_people(api, emails=emails, mobiles=numbers)
            absent = [each for each in (*emails, *numbers) if each not in found]
            resigned = await find_people(
                api,
                emails=[each for each in emails if each in absent],
                mobiles=[each for each in numbers if each in absent],
                include_resigned=True,
            )
        except CallError as error:
            if error.code == texts.SCOPE_MISSING:
                raise NotifierError(say(texts.scope_missing(SCOPES[Feature.PEOPLE]))) from error
            raise
        results = []
        for query in (*emails, *numbers):
            person = found.get(query)
            if person is not None and not person.has_resigned:
                name = await _find_name(api, person.open_id)
                results.append(PersonLookup(query=query, open_id=person.open_id, name=name, problem=None))
            else:
                has_left = person is not None or query in resigned
                problem = RESIGNED if has_left else NOT_FOUND
                results.append(PersonLookup(query=query, open_id=None, name="", problem=problem))
        return results


async def _find_name(api: FeishuApi, open_id: str) -> str:
    """The name; "" without the scopes for it."""
    try:
        response = await api.call(
            "GET",
            f"/open-apis/contact/v3/users/{quote(open_id, safe='')}",
            query={"user_id_type": "open_id"},
        )
    except CallError:
        return ""
    user = response.data.get("user")
    if not isinstance(user, dict):
        return ""
    zh, en = (one_line(str(user.get(key) or "")) for key in ("name", "en_name"))
    return (zh or en) if get_language() is Language.ZH else (en or zh)


def format_people(results: Sequence[PersonLookup], *, as_json: bool) -> str:
    """Format the results: the line for the configuration, then those that were not found."""
    if as_json:
        document = [
            {
                "query": each.query,
                "open_id": each.open_id,
                "name": each.name or None,
                "problem": say(each.problem) if each.problem else None,
            }
            for each in results
        ]
        return json.dumps(document, ensure_ascii=False, indent=2)
    found = {each.open_id: each.name or each.query for each in results if each.open_id is not None}
    lines = []
    if found:
        lines.append(f"operators: [{', '.join(found)}]  # {', '.join(found.values())}")
    lines += [f"{each.query}: {say(each.problem)}" for each in results if each.problem is not None]
    return "\n".join(lines)

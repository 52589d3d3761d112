"""Finds the people of a file whose account is known already, before anything is registered."""

import functools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from notifier.clock import Millis
from notifier.domain.card import Bilingual
from notifier.errors import CallError
from notifier.feishu.people import FoundPerson
from notifier.operations.accounts import texts
from notifier.operations.accounts.contacts import Contact
from notifier.operations.accounts.results import RowOutcome, RowResult
from notifier.store.engine.database import Database
from notifier.store.people import registrations

CHUNK = 200
"""People that are looked up at once."""

FindPeople = Callable[[Collection[str], Collection[str]], Awaitable[dict[str, FoundPerson]]]
"""Finds people by e-mail addresses and mobile numbers. Raises CallError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPerson:
    """A person to register. row: their first row in the file. fingerprints: hashes of their contact data."""

    row: int
    contact: Contact
    fingerprints: frozenset[str]


@dataclass(slots=True, kw_only=True)
class SortedPeople:
    """left: people to register. results: the outcome of all others. note: what was left out, or None."""

    left: list[RowPerson] = field(default_factory=list)
    results: list[RowResult] = field(default_factory=list)
    note: Bilingual | None = None


def drop_registered(database: Database, app_id: str, people: Sequence[RowPerson]) -> SortedPeople:
    """Find those whom an earlier run registered, by their fingerprints."""
    found = SortedPeople()
    for start in range(0, len(people), CHUNK):
        chunk = people[start : start + CHUNK]
        wanted = frozenset[str]().union(*(person.fingerprints for person in chunk))
        with database.read() as connection:
            stored = registrations.load_registrations(connection, app_id, wanted)
        ids = {key: each.account_id for key, each in stored.items() if each.account_id is not None}
        for person in chunk:
            found_ids = {ids.get(key) for key in person.fingerprints}
            account_id = found_ids.pop() if len(found_ids) == 1 else None  # both contacts, the same account
            if account_id is None:
                found.left.append(person)
            else:
                found.results.append(
                    RowResult(row=person.row, outcome=RowOutcome.KNOWN, account_id=account_id)
                )
    return found


async def drop_found(
    database: Database,
    app_id: str,
    people: Sequence[RowPerson],
    find_people: FindPeople,
    *,
    now: Millis,
    is_dry_run: bool,
) -> SortedPeople:
    """Find those whose account is known by another contact. Without the scope, nobody is looked up.

    now: ms. is_dry_run: store nothing.
    """
    sorted_people = SortedPeople()
    first_rows: dict[str, int] = {}
    for start in range(0, len(people), CHUNK):
        chunk = people[start : start + CHUNK]
        emails = [each.contact.email for each in chunk if each.contact.email is not None]
        mobiles = [each.contact.mobile.with_plus for each in chunk if each.contact.mobile is not None]
        try:
            found = await find_people(emails, mobiles)
        except CallError as error:
            sorted_people.note = _note(error)
            sorted_people.left += people[start:]
            return sorted_people
        linked = _sort(database, app_id, chunk, found, first_rows, sorted_people)
        if linked and not is_dry_run:
            database.write(functools.partial(_link, app_id=app_id, linked=linked, now=now)).result()
    return sorted_people


def _link(
    connection: Connection, *, app_id: str, linked: Sequence[tuple[RowPerson, int]], now: Millis
) -> None:
    for person, ref in linked:
        registrations.link_registration(connection, app_id, person.fingerprints, ref, now=now)


def _sort(
    database: Database,
    app_id: str,
    chunk: Sequence[RowPerson],
    found: Mapping[str, FoundPerson],
    first_rows: dict[str, int],
    sorted_people: SortedPeople,
) -> list[tuple[RowPerson, int]]:
    """Adds to `sorted_people`. first_rows: the first row of each open_id. Returns those with the account they have."""
    ids = {person.row: _open_ids(person.contact, found) for person in chunk}
    everyone = frozenset[str]().union(*ids.values())
    with database.read() as connection:
        known = registrations.find_accounts_of(connection, app_id, everyone)
        account_ids = registrations.list_account_ids(connection, list(known.values()))
    linked: list[tuple[RowPerson, int]] = []
    for person in chunk:
        open_id = next(iter(ids[person.row]), "")
        outcome, account_id, remedy = None, None, None
        if len(ids[person.row]) > 1:
            outcome, remedy = RowOutcome.INVALID, texts.TWO_PEOPLE
        elif open_id in known:
            linked.append((person, known[open_id]))
            outcome, account_id = RowOutcome.KNOWN, account_ids[known[open_id]]
        elif open_id in first_rows:
            outcome, remedy = RowOutcome.SAME, texts.same_as(first_rows[open_id])
        if outcome is not None:
            sorted_people.results.append(
                RowResult(row=person.row, outcome=outcome, account_id=account_id, remedy=remedy)
            )
            continue
        if open_id:
            first_rows[open_id] = person.row
        sorted_people.left.append(person)
    return linked


def _open_ids(contact: Contact, found: Mapping[str, FoundPerson]) -> frozenset[str]:
    queries = (contact.email, contact.mobile.with_plus if contact.mobile is not None else None)
    return frozenset(found[query].open_id for query in queries if query is not None and query in found)


def _note(error: CallError) -> Bilingual:
    """The note that people were not looked up. Registration goes on without it."""
    if error.code != texts.SCOPE_MISSING:
        return Bilingual(
            zh="没有先按邮箱、手机号查人：飞书没有答复",
            en="People were not looked up first: Feishu gave no answer",
        )
    reason = texts.scope_missing("contact:user.id:readonly")
    return Bilingual(
        zh=f"没有先按邮箱、手机号查人，不影响登记。{reason.zh}",
        en=f"People were not looked up first, which registration does not need; {reason.en}",
    )

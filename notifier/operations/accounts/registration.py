"""Registers people at Feishu within the rate limit, and each person once.

A row in `registrations` is committed before each call, and completed with its result. The same command therefore
continues a run that was interrupted at any moment. Feishu's events may arrive while it runs, also for accounts whose
registration is not stored yet.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notifier.clock import Clock, Millis
from notifier.domain.account import AccountState, Ownership
from notifier.domain.card import Bilingual
from notifier.domain.event import AccountKey, BalanceReport
from notifier.domain.rate_limit import RateLimit
from notifier.errors import AppSuspended, CallError, NotAuthorised, OutcomeUnknown, Refused, TemporaryFailure
from notifier.feishu.referral_accounts import FeishuReferralAccounts, RegisteredState
from notifier.operations.accounts import texts
from notifier.operations.accounts.contacts import fingerprints_of
from notifier.operations.accounts.known_people import (
    FindPeople,
    RowPerson,
    SortedPeople,
    drop_found,
    drop_registered,
)
from notifier.operations.accounts.pacing import CallPacer
from notifier.operations.accounts.people_file import BadRow, FileRow, PersonRow
from notifier.operations.accounts.results import RowOutcome, RowResult
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from notifier.store.people import registrations
from notifier.store.people.registrations import RegisteredAccount

CREATE_LIMIT = RateLimit(per_second=98 / 60)
"""Feishu allows 100 registrations a minute."""
CONCURRENT_CALLS = 4
MAX_TRIES = 5
MAX_UNKNOWN = 3
"""So many people without a clear answer end the run: repeating would not help them now."""
READ_TRIES = 3
OPENING_MARGIN_MS = 1_000
"""Feishu rounds the time of its answers down to the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarDeps:
    """What a registration needs."""

    database: Database
    """The database of the service, which may run meanwhile."""
    clock: Clock
    """The source of the current time."""
    app_id: str
    """The app whose accounts are registered."""
    app_secret: str
    """Key of the fingerprints."""
    accounts: FeishuReferralAccounts
    """Calls Feishu."""
    find_people: FindPeople
    """Finds open_ids."""
    tenant_key: str
    """The tenant, if the database does not know it; "": not known."""
    read_limit: RateLimit
    """Limit of account reads, shared with the service."""
    on_progress: Callable[[int, int], None]
    """Called with the number of people that are done, and of all that need a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationReport:
    """The outcome of a run. stopped: why it ended early, or None. note: what was left out, or None."""

    results: Sequence[RowResult]
    stopped: Bilingual | None
    note: Bilingual | None


class Registrar:
    """One run over the rows of a file, or over one person. stop: ends it after the calls that are under way."""

    def __init__(self, deps: RegistrarDeps, stop: asyncio.Event) -> None:
        self._deps = deps
        self._stop = stop
        self._stop_reason: Bilingual | None = None
        self._results: dict[int, RowResult] = {}
        self._rows_by_account: dict[str, int] = {}
        """The row that registered each account."""
        self._unknown = 0
        self._pacer = CallPacer(deps.database, deps.clock, is_over=self._is_over)
        self._reads = CallPacer(deps.database, deps.clock)
        """An account that Feishu has created is stored, also if the run ends."""

    async def run(self, rows: Sequence[FileRow], *, is_dry_run: bool = False) -> RegistrationReport:
        """Register the people of these rows. is_dry_run: store and register nothing."""
        deps, people = self._deps, list[RowPerson]()
        for each in rows:
            if isinstance(each, BadRow):
                self._add(each.row, RowOutcome.INVALID, remedy=each.problem)
            elif each.same_as is None:
                keys = fingerprints_of(each.contact, deps.app_secret)
                people.append(RowPerson(row=each.row, contact=each.contact, fingerprints=keys))
        unregistered = self._keep(drop_registered(deps.database, deps.app_id, people))
        found = await drop_found(
            deps.database,
            deps.app_id,
            unregistered,
            deps.find_people,
            now=self._pacer.now(),
            is_dry_run=is_dry_run,
        )
        people = self._keep(found)
        if is_dry_run:
            for person in people:
                self._add(person.row, RowOutcome.WOULD_REGISTER)
        else:
            await self._register_all(people)
        await self._finish_repeated(
            [each for each in rows if isinstance(each, PersonRow)], is_dry_run=is_dry_run
        )
        self._mark_deactivated()
        results = sorted(self._results.values(), key=lambda result: result.row)
        return RegistrationReport(results=results, stopped=self._stop_reason, note=found.note)

    def _keep(self, sorted_people: SortedPeople) -> list[RowPerson]:
        self._results |= {result.row: result for result in sorted_people.results}
        return sorted_people.left

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._stop_reason is not None

    async def _register_all(self, people: Sequence[RowPerson]) -> None:
        slots = asyncio.Semaphore(CONCURRENT_CALLS)
        done = 0

        async def register(person: RowPerson) -> None:
            nonlocal done
            async with slots:
                if self._is_over():
                    return
                await self._register(person)
            if person.row in self._results:
                done += 1
                self._deps.on_progress(done, len(people))

        if people:
            self._deps.on_progress(0, len(people))
        async with asyncio.TaskGroup() as tasks:
            for person in people:
                tasks.create_task(register(person))
        if self._stop.is_set() and self._stop_reason is None:
            self._stop_reason = texts.INTERRUPTED
        for person in people:
            if person.row not in self._results:
                self._add(person.row, RowOutcome.NOT_TRIED, remedy=texts.NOT_TRIED)

    async def _register(self, person: RowPerson) -> None:
        """Register one person. Without a clear answer the call is repeated: at most one account can result from it."""
        contact, is_unknown = person.contact, False
        mobile = (contact.mobile.code, contact.mobile.number) if contact.mobile is not None else None
        for tries in range(1, MAX_TRIES + 1):
            started = await self._start(person)
            if started is None:
                return
            first_started_at, now = started
            is_unknown = is_unknown or first_started_at < now
            began = time.monotonic()
            try:
                registered = await self._deps.accounts.create(email=contact.email, mobile=mobile)
            except CallError as error:
                if await self._note_failure(person, error, tries=tries, is_unknown=is_unknown):
                    return
                is_unknown = is_unknown or isinstance(error, OutcomeUnknown)
                continue
            await self._save(person, registered, first_started_at, round(1000 * (time.monotonic() - began)))
            return

    async def _start(self, person: RowPerson) -> tuple[Millis, Millis] | None:
        """Wait for the rate limit, and store that a call starts.

        Returns when the first call for this person may have started, and the present time. None: the run ends.
        """
        return await self._pacer.claim(
            rate_limits.REGISTRATIONS,
            CREATE_LIMIT,
            lambda c, now: (
                registrations.start_registration(c, self._deps.app_id, person.fingerprints, now=now),
                now,
            ),
        )

    async def _note_failure(
        self, person: RowPerson, error: CallError, *, tries: int, is_unknown: bool
    ) -> bool:
        """Returns whether nothing more is tried for this person. is_unknown: an earlier call has no clear answer."""
        if isinstance(error, TemporaryFailure | OutcomeUnknown) and tries < MAX_TRIES:
            if isinstance(error, TemporaryFailure) and error.affects_whole_app and error.code is not None:
                await self._pacer.block(rate_limits.REGISTRATIONS, error)
            await self._pacer.pause_after(error, tries=tries)
            return False
        if isinstance(error, OutcomeUnknown):
            self._unknown += 1
            self._add(person.row, RowOutcome.UNKNOWN, remedy=texts.UNKNOWN)
            if self._unknown >= MAX_UNKNOWN:
                self._end(error)
            return True
        if not is_unknown:
            self._store_refusal(person, error)
        if (
            isinstance(error, TemporaryFailure | NotAuthorised | AppSuspended)
            or error.code == texts.SCOPE_MISSING
        ):
            self._end(error)
            return True
        self._note_refusal(person, error, is_unknown=is_unknown)
        return True

    def _note_refusal(self, person: RowPerson, error: CallError, *, is_unknown: bool) -> None:
        """Feishu refused this person. Another run may have registered the same person meanwhile."""
        is_clear = error.code in (texts.NO_SUCH_PERSON, texts.SEVERAL_PEOPLE)
        if not is_clear:
            with self._deps.database.read() as connection:
                stored = registrations.load_registrations(connection, self._deps.app_id, person.fingerprints)
            account_id = next((each.account_id for each in stored.values() if each.account_id), None)
            if account_id is not None:
                self._add(person.row, RowOutcome.KNOWN, account_id)
                return
        remedy = texts.REPEATED if is_unknown and not is_clear else texts.refusal(error)
        self._add(person.row, RowOutcome.REFUSED, remedy=remedy)

    def _store_refusal(self, person: RowPerson, error: CallError) -> None:
        now = self._pacer.now()
        self._deps.database.write(
            lambda c: registrations.refuse_registration(
                c, self._deps.app_id, person.fingerprints, code=error.code, now=now
            )
        ).result()

    def _end(self, error: CallError) -> None:
        self._stop_reason = self._stop_reason or texts.stop_reason(error)

    async def _save(
        self, person: RowPerson, registered: RegisteredState, first_started_at: Millis, took_ms: int
    ) -> None:
        """Store the account with its referrer and its balance at the registration. took_ms: of the call."""
        read = await self._read(registered.account_id)
        opening = registered.state or read
        if opening is None:
            self._add(person.row, RowOutcome.UNKNOWN, registered.account_id, texts.UNKNOWN)
            return
        now = self._pacer.now()
        # A change after the registration must be newer than the opening balance, whatever our clock says.
        answered_at = opening.at if opening.at is not None else now
        opened_at = min(first_started_at, answered_at - took_ms - OPENING_MARGIN_MS)
        key = AccountKey(
            tenant_key=self._deps.tenant_key, app_id=self._deps.app_id, account_id=registered.account_id
        )
        is_active = any(state is not None and state.is_active for state in (registered.state, read))
        referrer = read.referrer if read is not None else None
        account = RegisteredAccount(
            report=BalanceReport(
                account=key, modified_at=opened_at, reported_at=opened_at, amounts=opening.amounts
            ),
            ownership=Ownership(referrer=referrer, looked_up_at=now) if referrer is not None else None,
            is_active=is_active,
        )
        await asyncio.wrap_future(
            self._deps.database.write(
                lambda c: registrations.save_account(c, person.fingerprints, account, now=now)
            )
        )
        outcome = RowOutcome.REGISTERED if is_active else RowOutcome.DEACTIVATED
        remedy = None if is_active else texts.DEACTIVATED
        first_row = self._rows_by_account.setdefault(registered.account_id, person.row)
        if first_row != person.row and is_active:
            outcome, remedy = RowOutcome.SAME, texts.same_as(first_row)
        self._add(person.row, outcome, registered.account_id, remedy)

    async def _read(self, account_id: str) -> AccountState | None:
        """The account with its referrer; None if it cannot be read now. Then the service reads it later."""
        for tries in range(1, READ_TRIES + 1):
            await self._reads.claim(rate_limits.LOOKUPS, self._deps.read_limit, lambda _c, _now: True)
            try:
                return await self._deps.accounts.read(account_id)
            except CallError as error:
                if isinstance(error, Refused) or tries == READ_TRIES:
                    return None
                await self._pacer.pause_after(error, tries=tries)
        return None

    async def _finish_repeated(self, rows: Sequence[PersonRow], *, is_dry_run: bool) -> None:
        """Rows that repeat an earlier one share its success. If Feishu refused that one, every row is tried."""
        contacts = {each.row: each.contact for each in rows}
        for each in rows:
            if each.same_as is None:
                continue
            first = self._results[each.same_as]
            if first.outcome not in (RowOutcome.REFUSED, RowOutcome.INVALID):
                self._add(each.row, RowOutcome.SAME, first.account_id, texts.same_as(each.same_as))
            elif each.contact == contacts[each.same_as] or is_dry_run or self._is_over():
                self._add(each.row, first.outcome, first.account_id, first.remedy)
            else:
                keys = fingerprints_of(each.contact, self._deps.app_secret)
                await self._register(RowPerson(row=each.row, contact=each.contact, fingerprints=keys))

    def _mark_deactivated(self) -> None:
        """An account that is known and deactivated is no success: no event arrives for it."""
        known = {
            each.row: each.account_id for each in self._results.values() if each.outcome is RowOutcome.KNOWN
        }
        with self._deps.database.read() as connection:
            off = registrations.list_deactivated(
                connection, self._deps.app_id, {each for each in known.values() if each is not None}
            )
        for row, account_id in known.items():
            if account_id in off:
                self._add(row, RowOutcome.DEACTIVATED, account_id, texts.DEACTIVATED)

    def _add(
        self, row: int, outcome: RowOutcome, account_id: str | None = None, remedy: Bilingual | None = None
    ) -> None:
        self._results[row] = RowResult(row=row, outcome=outcome, account_id=account_id, remedy=remedy)

"""Turns events and withdrawals of accounts on and off."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from notifier.clock import Clock, Millis
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.errors import CallError, NotAuthorised, TemporaryFailure
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.operations.accounts import texts
from notifier.operations.accounts.pacing import CallPacer
from notifier.operations.accounts.registration import CREATE_LIMIT
from notifier.runtime.factories import make_app_access
from notifier.store import rate_limits, reconciliations
from notifier.store.accounts import save_is_active
from notifier.store.engine.database import Database
from notifier.store.people import account_list
from notifier.store.people.account_list import ListedAccount
from notifier.store.people.registrations import add_account_entry

MAX_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchResult:
    """The outcome for one account. problem: why it was not switched, with what to do; None: it was."""

    account_id: str
    problem: Bilingual | None


def find_accounts(database: Database, app_id: str, account_ids: Sequence[str]) -> dict[str, ListedAccount]:
    """The known accounts of the app with these ids."""
    with database.read() as connection:
        found = account_list.list_accounts(
            connection, app_id, account_ids=account_ids, limit=max(1, len(account_ids))
        )
    return {each.account_id: each for each in found}


async def switch_accounts(
    database: Database, clock: Clock, config: Config, accounts: Sequence[ListedAccount], *, is_enabled: bool
) -> list[SwitchResult]:
    """Enable or deactivate these accounts at Feishu. Raises CallError if Feishu gives no access token."""
    pacer = CallPacer(database, clock)
    async with FeishuApi(make_app_access(config), clock) as api:
        await api.token()
        feishu = FeishuReferralAccounts(api)
        return [await _switch(database, pacer, feishu, each, is_enabled=is_enabled) for each in accounts]


async def _switch(
    database: Database,
    pacer: CallPacer,
    feishu: FeishuReferralAccounts,
    account: ListedAccount,
    *,
    is_enabled: bool,
) -> SwitchResult:
    """Both calls can be repeated: they set a state."""
    call = feishu.enable if is_enabled else feishu.deactivate
    for tries in range(1, MAX_TRIES + 1):
        await pacer.claim(rate_limits.REGISTRATIONS, CREATE_LIMIT, lambda _c, _now: True)
        try:
            await call(account.account_id)
            break
        except CallError as error:
            is_final = error.code is not None and not isinstance(error, TemporaryFailure)
            if is_final or tries == MAX_TRIES:
                is_for_all = isinstance(error, NotAuthorised) or error.code in (None, texts.SCOPE_MISSING)
                problem = texts.stop_reason(error) if is_for_all else texts.refusal(error)
                return SwitchResult(account_id=account.account_id, problem=problem)
            await pacer.pause_after(error, tries=tries)
    save = functools.partial(_save, ref=account.account_ref, is_enabled=is_enabled, now=pacer.now())
    database.write(save).result()
    return SwitchResult(account_id=account.account_id, problem=None)


def _save(connection: Connection, *, ref: int, is_enabled: bool, now: Millis) -> None:
    """The state is that of the call and not of its response, whose `status` Feishu documents with another value.

    The balance may have changed without events, so an enabled account is read again soon.
    """
    save_is_active(connection, ref, is_active=is_enabled, now=now)
    if is_enabled:
        reconciliations.schedule_rechecks(connection, [ref], at=now)
    add_account_entry(connection, ref, "enabled" if is_enabled else "deactivated", now=now)

"""Runs a registration with a connection to Feishu, as the commands `import` and `register` do."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from notifier.clock import Clock
from notifier.config.settings import Config
from notifier.domain.rate_limit import RateLimit
from notifier.errors import CallError
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import list_chats
from notifier.feishu.people import FoundPerson, find_people
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.operations.accounts.people_file import FileRow
from notifier.operations.accounts.registration import Registrar, RegistrarDeps, RegistrationReport
from notifier.runtime.factories import make_app_access
from notifier.runtime.lifecycle import stop_on_signals
from notifier.store.engine.database import Database
from notifier.store.people import registrations


async def register_people(
    database: Database,
    clock: Clock,
    config: Config,
    rows: Sequence[FileRow],
    *,
    is_dry_run: bool,
    on_progress: Callable[[int, int], None],
) -> RegistrationReport:
    """Register the people of these rows. SIGINT and SIGTERM end it after the calls that are under way.

    Raises CallError if Feishu gives no access token, unless it is a dry run.
    """
    stop = asyncio.Event()
    async with FeishuApi(make_app_access(config), clock) as api:
        if not is_dry_run:
            await api.token()

        async def find(emails: Collection[str], mobiles: Collection[str]) -> dict[str, FoundPerson]:
            return await find_people(api, emails=emails, mobiles=mobiles)

        deps = RegistrarDeps(
            database=database,
            clock=clock,
            app_id=config.feishu.app_id,
            app_secret=config.feishu.app_secret.get_secret_value(),
            accounts=FeishuReferralAccounts(api),
            find_people=find,
            tenant_key="" if is_dry_run else await _find_tenant_key(database, api, config.feishu.app_id),
            read_limit=RateLimit(per_second=config.referrers.lookups_per_second),
            on_progress=on_progress,
        )
        with stop_on_signals(stop):
            return await Registrar(deps, stop).run(rows, is_dry_run=is_dry_run)


async def _find_tenant_key(database: Database, api: FeishuApi, app_id: str) -> str:
    """The tenant: as stored, else as a group of the bot names it; "" if neither. Then the first event names it."""
    with database.read() as connection:
        stored = registrations.find_tenant_key(connection, app_id)
    if stored:
        return stored
    try:
        chats = await list_chats(api)
    except CallError:
        return ""
    tenants = {chat.tenant_key for chat in chats if not chat.is_external and chat.tenant_key}
    return tenants.pop() if len(tenants) == 1 else ""

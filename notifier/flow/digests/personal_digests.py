"""Sends each referrer a digest of the own account, some referrers per transaction."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from notifier.clock import Millis, from_millis
from notifier.domain.digest import AssetFlow, Digest, DigestPlan
from notifier.domain.money import Asset
from notifier.domain.period import Period, Span
from notifier.domain.route import REFERRER
from notifier.flow.digests.send_digest import DigestDeps
from notifier.store.digests import digest_runs, period_totals
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.digests.period_totals import TimeRange
from notifier.store.engine.database import Database

log = logging.getLogger(__name__)

PAGE_SIZE = 100
"""Accounts in one transaction."""
REFERRERS = "referrers"
"""The recipient of the run that stands for all referrers."""


async def send_personal_digests(
    database: Database, deps: DigestDeps, plan: DigestPlan, run_key: DigestRunKey
) -> bool:
    """Queues the digests of the next referrers. Returns False when no referrer is left."""
    more = await asyncio.wrap_future(database.write(lambda c: _send_personal_page(c, deps, plan, run_key)))
    deps.wake()
    return more


def _send_personal_page(
    connection: Connection, deps: DigestDeps, plan: DigestPlan, run_key: DigestRunKey
) -> bool:
    run = digest_runs.claim_or_resume(connection, run_key)
    if run is None:
        return False
    run_id, after_ref = run
    account_refs = period_totals.list_account_refs(connection, after_ref=after_ref, limit=PAGE_SIZE)
    time_range = TimeRange(from_at=run_key.period.from_at, to_at=run_key.period.to_at)
    rows = period_totals.iter_account_totals(connection, time_range, account_refs=account_refs)
    for account_ref, own_rows in groupby(rows, key=lambda row: row.account_ref):
        _queue_one(connection, deps, plan, run_key, account_ref, {row.asset: row.flow for row in own_rows})
    digest_runs.save_progress(
        connection, run_id, account_ref=account_refs[-1] if len(account_refs) == PAGE_SIZE else None
    )
    if len(account_refs) < PAGE_SIZE:
        log.info("digest.personal_sent", extra={"digest": plan.name, "period": run_key.period.label})
    return len(account_refs) == PAGE_SIZE


def _queue_one(
    connection: Connection,
    deps: DigestDeps,
    plan: DigestPlan,
    run_key: DigestRunKey,
    account_ref: int,
    flows: Mapping[Asset, AssetFlow],
) -> None:
    """Queues one referrer's digest. An account without balance and change up to the end of the period gets none."""
    if not has_own_digest(flows.values()):
        return
    digest = own_digest(plan, run_key, flows)
    if plan.skip_quiet and digest.is_quiet:
        return
    own_key = replace(run_key, recipient=f"account:{account_ref}")
    run_id = digest_runs.claim_run(connection, own_key, state=DigestRunState.NOTIFIED, content=digest)
    if run_id is not None:
        recipient = deps.notices.known_recipient(connection, account_ref, REFERRER, run_key.created_at)
        digest_runs.create_delivery(
            connection, own_key, run_id, target=REFERRER, recipient=recipient, account_ref=account_ref
        )


def has_own_digest(flows: Iterable[AssetFlow]) -> bool:
    """Whether a referrer with these totals gets a digest. Changes after the period alone are for the next one."""
    return any(flow.has_moved or flow.closing for flow in flows)


def own_digest(plan: DigestPlan, run_key: DigestRunKey, flows: Mapping[Asset, AssetFlow]) -> Digest:
    """Builds the digest of one referrer. flows: the totals of the referrer's account in the period."""
    return _make_own_digest(run_key, flows, zone=plan.zone, offers_withdrawal=plan.withdraw)


def _make_own_digest(
    run_key: DigestRunKey, flows: Mapping[Asset, AssetFlow], *, zone: ZoneInfo, offers_withdrawal: bool
) -> Digest:
    has_changed = any(flow.has_moved for flow in flows.values())
    return Digest(
        name=run_key.digest,
        period=run_key.period,
        due_at=run_key.due_at,
        created_at=run_key.created_at,
        correction_number=run_key.correction_number,
        flows=flows,
        changed_accounts=1 if has_changed else 0,
        offers_withdrawal=offers_withdrawal,
        zone=zone.key,
    )


OWN_DIGEST = "own"
"""The name of the digests that people chose for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDigest:
    """A daily or weekly digest that a person chose instead of single notices."""

    account_ref: int
    """Row id of the account."""
    span: Span
    """DAY or WEEK."""
    from_at: Millis
    """Time of the first change that it reports, Unix milliseconds."""
    due_at: Millis
    """When it was due, Unix milliseconds."""
    zone: ZoneInfo
    """Time zone of the person."""


def create_chosen_digest(connection: Connection, chosen: ChosenDigest, *, now: Millis) -> int | None:
    """Creates the figures of a digest from its first change up to now, and returns the id of its run.

    None: the ledger has nothing to report.
    """
    to_at = now + 1
    from_at = min(chosen.from_at, now)
    first, last = (from_millis(at).astimezone(chosen.zone).date() for at in (from_at, now))
    label = f"{chosen.span}:{first}..{last} {now}"
    run_key = DigestRunKey(
        digest=OWN_DIGEST,
        period=Period(first=first, last=last, from_at=from_at, to_at=to_at, label=label),
        recipient=f"account:{chosen.account_ref}",
        due_at=chosen.due_at,
        created_at=now,
    )
    time_range = TimeRange(from_at=from_at, to_at=to_at)
    rows = period_totals.iter_account_totals(connection, time_range, account_refs=[chosen.account_ref])
    flows = {row.asset: row.flow for row in rows}
    if not has_own_digest(flows.values()):
        return None
    digest = _make_own_digest(run_key, flows, zone=chosen.zone, offers_withdrawal=True)
    return digest_runs.claim_run(connection, run_key, state=DigestRunState.NOTIFIED, content=digest)

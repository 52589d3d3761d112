"""Digests: the functions behind `notifier digest`: list, preview and send."""

import asyncio
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy.engine import Connection

from notifier.cards.balance_text import person
from notifier.clock import Clock, Millis, from_millis, to_millis
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.delivery import CardVariant
from notifier.domain.digest import Digest, DigestPlan
from notifier.domain.digest_panel import DigestPanel, Option
from notifier.domain.period import Period, so_far
from notifier.errors import ConfigError
from notifier.flow.digests.figures import Figures
from notifier.flow.digests.personal_digests import (
    REFERRERS,
    has_own_digest,
    own_digest,
    send_personal_digests,
)
from notifier.flow.digests.schedule import next_due, period_of
from notifier.flow.digests.send_digest import DigestDeps, figures_of
from notifier.flow.digests.send_digest import send_digest as send_one_digest
from notifier.operations.formatting import format_iso
from notifier.runtime.factories import make_digest_deps, make_renderer, make_withdraw_offer
from notifier.store import accounts
from notifier.store.digests import digest_runs, period_totals
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunRow
from notifier.store.digests.period_totals import AccountTotals, TimeRange
from notifier.store.engine.database import Database

MAX_RUNS = 5
EARLIEST_DAY = date(2000, 1, 1)


def find_plan(config: Config, name: str) -> DigestPlan:
    """Return the digest with this name. Raises ConfigError if there is none."""
    found = config.digest_plans()
    for plan in found:
        if plan.name == name:
            return plan
    there_are = f"There are: {', '.join(plan.name for plan in found)}." if found else "There are none yet."
    raise ConfigError(f"digests: there is no digest called {name!r}. {there_are}")


def resolve_period(plan: DigestPlan, text: str, clock: Clock) -> Period:
    """Return the period of a day. text: a date, `today` or `yesterday`. Raises ConfigError for any other text."""
    now = clock.now()
    today = now.astimezone(plan.zone).date()
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = words[text] if text in words else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--for: {text!r}: this is not a date. Write 2026-11-23, today or yesterday."
        ) from error
    if not EARLIEST_DAY <= day <= today:
        reason = f"{day} has not begun yet" if day > today else "this is too long ago"
        raise ConfigError(f"--for: {text!r}: {reason}. Write 2026-11-23, today or yesterday.")
    try:
        return so_far(period_of(plan, day), now)
    except ValueError as error:
        raise ConfigError(f"--for: {text!r}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSummary:
    """A configured digest, its next run, and its newest runs. next_at: Unix milliseconds; None: no next run."""

    plan: DigestPlan
    next_at: Millis | None
    next_period: str | None
    runs: tuple[DigestRunRow, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        plan = self.plan
        return {
            "name": plan.name,
            "to": [*plan.groups, *(["referrer"] if plan.to_referrers else [])],
            "cron": plan.cron,
            "time_zone": str(plan.zone),
            "period": plan.span,
            "working_days": plan.working is not None,
            "next_at": format_iso(self.next_at),
            "next_period": self.next_period,
            "last": [
                {
                    "period": run.period,
                    "to": run.recipient,
                    "state": run.state,
                    "correction_number": run.correction_number,
                    "due_at": format_iso(run.due_at),
                    "notified_at": format_iso(run.created_at),
                }
                for run in self.runs
            ],
        }

    def as_text(self) -> str:
        """Return it as lines of text."""
        plan = self.plan
        to = ", ".join([*plan.groups, *(["referrer"] if plan.to_referrers else [])])
        days = ", working days only" if plan.working else ""
        rows = [f"{plan.name}: {plan.span} to {to}; `{plan.cron}` {plan.zone}{days}"]
        if self.next_at is None:
            rows.append("  no next run: correct its cron expression")
        else:
            rows.append(f"  next      {_format_local(self.next_at, plan)}  {self.next_period}")
        rows += [_run_line(run, plan) for run in self.runs]
        return "\n".join(rows)


def _run_line(run: DigestRunRow, plan: DigestPlan) -> str:
    again = f", correction {run.correction_number}" if run.correction_number else ""
    return f"  {run.state:<10}{_format_local(run.created_at, plan)}  {run.period} to {run.recipient}{again}"


def _format_local(at: Millis, plan: DigestPlan) -> str:
    return f"{from_millis(at).astimezone(plan.zone):%Y-%m-%d %H:%M}"


def list_digests(database: Database, config: Config, clock: Clock) -> list[DigestSummary]:
    """List all configured digests."""
    now = to_millis(clock.now())
    found = []
    with database.read() as connection:
        for plan in config.digest_plans():
            next_run = next_due(plan, now)
            found.append(
                DigestSummary(
                    plan=plan,
                    next_at=next_run.at if next_run else None,
                    next_period=next_run.period.label if next_run else None,
                    runs=tuple(digest_runs.list_runs(connection, plan.name, limit=MAX_RUNS)),
                )
            )
    return found


def compute_figures(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock
) -> Figures:
    """Compute the figures as a digest would show them now."""
    return figures_of(
        database, _make_deps(config, clock), plan, period, due_at=None, now=to_millis(clock.now())
    )


def render_preview(config: Config, digest: Digest, clock: Clock) -> Mapping[str, Any]:
    """Render the card with buttons that have no effect. Raises TemplateBroken."""
    renderer = make_renderer(config, clock)
    holders_offered = (
        [each for each in digest.holders if _has_offer(config, each.amounts)]
        if digest.offers_withdrawal
        else []
    )
    options = tuple(
        Option(
            button_ref=f"preview{number}",
            account_ref=each.account_ref,
            account_id=each.account_id,
            referrer=each.referrer,
            amounts=each.amounts,
        )
        for number, each in enumerate(holders_offered)
    )
    panel = DigestPanel(
        one="preview" if options else "", all="preview" if len(options) > 1 else "", options=options
    )
    return renderer.card(CardVariant.FULL, renderer.digest(digest, panel))


def render_personal_preview(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock, account_id: str | None
) -> tuple[Mapping[str, Any], list[dict[str, str]]]:
    """Render one referrer's card and list the people on it. account_id: None for the first account with a change.

    Raises ConfigError if there is no such account.
    """
    right = DigestRunKey(
        digest=plan.name, period=period, recipient=REFERRERS, created_at=to_millis(clock.now())
    )
    time_range = TimeRange(from_at=period.from_at, to_at=period.to_at)
    with database.read() as connection:
        refs = None if account_id is None else accounts.find_account_refs(connection, account_id)
        ref, rows = next(_own_totals(connection, time_range, refs), (None, []))
        if ref is None:
            whom = f"account {account_id}" if account_id else "any account"
            raise ConfigError(f"{plan.name}: {period.label} has no changes for {whom}.")
        owner, key = accounts.get_ownership(connection, ref), accounts.get_account_key(connection, ref)
    renderer = make_renderer(config, clock)
    digest = own_digest(plan, right, {row.asset: row.flow for row in rows})
    card = renderer.card(CardVariant.FULL, renderer.digest(digest, ownership=owner, account=key.account_id))
    return card, _as_names([owner.referrer] if owner is not None and owner.referrer is not None else [])


def preview_send(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock
) -> Iterable[str]:
    """Return the figures for the groups, and the number of referrers that would get a card."""
    if plan.groups:
        found = compute_figures(database, config, plan, period, clock)
        yield format_summary(found.digest)
        yield from (f"  file {file.name}: {file.rows} rows" for file in found.files)
    if plan.to_referrers:
        with database.read() as connection:
            time_range = TimeRange(from_at=period.from_at, to_at=period.to_at)
            count = sum(1 for _ in _own_totals(connection, time_range, None))
        yield f"{period.label}: {count} referrers, each with their own figures"


def _own_totals(
    connection: Connection, time_range: TimeRange, refs: Collection[int] | None
) -> Iterator[tuple[int, list[AccountTotals]]]:
    """The totals of each account whose referrer gets a digest."""
    rows = period_totals.iter_account_totals(connection, time_range, account_refs=refs)
    for ref, own_rows in groupby(rows, key=lambda row: row.account_ref):
        totals = list(own_rows)
        if has_own_digest(row.flow for row in totals):
            yield ref, totals


def _has_offer(config: Config, amounts: Mapping[Any, Any]) -> bool:
    wanted = make_withdraw_offer(config)
    return any(wanted.is_for(target, amounts) for target in wanted.targets)


def list_people(digest: Digest) -> list[dict[str, str]]:
    """List the people on the card, so that a page can show their names."""
    return _as_names(each.referrer for each in (*digest.changed, *digest.holders) if each.referrer)


def _as_names(shown: Iterable[Referrer]) -> list[dict[str, str]]:
    names = {referrer.open_id: person(referrer).name for referrer in shown}
    return [{"open_id": open_id, "name": name.zh, "en_name": name.en} for open_id, name in names.items()]


def format_summary(digest: Digest) -> str:
    """Format the figures for a dry run, with the result of the consistency check."""
    rows = [f"{digest.period.label}: {digest.changed_accounts} accounts with a change"]
    for asset, flow in digest.flows.items():
        parts = (
            f"+ first seen {_format_amount(flow.first_seen)} + rewards {_format_amount(flow.rewards)}"
            f" - withdrawn {_format_amount(flow.withdrawn)}"
            f" {'-' if flow.corrections < 0 else '+'} corrections {_format_amount(abs(flow.corrections))}"
        )
        proof = "(adds up)" if flow.adds_up else "(DOES NOT ADD UP)"
        rows.append(
            f"  {asset.currency or asset.kind}: opening {_format_amount(flow.opening)} {parts}"
            f" = closing {_format_amount(flow.closing)} {proof}"
            + (f"; later {_format_amount(flow.later)}" if flow.later else "")
            + f"; balance {_format_amount(flow.balance)}"
        )
    return "\n".join(rows)


def _format_amount(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def send_digest(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock, *, again: bool
) -> list[str]:
    """Create the deliveries, which the running notifier sends. Returns one line per recipient."""
    return asyncio.run(_send_digest(database, _make_deps(config, clock), plan, period, again=again))


async def _send_digest(
    database: Database, deps: DigestDeps, plan: DigestPlan, period: Period, *, again: bool
) -> list[str]:
    result = await send_one_digest(database, deps, plan, period, again=again)
    lines = [f"{group}: on its way" for group in result.recipients]
    lines += [f"{group}: nothing changed, so nothing is sent (when_empty: skip)" for group in result.quiet]
    lines += [
        f"{group}: this period was already sent; --again sends it as a correction" for group in result.known
    ]
    if plan.to_referrers:
        lines.append(await _send_to_referrers(database, deps, plan, period, again=again))
    return lines


async def _send_to_referrers(
    database: Database, deps: DigestDeps, plan: DigestPlan, period: Period, *, again: bool
) -> str:
    def next_correction(connection: Any) -> tuple[int, bool]:  # noqa: ANN401 - SQLAlchemy's connection
        digest_runs.delete_missed(connection, plan.name, period.label, [REFERRERS])
        cut_off = digest_runs.get_unfinished_correction(connection, plan.name, period.label, REFERRERS)
        if cut_off is not None:
            return cut_off, True
        return digest_runs.get_next_correction(connection, plan.name, period.label, REFERRERS), False

    correction_number, is_resumed = await asyncio.wrap_future(database.write(next_correction))
    if correction_number and not again and not is_resumed:
        return "referrers: this period was already sent; --again sends it as a correction"
    right = DigestRunKey(
        digest=plan.name,
        period=period,
        recipient=REFERRERS,
        correction_number=correction_number,
        created_at=to_millis(deps.clock.now()),
    )
    while await send_personal_digests(database, deps, plan, right):
        pass
    return "referrers: on their way"


def _make_deps(config: Config, clock: Clock) -> DigestDeps:
    return make_digest_deps(config, make_renderer(config, clock), clock, lambda: None)


def as_json(found: list[DigestSummary]) -> str:
    """Format the digests as JSON."""
    return json.dumps([each.as_json() for each in found], ensure_ascii=False, indent=2)

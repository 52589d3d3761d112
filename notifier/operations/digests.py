"""Digest desk: what is behind `notifier digest`: the list, one to look at, and one to send by hand."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from notifier.cards.balance_text import person
from notifier.clock import Clock, Millis, from_millis, to_millis
from notifier.config.settings import Config
from notifier.domain.account import Referrer
from notifier.domain.delivery import Rung
from notifier.domain.digest import Digest, Plan
from notifier.domain.digest_panel import Board, Option
from notifier.domain.period import Period, so_far
from notifier.errors import ConfigError
from notifier.flow.digests.digest import REFERRERS, DigestParts, figures_of, own_digest, spread, tell
from notifier.flow.digests.figures import Figures
from notifier.flow.digests.schedule import next_due, telling_of
from notifier.operations.formatting import iso
from notifier.runtime.factories import digest_parts, offer, renderer
from notifier.store import accounts
from notifier.store.digests import digest_runs, period_totals
from notifier.store.digests.digest_runs import Right, RunRow
from notifier.store.digests.period_totals import Stretch
from notifier.store.engine.database import Database

LATEST = 5
EARLIEST = date(2000, 1, 1)


def plan_called(config: Config, name: str) -> Plan:
    """Raises ConfigError when there is none."""
    found = config.digest_plans()
    for plan in found:
        if plan.name == name:
            return plan
    there_are = f"There are: {', '.join(plan.name for plan in found)}." if found else "There are none yet."
    raise ConfigError(f"digests: there is no digest called {name!r}. {there_are}")


def period_for(plan: Plan, text: str, clock: Clock) -> Period:
    """text: a date in the period, or today, yesterday. Raises ConfigError for what is no date, or has not begun."""
    now = clock.now()
    today = now.astimezone(plan.zone).date()
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = words[text] if text in words else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--for: {text!r}: this is no date. Write 2026-11-23, today or yesterday."
        ) from error
    if not EARLIEST <= day <= today:
        reason = f"{day} has not begun yet" if day > today else "this is too long ago"
        raise ConfigError(f"--for: {text!r}: {reason}. Write 2026-11-23, today or yesterday.")
    try:
        return so_far(telling_of(plan, day), now)
    except ValueError as error:
        raise ConfigError(f"--for: {text!r}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    plan: Plan
    next_at: Millis | None
    next_period: str | None
    runs: tuple[RunRow, ...]

    def as_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "name": plan.name,
            "to": [*plan.groups, *(["referrer"] if plan.to_referrers else [])],
            "cron": plan.cron,
            "time_zone": str(plan.zone),
            "period": plan.span,
            "working_days": plan.working is not None,
            "next_at": iso(self.next_at),
            "next_period": self.next_period,
            "last": [
                {
                    "period": run.period,
                    "to": run.recipient,
                    "state": run.state,
                    "edition": run.edition,
                    "due_at": iso(run.due_at),
                    "told_at": iso(run.born_at),
                }
                for run in self.runs
            ],
        }

    def as_text(self) -> str:
        plan = self.plan
        to = ", ".join([*plan.groups, *(["referrer"] if plan.to_referrers else [])])
        days = ", working days only" if plan.working else ""
        rows = [f"{plan.name}: {plan.span} to {to}; `{plan.cron}` {plan.zone}{days}"]
        if self.next_at is None:
            rows.append("  never comes again: look at its cron expression")
        else:
            rows.append(f"  next      {_local(self.next_at, plan)}  {self.next_period}")
        rows += [_run_line(run, plan) for run in self.runs]
        return "\n".join(rows)


def _run_line(run: RunRow, plan: Plan) -> str:
    again = f", correction {run.edition}" if run.edition else ""
    return f"  {run.state:<10}{_local(run.born_at, plan)}  {run.period} to {run.recipient}{again}"


def _local(at: Millis, plan: Plan) -> str:
    return f"{from_millis(at).astimezone(plan.zone):%Y-%m-%d %H:%M}"


def listed(database: Database, config: Config, clock: Clock) -> list[Listed]:
    now = to_millis(clock.now())
    found = []
    with database.read() as connection:
        for plan in config.digest_plans():
            coming = next_due(plan, now)
            found.append(
                Listed(
                    plan=plan,
                    next_at=coming.at if coming else None,
                    next_period=coming.period.label if coming else None,
                    runs=tuple(digest_runs.listed(connection, plan.name, limit=LATEST)),
                )
            )
    return found


def figures(database: Database, config: Config, plan: Plan, period: Period, clock: Clock) -> Figures:
    """As they would be told now."""
    return figures_of(database, _parts(config, clock), plan, period, due_at=None, now=to_millis(clock.now()))


def preview(config: Config, digest: Digest, clock: Clock) -> Mapping[str, Any]:
    """The card, with buttons that stand for nothing. Raises TemplateBroken."""
    drawing = renderer(config, clock)
    offered = [each for each in digest.holders if _offers(config, each.amounts)] if digest.offers else []
    options = tuple(
        Option(
            ref=f"preview{number}",
            account_ref=each.account_ref,
            account_id=each.account_id,
            referrer=each.referrer,
            amounts=each.amounts,
        )
        for number, each in enumerate(offered)
    )
    board = Board(
        one="preview" if options else "", all="preview" if len(options) > 1 else "", options=options
    )
    return drawing.card(Rung.FULL, drawing.digest(digest, board))


def own_preview(
    database: Database, config: Config, plan: Plan, period: Period, clock: Clock, account_id: str | None
) -> tuple[Mapping[str, Any], list[dict[str, str]]]:
    """The card that one referrer gets, and whom it shows; account_id: None for the first that gets one. Raises
    ConfigError when nobody does.
    """
    right = Right(digest=plan.name, period=period, recipient=REFERRERS, born_at=to_millis(clock.now()))
    stretch = Stretch(from_at=period.from_at, to_at=period.to_at)
    with database.read() as connection:
        refs = None if account_id is None else accounts.called(connection, account_id)
        of_one = groupby(
            period_totals.book_rows(connection, stretch, refs=refs), key=lambda row: row.account_ref
        )
        ref, rows = next(((ref, list(rows)) for ref, rows in of_one), (None, []))
        if ref is None:
            whom = f"account {account_id}" if account_id else "any account"
            raise ConfigError(f"{plan.name}: {period.label} has nothing to tell about {whom}.")
        owner, key = accounts.ownership(connection, ref), accounts.key_of(connection, ref)
    drawing = renderer(config, clock)
    digest = own_digest(plan, right, {row.asset: row.flow for row in rows})
    card = drawing.card(Rung.FULL, drawing.digest(digest, owner=owner, account=key.account_id))
    return card, _named([owner.referrer] if owner is not None and owner.referrer is not None else [])


def dry_run(database: Database, config: Config, plan: Plan, period: Period, clock: Clock) -> Iterable[str]:
    """What would be told to groups, and to how many referrers."""
    if plan.groups:
        found = figures(database, config, plan, period, clock)
        yield summary(found.digest)
        yield from (f"  file {file.name}: {file.rows} rows" for file in found.files)
    if plan.to_referrers:
        with database.read() as connection:
            stretch = Stretch(from_at=period.from_at, to_at=period.to_at)
            count = len({row.account_ref for row in period_totals.book_rows(connection, stretch)})
        yield f"{period.label}: to each of {count} referrers the own figures"


def _offers(config: Config, amounts: Mapping[Any, Any]) -> bool:
    wanted = offer(config)
    return any(wanted.is_for(target, amounts) for target in wanted.targets)


def people(digest: Digest) -> list[dict[str, str]]:
    """Whom the card shows, for a page that must put names to ids."""
    return _named(each.referrer for each in (*digest.changed, *digest.holders) if each.referrer)


def _named(shown: Iterable[Referrer]) -> list[dict[str, str]]:
    names = {who.open_id: person(who).name for who in shown}
    return [{"open_id": open_id, "name": name.zh, "en_name": name.en} for open_id, name in names.items()]


def summary(digest: Digest) -> str:
    """For a dry run: the figures, and whether they prove themselves."""
    rows = [f"{digest.period.label}: {digest.people} people with a change"]
    for asset, flow in digest.flows.items():
        parts = " ".join(
            f"{sign} {name} {_plain(amount)}"
            for sign, name, amount in (
                ("+", "first seen", flow.first_seen),
                ("+", "rewards", flow.rewards),
                ("-", "withdrawn", flow.withdrawn),
                ("+", "corrections", flow.corrections),
            )
        )
        proof = "(adds up)" if flow.adds_up else "(DOES NOT ADD UP)"
        rows.append(
            f"  {asset.currency or asset.kind}: opening {_plain(flow.opening)} {parts}"
            f" = closing {_plain(flow.closing)} {proof}"
        )
    return "\n".join(rows)


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def send(
    database: Database, config: Config, plan: Plan, period: Period, clock: Clock, *, again: bool
) -> list[str]:
    """Born here, delivered by the running notifier. One line per recipient."""
    return asyncio.run(_send(database, _parts(config, clock), plan, period, again=again))


async def _send(
    database: Database, parts: DigestParts, plan: Plan, period: Period, *, again: bool
) -> list[str]:
    told = await tell(database, parts, plan, period, again=again)
    said = [f"{group}: on its way" for group in told.recipients]
    said += [f"{group}: nothing changed, so nothing is said (when_empty: skip)" for group in told.quiet]
    said += [
        f"{group}: was told this period already; --again sends it as a correction" for group in told.known
    ]
    if plan.to_referrers:
        said.append(await _send_to_referrers(database, parts, plan, period, again=again))
    return said


async def _send_to_referrers(
    database: Database, parts: DigestParts, plan: Plan, period: Period, *, again: bool
) -> str:
    def edition(connection: Any) -> tuple[int, bool]:  # noqa: ANN401 - SQLAlchemy's connection
        digest_runs.forget_missed(connection, plan.name, period.label, [REFERRERS])
        cut_off = digest_runs.unfinished_edition(connection, plan.name, period.label, REFERRERS)
        if cut_off is not None:
            return cut_off, True
        return digest_runs.next_edition(connection, plan.name, period.label, REFERRERS), False

    newest, goes_on = await asyncio.wrap_future(database.write(edition))
    if newest and not again and not goes_on:
        return "referrers: were told this period already; --again sends it as a correction"
    right = Right(
        digest=plan.name,
        period=period,
        recipient=REFERRERS,
        edition=newest,
        born_at=to_millis(parts.clock.now()),
    )
    while await spread(database, parts, plan, right):
        pass
    return "referrers: on their way"


def _parts(config: Config, clock: Clock) -> DigestParts:
    return digest_parts(config, renderer(config, clock), clock, lambda: None)


def as_json(found: list[Listed]) -> str:
    return json.dumps([each.as_json() for each in found], ensure_ascii=False, indent=2)

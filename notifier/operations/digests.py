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
from notifier.domain.digest_card import DigestCard
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
from notifier.operations.formatting import format_iso, pad
from notifier.operations.language import localized
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
    names = ", ".join(plan.name for plan in found)
    raise ConfigError(
        localized(
            f"digests: there is no digest called {name!r}. "
            f"{f'There are: {names}.' if found else 'There are none yet.'}",
            f"digests：没有名为 {name!r} 的摘要。{f'现有：{names}。' if found else '尚未设置任何摘要。'}",
        )
    )


def resolve_period(plan: DigestPlan, text: str, clock: Clock) -> Period:
    """Return the period of a day. text: a date, `today` or `yesterday`. Raises ConfigError for any other text."""
    now = clock.now()
    today = now.astimezone(plan.zone).date()
    words = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = words[text] if text in words else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            localized(
                f"--for: {text!r}: this is not a date. Write 2026-11-23, today or yesterday.",
                f"--for：{text!r} 不是日期。请写 2026-11-23、today 或 yesterday。",
            )
        ) from error
    if not EARLIEST_DAY <= day <= today:
        reason = f"{day} has not begun yet" if day > today else "this is too long ago"
        raise ConfigError(
            localized(
                f"--for: {text!r}: {reason}. Write 2026-11-23, today or yesterday.",
                f"--for：{text!r}{'尚未开始' if day > today else '太早'}。请写 2026-11-23、today 或 yesterday。",
            )
        )
    try:
        return so_far(period_of(plan, day), now)
    except ValueError as error:
        raise ConfigError(
            f"--for: {text!r}: {error}", zh=f"--for：{text!r} 的周期无效（“{error}”）"
        ) from error


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
        days = localized(", working days only", "，仅工作日") if plan.working else ""
        rows = [
            localized(
                f"{plan.name}: {plan.span} to {to}; `{plan.cron}` {plan.zone}{days}",
                f"{plan.name}：{plan.span}，发送给 {to}；`{plan.cron}` {plan.zone}{days}",
            )
        ]
        if self.next_at is None:
            rows.append(
                localized(
                    "  no next run: correct its cron expression", "  没有下一次发送：请更正 cron 表达式"
                )
            )
        else:
            following = pad(localized("next", "下一次"), 10)
            rows.append(f"  {following}{_format_local(self.next_at, plan)}  {self.next_period}")
        rows += [_run_line(run, plan) for run in self.runs]
        return "\n".join(rows)


def _run_line(run: DigestRunRow, plan: DigestPlan) -> str:
    number = run.correction_number
    again = localized(f", correction {number}", f"，第 {number} 次更正") if number else ""
    to = localized(f"{run.period} to {run.recipient}", f"{run.period} 发送给 {run.recipient}")
    return f"  {run.state:<10}{_format_local(run.created_at, plan)}  {to}{again}"


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


def make_preview_card(config: Config, digest: Digest, clock: Clock) -> DigestCard:
    """Return what the card shows, with buttons that have no effect."""
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
    return make_renderer(config, clock).digest(digest, panel)


def render_preview(config: Config, card: DigestCard, clock: Clock) -> Mapping[str, Any]:
    """Render a card. Raises TemplateBroken."""
    return make_renderer(config, clock).card(CardVariant.FULL, card)


def make_personal_preview_card(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock, account_id: str | None
) -> tuple[DigestCard, list[dict[str, str]]]:
    """Return what one referrer's card shows, and list the people on it.

    account_id: None for the first account with a change. Raises ConfigError if there is no such account.
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
            whom_zh = f"账户 {account_id} " if account_id else ""
            raise ConfigError(
                localized(
                    f"{plan.name}: {period.label} has no changes for {whom}.",
                    f"{plan.name}：{period.label} {whom_zh}没有变动。",
                )
            )
        owner, key = accounts.get_ownership(connection, ref), accounts.get_account_key(connection, ref)
    renderer = make_renderer(config, clock)
    digest = own_digest(plan, right, {row.asset: row.flow for row in rows})
    card = renderer.digest(digest, ownership=owner, account=key.account_id)
    return card, _as_names([owner.referrer] if owner is not None and owner.referrer is not None else [])


def preview_send(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock
) -> Iterable[str]:
    """Return the figures for the groups, and the number of referrers that would get a card."""
    if plan.groups:
        found = compute_figures(database, config, plan, period, clock)
        yield format_summary(found.digest)
        for file in found.files:
            yield localized(f"  file {file.name}: {file.rows} rows", f"  文件 {file.name}：{file.rows} 行")
    if plan.to_referrers:
        with database.read() as connection:
            time_range = TimeRange(from_at=period.from_at, to_at=period.to_at)
            count = sum(1 for _ in _own_totals(connection, time_range, None))
        yield localized(
            f"{period.label}: {count} referrers, each with their own figures",
            f"{period.label}：{count} 位内推人，各自的数据",
        )


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
    rows = [
        localized(
            f"{digest.period.label}: {digest.changed_accounts} accounts with a change",
            f"{digest.period.label}：{digest.changed_accounts} 个账户有变动",
        )
    ]
    for asset, flow in digest.flows.items():
        sign, corrections = "-" if flow.corrections < 0 else "+", _format_amount(abs(flow.corrections))
        opening, closing = _format_amount(flow.opening), _format_amount(flow.closing)
        later, balance = _format_amount(flow.later), _format_amount(flow.balance)
        first_seen, rewards = _format_amount(flow.first_seen), _format_amount(flow.rewards)
        withdrawn = _format_amount(flow.withdrawn)
        rows.append(
            localized(
                f"  {asset.currency or asset.kind}: opening {opening} + first seen {first_seen} + rewards {rewards}"
                f" - withdrawn {withdrawn} {sign} corrections {corrections} = closing {closing} "
                f"{'(adds up)' if flow.adds_up else '(DOES NOT ADD UP)'}"
                f"{f'; later {later}' if flow.later else ''}; balance {balance}",
                f"  {asset.currency or asset.kind}：期初 {opening} + 首次出现 {first_seen} + 奖励 {rewards}"
                f" - 提现 {withdrawn} {sign} 更正 {corrections} = 期末 {closing}"
                f"{'（核对一致）' if flow.adds_up else '（核对不一致）'}"
                f"{f'；之后 {later}' if flow.later else ''}；余额 {balance}",
            )
        )
    return "\n".join(rows)


def _format_amount(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDigest:
    """The result of `notifier digest send`. is_complete: False if a recipient already had this period."""

    lines: list[str]
    is_complete: bool


def send_digest(
    database: Database, config: Config, plan: DigestPlan, period: Period, clock: Clock, *, again: bool
) -> SentDigest:
    """Create the deliveries, which the running notifier sends. Returns one line per recipient."""
    return asyncio.run(_send_digest(database, _make_deps(config, clock), plan, period, again=again))


async def _send_digest(
    database: Database, deps: DigestDeps, plan: DigestPlan, period: Period, *, again: bool
) -> SentDigest:
    result = await send_one_digest(database, deps, plan, period, again=again)
    lines = [localized(f"{group}: on its way", f"{group}：即将发送") for group in result.recipients]
    lines += [
        localized(
            f"{group}: nothing changed, so nothing is sent (when_empty: skip)",
            f"{group}：没有变动，不发送（when_empty: skip）",
        )
        for group in result.quiet
    ]
    lines += [_already_sent(group, group) for group in result.known]
    is_complete = not result.known
    if plan.to_referrers:
        if await _send_to_referrers(database, deps, plan, period, again=again):
            lines.append(localized("referrers: on their way", "内推人：即将发送"))
        else:
            lines.append(_already_sent("referrers", "内推人"))
            is_complete = False
    return SentDigest(lines=lines, is_complete=is_complete)


def _already_sent(en: str, zh: str) -> str:
    return localized(
        f"{en}: this period was already sent; --again sends it as a correction",
        f"{zh}：该周期已发送；用 --again 作为更正再次发送",
    )


async def _send_to_referrers(
    database: Database, deps: DigestDeps, plan: DigestPlan, period: Period, *, again: bool
) -> bool:
    """Whether cards are sent; False if the period was already sent."""

    def next_correction(connection: Any) -> tuple[int, bool]:  # noqa: ANN401 - SQLAlchemy's connection
        digest_runs.delete_missed(connection, plan.name, period.label, [REFERRERS])
        cut_off = digest_runs.get_unfinished_correction(connection, plan.name, period.label, REFERRERS)
        if cut_off is not None:
            return cut_off, True
        return digest_runs.get_next_correction(connection, plan.name, period.label, REFERRERS), False

    correction_number, is_resumed = await asyncio.wrap_future(database.write(next_correction))
    if correction_number and not again and not is_resumed:
        return False
    right = DigestRunKey(
        digest=plan.name,
        period=period,
        recipient=REFERRERS,
        correction_number=correction_number,
        created_at=to_millis(deps.clock.now()),
    )
    while await send_personal_digests(database, deps, plan, right):
        pass
    return True


def _make_deps(config: Config, clock: Clock) -> DigestDeps:
    return make_digest_deps(config, make_renderer(config, clock), clock, lambda: None)


def as_json(found: list[DigestSummary]) -> str:
    """Format the digests as JSON."""
    return json.dumps([each.as_json() for each in found], ensure_ascii=False, indent=2)

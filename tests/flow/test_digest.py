"""Digest: what is due is told once, whoever asks, however often, and whatever the clock does."""

import asyncio
import csv
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.templates import CardTemplates
from notifier.config.settings import Config
from notifier.domain.digest import Digest
from notifier.domain.money import POINTS
from notifier.domain.period import Span, WorkCalendar, finished, holding, so_far
from notifier.flow.digests import personal_digests
from notifier.flow.digests.personal_digests import REFERRERS
from notifier.flow.digests.schedule import due_between, period_of
from notifier.flow.digests.send_digest import send_digest
from notifier.flow.digests.send_due import DigestSender, schedule
from notifier.runtime.factories import make_renderer
from notifier.store.digests import digest_content, digest_runs
from notifier.store.digests.digest_runs import DigestRunKey, DigestRunState
from notifier.store.engine.database import Database
from notifier.store.schema.tables import balances, deliveries
from support.builders import CNY, USD
from support.digests import (
    BEFORE,
    DAY,
    HOUR,
    PLAN,
    digest_deps,
    make_clock,
    make_digester,
    read_digest_deliveries,
    read_digests,
    read_files,
    read_runs,
    run_until_idle,
    store_balance,
    weekly,
)

SUNDAY = BEFORE - timedelta(hours=12)
DUE_AFTER = HOUR + 7 * 60
"""Seconds from BEFORE until the digest of Sunday."""
TOLD = ("day:2026-11-22", "hr", 0, "notified")
NEW_YORK = ZoneInfo("America/New_York")


async def test_a_digest_is_told_at_its_time_and_not_before(database: Database) -> None:
    clock = make_clock()
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER - 1)
    await run_until_idle(one)
    before = read_runs(database)
    clock.advance(seconds=1)
    await run_until_idle(one)

    assert [] == before
    assert [TOLD] == read_runs(database)
    assert [("hr", "oc_hr", "ready", None)] == [
        (row.target, row.receive_id, row.state, row.account_ref) for row in read_digest_deliveries(database)
    ]


async def test_what_was_due_before_the_digest_was_known_is_not_made_up_for(database: Database) -> None:
    clock = make_clock(BEFORE + timedelta(hours=5))
    await run_until_idle(make_digester(database, clock))

    assert [] == read_runs(database)


@pytest.mark.parametrize("offset", [-1.0, -0.001, 0.0, 0.001, 1.0])
async def test_a_restart_around_the_time_tells_it_once(database: Database, offset: float) -> None:
    clock = make_clock()
    await run_until_idle(make_digester(database, clock))
    clock.advance(seconds=DUE_AFTER + offset)
    await run_until_idle(make_digester(database, clock))
    clock.advance(seconds=2)
    await run_until_idle(make_digester(database, clock))
    await run_until_idle(make_digester(database, clock))

    assert [TOLD] == read_runs(database)
    assert 1 == len(read_digest_deliveries(database))


async def test_after_26_hours_every_missed_day_is_told_late_and_says_so(database: Database) -> None:
    clock = make_clock()
    await run_until_idle(make_digester(database, clock))
    clock.advance(seconds=26 * HOUR)
    await run_until_idle(make_digester(database, clock))

    assert ["day:2026-11-22", "day:2026-11-23"] == [period for period, *_ in read_runs(database)]
    assert [True, True] == [digest.is_late for digest in read_digests(database)]


async def test_what_comes_in_time_does_not_say_that_it_is_late(database: Database) -> None:
    clock = make_clock()
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER + 5 * 60)
    await run_until_idle(one)

    assert [False] == [digest.is_late for digest in read_digests(database)]


async def test_what_is_older_than_the_catch_up_is_noted_as_missed_and_not_sent(database: Database) -> None:
    clock = make_clock()
    plan = replace(PLAN, catch_up_ms=DAY * 1000)
    await run_until_idle(make_digester(database, clock, plan))
    clock.advance(seconds=3 * DAY)
    await run_until_idle(make_digester(database, clock, plan))

    states = [(period, state) for period, _, _, state in read_runs(database)]
    assert [
        ("day:2026-11-22", "missed"),
        ("day:2026-11-23", "missed"),
        ("day:2026-11-24", "notified"),
    ] == sorted(states)
    assert 1 == len(read_digest_deliveries(database))


async def test_a_clock_that_is_set_back_tells_nothing_twice(database: Database) -> None:
    clock = make_clock()
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)
    for seconds in (-HOUR, HOUR, -26 * HOUR, 26 * HOUR):
        clock.advance(seconds=seconds)
        await run_until_idle(one)
        await run_until_idle(make_digester(database, clock))

    assert [TOLD] == read_runs(database)


async def test_a_clock_that_was_ahead_at_the_first_start_and_is_set_back_keeps_nobody_waiting(
    database: Database,
) -> None:
    clock = make_clock(BEFORE + timedelta(days=10))
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=-10 * DAY)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert [TOLD] == read_runs(database)


async def test_two_at_once_on_one_database_tell_it_once(tmp_path: Path) -> None:
    """Two programs: each with its own writer on the same file."""
    url = f"sqlite:///{tmp_path}/shared.db"
    first, second = Database.open(url), Database.open(url)
    try:
        clock = make_clock()
        await run_until_idle(make_digester(first, clock))
        clock.advance(seconds=DUE_AFTER)
        await asyncio.gather(*(run_until_idle(make_digester(one, clock)) for one in (first, second) * 3))

        assert [TOLD] == read_runs(first)
        assert 1 == len(read_digest_deliveries(second))
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize(
    "cron, start",
    [
        ("30 2 * * *", datetime(2026, 3, 7, 12, tzinfo=UTC)),  # 02:30 does not exist on the 8th
        ("30 1 * * *", datetime(2026, 10, 31, 12, tzinfo=UTC)),  # 01:30 exists twice on 1 November
    ],
)
async def test_days_on_which_clocks_change_are_told_once_each(
    database: Database, cron: str, start: datetime
) -> None:
    clock = make_clock(start)
    one = make_digester(database, clock, replace(PLAN, cron=cron, zone=NEW_YORK))
    for _ in range(4 * 24 * 4):
        await run_until_idle(one)
        clock.advance(seconds=15 * 60)

    days = [period for period, *_ in read_runs(database)]
    assert len(days) == len(set(days)) == 4


async def test_a_quiet_period_says_so_or_nothing(database: Database) -> None:
    clock = make_clock()
    silent = replace(PLAN, name="silent", skip_quiet=True)
    one = make_digester(database, clock, PLAN, silent)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert {("hr", "notified"), ("hr", "empty")} == {(to, state) for _, to, _, state in read_runs(database)}
    assert 1 == len(read_digest_deliveries(database))
    assert read_digests(database)[0].is_quiet


async def test_where_money_is_stuck_even_a_quiet_digest_is_told(database: Database) -> None:
    clock = make_clock()
    ref = store_balance(database, 1, SUNDAY - timedelta(days=9), CNY="10")
    _dead_delivery(database, ref)
    one = make_digester(database, clock, replace(PLAN, skip_quiet=True))
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert [TOLD] == read_runs(database)
    assert 1 == read_digests(database)[0].stalled.undelivered


def _dead_delivery(database: Database, ref: int) -> None:
    row = {
        "delivery_key": "dead",
        "account_ref": ref,
        "target": "referrer",
        "state": "dead",
        "variant": "full",
        "due_at": 0,
        "created_at": 0,
        "updated_at": 0,
    }
    database.write(lambda c: c.execute(sa.insert(deliveries).values(**row)).rowcount).result()


async def test_one_account_alone(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    store_balance(database, 1, SUNDAY + timedelta(minutes=1), CNY="350.50", points=3)
    digest = await _told(database)

    assert (1, 1, 1) == (digest.changed_accounts, len(digest.changed), len(digest.holders))
    assert (Decimal(100), Decimal("250.5")) == (digest.flows[CNY].first_seen, digest.flows[CNY].rewards)
    assert Decimal(3) == digest.flows[POINTS].rewards
    assert digest.adds_up
    assert [Decimal(0)] * 6 + [Decimal("250.5")] == [day.rewards for day in digest.chart]
    assert ["11-16", "11-22"] == [digest.chart[0].label, digest.chart[-1].label]


async def test_figures_are_those_of_the_period_whatever_came_after(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    store_balance(database, 1, BEFORE, CNY="999")  # Monday, before the digest is made
    digest = await _told(database)

    assert Decimal(100) == digest.flows[CNY].closing
    assert Decimal(999) == digest.holders[0].amounts[CNY]  # what can be withdrawn is what is there now


async def test_every_balance_of_a_card_is_of_one_moment_that_it_names_once(database: Database) -> None:
    """The headline was of the end of the period, the table of now: US$0.00 above, US$80.00 below."""
    store_balance(database, 1, SUNDAY, CNY="100")
    store_balance(database, 2, BEFORE, USD="80")  # Monday, before the digest is made
    store_balance(database, 1, BEFORE, CNY="130")
    digest = await _told(database, replace(PLAN, file="always"))
    card = make_renderer(Config(), make_clock()).digest(digest)
    rendered = CardTemplates().render("digest.json.j2", {"card": card})
    said, rows = json.dumps(rendered, ensure_ascii=False), _file_rows(database)

    assert {"¥130.00", "US$80.00"} == {flow.balance for flow in card.flows}
    assert {"¥130.00", "US$80.00"} == {row.amounts for row in card.holders}
    assert {"130", "80"} == {row[-1] for row in rows[1:]}
    assert "¥0.00 + ¥100.00 + ¥30.00（期后） = ¥130.00 ✓" in said
    assert "US$0.00 + US$0.00 + US$80.00 after the period = US$80.00 ✓" in said
    assert [("余额截至 2026-11-23 09:07 Asia/Shanghai", "Balances as of 2026-11-23 09:07 Asia/Shanghai")] == [
        tuple(each["i18n_content"].values()) for each in _texts(rendered) if "09:07" in str(each)
    ]
    assert "local_datetime" not in said


async def test_people_whose_changes_cancel_out_are_counted_in_words(database: Database) -> None:
    """The headline said 3 people, and one was listed."""
    for number in (1, 2, 3):
        store_balance(database, number, SUNDAY - timedelta(days=3), CNY="100")
        store_balance(database, number, SUNDAY, CNY="150")
    for number in (2, 3):
        store_balance(database, number, SUNDAY + timedelta(minutes=1), CNY="100")
    digest = await _told(database)
    card = make_renderer(Config(), make_clock()).digest(digest)

    assert (3, 1, 2, 0) == (
        digest.changed_accounts,
        len(digest.changed),
        digest.cancelled_out,
        digest.more_changed,
    )
    for template in ("digest.json.j2", "digest_compact.json.j2"):
        said = str(CardTemplates().render(template, {"card": card}))
        assert "另有 2 人的变动相互抵消，净变动为 0。" in said
        assert "The changes of 2 more people cancel out to 0." in said


async def test_a_currency_without_movement_and_balance_is_left_out(database: Database) -> None:
    clock = make_clock()
    store_balance(database, 1, SUNDAY, CNY="100", USD="80")
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)
    store_balance(database, 1, clock.now(), CNY="130")  # the dollars are gone
    clock.advance(seconds=DAY)
    await run_until_idle(one)
    store_balance(database, 1, SUNDAY + timedelta(days=1), CNY="120")  # a late report, so a remark is needed
    clock.advance(seconds=DAY)
    await run_until_idle(one)
    cards = [make_renderer(Config(), clock).digest(digest) for digest in read_digests(database)]

    assert {} != read_digests(database)[-1].previous_closing
    assert [["现金（CNY）", "现金（USD）"], ["现金（CNY）", "现金（USD）"], ["现金（CNY）"]] == [
        [flow.label.zh for flow in card.flows] for card in cards
    ]


async def test_changes_after_the_period_alone_are_no_own_digest(database: Database) -> None:
    store_balance(database, 1, BEFORE, CNY="100")  # Monday, and the week ended on Sunday
    store_balance(database, 2, SUNDAY, CNY="100")
    store_balance(database, 2, BEFORE, CNY="130")
    (digest,) = [
        each
        for each in [await _told(database, weekly(groups=(), to_referrers=True))]
        if each.flows[CNY].later == Decimal(30)
    ]

    assert Decimal(130) == digest.flows[CNY].balance
    assert 1 == len(read_digest_deliveries(database))


def _texts(node: object) -> Iterator[dict[str, Any]]:
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _texts(each)
    if isinstance(node, dict) and node.get("tag") == "plain_text" and "i18n_content" in node:
        yield node


def _file_rows(database: Database) -> list[list[str]]:
    raw = zlib.decompress(read_files(database)[0].compressed)
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))


async def test_the_next_digest_names_what_was_booked_late(database: Database) -> None:
    clock = make_clock()
    store_balance(database, 1, SUNDAY, CNY="100")
    one = make_digester(database, clock)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)
    store_balance(database, 1, SUNDAY + timedelta(minutes=1), CNY="130")  # heard of only now
    clock.advance(seconds=DAY)
    await run_until_idle(one)
    first, second = read_digests(database)

    assert {} == first.previous_closing
    assert Decimal(100) == second.previous_closing[CNY]
    assert Decimal(130) == second.flows[CNY].opening
    assert second.adds_up


async def test_books_that_were_tampered_with_are_told_as_such(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    database.write(lambda c: c.execute(sa.update(balances).values(amount=5)).rowcount).result()

    assert not (await _told(database)).adds_up


async def test_stuck_payouts_and_chart_of_another_currency(database: Database) -> None:
    store_balance(database, 1, SUNDAY, USD="100")
    store_balance(database, 1, SUNDAY + timedelta(minutes=5), USD="180")
    digest = await _told(database, replace(PLAN, chart_days=30))

    assert USD == digest.charted
    assert 30 == len(digest.chart)
    assert Decimal(80) == digest.chart[-1].rewards


async def test_the_chart_is_of_what_moved_most_often_not_of_the_largest_number(database: Database) -> None:
    store_balance(database, 1, SUNDAY, JPY="1000000")
    for minute in (1, 2, 3):
        store_balance(database, 2, SUNDAY + timedelta(minutes=minute), CNY=str(minute))

    assert CNY == (await _told(database)).charted


async def test_a_name_that_looks_like_a_formula_is_harmless_in_the_file(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="1")
    statement = sa.text("UPDATE accounts SET referrer_name_zh = '=HYPERLINK(1)', referrer_name_en = ''")
    database.write(lambda c: c.execute(statement).rowcount).result()
    await _told(database, replace(PLAN, file="always"))

    assert "'=HYPERLINK(1)" in zlib.decompress(read_files(database)[0].compressed).decode()


async def test_balances_heard_of_for_the_first_time_are_in_the_chart(database: Database) -> None:
    """They are in the net of the card: without a bar for them, the first digest had no chart at all."""
    store_balance(database, 1, SUNDAY, CNY="350.50")
    clock = make_clock()
    digest = await _told(database)
    chart = make_renderer(Config(), clock).digest(digest).chart

    assert (CNY, Decimal("350.5")) == (digest.charted, digest.chart[-1].first_seen)
    assert chart is not None
    assert "'kind': '首次 First', 'amount': 350.5" in str(chart)


async def test_a_digest_keeps_its_own_zone(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="1")

    assert "Asia/Shanghai" == (await _told(database)).zone


async def test_no_chart_where_there_is_nothing_to_draw(database: Database) -> None:
    store_balance(database, 1, SUNDAY - timedelta(days=40), CNY="100")
    digest = await _told(database)

    assert (None, ()) == (digest.charted, digest.chart)
    assert Decimal(100) == digest.flows[CNY].closing


async def test_no_chart_where_none_is_wanted(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    digest = await _told(database, replace(PLAN, chart_days=0))

    assert (None, ()) == (digest.charted, digest.chart)


async def _told(database: Database, plan: object = PLAN) -> Digest:
    clock = make_clock()
    one = make_digester(database, clock, plan)  # type: ignore[arg-type]
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)
    return read_digests(database)[-1]


async def test_what_is_told_is_kept_word_for_word(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100", points=7)
    digest = await _told(database)

    assert digest == digest_content.deserialize(digest_content.serialize(digest))


async def test_rows_that_do_not_fit_follow_as_a_file(database: Database) -> None:
    for number in range(1, 8):
        store_balance(database, number, SUNDAY, CNY=str(100 * number), points=number)
    digest = await _told(database, replace(PLAN, rows=3))
    card, file = read_digest_deliveries(database)

    assert (3, 3, 4, 4) == (
        len(digest.changed),
        len(digest.holders),
        digest.more_changed,
        digest.more_holders,
    )
    assert (None, True) == (card.file_id, file.file_id is not None)
    assert 14 == digest.file_rows == read_files(database)[0].rows
    assert "内推奖励_2026-11-22.csv" == read_files(database)[0].name


@pytest.mark.parametrize("wanted, expected", [("always", 1), ("when_cut", 0), ("never", 0)])
async def test_when_there_is_a_file(database: Database, wanted: str, expected: int) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    await _told(database, replace(PLAN, file=wanted))

    assert expected == len(read_files(database))


async def test_the_file_opens_in_excel_and_holds_every_account(database: Database) -> None:
    for number in (1, 2):
        store_balance(database, number, SUNDAY, CNY=f"{number}.50")
    await _told(database, replace(PLAN, file="always"))
    raw, rows = zlib.decompress(read_files(database)[0].compressed), _file_rows(database)

    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.endswith(b"\r\n")
    assert "账户 account_id" == rows[0][0]
    assert ["7000000000000000001\t", "同事1", "ou_1", "cash", "CNY"] == rows[1][:5]
    assert [
        ["0", "1.5", "0", "0", "0", "1.5", "1.5", "0", "1.5"],
        ["0", "2.5", "0", "0", "0", "2.5", "2.5", "0", "2.5"],
    ] == [row[5:] for row in rows[1:]]


async def test_a_file_that_is_too_large_for_feishu_is_split(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered: 25 MB of rows would take minutes to make."""
    monkeypatch.setattr("notifier.flow.digests.figures.MAX_FILE_BYTES", 400)
    for number in range(1, 7):
        store_balance(database, number, SUNDAY, CNY="5")
    digest = await _told(database, replace(PLAN, file="always"))
    kept = read_files(database)

    assert len(kept) > 1
    assert 6 == digest.file_rows == sum(file.rows for file in kept)
    assert 1 + len(kept) == len(read_digest_deliveries(database))
    assert len(kept) == len({file.name for file in kept})


async def test_several_groups_get_one_card_each(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    await _told(database, replace(PLAN, groups=("hr", "finance"), file="always"))

    assert ["hr", "hr", "finance", "finance"] == [row.target for row in read_digest_deliveries(database)]
    assert 1 == len(read_files(database))


async def test_a_digest_that_fails_keeps_no_other_from_being_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    closed = WorkCalendar(
        closed=frozenset((SUNDAY + timedelta(days=number)).date() for number in range(-90, 90))
    )
    clock = make_clock()
    broken = replace(PLAN, name="broken", working=closed)
    one = make_digester(database, clock, broken, PLAN)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert [TOLD] == read_runs(database)
    assert "digest.failed" in caplog.messages


async def test_telling_again_is_a_correction_with_figures_of_now(database: Database) -> None:
    store_balance(database, 1, SUNDAY, CNY="100")
    first = await _told(database)
    store_balance(database, 1, SUNDAY + timedelta(minutes=1), CNY="130")
    clock = make_clock(BEFORE + timedelta(hours=8))
    known = await send_digest(database, digest_deps(clock), PLAN, first.period)
    again = await send_digest(database, digest_deps(clock), PLAN, first.period, again=True)
    twice = await send_digest(database, digest_deps(clock), PLAN, first.period, again=True)

    assert (("hr",), ("hr",), ("hr",)) == (known.known, again.recipients, twice.recipients)
    assert [0, 1, 2] == [digest.correction_number for digest in read_digests(database)]
    assert [Decimal(100), Decimal(130), Decimal(130)] == [
        digest.flows[CNY].closing for digest in read_digests(database)
    ]
    assert 3 == len({row.delivery_key for row in read_digest_deliveries(database)})


async def test_a_part_of_a_period_takes_nothing_from_the_whole(database: Database) -> None:
    clock = make_clock()
    store_balance(database, 1, SUNDAY, CNY="100")
    one = make_digester(database, clock)
    await run_until_idle(one)
    today = holding(Span.DAY, BEFORE.date(), PLAN.zone)
    await send_digest(database, digest_deps(clock), PLAN, so_far(today, clock.now()))
    clock.advance(seconds=DAY + DUE_AFTER)
    await run_until_idle(one)

    assert 3 == len(read_runs(database))
    assert ("day:2026-11-23", "hr", 0, "notified") in read_runs(database)


async def test_every_referrer_hears_of_the_own_week(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More referrers than one transaction takes; the number is lowered, as a hundred more would show nothing more."""
    monkeypatch.setattr(personal_digests, "PAGE_SIZE", 2)
    for number in range(1, 6):
        store_balance(database, number, SUNDAY - timedelta(days=1), CNY=str(100 * number))
    plan = weekly(groups=(), to_referrers=True)
    clock = make_clock()
    one = make_digester(database, clock, plan)
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    assert 0 == await one.run_once()  # two of them
    half = len(read_digest_deliveries(database))
    await run_until_idle(make_digester(database, clock, plan))  # a restart in between

    assert 2 == half
    assert [f"ou_{number}" for number in range(1, 6)] == [
        row.receive_id for row in read_digest_deliveries(database)
    ]
    assert 5 == len({row.account_ref for row in read_digest_deliveries(database)})
    assert [100, 200, 300, 400, 500] == [int(digest.flows[CNY].closing) for digest in read_digests(database)]
    assert ("week:2026-11-16", "referrers", 0, "notified") in read_runs(database)


async def test_a_referrer_whom_nobody_knows_is_looked_up_first(database: Database) -> None:
    ref = store_balance(database, 1, SUNDAY - timedelta(days=1), CNY="100")
    database.write(lambda c: c.execute(sa.text("UPDATE accounts SET looked_up_at = NULL")).rowcount).result()
    clock = make_clock()
    one = make_digester(database, clock, weekly(groups=(), to_referrers=True))
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert [(ref, "waiting")] == [(row.account_ref, row.state) for row in read_digest_deliveries(database)]


async def test_referrers_without_money_or_news_hear_nothing(database: Database) -> None:
    store_balance(database, 1, SUNDAY - timedelta(days=30))
    store_balance(database, 2, SUNDAY - timedelta(days=30), CNY="5")
    say, skip = weekly(groups=(), to_referrers=True), weekly(groups=(), to_referrers=True, skip_quiet=True)
    clock = make_clock()
    one = make_digester(database, clock, say, replace(skip, name="skip"))
    await run_until_idle(one)
    clock.advance(seconds=DUE_AFTER)
    await run_until_idle(one)

    assert [2] == [row.account_ref for row in read_digest_deliveries(database)]


async def test_the_scheduler_wakes_at_every_time_of_every_plan() -> None:
    woken: list[int] = []
    scheduler = schedule([PLAN, weekly()], lambda: woken.append(1))

    assert ["hr-daily", "my-week"] == [job.id for job in scheduler.get_jobs()]
    assert "cron[month='*', day='*', day_of_week='*', hour='9', minute='7']" == str(
        scheduler.get_jobs()[0].trigger
    )


@pytest.fixture(autouse=True)
def _no_leftovers(database: Database) -> Iterator[None]:
    """After every test the rows say what they should: a told run has its deliveries."""
    yield
    with database.read() as connection:
        orphans = connection.execute(
            sa.text(
                "SELECT id FROM digest_runs WHERE state = 'told' AND recipient != 'referrers'"
                " AND id NOT IN (SELECT run_id FROM deliveries WHERE run_id IS NOT NULL)"
            )
        ).all()
    assert [] == orphans


def test_the_right_is_unique_in_the_database_itself(database: Database) -> None:
    period = finished(Span.DAY, BEFORE.date(), PLAN.zone)
    right = DigestRunKey(digest="hr-daily", period=period, recipient="hr", created_at=0)

    def take(connection: sa.Connection) -> int | None:
        return digest_runs.claim_run(connection, right, state=DigestRunState.MISSED, content=None)

    assert database.write(take).result() is not None
    assert database.write(take).result() is None


async def test_a_clock_that_is_ahead_for_a_moment_costs_no_later_digest(database: Database) -> None:
    """30 days ahead for one run: 30 digests of days to come, and none of them again when their days come."""
    clock = make_clock()
    await run_until_idle(make_digester(database, clock, PLAN))
    clock.advance(seconds=30 * DAY)
    await run_until_idle(make_digester(database, clock, PLAN))
    clock.advance(seconds=-30 * DAY)
    for _ in range(3):
        clock.advance(seconds=DAY)
        await run_until_idle(make_digester(database, clock, PLAN))

    with database.read() as connection:
        runs = digest_runs.list_runs(connection, PLAN.name, limit=100)
    real = [run for run in runs if "ahead" not in run.period]
    assert all(run.due_at is None or run.due_at <= clock.millis for run in real)
    assert 3 <= len({run.period for run in real})
    assert {0} == {run.correction_number for run in real}, "none of them is a correction"


async def test_while_the_clock_is_doubted_nothing_is_sent_or_noted(database: Database) -> None:
    clock = make_clock()
    await run_until_idle(make_digester(database, clock, PLAN))
    clock.advance(seconds=30 * DAY)
    one = DigestSender(database, replace(digest_deps(clock, PLAN), is_clock_doubtful=lambda: True))
    for _ in range(3):
        await one.run_once()

    with database.read() as connection:
        assert [] == [
            run
            for run in digest_runs.list_runs(connection, PLAN.name, limit=100)
            if run.created_at == clock.millis
        ]


async def test_no_digest_is_no_work(database: Database) -> None:
    one = DigestSender(database, replace(digest_deps(make_clock()), plans=()))

    assert await one.run_once() > 1


async def test_a_missed_period_sent_by_hand_is_told_for_the_first_time(database: Database) -> None:
    clock = make_clock()
    plan = replace(PLAN, catch_up_ms=DAY * 1000)
    await run_until_idle(make_digester(database, clock, plan))
    clock.advance(seconds=3 * DAY)
    await run_until_idle(make_digester(database, clock, plan))
    period = period_of(plan, date(2026, 11, 22))
    first = await send_digest(database, digest_deps(clock, plan), plan, period)
    second = await send_digest(database, digest_deps(clock, plan), plan, period)

    assert (("hr",), ()) == (first.recipients, first.known)
    assert ((), ("hr",)) == (second.recipients, second.known)
    assert TOLD in read_runs(database)


async def test_a_telling_to_referrers_that_was_cut_off_is_finished_however_late(database: Database) -> None:
    refs = [store_balance(database, number, SUNDAY - timedelta(days=1), CNY="100") for number in (1, 2)]
    plan = weekly(groups=(), to_referrers=True, catch_up_ms=HOUR * 1000)
    clock = make_clock()
    await run_until_idle(make_digester(database, clock, plan))
    clock.advance(seconds=DUE_AFTER)
    (due,) = due_between(plan, clock.millis - DAY * 1000, clock.millis)
    right = DigestRunKey(
        digest=plan.name, period=due.period, recipient=REFERRERS, due_at=due.at, created_at=clock.millis
    )
    database.write(
        lambda c: digest_runs.claim_run(c, right, state=DigestRunState.IN_PROGRESS, content=None)
    ).result()
    clock.advance(seconds=5 * HOUR)
    await run_until_idle(make_digester(database, clock, plan))

    assert refs == [row.account_ref for row in read_digest_deliveries(database)]


def test_who_was_told_is_asked_without_reading_a_row_for_each_referrer(database: Database) -> None:
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT period, recipient, state FROM digest_runs WHERE digest = 'a'"
            " AND period IN ('b', 'c') AND recipient IN ('hr', 'referrers') AND correction_number = 0"
        ).all()

    assert "digest=? AND period=? AND recipient=?" in str(plan)

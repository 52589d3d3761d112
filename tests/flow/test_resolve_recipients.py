"""Announce: who owns an account is asked of Feishu at its pace; a failure delays a notice and never loses it."""

import pytest

from notifier.domain.account import Ownership, Referrer
from notifier.domain.event import AccountKey
from notifier.domain.rate_limit import RateLimit
from notifier.domain.route import AddressBook
from notifier.feishu.api import FeishuApi
from notifier.feishu.referral_accounts import FeishuReferralAccounts
from notifier.flow.deliveries.resolve_recipients import RecipientResolver, ResolveDeps
from notifier.sandbox.testing import FeishuBox
from notifier.store import accounts, ledger
from notifier.store.engine.database import Database
from support.builders import ACCOUNT, ACCOUNT_ID, balance_report
from support.clock import FakeClock
from support.delivery_rows import account_ref, create_notice, read_delivery, read_states

LOOKUP = "GET /open-apis/hire/v1/referral_account/get_account_assets"


async def announce(database: Database, deps: ResolveDeps) -> float:
    """One turn, and the look-ups that it started."""
    announcer = RecipientResolver(database, deps, wake=lambda: None)
    again = await announcer.run_once()
    await announcer.drain(20)
    return again


GROUPS = {"hr": "oc_hr", "fallback": "oc_fallback"}
UNKNOWN = AccountKey(tenant_key="tk", app_id="cli_x", account_id="7999999999999999999")


class Ready:
    """Counts how often the next step was woken."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def woken() -> Ready:
    return Ready()


@pytest.fixture
def deps(api: FeishuApi, clock: FakeClock, woken: Ready) -> ResolveDeps:
    return make_parts(api, clock, woken)


def make_parts(
    api: FeishuApi,
    clock: FakeClock,
    woken: Ready,
    *,
    per_second: float = 9,
    fallback: str | None = "fallback",
) -> ResolveDeps:
    return ResolveDeps(
        referral_accounts=FeishuReferralAccounts(api),
        address_book=AddressBook(groups=GROUPS, fallback=fallback),
        limit=RateLimit(per_second=per_second),
        clock=clock,
        wake=woken,
    )


def waits(
    database: Database, clock: FakeClock, account: AccountKey = ACCOUNT, *, target: str = "referrer"
) -> int:
    """A delivery that waits for the owner of an account."""
    key = f"{account.account_id} {target}"
    return create_notice(database, key, recipient=None, target=target, account=account, now=clock.millis)


def owner(database: Database) -> Ownership | None:
    ref = account_ref(database)
    with database.read() as connection:
        return accounts.get_ownership(connection, ref)


def failing(database: Database) -> list[tuple[str, int]]:
    with database.read() as connection:
        return [(account, tries) for account, tries, _ in accounts.list_failing_lookups(connection, limit=10)]


def lookups(box: FeishuBox) -> int:
    return len(box.requests("/open-apis/hire"))


async def test_the_owner_is_looked_up_and_the_delivery_gets_its_address(
    database: Database, clock: FakeClock, deps: ResolveDeps, woken: Ready
) -> None:
    one = waits(database, clock)
    again = await announce(database, deps)

    assert ("ready", "open_id", "ou_sandbox_lin", None) == (
        read_delivery(database, one).state,
        read_delivery(database, one).receive_id_type,
        read_delivery(database, one).receive_id,
        read_delivery(database, one).reroute_reason,
    )
    assert (0, 1) == (again, woken.times)


async def test_names_come_with_the_owner(database: Database, clock: FakeClock, deps: ResolveDeps) -> None:
    waits(database, clock)
    await announce(database, deps)
    lin = Referrer(open_id="ou_sandbox_lin", name_zh="林小满（示例）", name_en="Lin Xiaoman (sample)")

    assert Ownership(referrer=lin, looked_up_at=clock.millis) == owner(database)


async def test_one_look_up_serves_all_targets_of_an_account(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    both = [waits(database, clock), waits(database, clock, target="hr")]
    await announce(database, deps)

    assert ["ready", "ready"] == read_states(database, both)
    assert "oc_hr" == read_delivery(database, both[1]).receive_id
    assert 1 == lookups(feishu_box)


async def test_with_nobody_to_look_up_nothing_is_asked(
    database: Database, feishu_box: FeishuBox, deps: ResolveDeps
) -> None:
    assert 1 == await announce(database, deps)
    assert 0 == lookups(feishu_box)


async def test_an_account_that_feishu_does_not_know_is_told_to_the_fallback_with_the_reason(
    database: Database, clock: FakeClock, deps: ResolveDeps
) -> None:
    one = waits(database, clock, UNKNOWN)
    await announce(database, deps)

    assert ("ready", "oc_fallback", "account_unknown") == (
        read_delivery(database, one).state,
        read_delivery(database, one).receive_id,
        read_delivery(database, one).reroute_reason,
    )


async def test_an_account_without_a_named_owner_is_told_to_the_fallback(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    nobody = '{"code": 0, "msg": "ok", "data": {"account": {"account_id": "1"}}}'
    feishu_box.add_call_fault({"match": LOOKUP, "action": "http", "status": 200, "body": nobody})
    one = waits(database, clock)
    await announce(database, deps)

    assert ("oc_fallback", "account_unknown") == (
        read_delivery(database, one).receive_id,
        read_delivery(database, one).reroute_reason,
    )


async def test_without_a_fallback_a_person_must_look_at_an_unknown_account(
    database: Database, clock: FakeClock, api: FeishuApi, woken: Ready
) -> None:
    one = waits(database, clock, UNKNOWN)
    await announce(database, make_parts(api, clock, woken, fallback=None))

    assert "dead" == read_delivery(database, one).state
    assert "no fallback group" in read_delivery(database, one).last_error


async def test_a_group_hears_of_an_account_that_feishu_does_not_know(
    database: Database, clock: FakeClock, deps: ResolveDeps
) -> None:
    one = waits(database, clock, UNKNOWN, target="hr")
    await announce(database, deps)

    assert ("ready", "oc_hr", None) == (
        read_delivery(database, one).state,
        read_delivery(database, one).receive_id,
        read_delivery(database, one).reroute_reason,
    )


FAULTS = {
    "Feishu's own failure": {"action": "code", "code": 1002001, "http_status": 500},
    "a gateway's failure": {"action": "http", "status": 502, "body": "<h1>Bad Gateway</h1>"},
    "too many calls": {"action": "code", "code": 99991400, "http_status": 429},
    "a missing scope": {"action": "code", "code": 99991672},
    "a deactivated account": {"action": "code", "code": 1002555},
    "a cut connection": {"action": "reset"},
    "half an answer": {"action": "truncate"},
    "no answer in time": {"action": "hang"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_look_up_that_fails_delays_the_notice_and_never_loses_it(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deps: ResolveDeps,
    fault: dict[str, object],
) -> None:
    feishu_box.add_call_fault({"match": LOOKUP, **fault})
    one = waits(database, clock)
    await announce(database, deps)
    assert ["waiting"] == read_states(database, [one])
    assert [(ACCOUNT_ID, 1)] == failing(database)

    feishu_box.clear_call_faults()
    clock.advance(seconds=60)
    await announce(database, deps)
    assert ["ready"] == read_states(database, [one])
    assert [] == failing(database)


async def test_a_failed_look_up_is_not_asked_again_before_its_pause(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    feishu_box.add_call_fault({"match": LOOKUP, "action": "code", "code": 1002001})
    waits(database, clock)
    await announce(database, deps)
    again = await announce(database, deps)

    assert 0.5 <= again <= 1
    assert 1 == lookups(feishu_box)


async def test_a_look_up_that_keeps_failing_is_asked_ever_more_seldom(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    feishu_box.add_call_fault({"match": LOOKUP, "action": "code", "code": 1002001})
    one = waits(database, clock)
    for _ in range(40):
        await announce(database, deps)
        clock.advance(seconds=15)

    assert ["waiting"] == read_states(database, [one])
    assert 12 >= lookups(feishu_box)


async def test_one_failing_look_up_holds_up_no_other(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, api: FeishuApi, woken: Ready
) -> None:
    second = AccountKey(tenant_key="tk", app_id="cli_x", account_id="7000000000000000002")
    feishu_box.add_call_fault({"match": LOOKUP, "action": "code", "code": 1002001, "times": 1})
    both = [waits(database, clock), waits(database, clock, second)]
    deps = make_parts(api, clock, woken, per_second=5)
    for _ in range(2):
        await announce(database, deps)
        clock.advance(seconds=0.3)

    assert ["waiting", "ready"] == read_states(database, both)


async def test_look_ups_keep_to_their_pace(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, api: FeishuApi, woken: Ready
) -> None:
    for number in range(1, 4):
        waits(
            database,
            clock,
            AccountKey(tenant_key="tk", app_id="cli_x", account_id=f"700000000000000000{number}"),
        )
    deps = make_parts(api, clock, woken, per_second=1)
    first, too_soon = await announce(database, deps), await announce(database, deps)

    assert (0, 1) == (first, too_soon)
    assert 1 == lookups(feishu_box)
    clock.advance(seconds=1)
    await announce(database, deps)
    assert 2 == lookups(feishu_box)


async def test_when_feishu_asks_the_app_to_wait_no_look_up_goes_out(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    limited = {
        "action": "code",
        "code": 99991400,
        "http_status": 429,
        "headers": {"x-ogw-ratelimit-reset": "20"},
    }
    feishu_box.add_call_fault({"match": LOOKUP, "times": 1, **limited})
    waits(database, clock)
    await announce(database, deps)
    waits(database, clock, AccountKey(tenant_key="tk", app_id="cli_x", account_id="7000000000000000002"))
    for _ in range(2):
        clock.advance(seconds=9)
        await announce(database, deps)

    assert 1 == lookups(feishu_box)
    clock.advance(seconds=5)
    await announce(database, deps)
    assert 2 <= lookups(feishu_box)


async def test_a_look_up_whose_process_died_is_due_at_the_next_start(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: ResolveDeps
) -> None:
    one = waits(database, clock)
    database.write(lambda c: accounts.claim_lookups(c, now=clock.millis, limit=8)).result()
    await announce(database, deps)
    assert 0 == lookups(feishu_box)

    database.write(accounts.release_lookups).result()
    await announce(database, deps)
    assert ["ready"] == read_states(database, [one])


async def test_a_look_up_whose_answer_never_came_is_due_when_its_lease_ends(
    database: Database, clock: FakeClock, deps: ResolveDeps
) -> None:
    one = waits(database, clock)
    database.write(lambda c: accounts.claim_lookups(c, now=clock.millis, limit=8)).result()
    clock.advance(seconds=accounts.LEASE_MS / 1000)
    await announce(database, deps)

    assert ["ready"] == read_states(database, [one])


async def test_an_account_that_no_card_waits_for_is_looked_up_too(
    database: Database, clock: FakeClock, deps: ResolveDeps, feishu_box: FeishuBox
) -> None:
    """A digest shows whose it is, and nobody may withdraw for an owner who is not known."""
    database.write(lambda c: ledger.apply_reports(c, [(1, balance_report(cash={"CNY": "5"}))])).result()
    waits(database, clock, UNKNOWN)
    await announce(database, deps)
    clock.advance(seconds=1)
    await announce(database, deps)

    known = owner(database)
    assert known is not None
    assert known.referrer is not None
    assert "ou_sandbox_lin" == known.referrer.open_id
    assert 2 == lookups(feishu_box)


def test_a_card_that_waits_goes_before_an_account_that_nobody_asked_of(
    database: Database, clock: FakeClock
) -> None:
    database.write(lambda c: ledger.apply_reports(c, [(1, balance_report(cash={"CNY": "5"}))])).result()
    waits(database, clock, UNKNOWN)

    due = database.write(lambda c: accounts.claim_lookups(c, now=clock.millis, limit=1)).result()
    assert [UNKNOWN.account_id] == [each.account.account_id for each in due]


def test_the_accounts_to_ask_of_are_found_by_their_index(database: Database) -> None:
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM accounts WHERE looked_up_at IS NULL AND lookup_due_at <= 5"
            " AND modified_at IS NOT NULL ORDER BY lookup_due_at LIMIT 8"
        ).all()

    assert "ix_accounts_referrer_unknown" in str(plan)

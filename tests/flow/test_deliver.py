"""Deliver: each card reaches its chat once, later, elsewhere, or a person hears why not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.clock import HOUR_MS
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.delivery import UUID_WINDOW_MS, Content, RetryPolicy
from notifier.domain.event import AccountKey
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Recipient
from notifier.feishu.api import FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.sandbox.testing import FeishuBox
from notifier.store.deliveries import attempt_results
from notifier.store.engine.database import Database
from notifier.store.schema.tables import attempts
from support.clock import FakeClock
from support.delivery_rows import WORKER_ID, create_delivery, create_notice, read_delivery, read_states

SEND = "POST /open-apis/im/v1/messages"
LIN = Recipient(id_type="open_id", id="ou_sandbox_lin")
CHEN = Recipient(id_type="open_id", id="ou_sandbox_chen")
HR = Recipient(id_type="chat_id", id="oc_sandbox_hr")
BOOK = AddressBook(groups={"hr": HR.id, "fallback": "oc_sandbox_fallback"}, fallback="fallback")
REFUSED_CARD = {
    "action": "code",
    "code": 230099,
    "msg": "Failed to create card, ext=ErrCode: 11310; ErrMsg: no; ",
}


@pytest.fixture
def deps(api: FeishuApi, clock: FakeClock) -> DeliverDeps:
    return DeliverDeps(
        sender=FeishuMessageSender(api),
        renderer=Renderer(CardTemplates(), check=card_problems, zone=ZoneInfo("Asia/Shanghai"), clock=clock),
        address_book=BOOK,
        sending_limits=SendingLimits(
            app=RateLimit(per_second=45, burst=4), chat=RateLimit(per_second=4.5), per_minute=975
        ),
        retry_policy=RetryPolicy(give_up_after_ms=72 * HOUR_MS),
        clock=clock,
        worker_id=WORKER_ID,
    )


@pytest.fixture
async def deliverer(database: Database, deps: DeliverDeps) -> AsyncIterator[Deliverer]:
    made = Deliverer(database, deps, wake=lambda: None)
    yield made
    await made.drain(0)


async def run_once(deliverer: Deliverer) -> float:
    """One turn, and the end of every call it started."""
    again = await deliverer.run_once()
    await deliverer.drain(10)
    return again


def due(database: Database, clock: FakeClock, recipient: Recipient = LIN, key: str = "n-1") -> int:
    """A delivery that may go now, about an account of its own."""
    return create_delivery(database, recipient, key, now=clock.millis)


def refuse(database: Database, what: str) -> None:
    """From now on the database fails where this is written; until the trigger `broken` is dropped."""
    trigger = f"CREATE TRIGGER broken BEFORE {what} BEGIN SELECT RAISE(ABORT, 'out of order'); END"
    database.write(lambda c: c.exec_driver_sql(trigger)).result()


def tries(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(attempts).order_by(attempts.c.id)))


def texts(box: FeishuBox, chat: str) -> list[str]:
    return [str(message["content"]) for message in box.messages(chat)]


async def test_a_due_delivery_reaches_its_chat(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    one = due(database, clock)
    await run_once(deliverer)
    (message,) = feishu_box.messages(LIN.id)

    assert "+¥500.00" in str(message["content"])
    assert ("sent", message["message_id"], message["chat_id"]) == (
        read_delivery(database, one).state,
        read_delivery(database, one).message_id,
        read_delivery(database, one).chat_id,
    )


async def test_what_is_said_is_on_disk_with_its_uuid(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    one = due(database, clock)
    await run_once(deliverer)
    (message,) = feishu_box.messages(LIN.id)

    assert [message["uuid"]] == [each.uuid for each in tries(database)]
    assert "+¥500.00" in read_delivery(database, one).body


async def test_several_recipients_hear_at_once(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    ids = [due(database, clock, to, f"to {to.id}") for to in (LIN, CHEN, HR)]
    await run_once(deliverer)

    assert ["sent"] * 3 == read_states(database, ids)
    assert 3 == len(feishu_box.all_messages())


async def test_one_recipient_hears_in_the_order_of_events(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    ids = [due(database, clock, LIN, f"n-{number}") for number in range(3)]
    for _ in ids:
        await run_once(deliverer)
        clock.advance(seconds=0.3)

    assert [message["message_id"] for message in feishu_box.messages(LIN.id)] == [
        read_delivery(database, one).message_id for one in ids
    ]


async def test_with_nothing_due_a_turn_asks_for_a_rest(deliverer: Deliverer) -> None:
    assert 1 == await run_once(deliverer)


UNCLEAR = {
    "a gateway's failure": {"action": "http", "status": 502, "body": "<h1>Bad Gateway</h1>"},
    "Feishu's own failure": {"action": "code", "code": 2200, "http_status": 500},
    "a cut connection": {"action": "reset"},
    "an answer lost after the message was made": {"action": "reset_after"},
    "half an answer after the message was made": {"action": "truncate"},
    "no answer in time": {"action": "hang"},
    "no answer in time, message made": {"action": "hang_after"},
}


@pytest.mark.parametrize("fault", UNCLEAR.values(), ids=UNCLEAR.keys())
async def test_an_unclear_outcome_is_asked_again_with_the_same_uuid_and_seen_once(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    fault: dict[str, object],
) -> None:
    feishu_box.add_call_fault({"match": SEND, "times": 1, **fault})
    one = due(database, clock)
    started = clock.millis
    await run_once(deliverer)
    assert ("ready", started) == (
        read_delivery(database, one).state,
        read_delivery(database, one).unknown_since,
    )

    clock.advance(seconds=5)
    await run_once(deliverer)
    assert ["sent"] == read_states(database, [one])
    assert 1 == len({each.uuid for each in tries(database)})
    assert 1 == len(feishu_box.messages(LIN.id))


async def test_past_feishus_memory_of_a_uuid_a_person_must_decide(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "http", "status": 502})
    one = due(database, clock)
    started = clock.millis
    while read_delivery(database, one).state == "ready" and clock.millis - started < 2 * UUID_WINDOW_MS:
        await run_once(deliverer)
        clock.advance(seconds=300)
    last = tries(database)[-1]

    assert ["unknown"] == read_states(database, [one])
    assert UUID_WINDOW_MS > last.started_at - started


async def test_what_lay_idle_past_feishus_memory_of_its_uuid_is_not_sent_again(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    """The notifier was off, or Feishu kept the gate shut: the message may be there, and a copy would be new."""
    feishu_box.add_call_fault({"match": SEND, "action": "reset_after", "times": 1})
    one = due(database, clock)
    await run_once(deliverer)
    second = due(database, clock, LIN, "n-2")
    clock.advance(seconds=UUID_WINDOW_MS / 1000)
    for _ in range(2):
        await run_once(deliverer)
        clock.advance(seconds=1)

    assert ["unknown", "sent"] == read_states(database, [one, second])
    assert 2 == len(feishu_box.messages(LIN.id))


async def test_too_many_messages_to_one_chat_holds_up_that_chat_only(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault(
        {"match": SEND, "action": "code", "code": 230020, "receive_id": LIN.id, "times": 1}
    )
    first, second = due(database, clock, LIN, "a"), due(database, clock, CHEN, "b")
    await run_once(deliverer)

    assert ["ready", "sent"] == read_states(database, [first, second])
    assert read_delivery(database, first).unknown_since is None


async def test_when_feishu_asks_the_app_to_wait_nobody_is_sent_to_until_then(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    limited = {
        "action": "code",
        "code": 99991400,
        "http_status": 429,
        "headers": {"x-ogw-ratelimit-reset": "20"},
    }
    feishu_box.add_call_fault({"match": SEND, "times": 1, **limited})
    first = due(database, clock, LIN, "a")
    await run_once(deliverer)
    second = due(database, clock, CHEN, "b")
    clock.advance(seconds=19)
    await run_once(deliverer)
    assert ["ready", "ready"] == read_states(database, [first, second])

    clock.advance(seconds=2)
    await run_once(deliverer)
    assert ["sent", "sent"] == read_states(database, [first, second])


@pytest.mark.parametrize("status", ["resigned", "bot_stopped", "out_of_range", "blocked"])
async def test_who_cannot_be_reached_is_told_of_in_the_fallback_group_with_the_reason(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer, status: str
) -> None:
    feishu_box.set_person(LIN.id, status=status)
    one = due(database, clock)
    await run_once(deliverer)
    await run_once(deliverer)
    (told_instead,) = texts(feishu_box, "oc_sandbox_fallback")

    assert ["rerouted"] == read_states(database, [one])
    assert "The referrer cannot be reached" in told_instead
    assert [] == feishu_box.messages(LIN.id)


async def test_without_a_fallback_who_cannot_be_reached_waits_for_a_person(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: DeliverDeps
) -> None:
    feishu_box.set_person(LIN.id, status="resigned")
    one = due(database, clock)
    await run_once(
        Deliverer(
            database, replace(deps, address_book=AddressBook(groups={}, fallback=None)), wake=lambda: None
        )
    )

    assert ("dead", 230029) == (read_delivery(database, one).state, read_delivery(database, one).last_code)


async def test_a_fallback_group_that_cannot_be_reached_itself_is_not_tried_in_a_circle(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.set_person(LIN.id, status="resigned")
    feishu_box.set_group("oc_sandbox_fallback", has_bot=False)
    one = due(database, clock)
    for _ in range(4):
        await run_once(deliverer)
        clock.advance(seconds=60)

    assert ["rerouted", "dead"] == read_states(database, [one, one + 1])
    assert 2 == len(tries(database))


@pytest.mark.parametrize(
    "times, variant, msg_type",
    [(0, "full", "interactive"), (1, "compact", "interactive"), (2, "text", "text")],
)
async def test_a_card_that_feishu_refuses_is_said_more_simply(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    times: int,
    variant: str,
    msg_type: str,
) -> None:
    feishu_box.add_call_fault({"match": SEND, "times": times, **REFUSED_CARD})
    one = due(database, clock)
    for _ in range(times + 1):
        await run_once(deliverer)
        clock.advance(seconds=1)
    (message,) = feishu_box.messages(LIN.id)

    assert ("sent", variant, msg_type) == (
        read_delivery(database, one).state,
        read_delivery(database, one).variant,
        message["msg_type"],
    )
    assert times + 1 == len({each.uuid for each in tries(database)})


async def test_when_even_plain_text_is_refused_a_person_must_look(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault({"match": SEND, **REFUSED_CARD})
    one = due(database, clock)
    for _ in range(5):
        await run_once(deliverer)
        clock.advance(seconds=1)

    assert ("dead", 230099, 3) == (
        read_delivery(database, one).state,
        read_delivery(database, one).last_code,
        len(tries(database)),
    )


async def test_what_only_a_person_can_change_is_not_repeated(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.set_scopes([])
    one = due(database, clock)
    for _ in range(3):
        await run_once(deliverer)
        clock.advance(seconds=60)

    assert ("dead", 99991672, 1) == (
        read_delivery(database, one).state,
        read_delivery(database, one).last_code,
        len(tries(database)),
    )
    assert "next step: " in read_delivery(database, one).last_error


async def test_a_network_that_is_away_delays_and_leaves_nothing_in_doubt(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    one = due(database, clock)
    feishu_box.stop()
    await run_once(deliverer)

    assert ("ready", None) == (read_delivery(database, one).state, read_delivery(database, one).unknown_since)


async def test_after_days_without_success_a_person_must_look(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "code", "code": 230020})
    one = due(database, clock)
    clock.advance(seconds=100 * 3600)
    await run_once(deliverer)
    assert "ready" == read_delivery(database, one).state, "patience begins with the first try"

    clock.advance(seconds=72 * 3600)
    await run_once(deliverer)

    assert ("dead", 230020) == (read_delivery(database, one).state, read_delivery(database, one).last_code)


async def test_a_rejected_token_is_fetched_anew_and_the_card_sent(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.expire_tokens()
    one = due(database, clock)
    await run_once(deliverer)

    assert ("sent", 1) == (read_delivery(database, one).state, len(tries(database)))


async def test_notices_of_one_account_that_waited_together_make_one_card(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    for key in ("n-1", "n-2"):
        create_notice(database, key, recipient=LIN, now=clock.millis)
    await run_once(deliverer)
    (text,) = texts(feishu_box, LIN.id)

    assert "2 changes" in text


async def test_a_call_cut_off_by_a_stop_is_asked_again_with_its_uuid(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "hang", "times": 1})
    one = due(database, clock)
    await deliverer.run_once()
    await feishu_box.wait_for_async(
        lambda: feishu_box.state()["call_faults"][0]["hits"] == 1, "the call hangs"
    )
    await deliverer.drain(0)

    assert ("ready", clock.millis) == (
        read_delivery(database, one).state,
        read_delivery(database, one).unknown_since,
    )


class Unforeseen(Exception):
    """What nobody expects of a card check."""


async def test_a_card_that_breaks_in_an_unforeseen_way_is_sent_in_the_next_variant(
    database: Database, clock: FakeClock, deps: DeliverDeps
) -> None:
    breaks = iter([True])

    def check(_card: object, _body: str) -> list[Any]:
        if next(breaks, False):
            raise Unforeseen("no such thing")
        return []

    poisoned, fine = due(database, clock, LIN, "a"), due(database, clock, CHEN, "b")
    renderer = Renderer(CardTemplates(), check=check, zone=ZoneInfo("Asia/Shanghai"), clock=clock)
    await run_once(Deliverer(database, replace(deps, renderer=renderer), wake=lambda: None))

    assert ["sent", "sent"] == read_states(database, [poisoned, fine])
    assert ["compact", "full"] == [read_delivery(database, each).variant for each in (poisoned, fine)]


async def test_a_delivery_without_any_variant_holds_up_nobody_else(
    database: Database, clock: FakeClock, deps: DeliverDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain text can always be rendered, so the error is put in here."""
    poisoned, fine = due(database, clock, LIN, "a"), due(database, clock, CHEN, "b")
    renderer = Renderer(
        CardTemplates(), check=lambda _card, _body: [], zone=ZoneInfo("Asia/Shanghai"), clock=clock
    )
    content = renderer.content

    def fail(claimed: ClaimedDelivery) -> Content:
        if claimed.delivery.id == poisoned:
            raise Unforeseen("no such thing")
        return content(claimed)

    monkeypatch.setattr(renderer, "content", fail)
    await run_once(Deliverer(database, replace(deps, renderer=renderer), wake=lambda: None))

    assert ["dead", "sent"] == read_states(database, [poisoned, fine])
    assert "Unforeseen: no such thing" in read_delivery(database, poisoned).last_error


async def test_a_success_that_could_not_be_kept_is_asked_again_with_the_same_uuid_and_seen_once(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    refuse(database, "UPDATE ON deliveries WHEN NEW.state = 'sent'")
    one = due(database, clock)
    await run_once(deliverer)
    assert ["sending"] == read_states(database, [one])

    database.write(lambda c: c.exec_driver_sql("DROP TRIGGER broken")).result()
    async with asyncio.timeout(30):
        while ["sent"] != read_states(database, [one]):  # the row pauses for a second after the error
            await run_once(deliverer)
            clock.advance(seconds=10)
            await asyncio.sleep(0.05)
    assert 1 == len(feishu_box.messages(LIN.id))


async def test_what_could_not_be_frozen_is_not_sent_and_goes_back(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    refuse(database, "UPDATE OF body ON deliveries")
    one = due(database, clock)
    with pytest.raises(sa.exc.IntegrityError):
        await run_once(deliverer)
    assert [] == feishu_box.all_messages()

    database.write(lambda c: c.exec_driver_sql("DROP TRIGGER broken")).result()
    for _ in range(3):
        await run_once(deliverer)
        clock.advance(seconds=10)
    assert ["sent"] == read_states(database, [one])


async def test_what_is_in_flight_is_not_taken_for_lost(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "hang", "times": 1})
    one = due(database, clock)
    await deliverer.run_once()
    clock.advance(seconds=60)
    await deliverer.run_once()

    assert ["sending"] == read_states(database, [one])


async def test_after_a_crash_the_same_words_go_out_with_the_same_uuid(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deps: DeliverDeps
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "reset_after", "times": 1})
    one = due(database, clock)
    before_crash = Deliverer(database, deps, wake=lambda: None)
    await run_once(before_crash)
    database.write(lambda c: c.exec_driver_sql("UPDATE deliveries SET state = 'sending'")).result()
    database.write(lambda c: attempt_results.reclaim(c, now=clock.millis, window_ms=UUID_WINDOW_MS)).result()
    clock.advance(seconds=5)
    await run_once(Deliverer(database, replace(deps, worker_id="next process"), wake=lambda: None))

    assert ["sent"] == read_states(database, [one])
    assert 1 == len({each.uuid for each in tries(database)})
    assert 1 == len(feishu_box.messages(LIN.id))


async def test_an_account_with_two_tenants_is_two_cards(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer
) -> None:
    for tenant in ("a", "b"):
        account = AccountKey(tenant_key=tenant, app_id="cli_x", account_id="1")
        create_notice(database, tenant, recipient=LIN, account=account, now=clock.millis)
    for _ in range(2):
        await run_once(deliverer)
        clock.advance(seconds=1)

    assert 2 == len(feishu_box.messages(LIN.id))


async def test_a_clock_that_is_set_back_does_not_shut_the_gates(
    database: Database, clock: FakeClock, deliverer: Deliverer
) -> None:
    first = due(database, clock)
    await run_once(deliverer)
    clock.advance(seconds=-3600)
    second = due(database, clock, key="n-2")
    clock.advance(seconds=1)
    await run_once(deliverer)

    assert ["sent", "sent"] == read_states(database, [first, second])

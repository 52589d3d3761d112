"""Every failure of a send that Feishu's pages name, as the stand-in gives it, and what becomes of the message."""

import itertools
from collections.abc import AsyncIterator, Callable
from enum import Enum, auto
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.domain.delivery import RetryPolicy
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Recipient
from notifier.feishu.api import AppAccess, FeishuApi
from notifier.feishu.failures import FAILURE_RULES
from notifier.feishu.messages import FeishuMessageSender
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.sandbox.testing import FeishuBox
from notifier.store import rate_limits
from notifier.store.engine.database import Database
from notifier.store.schema.tables import attempts
from support.clock import FakeClock
from support.delivery_rows import WORKER_ID, create_delivery, read_delivery, read_states

SEND = "POST /open-apis/im/v1/messages"
TOKENS = "/open-apis/auth/v3/tenant_access_token/internal"
LIN = Recipient(id_type="open_id", id="ou_sandbox_lin")
CHEN = Recipient(id_type="open_id", id="ou_sandbox_chen")
FALLBACK = "oc_sandbox_fallback"
BOOK = AddressBook(groups={"hr": "oc_sandbox_hr", "fallback": FALLBACK}, fallback="fallback")
HTML = "<html><h1>Bad Gateway</h1></html>"


class End(Enum):
    SAME_KEY = auto()
    """Sent later; it may have arrived at once, so with the same uuid, and nobody else waits."""
    LATER = auto()
    """Sent later; nothing is in doubt."""
    GATE = auto()
    """Sent later; until then the whole app keeps silent."""
    LOUD_GATE = auto()
    """The same, and a person hears of it: only a person can end it."""
    TOKEN = auto()
    """Sent within the same try, with a fresh token."""
    FALLBACK = auto()
    """The fallback group hears of it instead."""
    NO_MEDIA = auto()
    """The card goes without its pictures."""
    COMPACT = auto()
    """A simpler card goes."""
    DEAD = auto()
    """A person must act: the reason names the next step."""
    GONE = auto()
    """Not carried out, and no step can help: what it was about is no more."""


class Case(NamedTuple):
    """As the fact sheet has it: the code, the HTTP status it came with, Feishu's words where they matter."""

    code: int
    end: End
    status: int = 400
    msg: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.msg[-60:]}".strip()


def card(sub_code: int, sub_text: str = "no") -> str:
    return (
        f"Failed to create card content, ext=ErrCode: {sub_code}; ErrPath: ROOT -> body; "
        f"ErrMsg: {sub_text}; ErrorValue: x; "
    )


MESSAGE_CODES = [
    Case(230001, End.DEAD, msg="ext=invalid content"),
    Case(230002, End.FALLBACK),
    Case(230006, End.DEAD),
    Case(230011, End.GONE),
    Case(230013, End.FALLBACK),
    Case(230015, End.DEAD),
    Case(230017, End.DEAD),
    Case(230018, End.FALLBACK),
    Case(230019, End.DEAD),
    Case(230020, End.LATER),
    Case(230022, End.COMPACT),
    Case(230025, End.COMPACT),
    Case(230027, End.DEAD),
    Case(230028, End.COMPACT),
    Case(230029, End.FALLBACK),
    Case(230031, End.GONE),
    Case(230034, End.FALLBACK),
    Case(230035, End.FALLBACK),
    Case(230036, End.DEAD),
    Case(230038, End.FALLBACK),
    Case(230049, End.SAME_KEY),
    Case(230050, End.GONE),
    Case(230053, End.FALLBACK),
    Case(230054, End.COMPACT),
    Case(230055, End.DEAD),
    Case(230071, End.DEAD),
    Case(230072, End.DEAD),
    Case(230075, End.FALLBACK),
    Case(230110, End.GONE),
    Case(230111, End.GONE),
    Case(232009, End.FALLBACK),
    Case(18121, End.SAME_KEY),
    Case(11232, End.GATE),
    Case(11233, End.LATER),
]
"""Table 5.3 of the message pages, read 2026-05."""

CARD_CODES = [
    Case(230099, End.COMPACT, msg="Failed to create card"),
    Case(230099, End.COMPACT, msg=card(100290, "invalid user id")),
    Case(230099, End.COMPACT, msg=card(11310, "element exceeds the limit")),
    Case(230099, End.COMPACT, msg=card(11310, "card table number over limit")),
    Case(230099, End.COMPACT, msg=card(11310, "template is not visible")),
    Case(230099, End.LATER, msg=card(11310, "card action is lock")),
    Case(11310, End.COMPACT, msg="element exceeds the limit"),
    Case(11310, End.LATER, msg="card action is lock"),
    Case(11311, End.COMPACT),
    Case(230099, End.NO_MEDIA, msg=card(200550, "chart_spec invalid")),
    Case(230099, End.NO_MEDIA, msg=card(200570, "image key invalid")),
    *(
        Case(230099, End.COMPACT, msg=card(sub_code))
        for sub_code in (200380, 200381, 200621, 200732, 200737, 200861, 200914, 200915)
    ),
    *(Case(230099, End.COMPACT, msg=card(sub_code)) for sub_code in (300220, 300230, 300240)),
]
"""Table 5.4: what is behind a refused card."""

GENERIC_CODES = [
    Case(99991400, End.GATE, status=429),
    Case(99991400, End.GATE),
    Case(99991401, End.LOUD_GATE),
    Case(99991403, End.LOUD_GATE),
    Case(99991661, End.TOKEN),
    Case(99991663, End.TOKEN),
    Case(99991664, End.TOKEN, status=401),
    Case(99991665, End.TOKEN),
    Case(99991668, End.DEAD),
    Case(99991677, End.DEAD),
    Case(99991671, End.DEAD),
    Case(99991672, End.DEAD, msg="required: [im:message:send_as_bot]"),
    Case(99991673, End.LOUD_GATE),
    Case(99991662, End.LOUD_GATE),
    Case(99991676, End.DEAD),
    Case(99991679, End.DEAD),
    Case(99992351, End.FALLBACK),
    Case(99992354, End.GONE),
    Case(99992356, End.FALLBACK),
    Case(99992361, End.FALLBACK),
    Case(99992402, End.DEAD),
    Case(9499, End.DEAD),
    Case(1500, End.SAME_KEY, status=500),
    Case(2200, End.SAME_KEY, status=500),
    Case(5000, End.SAME_KEY, status=500),
    Case(10003, End.LOUD_GATE),
    Case(10014, End.LOUD_GATE),
    Case(10015, End.LOUD_GATE),
    Case(41050, End.DEAD),
]
"""Table 5.5."""

EVERY = [*MESSAGE_CODES, *CARD_CODES, *GENERIC_CODES]
ON_HTTP_200 = [case._replace(status=200) for case in {case.end: case for case in EVERY}.values()]
"""One of each end: the code decides."""


@pytest.fixture
async def api(feishu_box: FeishuBox, clock: FakeClock) -> AsyncIterator[FeishuApi]:
    """One that soon gives up waiting, as some faults here never answer."""
    access = AppAccess(
        base_url=feishu_box.url,
        app_id=feishu_box.app_id,
        app_secret=feishu_box.app_secret,
        timeout_seconds=2,
    )
    async with FeishuApi(access, clock) as opened:
        await opened.token()
        yield opened


@pytest.fixture
async def deliverer(database: Database, api: FeishuApi, clock: FakeClock) -> AsyncIterator[Deliverer]:
    deps = DeliverDeps(
        sender=FeishuMessageSender(api),
        renderer=Renderer(CardTemplates(), check=card_problems, zone=ZoneInfo("Asia/Shanghai"), clock=clock),
        address_book=BOOK,
        sending_limits=SendingLimits(
            app=RateLimit(per_second=45, burst=4), chat=RateLimit(per_second=4.5), per_minute=975
        ),
        retry_policy=RetryPolicy(),
        clock=clock,
        worker_id=WORKER_ID,
    )
    made = Deliverer(database, deps, wake=lambda: None)
    yield made
    await made.drain(0)


async def run_once(deliverer: Deliverer) -> None:
    """One turn, and the end of every call it started."""
    await deliverer.run_once()
    await deliverer.drain(10)


async def turns(deliverer: Deliverer, clock: FakeClock, ends: Callable[[], bool]) -> None:
    """Turns until it ends, on a clock that goes a minute each time."""
    for _ in range(20):
        if ends():
            return
        clock.advance(seconds=60)
        await run_once(deliverer)
    raise AssertionError("it does not end")


def tries(database: Database, one: int) -> list[Any]:
    with database.read() as connection:
        query = sa.select(attempts).where(attempts.c.delivery_id == one).order_by(attempts.c.id)
        return list(connection.execute(query))


def gate_is_shut(database: Database, clock: FakeClock) -> bool:
    with database.read() as connection:
        return [rate_limits.SENDING] == [
            name for name, _, _ in rate_limits.list_blocked(connection, now=clock.millis)
        ]


def test_every_code_of_the_table_that_a_send_can_meet_is_here() -> None:
    of_other_calls = {code for code in FAILURE_RULES if 234000 <= code < 235000 or 1002000 <= code < 1021000}
    of_chats = {40003, 232001, 232004, 232006, 232010, 232025, 232033, 232034}

    assert set(FAILURE_RULES) - of_other_calls - of_chats - {232096} == {case.code for case in EVERY}


@pytest.mark.parametrize("case", EVERY + ON_HTTP_200, ids=str)
async def test_every_failure_of_a_send_has_its_end(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    caplog: pytest.LogCaptureFixture,
    case: Case,
) -> None:
    answer = {"action": "code", "code": case.code, "http_status": case.status, "msg": case.msg}
    feishu_box.add_call_fault({"match": SEND, "times": 1, **answer})
    one = create_delivery(database, LIN, "n-1", now=clock.millis)
    started, tokens = clock.millis, len(feishu_box.requests(TOKENS))
    await run_once(deliverer)
    first, shut = read_delivery(database, one), gate_is_shut(database, clock)
    alarms = [vars(each)["reason"] for each in caplog.records if each.getMessage() == "feishu.app_refused"]

    assert (case.end in (End.GATE, End.LOUD_GATE)) is shut
    assert (case.end is End.LOUD_GATE) is ("next step: " in "".join(alarms))
    match case.end:
        case End.DEAD | End.GONE:
            assert ("dead", case.code) == (first.state, first.last_code)
            assert case.end is End.GONE or "next step: " in first.last_error
            assert [] == feishu_box.all_messages()
        case End.FALLBACK:
            await turns(deliverer, clock, lambda: read_states(database, [one + 1]) == ["sent"])
            assert ("rerouted", []) == (first.state, feishu_box.messages(LIN.id))
            assert 1 == len(feishu_box.messages(FALLBACK))
        case End.NO_MEDIA | End.COMPACT:
            assert ("ready", None) == (first.state, first.unknown_since)
            await turns(deliverer, clock, lambda: read_states(database, [one]) == ["sent"])
            assert (case.end.name.lower(), 2) == (
                read_delivery(database, one).variant,
                len({each.uuid for each in tries(database, one)}),
            )
            assert 1 == len(feishu_box.messages(LIN.id))
        case End.TOKEN:
            assert ("sent", 1) == (first.state, len(tries(database, one)))
            assert tokens + 1 == len(feishu_box.requests(TOKENS))
        case _:
            in_doubt = started if case.end is End.SAME_KEY else None
            assert ("ready", "full", in_doubt) == (first.state, first.variant, first.unknown_since)
            await turns(deliverer, clock, lambda: read_states(database, [one]) == ["sent"])
            assert 1 == len({each.uuid for each in tries(database, one)})
            assert 1 == len(feishu_box.messages(LIN.id))


@pytest.mark.parametrize("code", [99991401, 99991403, 99991662, 10014])
async def test_what_stops_the_app_costs_no_message_and_no_call_beyond_the_first(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer, code: int
) -> None:
    fault = feishu_box.add_call_fault({"match": SEND, "action": "code", "code": code})
    first = create_delivery(database, LIN, "n-1", now=clock.millis)
    await run_once(deliverer)
    second = create_delivery(database, CHEN, "n-2", now=clock.millis)
    await run_once(deliverer)
    assert 1 == feishu_box.count_call_fault_hits(fault)

    clock.advance(seconds=2 * 3600)
    await run_once(deliverer)
    feishu_box.clear_call_faults()
    await turns(deliverer, clock, lambda: read_states(database, [first, second]) == ["sent", "sent"])
    assert 2 == len(feishu_box.all_messages())


@pytest.mark.parametrize("code, status", [(11232, 400), (11233, 400), (230020, 400)])
async def test_a_limit_that_names_no_wait_is_met_less_and_less_often(
    database: Database, feishu_box: FeishuBox, clock: FakeClock, deliverer: Deliverer, code: int, status: int
) -> None:
    feishu_box.add_call_fault({"match": SEND, "action": "code", "code": code, "http_status": status})
    one = create_delivery(database, LIN, "n-1", now=clock.millis)
    for _ in range(7):
        await run_once(deliverer)
        clock.advance(seconds=max(read_delivery(database, one).due_at - clock.millis, 5_000) / 1000)
    began = [each.started_at for each in tries(database, one)]
    pauses = [later - earlier for earlier, later in itertools.pairwise(began)]

    assert 7 == len(began)
    assert pauses[-1] > 2 * pauses[0]
    assert pauses[-1] >= 15_000


TROUBLES = {
    "HTTP 200 with a code": ({"action": "code", "http_status": 200, "code": 2200}, True),
    "HTTP 200 with HTML": ({"action": "http", "status": 200, "body": HTML}, True),
    "HTTP 200 with nothing": ({"action": "http", "status": 200, "body": ""}, True),
    "HTTP 502 with HTML": ({"action": "http", "status": 502, "body": HTML}, True),
    "HTTP 504 with HTML": ({"action": "http", "status": 504, "body": HTML}, True),
    "HTTP 403 with HTML": ({"action": "http", "status": 403, "body": HTML}, False),
    "a reset before the request was carried out": ({"action": "reset"}, True),
    "a reset after the request was read": ({"action": "reset_after"}, True),
    "a response cut in half": ({"action": "truncate"}, True),
    "no answer": ({"action": "hang", "seconds": 60}, True),
    "no answer, though carried out": ({"action": "hang_after", "seconds": 60}, True),
    "429 with a wait": (
        {
            "action": "code",
            "http_status": 429,
            "code": 99991400,
            "headers": {"x-ogw-ratelimit-reset": "7"},
        },
        False,
    ),
    "429 without a wait": ({"action": "code", "http_status": 429, "code": 99991400}, False),
    "429 with a wait that is none": (
        {
            "action": "code",
            "http_status": 429,
            "code": 99991400,
            "headers": {"x-ogw-ratelimit-reset": "soon"},
        },
        False,
    ),
    "429 with a wait below zero": (
        {"action": "http", "status": 429, "body": HTML, "headers": {"x-ogw-ratelimit-reset": "-3"}},
        False,
    ),
    "429 of a gateway": ({"action": "http", "status": 429, "body": HTML}, False),
}
"""What the network and the gateways do, and whether the message may be there nevertheless."""


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault, in_doubt", TROUBLES.values(), ids=TROUBLES.keys())
async def test_after_any_trouble_on_the_way_the_chat_has_the_message_once(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    fault: dict[str, object],
    in_doubt: bool,  # noqa: FBT001 - a column of the table
    times: int,
) -> None:
    feishu_box.add_call_fault({"match": SEND, "times": times, **fault})
    one = create_delivery(database, LIN, "n-1", now=clock.millis)
    started = clock.millis
    await run_once(deliverer)
    assert ("ready", started if in_doubt else None) == (
        read_delivery(database, one).state,
        read_delivery(database, one).unknown_since,
    )

    await turns(deliverer, clock, lambda: read_states(database, [one]) == ["sent"])
    (message,) = feishu_box.messages(LIN.id)
    assert {message["uuid"]} == {each.uuid for each in tries(database, one)}
    assert times + 1 == len(tries(database, one))


@pytest.mark.parametrize(
    "seconds, headers",
    [(7, {"x-ogw-ratelimit-reset": "7"}), (1, {}), (1, {"x-ogw-ratelimit-reset": "soon"})],
)
async def test_a_429_keeps_the_app_silent_as_long_as_it_says(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    seconds: float,
    headers: dict[str, str],
) -> None:
    limited = {"action": "http", "status": 429, "body": HTML, "headers": headers}
    feishu_box.add_call_fault({"match": SEND, **limited})
    create_delivery(database, LIN, "n-1", now=clock.millis)
    await run_once(deliverer)
    other = create_delivery(database, CHEN, "n-2", now=clock.millis)
    feishu_box.clear_call_faults()
    clock.advance(seconds=seconds - 0.1)
    await run_once(deliverer)
    assert ["ready"] == read_states(database, [other])

    clock.advance(seconds=0.2)
    await run_once(deliverer)
    assert ["sent"] == read_states(database, [other])

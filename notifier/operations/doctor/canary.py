"""The test card of `notifier doctor --canary`: it proves that cards arrive and that presses come back.

The press arrives at a random connection of the app. If a notifier runs, it answers the press and adds an audit entry,
which this module waits for. Otherwise this module opens a long connection for the time of the test. Events that arrive
at that connection are not accepted, so Feishu sends them again.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from notifier.cards import doctor_card
from notifier.config.sections import Transport
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.delivery import CardVariant, Content
from notifier.domain.event import CARD_CLICKED, Event
from notifier.errors import CallError, NotifierError, TemporaryFailure
from notifier.feishu.api import FeishuApi
from notifier.feishu.long_connection.listener import ConnectionState, ConnectionStatus, Listener
from notifier.feishu.messages import FeishuMessageSender
from notifier.feishu.people import find_people
from notifier.feishu.withdrawal_wire import read_click
from notifier.operations.doctor.findings import Finding, Findings, blocked, ok, problem, unknown
from notifier.operations.doctor.scope_checks import SCOPE_MISSING
from notifier.operations.stored_texts import describe_error
from notifier.runtime import factories
from notifier.store import audit
from notifier.store.engine.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = "canary"
POLL_SECONDS = 0.5
CONNECT_SECONDS = 60.0
"""The first connection imports the SDK, which takes seconds on a busy machine."""
UPDATE_TRIES = 8
UPDATE_PAUSE_SECONDS = 0.5
"""Feishu refuses an update while it processes the press."""
BLOCKERS = (
    "long_connection",
    "connections",
    "app.bot",
    "scope.im:message:send_as_bot",
    "app.published",
    "availability",
)


class NoEventAccepted(NotifierError):
    """An event arrived at the connection of the test, which stores none. Feishu sends it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryTest:
    """What a test needs."""

    api: FeishuApi
    """An open client."""
    config: Config
    """The configuration."""
    address: str
    """An e-mail address or an open_id."""
    seconds: float
    """How long to wait for the press."""
    database: Database | None
    """The open database of a running notifier, which gets the press; None: this process connects."""
    stop: asyncio.Event
    """Set if the test is to end early."""
    on_sent: Callable[[], None]
    """Called when the card was sent."""


async def find_recipient(api: FeishuApi, address: str) -> str | None:
    """Return the open_id of an address; None if nobody has it. ANYBODY if the app may not look people up."""
    if "@" not in address:
        return address
    try:
        found = await find_people(api, emails=[address])
    except CallError as error:
        if error.code in SCOPE_MISSING:
            return doctor_card.ANYBODY
        raise
    return found[address].open_id if address in found else None


async def run_canary(test: CanaryTest, open_id: str | None, findings: Findings) -> Finding:
    """Send the card, wait for the press, and update the card. open_id: of find_recipient."""
    if open_id is None:
        return problem(
            CANARY,
            "飞书没有找到该邮箱的成员",
            "Feishu finds no person with this e-mail address",
            Bilingual(zh="核对邮箱，或改用 open_id", en="check the address, or use an open_id"),
        )
    for each in BLOCKERS:
        if findings.has_problem(each):
            return blocked(CANARY, each)
    if test.database is None and test.config.feishu.transport is not Transport.LONG_CONNECTION:
        return unknown(
            CANARY,
            "使用 Webhook 时，点击只能由运行中的服务接收",
            "with the webhook, only a running notifier receives the press",
            Bilingual(zh="先启动 notifier run", en="start `notifier run` first"),
        )
    try:
        async with _receiving(test) as pressed:
            return await _send_and_wait(test, open_id, pressed)
    except TimeoutError:
        return unknown(
            CANARY, "长连接未能建立，未发送测试卡片", "no long connection was opened, so no card was sent"
        )


async def _send_and_wait(test: CanaryTest, open_id: str, pressed: "_Presses") -> Finding:
    ref = doctor_card.make_test_ref(open_id)
    sender = FeishuMessageSender(test.api)
    is_open_id = "@" not in test.address or bool(open_id)
    try:
        sent = await sender.send(
            _to_content(doctor_card.waiting_card(ref)),
            id_type="open_id" if is_open_id else "email",
            receive_id=open_id if is_open_id else test.address,
            uuid=ref[:50],
        )
    except CallError as error:
        step = Bilingual(zh="按上面的提示处理后重试", en="do what the text says, then try again")
        return problem(
            CANARY, f"测试卡片未发送：{describe_error(error)}", f"the test card was not sent: {error}", step
        )
    is_pressed = False
    try:
        test.on_sent()
        is_pressed = await pressed.wait_for(ref, test.seconds, test.stop)
    finally:
        card = doctor_card.passed_card() if is_pressed else doctor_card.expired_card()
        await asyncio.shield(_update(sender, sent.message_id, card))
    if is_pressed:
        return ok(CANARY, "测试卡片已送达，点击已收到", "the test card arrived, and its press was received")
    return problem(
        CANARY,
        f"测试卡片已发送，但 {test.seconds:g} 秒内没有收到点击",
        f"the test card was sent, but no press was received within {test.seconds:g} s",
        Bilingual(
            zh="请及时点击按钮；如点击后提示 200340，按上面 subscription.callback 的方法订阅回调并发布版本",
            en="press the button in time; if the press showed 200340, subscribe to the callback as in "
            "subscription.callback, and publish a version",
        ),
    )


async def _update(sender: FeishuMessageSender, message_id: str, card: dict[str, Any]) -> None:
    """Replace the card, so that no button stays. A failure is not shown: the result of the test stands."""
    for _ in range(UPDATE_TRIES):
        await asyncio.sleep(UPDATE_PAUSE_SECONDS)
        try:
            await sender.update(message_id, json.dumps(card, ensure_ascii=False))
        except TemporaryFailure:
            continue
        except CallError:
            return
        return


def _to_content(card: dict[str, Any]) -> Content:
    return Content(
        variant=CardVariant.FULL, msg_type="interactive", body=json.dumps(card, ensure_ascii=False)
    )


class _Presses:
    """The presses of test cards that have arrived."""

    def __init__(self, read: Callable[[], set[str]]) -> None:
        self._read = read

    async def wait_for(self, ref: str, seconds: float, stop: asyncio.Event) -> bool:
        """Whether the card was pressed within this time, before `stop` is set."""
        try:
            async with asyncio.timeout(seconds):
                while ref not in await asyncio.to_thread(self._read):
                    try:
                        await asyncio.wait_for(stop.wait(), POLL_SECONDS)
                    except TimeoutError:
                        continue
                    return False
        except TimeoutError:
            return False
        return True


def _receiving(test: CanaryTest) -> AbstractAsyncContextManager[_Presses]:
    return _reading_audit(test.database) if test.database is not None else _listening(test)


@asynccontextmanager
async def _reading_audit(database: Database) -> "AsyncIterator[_Presses]":
    """A running notifier adds an audit entry for each press."""
    with database.read() as connection:
        start = audit.get_last_id(connection)

    def read() -> set[str]:
        with database.read() as connection:
            return set(audit.list_test_presses(connection, after=start))

    yield _Presses(read)


@asynccontextmanager
async def _listening(test: CanaryTest) -> "AsyncIterator[_Presses]":
    """Keeps a long connection open. Raises TimeoutError if it is not open within CONNECT_SECONDS."""
    loop, connected = asyncio.get_running_loop(), asyncio.Event()
    received: set[str] = set()

    def accept(event: Event) -> "Future[Any]":
        answer: Future[Any] = Future()
        click = read_click(event) if event.event_type == CARD_CLICKED else None
        press = doctor_card.judge_test_press(click.button_ref, click.open_id) if click is not None else None
        if click is None or press is None:
            answer.set_exception(NoEventAccepted("`notifier doctor` accepts no event"))
            return answer
        if press is doctor_card.CardTestPress.EXPECTED:
            received.add(click.button_ref)
        answer.set_result({"toast": doctor_card.make_test_toast(press)})
        return answer

    def on_change(status: ConnectionStatus) -> None:
        if status.state is ConnectionState.CONNECTED:
            loop.call_soon_threadsafe(connected.set)

    listener = Listener(factories.make_app_access(test.config), accept=accept, on_connection_change=on_change)
    listener.start()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connected.wait()
        yield _Presses(received.copy)
    finally:
        await asyncio.to_thread(listener.stop, seconds=5)

"""The card in the fallback group: its Chinese texts explain the reroute in Chinese, without Feishu's own message."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from zoneinfo import ZoneInfo

import pytest

from notifier.cards.render import Renderer
from notifier.cards.rules import card_problems
from notifier.cards.templates import CardTemplates
from notifier.domain.delivery import RetryPolicy
from notifier.domain.rate_limit import RateLimit, SendingLimits
from notifier.domain.route import AddressBook, Recipient
from notifier.feishu.api import FeishuApi
from notifier.feishu.messages import FeishuMessageSender
from notifier.flow.deliveries.deliver import DeliverDeps, Deliverer
from notifier.sandbox.testing import FeishuBox
from notifier.store.engine.database import Database
from support.clock import FakeClock
from support.delivery_rows import WORKER_ID, create_delivery, read_delivery

LIN = Recipient(id_type="open_id", id="ou_sandbox_lin")
FALLBACK = "oc_sandbox_fallback"
BOOK = AddressBook(groups={"fallback": FALLBACK}, fallback="fallback")
PROPER_NAMES = re.compile(r"account of n-1|CNY|USD|<[^>]*>")
"""The account id of this test, currency codes, and markup."""


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


def chinese_texts(node: object) -> Iterator[str]:
    match node:
        case dict():
            for key, value in node.items():
                if key == "zh_cn" and isinstance(value, str):
                    yield value
                else:
                    yield from chinese_texts(value)
        case list():
            for value in node:
                yield from chinese_texts(value)


@pytest.mark.parametrize(
    "code, reason",
    [
        (230029, "该成员已离职"),
        (230013, "该成员不在应用的可用范围内，或已离职"),
        (230053, "该成员已停用机器人"),
    ],
)
async def test_a_fallback_card_gives_the_reason_in_chinese_without_feishus_message(
    database: Database,
    feishu_box: FeishuBox,
    clock: FakeClock,
    deliverer: Deliverer,
    code: int,
    reason: str,
) -> None:
    feishu_box.add_call_fault(
        {
            "match": "POST /open-apis/im/v1/messages",
            "times": 1,
            "action": "code",
            "code": code,
            "http_status": 400,
            "msg": "User has resigned.",
        }
    )
    one = create_delivery(database, LIN, "n-1", now=clock.millis)
    for _ in range(2):
        await deliverer.run_once()
        await deliverer.drain(10)
    (message,) = feishu_box.messages(FALLBACK)
    texts = list(chinese_texts(message["content"]))

    assert f"无法送达内推人本人，因此改发到本群。原因：{reason}。" in texts
    assert [] == [text for text in texts if re.search("[A-Za-z]", PROPER_NAMES.sub("", text))]
    assert "User has resigned" not in json.dumps(message)
    assert "User has resigned" in read_delivery(database, one).last_error
    assert f"unreachable {code}: " in read_delivery(database, one + 1).reroute_reason

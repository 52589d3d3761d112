"""A referrer chooses when notices arrive and in which language: the notices wait, none is lost, receipts never wait."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from notifier.store.deliveries import delivery_admin
from support.cards import contains_text, find_button_ref
from support.running import RunningNotifier, texts

LIN, ZHOU = "ou_sandbox_lin", "ou_sandbox_zhou"
ACCOUNT = "7000000000000000001"
MINUTE, HOUR = 61, 3600
TEN = 10
MORE = """\
withdrawals:
  offer_to: [referrer]
"""


class Desk:
    """A referrer with the settings card."""

    def __init__(self, notifier: RunningNotifier) -> None:
        self.notifier, self.box = notifier, notifier.box

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.box.state()["now_ms"] / 1000, UTC)

    def open_settings(self, *, from_menu: bool = False) -> dict[str, Any]:
        self.box.advance(MINUTE)  # the questions of one minute are limited
        before = len(self.box.messages(LIN))
        if from_menu:
            self.box.press_menu(LIN, "settings")
        else:
            self.box.write(LIN, "设置")
        self.box.wait_for(lambda: is_settings(self.messages(before)), "the settings card", timeout=60)
        return is_settings(self.messages(before))[-1]

    def save(self, card: dict[str, Any], by: str = LIN, **form: str) -> dict[str, Any]:
        value = {"ref": find_button_ref(card)}
        return self.box.click(card["message_id"], by, value, name="save", form_value=form)

    def messages(self, start: int = 0) -> list[dict[str, Any]]:
        """What the bot sent, from this message of the chat on."""
        return [each for each in self.box.messages(LIN)[start:] if is_card(each)]

    def reward(self, times: int = TEN) -> None:
        for _ in range(times):
            self.box.change_balance(ACCOUNT, cash={"CNY": "+10.00"})

    def wait_held(self, notices: int = TEN) -> int:
        """Waits until one held delivery has so many notices. Returns its id."""
        with self.notifier.open_database() as database:

            def find() -> int | None:
                with database.read() as connection:
                    rows = delivery_admin.list_deliveries(connection, states=["held"], limit=5)
                    found = [delivery_admin.show_delivery(connection, row.id) for row in rows]
                return next((each.row.id for each in found if each and each.notices == notices), None)

            self.box.wait_for(find, "the notices are held", timeout=60)
            found = find()
            assert found is not None
            return found


def is_card(message: dict[str, Any]) -> bool:
    return message["msg_type"] == "interactive"


def title(message: dict[str, Any], language: str = "zh_cn") -> str:
    return texts(message["content"]["header"]["title"], language)[0]


def is_settings(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in messages if (find_button_ref(each) or "").startswith("settings-")]


def clock_time(moment: datetime) -> str:
    return f"{moment:%H:%M}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("preferences")
    clock = folder / "clock"
    clock.write_text("0")
    with FeishuBox(SandboxSettings(clock_file=str(clock))) as box:
        notifier = RunningNotifier(box, folder, more=MORE)
        notifier.arguments = ("--clock-file", str(clock))
        notifier.start()
        try:
            box.change_balance(ACCOUNT, cash={"CNY": "+1.00"})
            box.wait_for(lambda: box.messages(LIN), "the first card", timeout=60)
            yield Desk(notifier)
        finally:
            if not notifier.ended:
                notifier.kill()


@pytest.fixture(autouse=True)
def _reset(desk: Desk) -> Iterator[None]:
    yield
    card = desk.open_settings()
    desk.save(card, frequency="instant", quiet_from="off", quiet_to="off", language="feishu", zone="UTC")
    desk.box.wait_for(lambda: desk.notifier.status()["held"] == 0, "what was held is released", timeout=60)
    desk.notifier.wait_until_settled()


def test_ten_rewards_in_the_quiet_hours_give_one_card_after_them(desk: Desk) -> None:
    card = desk.open_settings(from_menu=True)
    now = desk.now
    begin, end = clock_time(now - timedelta(minutes=30)), clock_time(now + timedelta(hours=2))
    answer = desk.save(card, zone="UTC", quiet_from=begin, quiet_to=end)
    assert "success" == answer["toast"]["type"]
    before = len(desk.messages())
    desk.reward()
    held = desk.wait_held()

    assert before == len(desk.messages()), "nothing arrives in the quiet hours"
    assert 1 == desk.notifier.status()["held"]
    listed = json.loads(desk.notifier.command("deliveries", "list", "--state", "held", "--json").stdout)
    assert [(held, "quiet_hours")] == [(each["id"], each["hold_reason"]) for each in listed]
    account = json.loads(desk.notifier.command("accounts", "show", ACCOUNT, "--json").stdout)
    assert f"{begin}-{end}" == account["quiet_hours"]
    assert ("UTC", "instant", TEN) == (account["time_zone"], account["notices"], account["held"])

    desk.box.advance(2 * HOUR + 60)
    desk.box.wait_for(lambda: len(desk.messages()) > before, "the card after the quiet hours", timeout=60)
    desk.notifier.wait_until_settled()

    [card] = desk.messages()[before:]
    assert contains_text(card, "+¥100.00")
    assert contains_text(card, "10 笔变动") or contains_text(card, "10 次变动")


def test_a_card_after_the_quiet_hours_shows_what_is_left(desk: Desk) -> None:
    """A withdrawal in the night is subtracted, also when a later press updates the card."""
    desk.reward(1)
    desk.notifier.wait_until_settled()
    now = desk.now
    quiet = {
        "quiet_from": clock_time(now - timedelta(hours=1)),
        "quiet_to": clock_time(now + timedelta(hours=2)),
    }
    desk.save(desk.open_settings(), zone="UTC", **quiet)
    desk.reward(2)
    desk.wait_held(2)
    desk.box.advance(MINUTE)
    before = len(desk.box.messages(LIN))
    desk.box.write(LIN, "提现")
    desk.box.wait_for(lambda: len(desk.messages(before)) > 0, "the offer", timeout=60)
    desk.notifier.wait_until_settled()
    [offer] = desk.messages(before)
    orders = len(desk.box.withdrawals())
    desk.box.click(offer["message_id"], LIN, {"ref": find_button_ref(offer)})
    desk.box.wait_for(lambda: len(desk.box.withdrawals()) > orders, "a withdrawal", timeout=60)
    desk.notifier.wait_until_settled()
    [withdrawn] = desk.box.withdrawals()[-1]["cash"]
    desk.reward(1)
    desk.wait_held(3)
    before = len(desk.messages())

    desk.box.advance(2 * HOUR + 60)
    desk.box.wait_for(lambda: len(desk.messages()) > before, "the card after the quiet hours", timeout=60)
    [card] = desk.messages()[before:]
    desk.notifier.wait_until_settled()
    desk.box.click(card["message_id"], LIN, {"ref": find_button_ref(card)})
    desk.notifier.wait_until_settled()
    [updated] = [each for each in desk.messages() if each["message_id"] == card["message_id"]]
    assert find_button_ref(updated) is None
    for shown in (card, updated):
        assert contains_text(shown, "+¥30.00")
        assert contains_text(shown, "余额 ¥10.00")
        assert contains_text(shown, f"期间已提现：现金（CNY） ¥{withdrawn['amount']}")


def test_a_receipt_arrives_in_the_quiet_hours(desk: Desk) -> None:
    desk.reward(1)
    desk.notifier.wait_until_settled()
    desk.box.advance(MINUTE)
    before = len(desk.box.messages(LIN))
    desk.box.write(LIN, "提现")
    desk.box.wait_for(lambda: len(desk.messages(before)) > 0, "the offer", timeout=60)
    [reward_card] = desk.messages(before)
    card = desk.open_settings()
    now = desk.now
    desk.save(
        card,
        zone="UTC",
        quiet_from=clock_time(now - timedelta(minutes=30)),
        quiet_to=clock_time(now + timedelta(hours=2)),
    )
    before = len(desk.messages())
    desk.box.click(reward_card["message_id"], LIN, {"ref": find_button_ref(reward_card)})

    desk.box.wait_for(lambda: len(desk.messages()) > before, "the receipt", timeout=60)
    assert contains_text(desk.messages()[before], "已提现")


def test_a_daily_digest_comes_instead_of_ten_notices(desk: Desk) -> None:
    desk.save(desk.open_settings(), frequency="daily", zone="UTC")
    before = len(desk.messages())
    desk.reward()
    desk.wait_held()
    assert before == len(desk.messages())
    nine = (desk.now + timedelta(hours=15)).replace(hour=9, minute=0, second=0, microsecond=0)
    desk.box.advance((nine - desk.now).total_seconds() + 30)

    desk.box.wait_for(lambda: len(desk.messages()) > before, "the digest", timeout=60)
    desk.notifier.wait_until_settled()
    [digest] = desk.messages()[before:]
    assert "我的内推奖励日报" == title(digest)
    assert contains_text(digest, "+¥100.00")


def test_the_digest_of_a_deactivated_account_offers_nothing(desk: Desk) -> None:
    desk.save(desk.open_settings(), frequency="daily", zone="UTC")
    before = len(desk.messages())
    desk.reward()
    desk.wait_held()
    assert 0 == desk.notifier.command("accounts", "disable", ACCOUNT, "--yes").returncode
    nine = (desk.now + timedelta(hours=24)).replace(hour=9, minute=0, second=0, microsecond=0)
    desk.box.advance((nine - desk.now).total_seconds() + 30)

    desk.box.wait_for(lambda: len(desk.messages()) > before, "the digest", timeout=60)
    desk.notifier.wait_until_settled()
    assert 0 == desk.notifier.command("accounts", "enable", ACCOUNT).returncode
    [digest] = desk.messages()[before:]
    assert find_button_ref(digest) is None
    assert contains_text(digest, "账户已停用")
    assert contains_text(digest, f"账户 {ACCOUNT}"), "a person with two accounts gets two digests"


def test_a_switch_to_instant_sends_at_once_what_waits(desk: Desk) -> None:
    desk.save(desk.open_settings(), frequency="weekly")
    desk.reward(3)
    desk.wait_held(3)
    card = desk.open_settings()
    assert contains_text(card, "3 条通知")
    before = len(desk.messages())
    desk.save(card, frequency="instant")

    desk.box.wait_for(lambda: len(desk.messages()) > before, "what waited", timeout=60)
    [sent] = desk.messages()[before:]
    assert contains_text(sent, "+¥30.00")


def test_cards_have_the_chosen_language_only(desk: Desk) -> None:
    answer = desk.save(desk.open_settings(), language="en")
    assert "Saved." == answer["toast"]["content"]
    before = len(desk.messages())
    desk.reward(1)
    desk.box.wait_for(lambda: len(desk.messages()) > before, "a card", timeout=60)
    card = desk.messages()[before]
    assert "i18n" not in json.dumps(card["content"])
    assert not re.search(r"[\u4e00-\u9fff]", json.dumps(card["content"], ensure_ascii=False))

    pressed = desk.box.click(card["message_id"], LIN, {"ref": find_button_ref(card)})
    assert "i18n" not in pressed["toast"]
    desk.notifier.wait_until_settled()
    for each in desk.messages()[before:]:
        assert not re.search(r"[\u4e00-\u9fff]", json.dumps(each["content"], ensure_ascii=False))


def test_only_the_person_of_the_card_can_change_it(desk: Desk) -> None:
    card = desk.open_settings()

    denied = desk.save(card, by=ZHOU, frequency="weekly")
    unknown = desk.box.click(card["message_id"], LIN, {"ref": f"{find_button_ref(card)}0"})
    same = desk.save(card, quiet_from="22:00", quiet_to="22:00")
    half = desk.save(card, quiet_from="22:00", quiet_to="off")
    wrong = desk.save(card, zone="Mars/Phobos")

    kinds = [each["toast"]["type"] for each in (denied, unknown, same, half, wrong)]
    assert ["error", "error", "warning", "warning", "error"] == kinds
    account = json.loads(desk.notifier.command("accounts", "show", ACCOUNT, "--json").stdout)
    assert ("instant", None) == (account["notices"], account["quiet_hours"])


def test_an_old_card_and_a_second_press_save_what_they_say(desk: Desk) -> None:
    old, new = desk.open_settings(), desk.open_settings()

    desk.save(new, frequency="daily")
    desk.save(new, frequency="daily")
    answer = desk.save(old, frequency="weekly")

    assert answer["card_updated"]
    account = json.loads(desk.notifier.command("accounts", "show", ACCOUNT, "--json").stdout)
    assert "weekly" == account["notices"]

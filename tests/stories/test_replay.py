"""`notifier replay` as an operator uses it: every kind of event and card, a changed template, and a correction."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.domain.event import BALANCE_CHANGED
from notifier.sandbox.testing import FeishuBox
from notifier.store import audit, card_updates, inbox, withdrawals
from notifier.store.deliveries import delivery_admin
from support.cards import press_button
from support.running import RunningNotifier, running_notifier, texts
from support.waiting import wait_until

LIN, CHEN = "ou_sandbox_lin", "ou_sandbox_chen"
LIN_ACCOUNT, CHEN_ACCOUNT = "7000000000000000001", "7000000000000000002"
HR, FALLBACK = "oc_sandbox_hr", "oc_sandbox_fallback"
CORRECTION = ("更正：此卡片替换较早的一张", "Correction: this replaces an earlier card")
SETTINGS = """\
withdrawals:
  offer_to: [referrer, hr]
routes:
  - name: everybody
    to: [referrer, hr]
cards:
  template_dir: {folder}
digests:
  - name: hr-daily
    to: [hr]
    file: always
"""


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def notifier(
    feishu_box: FeishuBox, tmp_path: Path, templates: Path, store_url: str
) -> Iterator[RunningNotifier]:
    settings = SETTINGS.format(folder=templates)
    with running_notifier(feishu_box, tmp_path, more=settings, store_url=store_url) as running:
        yield running


def replay(notifier: RunningNotifier, *words: str, language: str = "en_US.UTF-8", typed: str = "") -> Result:
    hidden: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))
    }
    arguments = ["replay", *words, "--config", str(notifier.config)]
    return CliRunner().invoke(cli, arguments, env={**hidden, "LC_ALL": language}, input=typed)


def replay_json(notifier: RunningNotifier, *words: str) -> dict[str, Any]:
    ran = replay(notifier, *words, "--json")
    assert 0 == ran.exit_code, ran.output
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def differences(lines: list[str]) -> list[str]:
    """The changed lines of a diff, without its heads."""
    return [line for line in lines if line[:1] in "+-" and not line.startswith(("+++ ", "--- "))]


def change_texts(templates: Path, language: str, text: str) -> None:
    """Another text in front of the time of a change."""
    (templates / f"texts.{language}.yaml").write_text(f"balance.changed_at: {text}\n", encoding="utf-8")


def make_every_kind(notifier: RunningNotifier) -> None:
    """Events and cards of every kind. The balance of Lin is withdrawn and paid at the end."""
    box = notifier.box
    for points, cash in ((10, "+5.00"), (0, "+500.00"), (0, "-200.00"), (5, "-10.00")):
        box.change_balance(LIN_ACCOUNT, points=points, cash={"CNY": cash})
        notifier.wait_until_settled()
    box.set_person(CHEN, status="resigned")
    box.change_balance(CHEN_ACCOUNT, cash={"CNY": "+70.00"})
    box.push_payload("this is not JSON")
    box.push_payload(
        json.dumps({"schema": "2.0", "header": {"event_id": "ignored-1", "event_type": "im.other_v1"}})
    )
    notifier.wait_until_settled()
    assert 0 == press_button(box, LIN, LIN)["code"]
    with notifier.open_database() as database:
        wait_until(lambda: _is_over(database), "the withdrawal is over", seconds=60)
        with database.read() as connection:
            (order,) = withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=2)
    for words in (
        ("payouts", "mark", order.order_id, "paid"),
        ("digest", "send", "hr-daily", "--for", "today"),
    ):
        ran = notifier.command(*words)
        assert ran.returncode == 0, ran.stderr
    notifier.wait_until_settled()


def _is_over(database: Any) -> bool:
    with database.read() as connection:
        done = withdrawals.list_withdrawals(connection, states=("withdrawn",), limit=1)
        return bool(done) and card_updates.count_pending(connection) == 0


def read_ids(notifier: RunningNotifier) -> tuple[list[Any], list[Any]]:
    """The events and the deliveries, oldest first."""
    with notifier.open_database() as database, database.read() as connection:
        return (
            inbox.list_events(connection, states=(), limit=100)[::-1],
            delivery_admin.list_deliveries(connection, states=(), limit=100)[::-1],
        )


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_every_event_and_card_is_rendered_again_and_a_changed_text_is_the_difference(
    notifier: RunningNotifier, templates: Path
) -> None:
    make_every_kind(notifier)
    events, deliveries = read_ids(notifier)
    before = len(notifier.box.all_messages())

    reasons = [
        (each.event_type, replay_json(notifier, f"event:{each.id}").get("reason") or "") for each in events
    ]
    for event_type, reason in (
        ("unreadable", "quarantined"),
        ("im.other_v1", "nothing is done with im.other_v1"),
        ("card.action.trigger", "creates no card"),
        (BALANCE_CHANGED, "No card was created"),  # our own withdrawal
    ):
        assert any(reason in each for type_, each in reasons if type_ == event_type), reasons
    assert 5 == reasons.count((BALANCE_CHANGED, ""))
    by_key = replay_json(notifier, events[0].event_key)
    assert {"referrer", "hr"} == {card["target"] for card in by_key["cards"]}
    files = 0
    for each in deliveries:
        found = replay_json(notifier, f"delivery:{each.id}")
        assert found["before"] is not None
        files += found["after"] is None
        if each.receive_id == FALLBACK or each.account_id == CHEN_ACCOUNT:
            assert [] == found["diff"]
    assert 1 == files
    digest = next(each for each in deliveries if not each.account_id)
    assert "hr" == digest.target

    change_texts(templates, "zh", "更新时间")
    rerouted = next(each for each in deliveries if each.receive_id == FALLBACK)
    (removed, added) = differences(replay_json(notifier, f"delivery:{rerouted.id}")["diff"])
    assert removed.startswith("-变动时间 ")
    assert added == removed.replace("-变动时间", "+更新时间")
    shown = replay(notifier, f"delivery:{rerouted.id}", "--json-diff").stdout
    assert "English: no difference" in shown
    assert "+更新时间" in shown
    assert "(JSON)" in shown
    other = templates.parent / "other"
    other.mkdir()
    change_texts(other, "en", "Updated at")
    tried = replay_json(notifier, f"delivery:{rerouted.id}", "--templates", str(other))["diff"]
    assert [True, True] == ["d at" in line for line in differences(tried)]
    assert before == len(notifier.box.all_messages()), "nothing was sent"


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_a_correction_is_sent_once_and_says_that_it_is_one(
    notifier: RunningNotifier, templates: Path
) -> None:
    box = notifier.box
    box.change_balance(LIN_ACCOUNT, cash={"CNY": "+500.00"})
    notifier.wait_until_settled()
    (event,), deliveries = read_ids(notifier)
    same = replay(notifier, f"event:{event.id}", "--send", "--yes")
    assert (1, True) == (same.exit_code, "the card would be the same" in same.stderr)
    change_texts(templates, "zh", "更新时间")

    declined = replay(notifier, f"event:{event.id}", "--send", typed="n\n")
    assert 1 == declined.exit_code
    if notifier.database_url.startswith("sqlite"):
        notifier.kill()  # the key is stored before the call, so neither a crash nor a second command repeats it
    else:
        notifier.stop()  # after a kill, the next process would wait for the lease
    sent = replay(notifier, f"event:{event.id}", "--send", "--yes")
    again = replay(notifier, f"event:{event.id}", "--send", "--yes")
    assert (0, 0) == (sent.exit_code, again.exit_code), sent.output + again.output
    assert "The running notifier sends it." in sent.stdout
    assert "already replaces the card of delivery" in again.stdout
    notifier.start()
    notifier.wait_until_settled()
    assert 0 == replay(notifier, f"event:{event.id}", "--send", "--yes").exit_code
    notifier.wait_until_settled()

    for chat in (LIN, HR):
        old, new = box.messages(chat)
        body = new["content"]["body"]["elements"]
        assert CORRECTION[0] == texts(body[0])[0]
        assert CORRECTION[1] == texts(body[0], "en_us")[0]
        assert any("更新时间" in text for text in texts(new["content"]))
        assert CORRECTION[0] not in texts(old["content"])
    with notifier.open_database() as database, database.read() as connection:
        entries = [each for each in audit.list_entries(connection, limit=10) if "corrects" in each.outcome]
    assert {f"delivery {each.id + 2} corrects the card of delivery {each.id}" for each in deliveries} == {
        each.outcome.partition(",")[0] for each in entries
    }
    assert {("manual", "command line", LIN_ACCOUNT)} == {
        (each.action, each.actor, each.account_id) for each in entries
    }
    press_button(box, LIN, LIN)
    wait_until(box.withdrawals, "the new button works")
    wait_until(
        lambda: CORRECTION[0] in texts(box.messages(LIN)[1]["content"]), "an updated card still says so"
    )

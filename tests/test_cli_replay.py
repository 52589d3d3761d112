"""`notifier replay` at its corners: ids, what is stored no longer, and what must not be sent.

tests/stories/test_replay.py replays every kind of event and card with the running program.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from playwright.sync_api import expect

from notifier.cards.templates import shipped_templates
from notifier.cli.main import cli
from notifier.clock import SystemClock, to_millis
from notifier.config.loader import load_config
from notifier.config.settings import Config
from notifier.domain.account import Ownership, Referrer
from notifier.domain.card_state import ClaimedDelivery
from notifier.domain.event import BALANCE_READ
from notifier.domain.route import Condition, Route
from notifier.feishu.wire import encode_balance_reading, read_balance_report
from notifier.flow.events.apply_events import ApplyDeps, apply_events
from notifier.flow.events.receive import Receiver
from notifier.operations.replay.page import ReplayPreview
from notifier.operations.replay.replay import replay
from notifier.runtime.factories import make_notice_writer, make_renderer
from notifier.store import accounts
from notifier.store.deliveries import addressing
from notifier.store.engine.database import Database
from notifier.store.schema.tables import deliveries
from support.builders import MODIFIED_AT, balance_event, balance_report
from support.delivery_rows import LIN, claim, dead_outcome, finish_failed, finish_sent, freeze_content
from support.delivery_rows import account_ref as row_of_account
from support.preview_page import opened, running_browser, serving

pytestmark = pytest.mark.sqlite
NOW = to_millis(SystemClock().now())
CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def _time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may have run for many minutes since this module was imported."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", to_millis(CLOCK.now()))


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def file(store_url: str, tmp_path: Path, templates: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"store: {{url: '{store_url}'}}\ncards: {{template_dir: {templates}}}\n"
        "feishu: {app_id: cli_x}\ngroups: {hr: {chat_id: oc_hr}}\nfallback_group: hr\n",
        encoding="utf-8",
    )
    return config


def run(file: Path, *words: str, language: str = "en_US.UTF-8", typed: str = "") -> Result:
    hidden: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))
    }
    arguments = ["replay", *words, "--config", str(file)]
    return CliRunner().invoke(cli, arguments, env={**hidden, "LC_ALL": language}, input=typed)


def as_json(file: Path, *words: str) -> dict[str, Any]:
    ran = run(file, *words, "--json")
    assert 0 == ran.exit_code, ran.output
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def receive(database: Database, *events: Any) -> None:
    """Store and apply events. The referrer of the account is Lin."""
    receiver = Receiver(database, CLOCK, wake=lambda: None)
    for event in events:
        receiver.accept(event).result(10)
    if events:
        deps = ApplyDeps(
            read=read_balance_report,
            routes=[Route(name="all", when=Condition(), targets=("referrer",))],
            notices=make_notice_writer(Config()),
            clock=CLOCK,
        )
        asyncio.run(apply_events(database, deps))
    ref = row_of_account(database)
    who = Referrer(open_id=LIN.id, name_zh="林小满", name_en="Lin")
    database.write(
        lambda c: accounts.save_ownership(c, ref, Ownership(referrer=who, looked_up_at=NOW))
    ).result()
    database.write(lambda c: addressing.address_waiting(c, [ref], lambda _ref, _to: LIN, now=NOW)).result()


def render(database: Database, *, at: int | None = None) -> ClaimedDelivery:
    """Claim the next delivery, with its card stored as the service stores it."""
    at = NOW + 60_000 if at is None else at
    (claimed,) = claim(database, now=at).deliveries
    freeze_content(database, claimed, make_renderer(Config(), CLOCK).content(claimed))
    return claimed


def send(database: Database, *, at: int | None = None) -> int:
    at = NOW + 60_000 if at is None else at
    claimed = render(database, at=at)
    finish_sent(database, claimed, now=at)
    return claimed.delivery.id


def balance(number: int, points: int) -> Any:
    at = str(MODIFIED_AT + number * 1000)
    return balance_event(event_id=f"ev-{number}", points=points, modify_time=at)


def set_column(database: Database, delivery_id: int, **values: Any) -> None:
    database.write(
        lambda c: c.execute(sa.update(deliveries).where(deliveries.c.id == delivery_id).values(values))
    ).result()


def change_template(templates: Path) -> None:
    """Write a text of the company that differs from the shipped one."""
    texts = (shipped_templates() / "texts.zh.yaml").read_text(encoding="utf-8").splitlines()
    changed = [line.replace("变动时间", "更新时间") for line in texts if "变动时间" in line]
    (templates / "texts.zh.yaml").write_text("\n".join(changed), encoding="utf-8")


@pytest.fixture
def sent(database: Database) -> int:
    """A sent card about two events: the second one joined the first."""
    receive(database, balance(1, 20), balance(2, 120))
    return send(database)


@pytest.mark.parametrize(
    "identifier", ["99", "event:99", "delivery:99", "no-such-key", "delivery:x", "99999999999999999999", "-"]
)
@pytest.mark.usefixtures("sent")
def test_an_unknown_id_is_answered_with_the_lists(file: Path, identifier: str) -> None:
    ran = run(file, identifier)

    assert 1 == ran.exit_code
    assert f"there is no event or delivery {identifier};" in ran.stderr
    assert "`notifier events list` and `notifier deliveries list`" in ran.stderr
    assert "没有事件或投递" in run(file, identifier, language="zh_CN.UTF-8").stderr


def test_events_that_share_a_card_are_replayed_with_it(file: Path, sent: int) -> None:
    by_id, by_key = as_json(file, "event:2"), as_json(file, "ev-1")

    assert [sent, sent] == [by_id["delivery"], by_key["delivery"]]
    assert [[], []] == [by_id["diff"], by_key["diff"]]
    assert by_id["before"] == by_id["after"]
    assert sent == as_json(file, "1")["delivery"], (
        "the event and the delivery with this id have the same card"
    )


@pytest.mark.usefixtures("sent")
def test_an_id_of_two_different_things_must_be_written_out(file: Path, database: Database) -> None:
    receive(database, balance(3, 200))
    assert 2 == send(database, at=NOW + 120_000)
    ran = run(file, "2")

    assert 2 == ran.exit_code
    assert "Write event:2 or delivery:2." in ran.stderr


def test_a_recovered_balance_is_replayed(file: Path, database: Database) -> None:
    reading = encode_balance_reading(balance_report(points=7), event_type=BALANCE_READ)
    receive(database, reading)
    one = send(database)

    assert one == as_json(file, "event:1")["delivery"]


def test_content_that_was_removed_is_named_and_the_card_of_today_is_shown(
    file: Path, database: Database, sent: int
) -> None:
    set_column(database, sent, body=None)
    ran = run(file, f"delivery:{sent}")
    found = as_json(file, f"delivery:{sent}")

    assert "What was sent is no longer stored" in ran.stdout
    assert "+# Referral reward balance" in ran.stdout
    assert found["before"] is None
    assert all(line[0] in "+-@" for line in found["diff"])


def test_a_delivery_without_notices_has_nothing_to_render(file: Path, database: Database, sent: int) -> None:
    database.write(lambda c: c.exec_driver_sql("DELETE FROM delivery_notices")).result()
    found = as_json(file, f"delivery:{sent}")
    refused = run(file, f"delivery:{sent}", "--send", "--yes")

    assert "no longer stored" in found["reason"]
    assert (None, []) == (found["after"], found["diff"])
    assert (1, True) == (refused.exit_code, "nothing is sent." in refused.stderr)
    assert "no card was created" in run(file, "event:1").stdout.lower()


def test_a_card_in_a_lower_variant_is_compared_with_the_full_one(
    file: Path, database: Database, sent: int
) -> None:
    text = json.dumps({"text": "内推奖励变动 / Referral reward update\n余额 / Balance 1"})
    reason = "cards are refused (code 230099)"
    set_column(database, sent, body=text, msg_type="text", variant="text", degraded_reason=reason)
    found, shown = as_json(file, f"delivery:{sent}"), run(file, f"delivery:{sent}").stdout

    assert ("text", "full") == (found["variant_before"], found["variant_after"])
    assert "-余额 / Balance 1" in found["diff"]
    assert f"It was sent in the variant text, because {reason}" in shown


def test_what_is_not_sent_yet_is_shown_and_cannot_be_corrected(file: Path, database: Database) -> None:
    receive(database, balance(1, 20))
    waiting, refused = run(file, "ev-1"), run(file, "ev-1", "--send", "--yes")

    assert "It has not been rendered yet." in waiting.stdout
    assert "is ready, so there is no card to correct" in refused.stderr
    claimed = render(database)
    finish_failed(database, claimed, dead_outcome("no such chat", code=230002), now=NOW + 60_000)
    assert "is dead, so there is no card to correct" in run(file, "ev-1", "--send", "--yes").stderr


@pytest.mark.usefixtures("sent")
def test_an_event_that_changed_nothing_says_so(file: Path, database: Database) -> None:
    older = balance_event(event_id="ev-old", points=1, modify_time=str(MODIFIED_AT - 1000))
    receive(database, older)

    assert "No card was created" in run(file, "ev-old").stdout


def test_an_event_that_waits_says_so(file: Path, database: Database) -> None:
    Receiver(database, CLOCK, wake=lambda: None).accept(balance(1, 20)).result(10)

    assert "not processed yet" in as_json(file, "ev-1")["reason"]


def test_a_correction_of_a_card_whose_reader_changed_is_refused(
    file: Path, database: Database, sent: int, templates: Path
) -> None:
    change_template(templates)
    ref = row_of_account(database)
    other = Ownership(referrer=Referrer(open_id="ou_other"), looked_up_at=NOW)
    database.write(lambda c: accounts.save_ownership(c, ref, other)).result()
    assert "ou_lin is no longer the referrer" in run(file, "ev-1", "--send", "--yes").stderr
    set_column(database, sent, receive_id_type="chat_id", receive_id="oc_gone", target="gone")
    assert "no longer has the group oc_gone" in run(file, "ev-1", "--send", "--yes").stderr


@pytest.mark.usefixtures("sent")
def test_a_broken_template_is_named_and_not_sent(file: Path, templates: Path) -> None:
    (templates / "balance_change.json.j2").write_text("{{ nothing }}")
    shown, refused = run(file, "ev-1"), run(file, "ev-1", "--send", "--yes")

    assert "Today's templates cannot render the full card: balance_change.json.j2, line 1" in shown.stdout
    assert (1, True) == (refused.exit_code, "nothing is sent." in refused.stderr)


@pytest.mark.usefixtures("sent")
def test_a_difference_in_the_json_alone_is_named(file: Path, templates: Path) -> None:
    source = (shipped_templates() / "balance_change.json.j2").read_text(encoding="utf-8")
    other = source.replace('"vertical_spacing": "medium"', '"vertical_spacing": "large"')
    (templates / "balance_change.json.j2").write_text(other, encoding="utf-8")
    shown, whole = run(file, "ev-1").stdout, run(file, "ev-1", "--json-diff").stdout

    assert "The texts are equal, but the JSON differs" in shown
    assert '+    "vertical_spacing": "large",' in whole
    assert 2 == sum(
        "vertical_spacing" in line and line[0] in "+-"
        for line in as_json(file, "ev-1", "--json-diff")["json_diff"]
    )


def test_a_question_comes_before_sending(file: Path, database: Database, sent: int, templates: Path) -> None:
    change_template(templates)

    assert 1 == run(file, "ev-1", "--send", typed="n\n").exit_code
    assert 1 == run(file, "ev-1", "--send").exit_code, "nobody answered"
    accepted = run(file, "ev-1", "--send", typed="y\n", language="zh_CN.UTF-8")
    assert "将更正投递" in accepted.stdout
    again = as_json(file, "ev-1", "--send", "--yes")
    assert again["corrected_by"] == sent + 1
    with database.read() as connection:
        assert 2 == connection.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one()
    assert "already replaces this card" in run(file, "ev-1").stdout
    assert (
        f"更正          投递 {sent}"
        in CliRunner()
        .invoke(
            cli,
            ["deliveries", "show", str(sent + 1), "--config", str(file)],
            env={"LC_ALL": "zh_CN.UTF-8"},
        )
        .stdout
    )


@pytest.mark.usefixtures("sent")
def test_options_that_exclude_each_other(file: Path, templates: Path) -> None:
    assert "--templates" in run(file, "ev-1", "--send", "--templates", str(templates)).stderr
    assert "needs --yes" in run(file, "ev-1", "--send", "--json").stderr


def test_reading_changes_nothing(file: Path, database: Database, sent: int) -> None:
    def dump() -> list[Any]:
        with database.read() as connection:
            tables = [table for table in deliveries.metadata.sorted_tables if table.name != "workers"]
            return [connection.execute(sa.select(table)).all() for table in tables]

    before = dump()
    for identifier in ("event:1", "event:2", f"delivery:{sent}"):
        as_json(file, identifier)
    assert before == dump()


@pytest.mark.browser
@pytest.mark.usefixtures("sent")
def test_both_cards_stand_side_by_side_on_a_page(file: Path, database: Database, templates: Path) -> None:
    change_template(templates)
    found = replay(database, load_config(file, {}).config, "event:1", CLOCK)
    assert found is not None

    with (
        serving(ReplayPreview(found), is_watching=False) as address,
        running_browser() as browser,
        opened(browser, f"{address}?language=zh") as page,
    ):
        expect(page.get_by_test_id("preview-desktop")).to_contain_text("变动时间")
        expect(page.get_by_test_id("preview-mobile")).to_contain_text("更新时间")
        expect(page.get_by_test_id("preview-mobile")).not_to_contain_text("变动时间")
        expect(page.get_by_test_id("preview-data")).to_contain_text("更新时间")
        widths = {
            each.bounding_box()["width"]  # type: ignore[index]
            for each in page.locator(".preview-cards .card").all()
        }
    assert {600} == widths

"""No command prints a line of English words only in a Chinese locale: also not check, errors, and what is stored."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from notifier.cli.main import cli
from notifier.clock import SystemClock, to_millis
from notifier.domain.delivery import DeliveryState
from notifier.domain.digest_panel import SkipReason
from notifier.domain.payout import PayoutRetry, PayoutState
from notifier.domain.withdrawal import DenialReason, PressOutcome, WithdrawalState
from notifier.flow.events.receive import Receiver
from notifier.operations.setup.comments_zh import COMMENTS_ZH
from notifier.operations.setup.config_text import SetupChoices, read_example, render_config
from notifier.operations.stored_texts import (
    ACTIONS,
    DELIVERY_STATES,
    EVENT_STATES,
    PAYOUT_STATES,
    WITHDRAWAL_STATES,
    translate_stored,
)
from notifier.store import audit, inbox, payouts
from notifier.store.audit import AuditAction
from notifier.store.engine.database import Database
from notifier.store.inbox import EntryOutcome, InboxState
from support.builders import balance_event
from support.delivery_rows import LIN, claim, create_delivery, dead_outcome, finish_failed, freeze_content
from support.withdrawal_rows import create_payout, read_payout

CHINESE = {"LC_ALL": "zh_CN.UTF-8"}
HAN = re.compile("[\u4e00-\u9fff]")
QUOTED = re.compile(r"`[^`]*`|“[^”]*”")
WORDS = re.compile(r"(?<![\w./:@=<-])[A-Za-z]{2,}(?![\w./:@=>-])")
"""Words. Identifiers, paths, addresses and settings hold a digit or a sign."""


def english_lines(text: str) -> list[str]:
    """Lines that have words, and none in Chinese. Commands, quotes of others, and JSON are none."""
    found = []
    for line in text.splitlines():
        plain = QUOTED.sub("", line)
        is_json = plain.lstrip().startswith(('"', "{", "}", "[", "]"))
        if not is_json and not HAN.search(plain) and len(WORDS.findall(plain)) > 1:
            found.append(line)
    return found


def run(locale: Mapping[str, str], *words: str, code: int) -> str:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    ran = CliRunner().invoke(cli, list(words), env={**hidden, **locale})
    assert code == ran.exit_code, ran.output
    return ran.output


@pytest.fixture
def file(database: Database, tmp_path: Path) -> Path:
    """A database with something to show in every list."""
    now = to_millis(SystemClock().now())
    Receiver(database, SystemClock(), wake=lambda: None).accept(balance_event(event_id="ev-1")).result(10)
    reason = "not an event: no JSON object with a header"
    outcome = EntryOutcome(entry_id=1, state=InboxState.QUARANTINED, reason=reason)
    database.write(lambda c: inbox.finish_entries(c, [outcome])).result()
    create_delivery(database, LIN, "n-1", now=now)
    claimed = claim(database, now=now).deliveries[0]
    freeze_content(database, claimed)
    finish_failed(database, claimed, dead_outcome("this person has resigned", code=230029), now=now + 40)
    create_payout(database, "rn-1")
    step = PayoutRetry(state=PayoutState.DEAD, due_at=0, reason="the payroll system answered 422")
    database.write(lambda c: payouts.mark_submission_failed(c, read_payout(database, "rn-1"), step)).result()
    ref = read_payout(database, "rn-1").account_ref
    entry = audit.AuditEntry(
        at=now,
        action=AuditAction.ORDER,
        actor="ou_lin",
        outcome="requested as referrer: 120 points",
        account_ref=ref,
        order_id="rn-1",
    )
    database.write(lambda c: audit.add_entries(c, entry)).result()
    config = tmp_path / "config.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}\n", encoding="utf-8")
    config.chmod(0o600)
    return config


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "words, code, expected",
    [
        (("check",), 1, "问题"),
        (("deliveries", "list"), 0, "发送失败（dead）"),
        (("deliveries", "show", "1"), 0, "该成员已离职（“this person has resigned”）（错误码 230029）"),
        (("events", "list"), 0, "已隔离（quarantined）"),
        (("events", "show", "1"), 0, "不是事件"),
        (("withdrawals", "list"), 0, "350.50 CNY"),
        (("withdrawals", "show", "rn-1"), 0, "以内推人身份发起：120 积分"),
        (("payouts", "list"), 0, "提交失败（dead）"),
        (("payouts", "show", "rn-1"), 0, "350.50 CNY"),
        (("audit",), 0, "发起提现"),
        (("accounts", "list"), 0, "账户"),
        (("status",), 0, "投递"),
        (("health",), 2, "没有设置"),
        (("preview", "none.json.j2"), 2, "没有这个模板"),
        (("preview", "--sample", "none"), 2, "没有可用的样例"),
        (("copy", "--from", "x", "--to", "y"), 2, "不是数据库地址"),
        (("try", "reward", "--account", "7", "--explain"), 0, "1 积分"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_no_line_is_english(file: Path, words: tuple[str, ...], code: int, expected: str) -> None:
    config = () if words[0] == "copy" else ("--config", str(file))

    shown = run(CHINESE, *words, *config, code=code)

    assert expected in shown
    assert [] == english_lines(shown)


@pytest.mark.parametrize(
    "text",
    [
        "feishu: {base_url: ftp://x}",
        "feishu: {timeout_seconds: 99}",
        "feishu: {timeout_seconds: soon}",
        "feishu: {environment: other}",
        "feishu: {app_id: ' cli_x'}",
        "feishu: {app_id: '${APP}'}",
        "feishu: {app_id: 0123}",
        "feishu: {app_id: [x]}",
        "feishu: x",
        "feishu: {transport: webhook}",
        "feishi: {}",
        "groups: {hr: {}}",
        "groups: {hr: {chat_id: ou_x}}",
        "groups: {HR: {chat_id: oc_x}}",
        "groups: {hr: {chat_id: oc_x, operators: [x]}}",
        "groups: {a: {chat_id: oc_x}, b: {chat_id: oc_x}}",
        "fallback_group: hr",
        "routes: []",
        "routes: [{name: a, to: [x]}, {name: a, to: [referrer]}]",
        "routes: [{name: a, to: []}]",
        "routes: [{name: a, to: [referrer], keep_going: maybe}]",
        "store: {url: mysql://x}",
        "store: {url: 'sqlite:///:memory:'}",
        "cards: {time_zone: Mars}",
        "cards: {template_dir: nowhere}",
        "cards: {contact: {zh: a@b.cn}}",
        "withdrawals: {per_minute: 1.5, kinds: [gold]}",
        "payouts: {url: 'https://x'}",
        "payouts: {secret: short}",
        "digests: [{name: A, to: [referrer]}]",
        "digests: [{name: a, to: [referrer], at: 9}]",
        "digests: [{name: a, to: [referrer], cron: x}]",
        "digests: [{name: a, to: [referrer], at: '09:00', cron: '1 2 * * *'}]",
        "calendar: {closed_on: [soon]}",
        "retention: {events_days: 0}",
        "sending: {per_minute: true, per_second: true}",
        "health: {listen: here}",
        "tracing: {endpoint: x}",
        "replica: {name: 5}",
        "- a list",
        "a: [",
        "a: 1\na: 2",
        "\ta: 1",
    ],
)
def test_every_fault_of_a_configuration_is_told_in_chinese(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")

    shown = run(CHINESE, "check", "--config", str(file), code=2)
    examined = json.loads(run(CHINESE, "doctor", "--config", str(file), "--json", code=1))

    assert all(HAN.search(QUOTED.sub("", line)) for line in shown.splitlines()), shown
    assert not re.search(r"(?:[a-z]+ ){3}", QUOTED.sub("", shown).replace(str(tmp_path), "")), shown
    assert "配置无法加载" in next(
        each["subject"] for each in examined["findings"] if each["id"] == "configuration"
    )


@pytest.mark.parametrize("name", ["config.yaml", "none"])
def test_a_missing_file_or_database_is_told_in_chinese(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.yaml").write_text(f"store: {{url: 'sqlite:///{tmp_path}/x.db'}}\n", encoding="utf-8")

    shown = run(CHINESE, "deliveries", "list", "--config", str(tmp_path / name), code=2)

    assert "没有" in shown
    assert [] == english_lines(shown)


@pytest.mark.parametrize(
    "content", ["{{ card.nothing }}", "{% if %}", "{", "[]", "{{ 1 / 0 }}", '{"schema": "2.0", "body": 5}']
)
def test_a_broken_template_is_told_in_chinese(tmp_path: Path, content: str) -> None:
    (tmp_path / "balance_change.json.j2").write_text(content, encoding="utf-8")
    (tmp_path / "unused.json.j2").write_text("{}", encoding="utf-8")
    file = tmp_path / "config.yaml"
    file.write_text("cards: {template_dir: .}\n", encoding="utf-8")

    assert [] == english_lines(run(CHINESE, "check", "--config", str(file), code=1))


def test_the_comments_of_the_written_configuration_are_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = SetupChoices(app_id="cli_x", base_url="https://open.feishu.cn")
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    english = render_config(choices)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    chinese = render_config(choices)

    yaml = YAML(typ="safe", pure=True)
    assert yaml.load(english) == yaml.load(chinese)
    comments = [
        line.partition("# ")[2] for line in chinese.splitlines() if not re.match(r" +(zh|en): ", line)
    ]
    assert [] == [each for each in comments if re.search(r"(?:[A-Za-z]+ ){3}", QUOTED.sub("", each))]
    joined = " ".join(re.sub(r"^[ #]*", "", line) for line in read_example().splitlines())
    assert [] == [each for each in COMMENTS_ZH if each not in joined]


def test_every_state_and_outcome_has_a_chinese_name() -> None:
    assert {*DeliveryState} == set(DELIVERY_STATES)
    assert {*InboxState} == set(EVENT_STATES)
    assert {*WithdrawalState} == set(WITHDRAWAL_STATES)
    assert {*PayoutState} == set(PAYOUT_STATES)
    assert {*AuditAction} == set(ACTIONS)
    for each in (*DenialReason, *PressOutcome):
        assert HAN.search(translate_stored(each)), each
    for skipped in SkipReason:
        assert HAN.search(translate_stored(f"skipped: {skipped}").removeprefix("跳过：")), skipped


@pytest.mark.parametrize(
    "stored, expected",
    [
        ("batch 3 begun: all, 2 accounts", "批次 3 开始：all，2 个账户"),
        ("agreed to 1 points, but Feishu holds nothing", "约定 1 积分，但飞书余额为 无"),
        ("paid, reference W-1", "已付款，流水号 W-1"),
        ("refused: the account belongs to another referrer", "被拒绝：账户属于另一位内推人"),
        ("given up: the payroll system answered 422", "不再重试：“the payroll system answered 422”"),
        ("something new", "“something new”"),
    ],
)
def test_what_is_stored_is_translated_or_quoted(stored: str, expected: str) -> None:
    assert expected == translate_stored(stored)


@pytest.mark.parametrize(
    "text, is_found",
    [
        ("this is English", True),
        ("feishu.app_id is missing", True),
        ("`notifier check` 运行", False),
        ("rn-1  ou_lin  350.50 CNY", False),
    ],
)
def test_the_search_for_english_lines_finds_them(text: str, is_found: bool) -> None:  # noqa: FBT001
    assert is_found == bool(english_lines(text))

"""The language of the command line: Chinese or English by the locale; JSON is the same in both."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import cli
from notifier.cli.texts.help_texts import HELP_ZH
from notifier.clock import SystemClock, to_millis
from notifier.domain.payout import PayoutRetry, PayoutState
from notifier.flow.events.receive import Receiver
from notifier.store import inbox, payouts
from notifier.store.engine.database import Database
from notifier.store.inbox import EntryOutcome, InboxState
from support.builders import balance_event
from support.delivery_rows import LIN, claim, create_delivery, dead_outcome, finish_failed, freeze_content
from support.withdrawal_rows import create_payout, read_payout

CHINESE, ENGLISH = {"LC_ALL": "zh_CN.UTF-8"}, {"LC_ALL": "en_US.UTF-8"}
STORED = ("event.modify_time is missing", "the payroll system answered 422", "this person has resigned")
"""Reasons in the database are written in English, as in the log."""
CARD = '"'
"""Lines of JSON: cards and payloads."""
ENGLISH_SENTENCE = re.compile(r"[A-Za-z']+(?:,? [A-Za-z']+){4,}")

DIGESTS = """
groups: {hr: {chat_id: oc_hr}}
fallback_group: hr
digests:
  - {name: daily, to: [hr, referrer], at: "09:07", working_days: true}
"""


@pytest.fixture
def file(database: Database, tmp_path: Path) -> Path:
    """A database with one of each: a dead delivery, a quarantined event, a dead payout with its withdrawal."""
    now = to_millis(SystemClock().now())
    Receiver(database, SystemClock(), wake=lambda: None).accept(balance_event(event_id="ev-1")).result(10)
    outcome = EntryOutcome(entry_id=1, state=InboxState.QUARANTINED, reason=STORED[0])
    database.write(lambda c: inbox.finish_entries(c, [outcome])).result()
    create_delivery(database, LIN, "n-1", now=now)
    claimed = claim(database, now=now).deliveries[0]
    freeze_content(database, claimed)
    finish_failed(database, claimed, dead_outcome(STORED[2], code=230029), now=now + 40)
    create_payout(database, "rn-1")
    step = PayoutRetry(state=PayoutState.DEAD, due_at=0, reason=STORED[1])
    database.write(lambda c: payouts.mark_submission_failed(c, read_payout(database, "rn-1"), step)).result()
    config = tmp_path / "config.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}\n{DIGESTS}", encoding="utf-8")
    return config


def run(file: Path, locale: dict[str, str], *words: str) -> Result:
    hidden = {name: None for name in os.environ if name.startswith(("NOTIFIER_", "FEISHU_", "LARK_", "APP_"))}
    return CliRunner().invoke(cli, [*words, "--config", str(file)], env={**hidden, **locale})


def english_lines(text: str) -> list[str]:
    """Lines with more than four English words in a row, without commands and what is stored."""
    found = []
    for line in text.splitlines():
        if line.strip().startswith((CARD, "{", "}", "[", "]", "  ")) and CARD in line:
            continue
        plain = re.sub(r"`[^`]*`|'[^' ]+'", "", line)  # commands, states and options keep their names
        for stored in STORED:
            plain = plain.replace(stored, "")
        if ENGLISH_SENTENCE.search(plain):
            found.append(line)
    return found


COMMANDS: list[tuple[tuple[str, ...], int, str]] = [
    (("status",), 0, "从未在此数据库上运行"),
    (("deliveries", "list"), 0, "收件人"),
    (("deliveries", "list", "--state", "sending"), 0, "没有投递。"),
    (("deliveries", "show", "1"), 0, "最近变更"),
    (("deliveries", "show", "99"), 1, "没有投递 99"),
    (("deliveries", "retry", "99"), 1, "或没有这个投递"),
    (("deliveries", "retry", "--all-dead"), 0, "1 个投递将重新发送：1。"),
    (("deliveries", "drop", "1"), 0, "1 个投递已放弃：1。"),
    (("replay", "delivery:1"), 0, "收件人"),
    (("replay", "event:1"), 0, "该事件已隔离"),
    (("replay", "99"), 1, "没有事件或投递 99"),
    (("events", "list"), 0, "接收"),
    (("events", "list", "--state", "new"), 0, "没有事件。"),
    (("events", "show", "1"), 0, "接收时间"),
    (("events", "retry", "1"), 0, "1 个事件将重新处理：1。"),
    (("events", "drop", "99"), 1, "或没有这个事件"),
    (("withdrawals", "list"), 0, "发起人"),
    (("withdrawals", "list", "--state", "refused"), 0, "没有提现。"),
    (("withdrawals", "show", "rn-1"), 0, "飞书余额"),
    (("withdrawals", "resume", "rn-1"), 1, "不在等待中"),
    (("withdrawals", "end", "rn-1", "--nothing-moved"), 1, "已有结果"),
    (("payouts", "list"), 0, "流水号"),
    (("payouts", "show", "rn-1"), 0, "提现时间"),
    (("payouts", "mark", "rn-1", "paid"), 0, "会通知内推人"),
    (("payouts", "confirm", "rn-1"), 1, "不需要确认"),
    (("payouts", "export"), 0, "已导出 1 笔付款。"),
    (("audit",), 0, "没有审计记录。"),
    (("digest", "list"), 0, "下一次"),
    (("digest", "send", "daily", "--for", "yesterday", "--dry-run"), 0, "个账户有变动"),
    (("digest", "send", "daily", "--for", "yesterday"), 0, "即将发送"),
    (("digest", "send", "weekly", "--for", "today"), 2, "没有名为 'weekly' 的摘要"),
    (("digest", "send", "daily", "--for", "2199-01-01"), 2, "尚未开始"),
    (("digest", "send", "daily", "--for", "soon"), 2, "不是日期"),
    (("payouts", "export", "--since", "soon"), 2, "不是时间"),
    (("payouts", "export", "--output", "/none/x"), 2, "无法写入"),
    (("status", "--watch"), 2, "需要终端"),
    (("health",), 2, "没有设置"),
    (("migrate",), 0, "数据库结构版本"),
    (("templates", "list"), 0, "没有自定义模板：未设置 cards.template_dir。"),
    (("templates", "eject", "digest.json.j2"), 2, "没有设置。请设置目录，或用 --to 指定。"),
    (("templates", "eject", "digest.j2", "--to", "/none/x"), 2, "没有自带模板 digest.j2"),
    (("lint", "--ignore", "nothing"), 2, "没有规则 nothing"),
    (("lint", "/none/card.json"), 2, "没有这个文件"),
]


@pytest.mark.sqlite
@pytest.mark.parametrize("words, code, expected", COMMANDS, ids=[" ".join(words) for words, _, _ in COMMANDS])
def test_a_command_speaks_chinese_in_a_chinese_locale(
    file: Path, words: tuple[str, ...], code: int, expected: str
) -> None:
    ran = run(file, CHINESE, *words)

    assert code == ran.exit_code, ran.output
    assert expected in ran.output
    assert [] == english_lines(ran.output)


def _walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _walk(each, (*path, name))


PATHS = [path for path, _ in _walk(cli)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "notifier")
def test_the_help_of_every_command_is_chinese_and_then_english_again(path: tuple[str, ...]) -> None:
    chinese = CliRunner().invoke(cli, [*path, "--help"], env=CHINESE)
    english = CliRunner().invoke(cli, [*path, "--help"], env=ENGLISH)

    assert (0, 0) == (chinese.exit_code, english.exit_code)
    assert chinese.output.startswith("用法：")
    assert [] == english_lines(chinese.output)
    assert english.output.startswith("Usage:")
    assert not re.search("[\u4e00-\u9fff]", english.output)


def test_every_help_text_has_a_chinese_one_and_no_other_is_kept() -> None:
    CliRunner().invoke(cli, ["--help"], env=ENGLISH)
    texts = {"Show this message and exit."}
    for _, command in _walk(cli):
        texts |= {(command.help or "").partition("\n")[0]}
        texts |= {each.help or "" for each in command.params if isinstance(each, click.Option)}

    assert set() == texts - {""} - set(HELP_ZH)
    assert set() == set(HELP_ZH) - texts
    assert len(HELP_ZH) == len(set(HELP_ZH.values())), "the way back must be clear"


@pytest.mark.parametrize(
    "words, expected",
    [
        (("statis",), "没有命令 'statis'。"),
        (("status", "--jsan"), "没有选项 '--jsan'。"),
        (("deliveries", "show"), "缺少参数"),
        (("deliveries", "show", "one"), "的值无效："),
        (("deliveries", "list", "--state", "lost"), "不在"),
        (("deliveries", "list", "--limit", "0"), "不在范围"),
        (("copy", "--from", "x"), "缺少选项"),
        (("events", "retry", "1", "--config"), "需要一个值"),
        (("migrate", "more"), "多余的参数"),
    ],
)
def test_a_mistyped_command_is_answered_in_chinese(words: tuple[str, ...], expected: str) -> None:
    ran = CliRunner().invoke(cli, list(words), env=CHINESE)

    assert 2 == ran.exit_code
    assert "错误：" in ran.output
    assert expected in ran.output
    assert [] == english_lines(ran.output)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "words",
    [
        ("status", "--json"),
        ("deliveries", "list", "--json"),
        ("deliveries", "show", "1", "--json"),
        ("events", "list", "--json"),
        ("withdrawals", "show", "rn-1", "--json"),
        ("payouts", "list", "--json"),
        ("audit", "--json"),
        ("digest", "list", "--json"),
    ],
    ids=" ".join,
)
def test_json_is_the_same_in_every_locale(file: Path, words: tuple[str, ...]) -> None:
    def read(locale: dict[str, str]) -> object:
        document = json.loads(run(file, locale, *words).stdout)
        if isinstance(document, dict):  # ages grow between the two calls
            for name in [each for each in document if each.endswith("_seconds") or "in_last" in each]:
                del document[name]
        return document

    assert read(CHINESE) == read(ENGLISH)


@pytest.mark.sqlite
def test_the_line_for_monitoring_is_the_same_in_every_locale(file: Path) -> None:
    lines = {run(file, locale, "status", "--check").stdout for locale in (CHINESE, ENGLISH)}

    assert 1 == len(lines)
    assert lines.pop().startswith("ATTENTION: process has never run on this database; ")


@pytest.mark.parametrize(
    "text, is_found",
    [
        ("this is a whole English sentence", True),
        ("运行 `notifier deliveries list --state dead` 查看", False),
        ("投递 7 的状态为 sent", False),
    ],
)
def test_the_search_for_english_finds_it(text: str, is_found: bool) -> None:  # noqa: FBT001
    assert is_found == bool(english_lines(text))

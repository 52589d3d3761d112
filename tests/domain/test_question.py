"""Questions: which message is which command, and which question is answered."""

import pytest

from notifier.clock import DAY_MS, HOUR_MS, MINUTE_MS
from notifier.domain.answers.question import (
    ANSWERS_PER_MINUTE,
    Command,
    EarlierQuestion,
    Treatment,
    parse_command,
    parse_menu_key,
    treat,
)

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    "text, command",
    [
        ("余额", Command.BALANCE),
        (" 余额？ ", Command.BALANCE),
        ("ＢＡＬＡＮＣＥ！", Command.BALANCE),
        ("My\n  balance…", Command.BALANCE),
        ("“提现”。", Command.WITHDRAW),
        ("/withdraw", Command.WITHDRAW),
        ("记录\u200b", Command.HISTORY),
        ("History 👋", Command.HISTORY),
        ("HELP", Command.HELP),
        ("设置", Command.SETTINGS),
        ("", Command.UNKNOWN),
        ("？？", Command.UNKNOWN),
        ("unknown", Command.UNKNOWN),
        ("餘額", Command.BALANCE),
        ("提現！", Command.WITHDRAW),
        ("記錄", Command.HISTORY),
        ("設定", Command.SETTINGS),
        ("幫助", Command.HELP),
        ("余额是多少", Command.UNKNOWN),
        ("balance " * 100_000, Command.UNKNOWN),
        ("!" * 1_000_000 + "help", Command.UNKNOWN),
    ],
)
def test_a_message_is_a_command_whatever_surrounds_the_word(text: str, command: Command) -> None:
    assert command is parse_command(text)


@pytest.mark.parametrize("key", ["balance", "withdraw", "history", "settings", "help"])
def test_the_menu_has_the_same_commands(key: str) -> None:
    assert Command(key) is parse_menu_key(f" {key.upper()} ")
    assert Command.UNKNOWN is parse_menu_key("another_programs_entry")


def earlier(command: Command, ago_ms: int, treatment: Treatment = Treatment.ANSWER) -> EarlierQuestion:
    return EarlierQuestion(command=command, treatment=treatment, received_at=NOW - ago_ms)


def decide(command: Command, *others: EarlierQuestion, asked_ago_ms: int = 0) -> Treatment:
    return treat(command, others, asked_at=NOW - asked_ago_ms, now=NOW)[0]


@pytest.mark.parametrize(
    "command, others, expected",
    [
        (Command.UNKNOWN, [], Treatment.ANSWER),
        (Command.UNKNOWN, [earlier(Command.UNKNOWN, HOUR_MS - 1)], Treatment.IGNORE),
        (Command.UNKNOWN, [earlier(Command.HELP, 1)], Treatment.IGNORE),
        (Command.UNKNOWN, [earlier(Command.BALANCE, 1)], Treatment.ANSWER),
        (Command.UNKNOWN, [earlier(Command.UNKNOWN, HOUR_MS)], Treatment.ANSWER),
        (Command.UNKNOWN, [earlier(Command.UNKNOWN, 1, Treatment.IGNORE)], Treatment.ANSWER),
        (Command.HELP, [earlier(Command.HELP, 1)], Treatment.ANSWER),
    ],
)
def test_the_help_comes_once_an_hour_and_whenever_it_is_asked_for(
    command: Command, others: list[EarlierQuestion], expected: Treatment
) -> None:
    assert expected is decide(command, *others)


def test_a_minute_has_so_many_answers_one_note_and_then_nothing() -> None:
    full = [earlier(Command.BALANCE, 1_000)] * ANSWERS_PER_MINUTE
    noted = [*full, earlier(Command.BALANCE, 500, Treatment.TOO_MANY)]

    assert Treatment.ANSWER is decide(Command.BALANCE, *full[1:])
    assert Treatment.TOO_MANY is decide(Command.BALANCE, *full)
    assert Treatment.IGNORE is decide(Command.BALANCE, *noted)
    assert Treatment.ANSWER is decide(
        Command.BALANCE, *[earlier(Command.BALANCE, MINUTE_MS)] * ANSWERS_PER_MINUTE
    )
    assert Treatment.ANSWER is decide(
        Command.BALANCE, *[earlier(Command.BALANCE, 1, Treatment.IGNORE)] * ANSWERS_PER_MINUTE
    ), "what got no answer does not count"


@pytest.mark.parametrize("command", [Command.BALANCE, Command.UNKNOWN])
def test_questions_from_before_the_clock_was_set_back_do_not_count(command: Command) -> None:
    ahead = [earlier(command, -DAY_MS)] * ANSWERS_PER_MINUTE

    assert Treatment.ANSWER is decide(command, *ahead)


@pytest.mark.parametrize("ago_ms, expected", [(DAY_MS, Treatment.ANSWER), (DAY_MS + 1, Treatment.IGNORE)])
def test_a_question_of_yesterday_gets_no_answer(ago_ms: int, expected: Treatment) -> None:
    assert expected is decide(Command.BALANCE, asked_ago_ms=ago_ms)

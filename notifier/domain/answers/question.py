"""Question: a message to the bot, or a choice in its menu, and the rules that decide how it is answered.

new -> answered   the answers are queued as deliveries
  '--> ignored    nothing is sent: the reason says why
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifier.clock import DAY_MS, HOUR_MS, MINUTE_MS, Millis

MESSAGE_RECEIVED = "im.message.receive_v1"
MENU_CHOSEN = "application.bot.menu_v6"
QUESTIONS = frozenset({MESSAGE_RECEIVED, MENU_CHOSEN})
"""Event types that may hold a question."""

ANSWERS_PER_MINUTE = 5
"""Questions of one person that are answered within a minute. The next one gets a note, and further ones nothing."""
HELP_PAUSE_MS = HOUR_MS
"""Unknown texts of one person get the help at most once in this time. The command `help` always gets it."""
LATE_AFTER_MS = 15 * MINUTE_MS
"""An answer to an older question says when it was asked. Its figures are as fresh as any."""
EXPIRED_AFTER_MS = DAY_MS
"""An older question is not answered any more."""
LONGEST_COMMAND = 40
"""Characters of a command. A longer text is no command."""
LONGEST_SCANNED = 2_000
"""Characters of a message that are read."""


class Command(StrEnum):
    """What a person asks for."""

    BALANCE = "balance"
    WITHDRAW = "withdraw"
    HISTORY = "history"
    SETTINGS = "settings"
    HELP = "help"
    UNKNOWN = "unknown"
    """A text that is no command, or a message without text."""

    @property
    def is_about_accounts(self) -> bool:
        """Whether the answer shows the accounts of the person."""
        return self in (Command.BALANCE, Command.WITHDRAW, Command.HISTORY)


WORDS: dict[str, Command] = {
    "余额": Command.BALANCE,
    "查余额": Command.BALANCE,
    "查询余额": Command.BALANCE,
    "我的余额": Command.BALANCE,
    "balance": Command.BALANCE,
    "my balance": Command.BALANCE,
    "提现": Command.WITHDRAW,
    "我要提现": Command.WITHDRAW,
    "withdraw": Command.WITHDRAW,
    "记录": Command.HISTORY,
    "历史记录": Command.HISTORY,
    "history": Command.HISTORY,
    "餘額": Command.BALANCE,
    "查餘額": Command.BALANCE,
    "我的餘額": Command.BALANCE,
    "提現": Command.WITHDRAW,
    "我要提現": Command.WITHDRAW,
    "記錄": Command.HISTORY,
    "歷史記錄": Command.HISTORY,
    "設置": Command.SETTINGS,
    "設定": Command.SETTINGS,
    "幫助": Command.HELP,
    "设置": Command.SETTINGS,
    "settings": Command.SETTINGS,
    "帮助": Command.HELP,
    "help": Command.HELP,
}
"""The commands, as `normalise` returns them."""


def normalise(text: str) -> str:
    """Return a message in the form of WORDS: half-width, lower case, one space between words, no outer punctuation."""
    flat = unicodedata.normalize("NFKC", text[:LONGEST_SCANNED]).casefold()
    visible = "".join(each for each in flat if unicodedata.category(each) not in ("Cf", "Mn"))
    words = " ".join(visible.split())
    start, end = 0, len(words)
    while start < end and not words[start].isalnum():
        start += 1
    while end > start and not words[end - 1].isalnum():
        end -= 1
    return words[start:end]


def parse_command(text: str) -> Command:
    """Return the command that a message is, without mentions. A text that holds more than a command is UNKNOWN."""
    words = normalise(text)
    return WORDS.get(words, Command.UNKNOWN) if len(words) <= LONGEST_COMMAND else Command.UNKNOWN


def parse_menu_key(event_key: str) -> Command:
    """Return the command of a menu entry, by the event key that the developer console gives it."""
    key = event_key.strip().casefold()
    return next((each for each in Command if each.value == key), Command.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A message or menu choice that may be answered. Its text is not kept: only the command that it is."""

    key: str
    """Idempotency key: the message, or the person, the entry and the second of a menu choice. The same message may
    arrive as several events.
    """
    app_id: str
    """App that was asked."""
    tenant_key: str
    """Tenant of the app."""
    open_id: str
    """The person who asks."""
    command: Command
    """What they ask for."""
    message_id: str = ""
    """The message; "": a menu choice."""
    group_chat_id: str = ""
    """The group in which they ask; "": a private chat or the menu."""
    asked_at: Millis
    """When they asked, Unix milliseconds."""


class QuestionState(StrEnum):
    """State of a question; the module docstring shows the transitions."""

    NEW = "new"
    ANSWERED = "answered"
    IGNORED = "ignored"


class Treatment(StrEnum):
    """How a question is treated."""

    ANSWER = "answer"
    TOO_MANY = "too_many"
    """The person asked too often. They get a note about it, once a minute."""
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierQuestion:
    """An earlier question of the same person. received_at: Unix milliseconds."""

    command: Command
    treatment: Treatment
    received_at: Millis


def treat(
    command: Command, earlier: Sequence[EarlierQuestion], *, asked_at: Millis, now: Millis
) -> tuple[Treatment, str]:
    """Return how a question is treated, and the reason if it is ignored.

    earlier: the questions of the person in the last HELP_PAUSE_MS, in any order. now: when it arrived, Unix
    milliseconds. A later question does not count: only a clock that was set back explains its time.
    """
    if now - asked_at > EXPIRED_AFTER_MS:
        return Treatment.IGNORE, "asked more than a day ago"
    past = [each for each in earlier if each.received_at <= now]
    answered = [each for each in past if each.treatment is Treatment.ANSWER]
    if command is Command.UNKNOWN and any(
        each.command in (Command.UNKNOWN, Command.HELP) and now - each.received_at < HELP_PAUSE_MS
        for each in answered
    ):
        return Treatment.IGNORE, "not a command, and the help was sent within the last hour"
    if sum(now - each.received_at < MINUTE_MS for each in answered) < ANSWERS_PER_MINUTE:
        return Treatment.ANSWER, ""
    if any(each.treatment is Treatment.TOO_MANY and now - each.received_at < MINUTE_MS for each in past):
        return Treatment.IGNORE, "more questions than are answered in a minute"
    return Treatment.TOO_MANY, ""

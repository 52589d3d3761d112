"""The questions of `notifier init`. Each one is answered by an option, or on a terminal, or by its default."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.operations.language import localized

if TYPE_CHECKING:
    from notifier.feishu.app_queries import BotChat

FEISHU, LARK = "https://open.feishu.cn", "https://open.larksuite.com"
ADDRESSES = {"1": FEISHU, "feishu": FEISHU, "2": LARK, "lark": LARK}
NOBODY, REFERRER, HR = "nobody", "referrer", "hr"
OFFERS: Mapping[str, tuple[str, ...]] = {"1": (), "2": (REFERRER,), "3": (HR,), "4": (REFERRER, HR)}
MAX_SECRET_BYTES = 4096
MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks on a terminal. Without one, or with --yes, it uses defaults, or says which option is needed."""

    is_interactive: bool

    def ask(
        self,
        text: str,
        parse: Callable[[str], object],
        *,
        option: str,
        default: str | None = None,
        hidden: bool = False,
    ) -> str:
        """Return the answer, once `parse` accepts it. Raises UsageError if there is nobody to ask.

        parse: raises UsageError for an answer that is not valid; the question is then asked again. option: the option
        that answers it. default: the answer to an empty line; None: there is none. hidden: do not show what is typed.
        """
        if not self.is_interactive:
            if default is None:
                raise click.UsageError(
                    localized(f"{option} is needed without a terminal.", f"没有终端时需要给出 {option}。")
                )
            parse(default)
            return default

        def check(answer: str) -> str:
            parse(answer)
            return answer.strip()

        shown = bool(default) and not hidden
        answer = click.prompt(
            text, default=default, hide_input=hidden, show_default=shown, value_proc=check, err=True
        )
        return str(answer)

    def confirm(self, text: str, *, default: bool) -> bool:
        """Return the answer to a yes-or-no question; the default if there is nobody to ask."""
        return click.confirm(text, default=default, err=True) if self.is_interactive else default


def parse_address(answer: str) -> str:
    """Return the address of Feishu, Lark or a sandbox. Raises UsageError."""
    from notifier.config.sections import FeishuConfig  # noqa: PLC0415 - heavy imports happen where they are needed

    address = ADDRESSES.get(answer.strip().lower(), answer.strip())
    try:
        return FeishuConfig(base_url=address).base_url
    except ValueError:
        raise click.UsageError(
            localized(
                f"{address} is not an address. Write 1 for Feishu, 2 for Lark, or one such as {FEISHU}: with https, "
                "without a path. Only a server on this machine may use http.",
                f"{address} 不是有效的地址。飞书填 1，Lark 填 2，或填写 {FEISHU} 这样的地址：使用 https，不带路径；"
                "只有本机的服务可以用 http。",
            )
        ) from None


def parse_app_id(answer: str) -> str:
    """Return the app id. Raises UsageError."""
    if not re.fullmatch(r"[A-Za-z0-9_]{4,64}", answer.strip()):
        raise click.UsageError(
            localized(
                "An app id has letters, digits and _ only, such as cli_a1b2c3.",
                "App ID 只含字母、数字和下划线，例如 cli_a1b2c3。",
            )
        )
    return answer.strip()


def parse_secret(answer: str) -> str:
    """Return the secret without white space at its ends. Raises UsageError, which never shows it."""
    secret = answer.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or set(secret) & set(" '\""):
        raise click.UsageError(
            localized(
                "A secret has no blanks, quotation marks or invisible characters. Copy it again.",
                "App Secret 不含空格、引号和不可见字符，请重新复制。",
            )
        )
    return secret


def read_secret_file(path: Path) -> str:
    """Return the secret of a file, or of standard input for `-`. Raises UsageError."""
    try:
        if str(path) == "-":
            raw = sys.stdin.buffer.read(MAX_SECRET_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise click.UsageError(
            localized(
                f"--secret-file: {path} cannot be read: {error.strerror}.",
                f"--secret-file：无法读取 {path}（{error.strerror}）。",
            )
        ) from None
    return parse_secret(raw[:MAX_SECRET_BYTES].decode("utf-8-sig", errors="replace"))


def parse_chat(answer: str, chats: "Sequence[BotChat]") -> str:
    """Return the chat_id for a number of the list, or for a chat_id; "" for none, or `-`. Raises UsageError."""
    answer = answer.strip().removeprefix("-")
    if answer.isdecimal() and 1 <= int(answer) <= len(chats):
        return chats[int(answer) - 1].chat_id
    if answer and not re.fullmatch(r"oc_[A-Za-z0-9_]{1,100}", answer):
        raise click.UsageError(
            localized(
                f"{answer} is neither a number of the list nor a chat_id, which starts with oc_.",
                f"{answer} 既不是列表中的序号，也不是以 oc_ 开头的 chat_id。",
            )
        )
    return answer


def parse_group_option(value: str) -> tuple[str, str]:
    """Return name and chat_id of `hr=oc_...`. Raises UsageError."""
    from notifier.config.digests import GROUP_NAME  # noqa: PLC0415 - as above

    name, _, chat_id = value.partition("=")
    if not GROUP_NAME.fullmatch(name) or name == REFERRER or not parse_chat(chat_id, ()):
        raise click.UsageError(
            localized(
                f"--group {value}: write NAME=CHAT_ID, as hr=oc_1a2b. A name has lower-case letters, digits, - and _.",
                f"--group {value}：请写成 名称=chat_id，例如 hr=oc_1a2b；名称只含小写字母、数字、- 和 _。",
            )
        )
    return name, chat_id


def parse_more_group(answer: str, chats: "Sequence[BotChat]") -> tuple[str, str] | None:
    """Return name and chat_id of `sales=3` or `sales=oc_...`; None for an empty answer. Raises UsageError."""
    name, is_pair, chat = answer.strip().partition("=")
    if not answer.strip():
        return None
    return parse_group_option(f"{name}={parse_chat(chat, chats)}" if is_pair else answer)


def parse_operators(answer: str) -> tuple[str, ...]:
    """Return the operators, separated by commas or blanks. Raises UsageError."""
    from notifier.config.sections import GroupConfig  # noqa: PLC0415 - as above

    operators = tuple(each for each in re.split(r"[\s,，、]+", answer) if each)
    try:
        GroupConfig(chat_id="oc_1", operators=operators)
    except ValueError:
        raise click.UsageError(
            localized(
                f"{' '.join(operators)}: an operator is an e-mail address, or an open_id such as ou_1a2b.",
                f"{' '.join(operators)}：授权人员请填邮箱，或以 ou_ 开头的 open_id。",
            )
        ) from None
    return operators


def describe_offer(offer: Sequence[str]) -> str:
    """Return the number of the list for who gets the withdraw button; that of nobody for any other combination."""
    return next((number for number, named in OFFERS.items() if set(named) == set(offer)), "1")


def parse_offer(answer: str) -> tuple[str, ...]:
    """Return who gets the withdraw button, for a number of the list. Raises UsageError."""
    if answer.strip() not in OFFERS:
        raise click.UsageError(localized("Write 1, 2, 3 or 4.", "请填 1、2、3 或 4。"))
    return OFFERS[answer.strip()]

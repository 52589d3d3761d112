"""The one table that sorts Feishu's answers into our errors. Above this room nobody reads a code.

Source: error tables of the message, generic, chat and hire referral_account pages of Feishu's open platform, read
2026-05. Each row says what a repeat of the same request can achieve.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from notifier.errors import (
    AccountDeactivated,
    AccountUnknown,
    AppStopped,
    CallError,
    CardRefused,
    MessageGone,
    NotAuthorised,
    NotDone,
    OutcomeUnknown,
    PictureRefused,
    RecipientUnreachable,
    Refused,
)


class Sort(Enum):
    LATER = auto()
    """Not carried out; later it may be. This recipient waits."""
    APP_LATER = auto()
    """Not carried out; the whole app waits."""
    UNKNOWN = auto()
    """May have been carried out: the same request again, with the same key."""
    TOKEN = auto()
    """Once more with a fresh token."""
    UNREACHABLE = auto()
    """Somebody else must be told instead."""
    CONTENT = auto()
    """A simpler card may pass."""
    ACCOUNT = auto()
    """No such referral account."""
    DEACTIVATED = auto()
    """The referral account may not withdraw."""
    CREDENTIALS = auto()
    """Wrong id or secret, or the app is disabled."""
    STOPPED = auto()
    """Nothing of this app is taken until a person acts: the whole app waits, and somebody must hear of it."""
    GONE = auto()
    """The message is there no more, or too old to be changed."""
    NO = auto()
    """A person must change something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """pause_seconds: the least wait that the code asks for. step: what a person can do, in one sentence."""

    sort: Sort
    meaning: str
    pause_seconds: float | None = None
    step: str = ""


def _row(sort: Sort, meaning: str, step: str = "", *, pause_seconds: float | None = None) -> Row:
    return Row(sort=sort, meaning=meaning, step=step, pause_seconds=pause_seconds)


ASK_ADMIN = "ask the tenant's administrator to restore it"
REPORT = "tell whoever maintains the notifier, with the log id"
PUBLISH = "then create and publish an app version in the developer console"

TABLE: Mapping[int, Row] = {
    # sending messages
    230001: _row(Sort.NO, "bad parameter", REPORT),
    230002: _row(Sort.UNREACHABLE, "the bot is not in the group", "add the bot to the group"),
    230006: _row(Sort.NO, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"),
    230011: _row(Sort.GONE, "the message was recalled"),
    230013: _row(
        Sort.UNREACHABLE,
        "this person is outside the app's availability range, or has resigned",
        f"widen the availability range, {PUBLISH}",
    ),
    230015: _row(Sort.NO, "a p2p chat cannot be shared", REPORT),
    230017: _row(
        Sort.NO,
        "the file belongs to another app",
        "send this digest anew with `notifier digest send`, which uploads its file again",
    ),
    230018: _row(
        Sort.UNREACHABLE, "the group's settings forbid the bot to speak", "let the bot speak in the group"
    ),
    230019: _row(Sort.NO, "the topic does not exist", REPORT),
    230020: _row(Sort.LATER, "too many messages to this chat", pause_seconds=1),
    230022: _row(Sort.CONTENT, "the content was judged sensitive"),
    230025: _row(Sort.CONTENT, "the content is too long"),
    230027: _row(Sort.NO, "a permission is missing", f"add the scope im:message:send_as_bot, {PUBLISH}"),
    230028: _row(Sort.CONTENT, "the data-leak audit refused the content"),
    230029: _row(Sort.UNREACHABLE, "this person has resigned"),
    230031: _row(Sort.GONE, "the message is older than 14 days"),
    230034: _row(Sort.UNREACHABLE, "the recipient id is invalid", "check the id in the configuration"),
    230035: _row(
        Sort.UNREACHABLE, "sending is not allowed: the group is muted, or the person blocked the bot"
    ),
    230036: _row(Sort.NO, "the tenant's encryption key was deleted", ASK_ADMIN),
    230038: _row(Sort.UNREACHABLE, "this person belongs to another company"),
    230049: _row(Sort.UNKNOWN, "the same message is still being sent", pause_seconds=2),
    230050: _row(Sort.GONE, "the message is invisible to the bot"),
    230053: _row(Sort.UNREACHABLE, "this person told the bot to stop"),
    230054: _row(Sort.CONTENT, "this kind of message is not available there"),
    230055: _row(Sort.NO, "the upload's type does not fit the message", REPORT),
    230071: _row(Sort.NO, "replies in a thread are not possible there", REPORT),
    230072: _row(Sort.NO, "an aggregated message cannot be replied to", REPORT),
    230075: _row(Sort.UNREACHABLE, "bots cannot speak in a secret chat"),
    230099: _row(Sort.CONTENT, "the card was refused"),
    230110: _row(Sort.GONE, "the message was deleted"),
    230111: _row(Sort.GONE, "the message is about to destroy itself"),
    232009: _row(Sort.UNREACHABLE, "the group was dissolved"),
    18121: _row(Sort.UNKNOWN, "the same message is still being created", pause_seconds=2),
    11232: _row(Sort.APP_LATER, "Feishu limits the creation of messages just now", pause_seconds=5),
    11233: _row(Sort.LATER, "Feishu limits the creation of messages in this chat just now", pause_seconds=2),
    # uploading a file
    234001: _row(Sort.NO, "a parameter of the upload is not valid", REPORT),
    234002: _row(Sort.NO, "the app may not upload", f"add the scope im:resource, {PUBLISH}"),
    234006: _row(Sort.NO, "the file is larger than 30 MB", "make the digest's period shorter"),
    234007: _row(Sort.NO, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"),
    234010: _row(Sort.NO, "the file is empty", REPORT),
    234041: _row(Sort.NO, "the tenant's encryption key was deleted", ASK_ADMIN),
    234042: _row(Sort.NO, "the tenant's storage is full", "ask the administrator to make room"),
    232096: _row(Sort.LATER, "Feishu takes no files just now", pause_seconds=30),
    # changing a card
    11310: _row(Sort.CONTENT, "the card was refused"),
    11311: _row(Sort.CONTENT, "the card's form was refused"),
    # generic
    99991400: _row(Sort.APP_LATER, "the app calls too often"),
    99991401: _row(
        Sort.STOPPED, "this machine's address is not allowed", "add it to the app's IP allow-list"
    ),
    99991403: _row(
        Sort.STOPPED, "the tenant's monthly call quota is used up", "ask the administrator to raise the plan"
    ),
    99991661: _row(Sort.TOKEN, "the request carried no token"),
    99991663: _row(Sort.TOKEN, "the token is invalid or expired"),
    99991664: _row(Sort.TOKEN, "the token is not accepted"),
    99991665: _row(Sort.TOKEN, "the token is not accepted"),
    99991668: _row(Sort.NO, "the user token is invalid", REPORT),
    99991677: _row(Sort.NO, "the user token expired", REPORT),
    99991671: _row(Sort.NO, "the token has the wrong form", REPORT),
    99991672: _row(Sort.NO, "a scope is missing", f"add the scope named in the message, {PUBLISH}"),
    99991673: _row(
        Sort.STOPPED, "the app is not usable in this tenant", "ask the administrator to enable the app"
    ),
    99991662: _row(
        Sort.STOPPED, "the app is disabled in this tenant", "ask the administrator to enable the app"
    ),
    99991676: _row(Sort.NO, "the token lacks a permission", f"check the app's scopes, {PUBLISH}"),
    99991679: _row(Sort.NO, "a user must consent first", REPORT),
    99992351: _row(Sort.UNREACHABLE, "no such open_id"),
    99992354: _row(Sort.GONE, "no such message"),
    99992356: _row(Sort.UNREACHABLE, "no such chat", "check the chat_id in the configuration"),
    99992361: _row(Sort.UNREACHABLE, "the open_id belongs to another app"),
    99992402: _row(Sort.NO, "a field is not valid", REPORT),
    9499: _row(Sort.NO, "the request is not valid", REPORT),
    1500: _row(Sort.UNKNOWN, "internal error"),
    2200: _row(Sort.UNKNOWN, "internal error"),
    5000: _row(Sort.UNKNOWN, "internal error"),
    10003: _row(Sort.CREDENTIALS, "the app id is not valid", "check feishu.app_id and feishu.base_url"),
    10014: _row(
        Sort.CREDENTIALS,
        "the app is disabled or its secret is wrong",
        "check feishu.app_secret, and that the app is enabled",
    ),
    10015: _row(Sort.CREDENTIALS, "the app secret is wrong", "check feishu.app_secret"),
    41050: _row(Sort.NO, "this person is outside the app's contact range", "widen the contact data range"),
    40003: _row(Sort.UNKNOWN, "internal error"),
    # chats
    232001: _row(Sort.NO, "bad parameter", REPORT),
    232004: _row(Sort.NO, "no such app", "check feishu.app_id"),
    232006: _row(Sort.UNREACHABLE, "the chat_id is not valid", "check the chat_id in the configuration"),
    232010: _row(Sort.UNREACHABLE, "the chat belongs to another company"),
    232025: _row(Sort.NO, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"),
    232033: _row(Sort.UNREACHABLE, "the chat is external"),
    232034: _row(Sort.NO, "the app is not installed in this tenant", f"{PUBLISH[5:]}"),
    # hire
    1002001: _row(Sort.UNKNOWN, "system error"),
    10_20_001: _row(Sort.UNKNOWN, "system error"),
    1002002: _row(Sort.NO, "bad parameter", REPORT),
    1002553: _row(Sort.ACCOUNT, "Feishu knows no such referral account"),
    1002555: _row(Sort.DEACTIVATED, "the referral account is deactivated"),
}

LOCKED_CARD = "card action is lock"
PICTURES = frozenset({"200550", "200570"})
"""Sub-codes of a refused chart and a refused image: without it the same card may pass."""

_SUB_CODE = re.compile(r"ErrCode:\s*(\d+)")
_SUB_TEXT = re.compile(r"ErrMsg:\s*([^;]+)")


def failure(  # noqa: C901, PLR0911, PLR0912 - one return per row of the table reads best
    code: int,
    msg: str,
    *,
    log_id: str | None = None,
    retry_after_seconds: float | None = None,
) -> CallError:
    """The error that stands for a body code other than 0. msg: Feishu's own words, shortened into the reason."""
    row = TABLE.get(code)
    if row is None:
        return Refused(f"Feishu refused: {shorten(msg) or 'no reason given'}", code=code, log_id=log_id)
    reason = "; ".join(
        part for part in (row.meaning, _detail(code, msg), row.step and f"next step: {row.step}") if part
    )
    wait = retry_after_seconds if retry_after_seconds is not None else row.pause_seconds
    match row.sort:
        case Sort.CONTENT if LOCKED_CARD in msg:
            return NotDone(reason, code=code, log_id=log_id, retry_after_seconds=1)
        case Sort.LATER | Sort.APP_LATER:
            return NotDone(
                reason,
                code=code,
                log_id=log_id,
                retry_after_seconds=wait,
                whole_app=row.sort is Sort.APP_LATER,
                exact=retry_after_seconds is not None,
            )
        case Sort.UNKNOWN:
            return OutcomeUnknown(reason, code=code, log_id=log_id, retry_after_seconds=wait)
        case Sort.UNREACHABLE:
            return RecipientUnreachable(reason, code=code, log_id=log_id)
        case Sort.CONTENT if _sub_code(msg) in PICTURES:
            return PictureRefused(reason, code=code, log_id=log_id)
        case Sort.CONTENT:
            return CardRefused(reason, code=code, log_id=log_id)
        case Sort.ACCOUNT:
            return AccountUnknown(reason, code=code, log_id=log_id)
        case Sort.DEACTIVATED:
            return AccountDeactivated(reason, code=code, log_id=log_id)
        case Sort.CREDENTIALS | Sort.TOKEN:
            return NotAuthorised(reason, code=code, log_id=log_id)
        case Sort.STOPPED:
            return AppStopped(reason, code=code, log_id=log_id)
        case Sort.GONE:
            return MessageGone(reason, code=code, log_id=log_id)
        case Sort.NO:
            return Refused(reason, code=code, log_id=log_id)


def asks_for_fresh_token(error: CallError) -> bool:
    row = TABLE.get(error.code) if error.code is not None else None
    return row is not None and row.sort is Sort.TOKEN


def _detail(code: int, msg: str) -> str:
    """For a refused card its own error; else Feishu's sentence."""
    sub_code = _sub_code(msg) if code == 230099 else None
    if sub_code is None:
        return shorten(msg)
    sub_text = _SUB_TEXT.search(msg)
    return shorten(f"{sub_code} {sub_text.group(1).strip() if sub_text else ''}".strip())


def _sub_code(msg: str) -> str | None:
    found = _SUB_CODE.search(msg)
    return found.group(1) if found else None


def shorten(text: str, most: int = 300) -> str:
    """One line, bounded: it goes into logs and onto the operator's screen."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= most else f"{line[: most - 1]}…"

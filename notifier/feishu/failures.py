"""Failure rules: one table maps Feishu's error codes to the errors of this program.

Source: error tables of the message, generic, chat and hire referral_account pages of Feishu's open platform, read
2026-05. Each row states whether a repeated request can succeed. The texts for people are in
notifier/domain/failure_reasons.py, by the same codes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from notifier.domain.scopes import SCOPES, Feature
from notifier.errors import (
    AccountDeactivated,
    AccountUnknown,
    AppSuspended,
    CallError,
    CardRefused,
    MessageGone,
    NotAuthorised,
    OutcomeUnknown,
    PictureRefused,
    RecipientUnreachable,
    Refused,
    TemporaryFailure,
)


class FailureClass(Enum):
    """What a failed call means for the request and for the app."""

    RETRY_LATER = auto()
    """Not carried out; a later request may succeed. Only this recipient waits."""
    APP_RETRY_LATER = auto()
    """Not carried out; all calls of the app wait."""
    UNKNOWN = auto()
    """May have been carried out. Repeat the same request with the same idempotency key."""
    TOKEN_REJECTED = auto()
    """Repeat the request once with a new token."""
    UNREACHABLE = auto()
    """This recipient cannot receive messages; use the fallback group."""
    CONTENT_REFUSED = auto()
    """Feishu rejects the content; a lower card variant may succeed."""
    ACCOUNT_UNKNOWN = auto()
    """No such referral account."""
    ACCOUNT_DEACTIVATED = auto()
    """The referral account is deactivated and cannot withdraw."""
    CREDENTIALS_REJECTED = auto()
    """The app id or secret is wrong, or the app is disabled."""
    APP_SUSPENDED = auto()
    """Feishu rejects every call of this app until an administrator acts. All calls wait, and an error is logged."""
    MESSAGE_GONE = auto()
    """The message no longer exists, or is too old to be updated."""
    PERMANENT = auto()
    """A repeat cannot succeed until somebody changes the configuration or the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRule:
    """One row of the table: what an error code means and what to do about it."""

    failure_class: FailureClass
    meaning: str
    """English text for logs and operators."""
    pause_seconds: float | None = None
    """Minimum wait before the next try, in seconds; None if the code requires none."""
    next_step: str = ""
    """What an operator can do, as one imperative clause; "" if there is nothing to do."""


def _rule(
    failure_class: FailureClass, meaning: str, next_step: str = "", *, pause_seconds: float | None = None
) -> FailureRule:
    return FailureRule(
        failure_class=failure_class, meaning=meaning, next_step=next_step, pause_seconds=pause_seconds
    )


ASK_ADMIN = "ask the tenant's administrator to restore it"
REPORT_BUG = "report this to the notifier's maintainers, with the log id"
PUBLISH = "then create and publish an app version in the developer console"

FAILURE_RULES: Mapping[int, FailureRule] = {
    # sending messages
    230001: _rule(FailureClass.PERMANENT, "bad parameter", REPORT_BUG),
    230002: _rule(FailureClass.UNREACHABLE, "the bot is not in the group", "add the bot to the group"),
    230006: _rule(
        FailureClass.PERMANENT, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"
    ),
    230011: _rule(FailureClass.MESSAGE_GONE, "the message was recalled"),
    230013: _rule(
        FailureClass.UNREACHABLE,
        "this person is outside the app's availability range, or has resigned",
        f"widen the availability range, {PUBLISH}",
    ),
    230015: _rule(FailureClass.PERMANENT, "a p2p chat cannot be shared", REPORT_BUG),
    230017: _rule(
        FailureClass.PERMANENT,
        "the file belongs to another app",
        "send this digest again with `notifier digest send`, which uploads its file again",
    ),
    230018: _rule(
        FailureClass.UNREACHABLE,
        "the group's settings do not allow the bot to post",
        "allow the bot to post in the group",
    ),
    230019: _rule(FailureClass.PERMANENT, "the topic does not exist", REPORT_BUG),
    230020: _rule(FailureClass.RETRY_LATER, "too many messages to this chat", pause_seconds=1),
    230022: _rule(FailureClass.CONTENT_REFUSED, "Feishu classified the content as sensitive"),
    230025: _rule(FailureClass.CONTENT_REFUSED, "the content is too long"),
    230027: _rule(
        FailureClass.PERMANENT, "a permission is missing", f"add the scope im:message:send_as_bot, {PUBLISH}"
    ),
    230028: _rule(FailureClass.CONTENT_REFUSED, "the data-leak audit rejected the content"),
    230029: _rule(FailureClass.UNREACHABLE, "this person has resigned"),
    230031: _rule(FailureClass.MESSAGE_GONE, "the message is older than 14 days"),
    230034: _rule(
        FailureClass.UNREACHABLE, "the recipient id is invalid", "check the id in the configuration"
    ),
    230035: _rule(
        FailureClass.UNREACHABLE, "sending is not allowed: the group is muted, or the person blocked the bot"
    ),
    230036: _rule(FailureClass.PERMANENT, "the tenant's encryption key was deleted", ASK_ADMIN),
    230038: _rule(FailureClass.UNREACHABLE, "this person belongs to another company"),
    230049: _rule(FailureClass.UNKNOWN, "the same message is still being sent", pause_seconds=2),
    230050: _rule(FailureClass.MESSAGE_GONE, "the message is invisible to the bot"),
    230053: _rule(FailureClass.UNREACHABLE, "this person has stopped the bot"),
    230054: _rule(FailureClass.CONTENT_REFUSED, "this kind of message is not supported there"),
    230055: _rule(FailureClass.PERMANENT, "the upload's type does not fit the message", REPORT_BUG),
    230071: _rule(FailureClass.PERMANENT, "replies in a thread are not possible there", REPORT_BUG),
    230072: _rule(FailureClass.PERMANENT, "an aggregated message cannot be replied to", REPORT_BUG),
    230075: _rule(FailureClass.UNREACHABLE, "bots cannot post in a secret chat"),
    230099: _rule(FailureClass.CONTENT_REFUSED, "the card was refused"),
    230110: _rule(FailureClass.MESSAGE_GONE, "the message was deleted"),
    230111: _rule(FailureClass.MESSAGE_GONE, "the message is about to be deleted automatically"),
    232009: _rule(FailureClass.UNREACHABLE, "the group was dissolved"),
    18121: _rule(FailureClass.UNKNOWN, "the same message is still being created", pause_seconds=2),
    11232: _rule(
        FailureClass.APP_RETRY_LATER, "Feishu currently limits the creation of messages", pause_seconds=5
    ),
    11233: _rule(
        FailureClass.RETRY_LATER,
        "Feishu currently limits the creation of messages in this chat",
        pause_seconds=2,
    ),
    # uploading a file
    234001: _rule(FailureClass.PERMANENT, "a parameter of the upload is not valid", REPORT_BUG),
    234002: _rule(
        FailureClass.PERMANENT,
        "the app has no permission to upload",
        f"add the scope {SCOPES[Feature.FILES]}, {PUBLISH}",
    ),
    234006: _rule(
        FailureClass.PERMANENT, "the file is larger than 30 MB", "make the digest's period shorter"
    ),
    234007: _rule(
        FailureClass.PERMANENT, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"
    ),
    234010: _rule(FailureClass.PERMANENT, "the file is empty", REPORT_BUG),
    234041: _rule(FailureClass.PERMANENT, "the tenant's encryption key was deleted", ASK_ADMIN),
    234042: _rule(
        FailureClass.PERMANENT, "the tenant's storage is full", "ask the administrator to free storage"
    ),
    232096: _rule(FailureClass.RETRY_LATER, "Feishu currently accepts no files", pause_seconds=30),
    # changing a card
    11310: _rule(FailureClass.CONTENT_REFUSED, "the card was refused"),
    11311: _rule(FailureClass.CONTENT_REFUSED, "the card's form was refused"),
    # generic
    99991400: _rule(FailureClass.APP_RETRY_LATER, "the app calls too often"),
    99991401: _rule(
        FailureClass.APP_SUSPENDED,
        "this machine's address is not allowed",
        "add it to the app's IP allow-list",
    ),
    99991403: _rule(
        FailureClass.APP_SUSPENDED,
        "the tenant's monthly call quota is used up",
        "ask the administrator to raise the plan",
    ),
    99991661: _rule(FailureClass.TOKEN_REJECTED, "the request carried no token"),
    99991663: _rule(FailureClass.TOKEN_REJECTED, "the token is invalid or expired"),
    99991664: _rule(FailureClass.TOKEN_REJECTED, "the token is not accepted"),
    99991665: _rule(FailureClass.TOKEN_REJECTED, "the token is not accepted"),
    99991668: _rule(FailureClass.PERMANENT, "the user token is invalid", REPORT_BUG),
    99991677: _rule(FailureClass.PERMANENT, "the user token expired", REPORT_BUG),
    99991671: _rule(FailureClass.PERMANENT, "the token has the wrong form", REPORT_BUG),
    99991672: _rule(
        FailureClass.PERMANENT, "a scope is missing", f"add the scope named in the message, {PUBLISH}"
    ),
    99991673: _rule(
        FailureClass.APP_SUSPENDED,
        "the app is not usable in this tenant",
        "ask the administrator to enable the app",
    ),
    99991662: _rule(
        FailureClass.APP_SUSPENDED,
        "the app is disabled in this tenant",
        "ask the administrator to enable the app",
    ),
    99991676: _rule(
        FailureClass.PERMANENT, "the token lacks a permission", f"check the app's scopes, {PUBLISH}"
    ),
    99991679: _rule(FailureClass.PERMANENT, "a user must consent first", REPORT_BUG),
    99992351: _rule(FailureClass.UNREACHABLE, "no such open_id"),
    99992354: _rule(FailureClass.MESSAGE_GONE, "no such message"),
    99992356: _rule(FailureClass.UNREACHABLE, "no such chat", "check the chat_id in the configuration"),
    99992361: _rule(FailureClass.UNREACHABLE, "the open_id belongs to another app"),
    99992402: _rule(FailureClass.PERMANENT, "a field is not valid", REPORT_BUG),
    9499: _rule(FailureClass.PERMANENT, "the request is not valid", REPORT_BUG),
    1500: _rule(FailureClass.UNKNOWN, "internal error"),
    2200: _rule(FailureClass.UNKNOWN, "internal error"),
    5000: _rule(FailureClass.UNKNOWN, "internal error"),
    10003: _rule(
        FailureClass.CREDENTIALS_REJECTED,
        "the app id is not valid",
        "check feishu.app_id and feishu.base_url",
    ),
    10014: _rule(
        FailureClass.CREDENTIALS_REJECTED,
        "the app is disabled or its secret is wrong",
        "check feishu.app_secret, and that the app is enabled",
    ),
    10015: _rule(FailureClass.CREDENTIALS_REJECTED, "the app secret is wrong", "check feishu.app_secret"),
    41050: _rule(
        FailureClass.PERMANENT,
        "this person is outside the app's contact range",
        "widen the contact data range",
    ),
    40003: _rule(FailureClass.UNKNOWN, "internal error"),
    # chats
    232001: _rule(FailureClass.PERMANENT, "bad parameter", REPORT_BUG),
    232004: _rule(FailureClass.PERMANENT, "no such app", "check feishu.app_id"),
    232006: _rule(
        FailureClass.UNREACHABLE, "the chat_id is not valid", "check the chat_id in the configuration"
    ),
    232010: _rule(FailureClass.UNREACHABLE, "the chat belongs to another company"),
    232025: _rule(
        FailureClass.PERMANENT, "the app's bot ability is off", f"turn on the bot ability, {PUBLISH}"
    ),
    232033: _rule(FailureClass.UNREACHABLE, "the chat is external"),
    232034: _rule(FailureClass.PERMANENT, "the app is not installed in this tenant", f"{PUBLISH[5:]}"),
    # hire
    1002001: _rule(FailureClass.UNKNOWN, "system error"),
    10_20_001: _rule(FailureClass.UNKNOWN, "system error"),
    1002002: _rule(FailureClass.PERMANENT, "bad parameter", REPORT_BUG),
    1002553: _rule(FailureClass.ACCOUNT_UNKNOWN, "Feishu knows no such referral account"),
    1002555: _rule(FailureClass.ACCOUNT_DEACTIVATED, "the referral account is deactivated"),
}

LOCKED_CARD_TEXT = "card action is lock"
"""Feishu's message while it processes a press on the card. It has no code of its own."""
PICTURE_SUB_CODES = frozenset({"200550", "200570"})
"""Sub-codes of a refused chart and a refused image. Without that element the same card may be accepted."""

_SUB_CODE = re.compile(r"ErrCode:\s*(\d+)")
_SUB_TEXT = re.compile(r"ErrMsg:\s*([^;]+)")


_PLAIN_ERRORS: Mapping[FailureClass, type[CallError]] = {
    FailureClass.UNREACHABLE: RecipientUnreachable,
    FailureClass.CONTENT_REFUSED: CardRefused,
    FailureClass.ACCOUNT_UNKNOWN: AccountUnknown,
    FailureClass.ACCOUNT_DEACTIVATED: AccountDeactivated,
    FailureClass.CREDENTIALS_REJECTED: NotAuthorised,
    FailureClass.TOKEN_REJECTED: NotAuthorised,
    FailureClass.APP_SUSPENDED: AppSuspended,
    FailureClass.MESSAGE_GONE: MessageGone,
    FailureClass.PERMANENT: Refused,
}
"""The error of each class that needs no wait time."""


def make_call_error(
    code: int,
    msg: str,
    *,
    log_id: str | None = None,
    retry_after_seconds: float | None = None,
) -> CallError:
    """Return the error for a response whose body code is not 0.

    msg: Feishu's own message; a shortened form becomes part of the reason, for logs and operators. log_id: the
    response header X-Tt-Logid. retry_after_seconds: the wait that this response names, or None. A code that is not
    in the table becomes Refused.
    """
    rule = FAILURE_RULES.get(code)
    if rule is None:
        return Refused(f"Feishu refused: {shorten(msg) or 'no reason given'}", code=code, log_id=log_id)
    reason = _reason(rule, code, msg)
    if rule.failure_class is FailureClass.CONTENT_REFUSED and LOCKED_CARD_TEXT in msg:
        return TemporaryFailure(reason, code=code, log_id=log_id, retry_after_seconds=1)
    wait = retry_after_seconds if retry_after_seconds is not None else rule.pause_seconds
    if rule.failure_class in (FailureClass.RETRY_LATER, FailureClass.APP_RETRY_LATER):
        return TemporaryFailure(
            reason,
            code=code,
            log_id=log_id,
            retry_after_seconds=wait,
            affects_whole_app=rule.failure_class is FailureClass.APP_RETRY_LATER,
            is_exact_wait=retry_after_seconds is not None,
        )
    if rule.failure_class is FailureClass.UNKNOWN:
        return OutcomeUnknown(reason, code=code, log_id=log_id, retry_after_seconds=wait)
    error = _PLAIN_ERRORS[rule.failure_class]
    if error is CardRefused and _sub_code(msg) in PICTURE_SUB_CODES:
        error = PictureRefused
    return error(reason, code=code, log_id=log_id)


def _reason(rule: FailureRule, code: int, msg: str) -> str:
    next_step = rule.next_step and f"next step: {rule.next_step}"
    return "; ".join(part for part in (rule.meaning, _detail(code, msg), next_step) if part)


def needs_fresh_token(error: CallError) -> bool:
    """Return whether Feishu rejected the access token, so that the call can be repeated with a new one."""
    row = FAILURE_RULES.get(error.code) if error.code is not None else None
    return row is not None and row.failure_class is FailureClass.TOKEN_REJECTED


def _detail(code: int, msg: str) -> str:
    """Return the sub-code and sub-message of a refused card, otherwise Feishu's message, shortened."""
    sub_code = _sub_code(msg) if code == 230099 else None
    if sub_code is None:
        return shorten(msg)
    sub_text = _SUB_TEXT.search(msg)
    return shorten(f"{sub_code} {sub_text.group(1).strip() if sub_text else ''}".strip())


def _sub_code(msg: str) -> str | None:
    found = _SUB_CODE.search(msg)
    return found.group(1) if found else None


def shorten(text: str, most: int = 300) -> str:
    """Return the text as one line of at most `most` characters, for logs and operator output."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= most else f"{line[: most - 1]}…"

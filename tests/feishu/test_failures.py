"""Failures: every code of Feishu's pages and the error it becomes."""

from typing import NamedTuple

import pytest

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
from notifier.feishu.failures import FAILURE_RULES, make_call_error, needs_fresh_token, shorten


class Row(NamedTuple):
    """error: the class exactly. whole_app, pause: of a NotDone; pause is the wait when Feishu names none."""

    error: type[CallError]
    affects_whole_app: bool = False
    pause: float | None = None


GONE, NO, NEXT, SIMPLER = Row(MessageGone), Row(Refused), Row(RecipientUnreachable), Row(CardRefused)
UNKNOWN, TOKEN, STOPPED = Row(OutcomeUnknown), Row(NotAuthorised), Row(AppSuspended)

FILES = {
    234001: NO,
    234002: NO,
    234006: NO,
    234007: NO,
    234010: NO,
    234041: NO,
    234042: NO,
    232096: Row(TemporaryFailure, pause=30),
}
MESSAGES = {
    230001: NO,
    230002: NEXT,
    230006: NO,
    230011: GONE,
    230013: NEXT,
    230015: NO,
    230017: NO,
    230018: NEXT,
    230019: NO,
    230020: Row(TemporaryFailure, pause=1),
    230022: SIMPLER,
    230025: SIMPLER,
    230027: NO,
    230028: SIMPLER,
    230029: NEXT,
    230031: GONE,
    230034: NEXT,
    230035: NEXT,
    230036: NO,
    230038: NEXT,
    230049: UNKNOWN,
    230050: GONE,
    230053: NEXT,
    230054: SIMPLER,
    230055: NO,
    230071: NO,
    230072: NO,
    230075: NEXT,
    230099: SIMPLER,
    230110: GONE,
    230111: GONE,
    232009: NEXT,
    18121: UNKNOWN,
    11232: Row(TemporaryFailure, affects_whole_app=True, pause=5),
    11233: Row(TemporaryFailure, pause=2),
    11310: SIMPLER,
    11311: SIMPLER,
}
"""Codes of the message pages, read 2026-05."""

GENERIC = {
    99991400: Row(TemporaryFailure, affects_whole_app=True),
    99991401: STOPPED,
    99991403: STOPPED,
    99991661: TOKEN,
    99991663: TOKEN,
    99991664: TOKEN,
    99991665: TOKEN,
    99991668: NO,
    99991677: NO,
    99991671: NO,
    99991672: NO,
    99991673: STOPPED,
    99991662: STOPPED,
    99991676: NO,
    99991679: NO,
    99992351: NEXT,
    99992354: GONE,
    99992356: NEXT,
    99992361: NEXT,
    99992402: NO,
    9499: NO,
    1500: UNKNOWN,
    2200: UNKNOWN,
    5000: UNKNOWN,
    10003: TOKEN,
    10014: TOKEN,
    10015: TOKEN,
    41050: NO,
}
"""Generic codes, read 2026-05."""

CHATS = {
    40003: UNKNOWN,
    232001: NO,
    232004: NO,
    232006: NEXT,
    232010: NEXT,
    232025: NO,
    232033: NEXT,
    232034: NO,
}
"""Codes of the contact and chat pages that speak of more than one call, read 2026-05."""

HIRE = {
    1002001: UNKNOWN,
    1020001: UNKNOWN,
    1002002: NO,
    1002553: Row(AccountUnknown),
    1002555: Row(AccountDeactivated),
}
"""Codes of the referral account pages, read 2026-05; of "create", which we never call, see NOT_LISTED."""

NOT_LISTED = (1002551, 1002552, 234011, 1, 77)

EVERY = MESSAGES | FILES | GENERIC | CHATS | HIRE


def test_the_table_has_every_code_of_the_pages_and_no_other() -> None:
    assert set(EVERY) == set(FAILURE_RULES)


@pytest.mark.parametrize("code, row", EVERY.items())
def test_each_code_becomes_its_error(code: int, row: Row) -> None:
    error = make_call_error(code, "Feishu's words", log_id="log-1")

    assert row.error is type(error)
    assert (code, "log-1") == (error.code, error.log_id)
    assert FAILURE_RULES[code].meaning in error.reason
    if isinstance(error, TemporaryFailure):
        assert (row.affects_whole_app, row.pause) == (error.affects_whole_app, error.retry_after_seconds)


@pytest.mark.parametrize("code", [code for code, row in EVERY.items() if row.error is TemporaryFailure])
def test_a_wait_that_feishu_names_counts_more_than_the_tables(code: int) -> None:
    error = make_call_error(code, "slower", retry_after_seconds=42)

    assert isinstance(error, TemporaryFailure)
    assert 42 == error.retry_after_seconds


@pytest.mark.parametrize("code", NOT_LISTED)
def test_a_code_that_is_not_listed_is_refused_in_feishus_own_words(code: int) -> None:
    error = make_call_error(code, "user not found", log_id="log-1")

    assert Refused is type(error)
    assert f"Feishu refused: user not found (code {code}) [log id log-1]" == str(error)


def test_a_refusal_without_a_word_says_so() -> None:
    assert "Feishu refused: no reason given" == make_call_error(77, " ").reason


def refused_card(sub_code: int, sub_text: str) -> str:
    """Feishu's sentence as the message page shows it."""
    return (
        f"Failed to create card content, ext=ErrCode: {sub_code}; ErrPath: ROOT -> body -> elements; "
        f"ErrMsg: {sub_text}; ErrorValue: x"
    )


@pytest.mark.parametrize(
    "sub_code, sub_text",
    [
        (100290, "invalid user id"),
        (11310, "element exceeds the limit"),
        (11310, "card table number over limit"),
        (11310, "template is not visible"),
        (200380, "template does not exist"),
        (200381, "template is not authorised"),
        (200621, "parse card json err"),
        (200732, "template variable type"),
        (200737, "template variable format"),
        (200861, "unsupported tag"),
        (200914, "table rows invalid"),
        (200915, "table row key"),
        (300220, "audio"),
        (300230, "audio"),
        (300240, "audio"),
    ],
)
def test_a_refused_card_names_its_own_error(sub_code: int, sub_text: str) -> None:
    error = make_call_error(230099, refused_card(sub_code, sub_text))

    assert CardRefused is type(error)
    assert f"the card was refused; {sub_code} {sub_text}" == error.reason


@pytest.mark.parametrize(
    "sub_code, sub_text", [(200550, "chart spec invalid"), (200570, "image key invalid")]
)
def test_a_refused_picture_is_told_apart_from_a_refused_card(sub_code: int, sub_text: str) -> None:
    error = make_call_error(230099, refused_card(sub_code, sub_text))

    assert PictureRefused is type(error)
    assert f"the card was refused; {sub_code} {sub_text}" == error.reason


@pytest.mark.parametrize("code", [230099, 11310])
def test_a_card_that_is_being_clicked_is_tried_again_in_a_second(code: int) -> None:
    error = make_call_error(code, refused_card(11310, "card action is lock"))

    assert isinstance(error, TemporaryFailure)
    assert (1, False) == (error.retry_after_seconds, error.affects_whole_app)


def test_a_refused_card_without_details_keeps_feishus_sentence() -> None:
    assert "the card was refused; Failed to create" == make_call_error(230099, "Failed to create").reason


@pytest.mark.parametrize("code", EVERY)
def test_only_codes_about_our_token_ask_for_a_fresh_one(code: int) -> None:
    expected = code in (99991661, 99991663, 99991664, 99991665)

    assert expected is needs_fresh_token(make_call_error(code, ""))


@pytest.mark.parametrize(
    "code", [code for code, row in EVERY.items() if row.error in (Refused, AppSuspended)]
)
def test_what_only_a_person_can_change_names_the_next_step(code: int) -> None:
    assert "next step: " in make_call_error(code, "").reason


def test_an_error_without_a_known_code_asks_for_no_token() -> None:
    assert not needs_fresh_token(OutcomeUnknown("no answer"))
    assert not needs_fresh_token(make_call_error(77, ""))


@pytest.mark.parametrize("code", [230006, 230013, 230027, 99991672])
def test_what_the_console_can_mend_says_that_a_version_must_be_published(code: int) -> None:
    assert "publish" in make_call_error(code, "").reason


def test_the_missing_scope_is_named() -> None:
    assert "[hire:referral_account]" in make_call_error(99991672, "required: [hire:referral_account]").reason


@pytest.mark.parametrize(
    "line, text",
    [("two lines", "two\n  lines"), ("a" * 300, "a" * 300), (f"{'a' * 299}…", "a" * 301), ("", "")],
)
def test_feishus_words_become_one_bounded_line(line: str, text: str) -> None:
    assert line == shorten(text)

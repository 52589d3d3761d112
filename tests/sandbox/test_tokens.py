"""Tenant access tokens."""

import pytest

from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import call, token

SETTINGS = SandboxSettings(clock=lambda: 1_000_000.0)
GOOD: dict[str, object] = {"app_id": SETTINGS.app_id, "app_secret": SETTINGS.app_secret}


def test_the_same_token_is_given_until_less_than_half_an_hour_is_left() -> None:
    clock = SandboxClock(SETTINGS.clock)
    tokens = Tokens(SETTINGS, clock)
    first = tokens.issue(GOOD)
    clock.advance(5400)
    second = tokens.issue(GOOD)
    clock.advance(1)
    third = tokens.issue(GOOD)

    assert 7200 == first["expire"]
    assert {**first, "expire": 1800} == second
    assert first["tenant_access_token"] != third["tenant_access_token"]
    assert 7200 == third["expire"]


def test_a_renewed_token_leaves_the_old_one_good_until_its_own_end() -> None:
    clock = SandboxClock(SETTINGS.clock)
    tokens = Tokens(SETTINGS, clock)
    old = tokens.issue(GOOD)["tenant_access_token"]
    clock.advance(5401)
    new = tokens.issue(GOOD)["tenant_access_token"]

    tokens.check(f"Bearer {old}")
    clock.advance(1800)
    tokens.check(f"Bearer {new}")
    with pytest.raises(RefusedError, match="99991663"):
        tokens.check(f"Bearer {old}")


@pytest.mark.parametrize(
    "changed, code",
    [
        ({"app_id": "cli_other"}, 10003),
        ({"app_id": None}, 10003),
        ({"app_secret": ""}, 10003),
        ({"app_secret": 5}, 10003),
        ({"app_secret": "wrong"}, 10015),
    ],
)
def test_bad_credentials_are_refused(feishu_box: FeishuBox, changed: dict[str, object], code: int) -> None:
    reply = call(feishu_box, "POST", "/open-apis/auth/v3/tenant_access_token/internal", {**GOOD, **changed})

    assert (200, code) == (reply.status, reply.code)


def test_a_disabled_app_gets_no_token() -> None:
    tokens = Tokens(SETTINGS, SandboxClock(SETTINGS.clock))
    tokens.app_disabled = True

    with pytest.raises(RefusedError, match="10014"):
        tokens.issue(GOOD)


@pytest.mark.parametrize(
    "authorization, code",
    [
        ("", 99991661),
        ("Bearer ", 99991661),
        ("Bearer nonsense", 99991671),
        ("Bearer t-nonsense", 99991663),
        ("Bearer u-nonsense", 99991668),
        ("Bearer a-nonsense", 99991671),
    ],
)
def test_a_bad_token_is_refused_with_its_own_code(
    feishu_box: FeishuBox, authorization: str, code: int
) -> None:
    reply = call(feishu_box, "GET", "/open-apis/im/v1/chats", Authorization=authorization)

    assert code == reply.code
    assert reply.headers["X-Tt-Logid"] == reply.content["error"]["log_id"]
    assert {code: 1} == feishu_box.refusals()


def test_expired_tokens_are_refused_and_a_new_one_is_good(feishu_box: FeishuBox) -> None:
    old = token(feishu_box)
    feishu_box.expire_tokens()
    new = token(feishu_box)

    def code(one: str) -> object:
        return call(feishu_box, "GET", "/open-apis/im/v1/chats", Authorization=f"Bearer {one}").code

    assert (99991663, 0) == (code(old), code(new))


def test_a_clock_jump_back_extends_no_token() -> None:
    clock = SandboxClock(SETTINGS.clock)
    tokens = Tokens(SETTINGS, clock)
    tokens.issue(GOOD)
    clock.advance(-7200)

    assert 7200 == tokens.issue(GOOD)["expire"]

"""People log in, and store apps get their tickets: codes, user tokens, app tokens, made with the official SDK."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES, SECRET_PATTERN, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api, call, listening
from sandbox.sdk_client import SdkClient, sdk_client

LIN, HR, CALLBACK = "ou_sandbox_lin", "oc_sandbox_hr", "https://bot.example/callback?x=1#part"
SCOPES = "im:chat:readonly contact:contact.base:readonly offline_access"


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkClient]:
    with sdk_client() as client:
        yield client


def authorize(box: FeishuBox, **changes: str) -> Reply:
    query = {
        "client_id": box.app_id,
        "redirect_uri": CALLBACK,
        "state": "s 1",
        "scope": SCOPES,
        "as": LIN,
        **changes,
    }
    return call(box, "GET", "/open-apis/authen/v1/authorize?" + urlencode(query))


def code_of(box: FeishuBox, **changes: str) -> str:
    reply = authorize(box, **changes)
    assert 302 == reply.status, reply.text
    found = urlsplit(reply.headers["Location"])
    query = parse_qs(found.query)
    assert ("https://bot.example/callback", "part") == (
        f"{found.scheme}://{found.netloc}{found.path}",
        found.fragment,
    )
    assert (["1"], ["s 1"]) == (query["x"], query["state"])
    return query["code"][0]


def exchange(box: FeishuBox, **changes: Any) -> Reply:
    body = {
        "grant_type": "authorization_code",
        "client_id": box.app_id,
        "client_secret": box.app_secret,
        **changes,
    }
    return call(box, "POST", "/open-apis/authen/v2/oauth/token", body)


def test_the_page_lists_who_can_log_in_and_a_refusal_goes_back_to_the_app(sdk: SdkClient) -> None:
    page = authorize(sdk.box, **{"as": ""})
    assert (200, 4) == (page.status, page.text.count("(sample)"))
    assert "as=ou_sandbox_lin" in page.text
    location = authorize(sdk.box, **{"as": "nobody"}).headers["Location"]
    assert {"x": ["1"], "error": ["access_denied"], "state": ["s 1"]} == parse_qs(urlsplit(location).query)
    old = f"/open-apis/authen/v1/index?app_id={sdk.box.app_id}&redirect_uri=https://bot.example/&as={LIN}"
    assert 302 == call(sdk.box, "GET", old).status


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"client_id": "cli_other"}, "20048"),
        ({"redirect_uri": "javascript:alert(1)"}, "20029"),
        ({"redirect_uri": ""}, "20029"),
        ({"scope": "im:chat:readonly drive:drive"}, "20027"),
        ({"response_type": "token"}, "20001"),
        ({"as": "ou_nobody"}, "20010"),
    ],
)
def test_a_wrong_login_is_a_page_and_no_redirect(sdk: SdkClient, changes: dict[str, str], code: str) -> None:
    reply = authorize(sdk.box, **changes)

    assert (400, None) == (reply.status, reply.headers["Location"])
    assert code in reply.text


def test_version_2_exchanges_codes_and_refresh_tokens_once(sdk: SdkClient) -> None:
    code = code_of(sdk.box)
    first = exchange(sdk.box, code=code, redirect_uri=CALLBACK).content
    assert (0, "Bearer", 7200, 604800) == (
        first["code"],
        first["token_type"],
        first["expires_in"],
        first["refresh_token_expires_in"],
    )
    assert {*SCOPES.split(), "auth:user.id:read"} == set(first["scope"].split())
    used = exchange(sdk.box, code=code)
    assert (400, 20065, "invalid_grant") == (used.status, used.code, used.content["error"])

    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = exchange(sdk.box, **refresh, scope="im:chat:readonly").content
    assert ("im:chat:readonly", False) == (second["scope"], "refresh_token" in second)
    assert 20073 == exchange(sdk.box, **refresh).code
    assert all(SECRET_PATTERN.search(one) for one in (code, first["access_token"], first["refresh_token"]))


@pytest.mark.parametrize(
    "changes, code, error",
    [
        ({"code": "unknown"}, 20003, "invalid_grant"),
        ({"code": ""}, 20063, "invalid_request"),
        ({"grant_type": "password"}, 20036, "unsupported_grant_type"),
        ({"client_id": "cli_other"}, 20048, "invalid_client"),
        ({"client_secret": "wrong"}, 20002, "invalid_client"),
        ({"redirect_uri": "https://bot.example/"}, 20071, "invalid_grant"),
        ({"scope": "im:chat:readonly im:chat:readonly"}, 20067, "invalid_scope"),
        ({"scope": "im:chat"}, 20068, "invalid_scope"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, 20026, "invalid_grant"),
    ],
)
def test_version_2_refuses_with_the_errors_of_oauth(
    sdk: SdkClient, changes: dict[str, str], code: int, error: str
) -> None:
    reply = exchange(sdk.box, **{"code": code_of(sdk.box), **changes})

    assert (400, code, error) == (reply.status, reply.code, reply.content["error"])
    assert reply.content["error_description"]


def test_a_code_lives_for_five_minutes_and_an_oauth_client_may_send_a_form(sdk: SdkClient) -> None:
    late = code_of(sdk.box)
    sdk.box.advance(301)
    assert 20004 == exchange(sdk.box, code=late).code
    form = urlencode(
        {
            "grant_type": "authorization_code",
            "client_id": sdk.box.app_id,
            "client_secret": sdk.box.app_secret,
            "code": code_of(sdk.box),
        }
    )
    header = {"Content-Type": "application/x-www-form-urlencoded"}
    assert 0 == call(sdk.box, "POST", "/open-apis/authen/v2/oauth/token", form.encode(), **header).code


@pytest.mark.parametrize("method", ["S256", "plain"])
def test_a_login_with_pkce_needs_its_verifier(sdk: SdkClient, method: str) -> None:
    verifier = secrets.token_urlsafe(40)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    challenge = {"code_challenge": digest if method == "S256" else verifier, "code_challenge_method": method}

    assert 20049 == exchange(sdk.box, code=code_of(sdk.box, **challenge)).code
    assert 20049 == exchange(sdk.box, code=code_of(sdk.box, **challenge), code_verifier=f"{verifier}x").code
    assert 0 == exchange(sdk.box, code=code_of(sdk.box, **challenge), code_verifier=verifier).code


def app_token(sdk: SdkClient) -> str:
    credentials = {"app_id": sdk.box.app_id, "app_secret": sdk.box.app_secret}
    raw = json.loads(sdk.ask("auth.v3.app_access_token.internal", body=credentials).raw.content)
    assert raw["app_access_token"] == raw["tenant_access_token"]
    return str(raw["app_access_token"])


@pytest.mark.parametrize(
    "first, second",
    [("access_token", "refresh_access_token"), ("oidc_access_token", "oidc_refresh_access_token")],
)
def test_version_1_exchanges_codes_and_refresh_tokens_once(sdk: SdkClient, first: str, second: str) -> None:
    body = {"grant_type": "authorization_code", "code": code_of(sdk.box)}
    found = sdk.data(f"authen.v1.{first}.create", body=body, app_token=app_token(sdk))
    assert (7200, 2592000) == (found.expires_in, found.refresh_expires_in)
    used = sdk.ask(f"authen.v1.{first}.create", body=body, app_token=app_token(sdk))
    assert (200, 20003) == (used.raw.status_code, used.code)
    assert 20014 == sdk.code(f"authen.v1.{first}.create", body=body, app_token="t-wrong")

    body = {"grant_type": "refresh_token", "refresh_token": found.refresh_token}
    again = sdk.data(f"authen.v1.{second}.create", body=body, app_token=app_token(sdk))
    assert 20038 == sdk.code(f"authen.v1.{second}.create", body=body, app_token=app_token(sdk))
    info = sdk.data("authen.v1.user_info.get", user_token=again.access_token)
    assert (LIN, "林小满（示例）", "lin@sandbox.example", None) == (
        info.open_id,
        info.name,
        info.email,
        info.mobile,
    )


def user_token(box: FeishuBox, **changes: str) -> str:
    return str(exchange(box, code=code_of(box, **changes)).content["access_token"])


def test_a_call_with_a_user_token_sees_what_the_person_sees(sdk: SdkClient) -> None:
    token, stranger = user_token(sdk.box), user_token(sdk.box, **{"as": "ou_sandbox_zhou"})
    sdk.box.add_group("oc_without_people", "Bots only (sample)")

    assert HR in [one.chat_id for one in sdk.data("im.v1.chat.list", user_token=token).items]
    assert "oc_without_people" not in [
        one.chat_id for one in sdk.data("im.v1.chat.list", user_token=token).items
    ]
    assert sdk.data("im.v1.chat_members.is_in_chat", user_token=token, chat_id=HR).is_in_chat
    asked = {"chat_id": "oc_without_people", "user_token": stranger}
    assert not sdk.data("im.v1.chat_members.is_in_chat", **asked).is_in_chat
    found = sdk.data("contact.v3.department.search", user_token=token, body={"query": "招聘"})
    assert ["od-sandbox_hr_recruiting"] == [one.open_department_id for one in found.items]


def test_user_tokens_end_have_scopes_and_are_not_taken_everywhere(sdk: SdkClient) -> None:
    token, narrow = user_token(sdk.box), user_token(sdk.box, scope="contact:contact.base:readonly")

    def code(path: str, bearer: str) -> Any:
        return call(sdk.box, "GET", f"/open-apis{path}", Authorization=f"Bearer {bearer}").code

    assert [0, 99991679] == [code("/im/v1/chats", one) for one in (token, narrow)]
    assert 99991668 == code("/bot/v3/info", token)
    assert [20005, 20005] == [code("/authen/v1/user_info", one) for one in ("u-unknown", app_token(sdk))]
    search = api(sdk.box, "POST", "/contact/v3/departments/search", {"query": "x"})
    assert (99991663, True) == (search.code, "not support" in search.content["msg"])
    sdk.box.advance(7200)
    assert 99991677 == code("/im/v1/chats", token)


def test_someone_who_left_gets_no_token(sdk: SdkClient) -> None:
    token, code = user_token(sdk.box), code_of(sdk.box)
    sdk.box.set_person(LIN, status="resigned")
    refused = [
        exchange(sdk.box, code=code).code,
        sdk.code("authen.v1.user_info.get", user_token=token),
    ]
    sdk.box.set_person(LIN, status="active")

    assert [20066, 20021] == refused


def ticket_of(listener: Any) -> str:
    frame, event = listener.event()
    listener.acknowledge(frame)
    assert ("event_callback", "app_ticket") == (event["type"], event["event"]["type"])
    return str(event["event"]["app_ticket"])


def test_a_store_app_gets_tickets_and_exchanges_them(sdk: SdkClient) -> None:
    box = sdk.box
    credentials = {"app_id": box.app_id, "app_secret": box.app_secret}

    def token(name: str, body: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(sdk.ask(f"auth.v3.{name}.create", body=body).raw.content)
        return found

    with listening(box) as listener:
        assert 0 == sdk.code("auth.v3.app_ticket.resend", body=credentials)
        ticket = ticket_of(listener)
        assert 10012 == token("app_access_token", {**credentials, "app_ticket": "wrong"})["code"]
        app = token("app_access_token", {**credentials, "app_ticket": ticket})
        body = {"app_access_token": app["app_access_token"], "tenant_key": box.settings.tenant_key}
        tenant = token("tenant_access_token", body)
        bearer = {"Authorization": f"Bearer {tenant['tenant_access_token']}"}
        assert 0 == call(box, "GET", "/open-apis/im/v1/chats", **bearer).code
        assert 10003 == token("tenant_access_token", {**body, "tenant_key": "other"})["code"]
        assert 99991664 == token("tenant_access_token", {**body, "app_access_token": "a-wrong"})["code"]
        box.push_app_ticket()
        assert 0 == token("app_access_token", {**credentials, "app_ticket": ticket})["code"], "the one before"
        assert ticket_of(listener) != ticket
    assert 10015 == sdk.code("auth.v3.app_ticket.resend", body={**credentials, "app_secret": "wrong"})


def test_a_store_app_gets_a_ticket_at_the_start_and_every_hour() -> None:
    with FeishuBox(SandboxSettings(is_store_app=True)) as box, listening(box) as listener:
        first = ticket_of(listener)
        box.wait_for(lambda: [one["state"] for one in box.events()] == ["acknowledged"], "the ticket arrived")
        box.advance(3600)
        assert first != ticket_of(listener)
        assert ["app_ticket"] * 2 == [event["event_type"] for event in box.events()]


def test_a_login_asks_for_no_more_than_the_app_has(sdk: SdkClient) -> None:
    sdk.box.set_scopes(DEFAULT_SCOPES - {"offline_access"})
    refused = authorize(sdk.box)
    sdk.box.set_scopes(DEFAULT_SCOPES)

    assert (400, True) == (refused.status, "offline_access" in refused.text)

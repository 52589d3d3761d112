"""Several apps in one sandbox: what they share in a tenant, and what each has alone."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES
from notifier.sandbox.testing import FeishuBox
from notifier.sandbox.world.world import AppIdentity, UnknownAppError
from sandbox.clients import api, call, card, listening, send

LIN, GROUP = "ou_sandbox_lin", "oc_sandbox_hr"
SECOND = AppIdentity(
    app_id="cli_1111111111111111",
    app_secret="sandbox-second-secret",
    name="Second bot",
    tenant_key="sandbox-tenant",
)
OTHER_TENANT = AppIdentity(
    app_id="cli_2222222222222222", app_secret="sandbox-third-secret", name="Third", tenant_key="other-tenant"
)


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox() as started:
        for app in (SECOND, OTHER_TENANT):
            started.add_app(app)
        yield started


@pytest.fixture(scope="module")
def second(box: FeishuBox) -> FeishuBox:
    app = box.for_app(SECOND.app_id)
    app.set_group(GROUP)
    return app


def lin_of(box: FeishuBox) -> str:
    """Lin's open_id for the app of this box."""
    found = api(box, "POST", "/contact/v3/users/batch_get_id", {"emails": ["lin@sandbox.example"]})
    return str(found.data["user_list"][0]["user_id"])


def wait_for_event(client: Any, event_id: str) -> Any:
    """Acknowledges events until this one, as those of other tests may still wait for a client."""
    while True:
        frame, event = client.event()
        client.acknowledge(frame)
        if event["header"]["event_id"] == event_id:
            return event


def test_each_app_has_its_own_open_id_of_a_person(box: FeishuBox, second: FeishuBox) -> None:
    assert LIN == lin_of(box)
    assert lin_of(second) not in (LIN, "")
    assert (
        api(box, "GET", f"/contact/v3/users/{LIN}").data["user"]["union_id"]
        == (api(second, "GET", f"/contact/v3/users/{lin_of(second)}").data["user"]["union_id"])
    )
    assert "user_id" not in json.dumps(
        api(
            box.for_app(OTHER_TENANT.app_id),
            "POST",
            "/contact/v3/users/batch_get_id",
            {"emails": ["lin@sandbox.example"]},
        ).data
    ), "another tenant has other people"


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/im/v1/messages?receive_id_type=open_id", {"receive_id": "ID", "msg_type": "text"}),
        ("GET", "/contact/v3/users/ID", None),
        ("GET", "/contact/v3/users/batch?user_ids=ID", None),
        ("POST", "/hire/v1/external_referral_rewards", {"referral_user_id": "ID"}),
        ("GET", "/bot/v3/info?ids=ID", None),
    ],
)
def test_an_open_id_of_another_app_is_refused(
    box: FeishuBox, second: FeishuBox, method: str, path: str, body: dict[str, str] | None
) -> None:
    for app, foreign in ((second, LIN), (box, lin_of(second)), (box.for_app(OTHER_TENANT.app_id), LIN)):
        sent = json.loads(json.dumps(body).replace("ID", foreign)) if body else None
        assert 99992361 == api(app, method, path.replace("ID", foreign), sent).code


def test_private_data_of_an_app_is_not_there_for_the_other(box: FeishuBox, second: FeishuBox) -> None:
    message_id = send(box, "private").data["message_id"]
    send(box, card(), to=GROUP)

    assert 99992354 == api(second, "GET", f"/im/v1/messages/{message_id}").code
    assert 99992356 == send(second, "x", to="oc_sandbox_p2p_lin").code
    assert message_id not in {one["message_id"] for one in second.all_messages()}
    assert [] == second.accounts()
    assert (
        1002553
        == api(
            second,
            "GET",
            "/hire/v1/referral_account/get_account_assets?referral_account_id=7000000000000000001",
        ).code
    )


def test_messages_of_a_group_are_there_for_each_bot_in_it_and_are_no_events(
    box: FeishuBox, second: FeishuBox
) -> None:
    before = {one["event_id"] for one in (*box.events(), *second.events())}
    with listening(box), listening(second):
        sent = send(box, "for all", to=GROUP)
        message_id = sent.data["message_id"]
        read = api(second, "GET", f"/im/v1/messages/{message_id}").data["items"][0]
        assert json.dumps({"text": "for all"}) == read["body"]["content"]
        seen = [one for one in (*box.events(), *second.events()) if one["event_id"] not in before]
        assert not {one["event_type"] for one in seen if one["event_type"].startswith("im.message")}
    second.set_group(GROUP, has_bot=False)
    try:
        later = send(box, "later", to=GROUP).data["message_id"]
        assert 99992354 == api(second, "GET", f"/im/v1/messages/{later}").code
        assert 230002 == send(second, "x", to=GROUP).code
    finally:
        second.set_group(GROUP)


def test_a_person_in_a_group_has_the_ids_of_the_app_that_reads(box: FeishuBox, second: FeishuBox) -> None:
    """The message is written through one app, and both get its event."""
    before = len(box.events())
    message_id = second.write(lin_of(second), "hi", chat_id=GROUP)
    read = api(box, "GET", f"/im/v1/messages/{message_id}").data["items"][0]
    box.set_scopes([*DEFAULT_SCOPES, "im:message.group_msg"])
    second.write(lin_of(second), "hi", chat_id=GROUP, mention_bot=False)
    box.set_scopes(DEFAULT_SCOPES)

    assert LIN == read["sender"]["id"]
    assert (
        lin_of(second) == api(second, "GET", f"/im/v1/messages/{message_id}").data["items"][0]["sender"]["id"]
    )
    (event,) = box.events()[before:]
    sent = json.loads(box.payload(event["event_id"]))["event"]["sender"]["sender_id"]
    assert LIN == sent["open_id"]


def test_people_and_groups_change_for_all_apps(box: FeishuBox, second: FeishuBox) -> None:
    (added,) = second.add_people(["wang"])
    second.rename(added, name="王（示例）", en_name="Wang")
    second.set_person(added, status="resigned")
    box.add_group("oc_new", "新群")

    assert ("王（示例）", "resigned") == next(
        (one["name"], one["status"]) for one in box.state()["people"] if one["open_id"] == "ou_sandbox_wang"
    )
    groups = {one["chat_id"]: one for one in second.state()["groups"]}
    assert ("新群", False) == (groups["oc_new"]["name"], groups["oc_new"]["has_bot"])
    assert lin_of(second) in groups[GROUP]["members"]
    (lin,) = [one for one in second.state()["people"] if one["open_id"] == lin_of(second)]
    assert (["hr"], "+8613800000001") == (lin["departments"], lin["mobile"])
    assert {"hr": lin_of(second)} == {
        one["id"]: one["leader"] for one in second.state()["departments"] if one["id"] == "hr"
    }
    box.set_person(LIN, status="bot_stopped")
    assert 0 == send(second, "still reachable", to=lin_of(second)).code
    box.set_person(LIN, status="active")


def test_events_go_to_the_app_that_they_concern(box: FeishuBox, second: FeishuBox) -> None:
    with listening(box) as first_client, listening(second) as second_client:
        (event_id,) = box.change_balance("7000000000000000001", points=1)
        assert box.app_id == wait_for_event(first_client, event_id)["header"]["app_id"]
        second.push_payload('{"schema": "2.0", "header": {"event_id": "ev-second"}, "event": {}}')
        wait_for_event(second_client, "ev-second")
        assert 1 == second.connections() == box.connections()


def test_tokens_quotas_and_faults_are_those_of_one_app(box: FeishuBox, second: FeishuBox) -> None:
    body = {"app_id": SECOND.app_id, "app_secret": box.app_secret}
    path = "/open-apis/auth/v3/tenant_access_token/internal"
    assert 10015 == call(box, "POST", path, body).code

    fault = second.start_fault("429", header=False, match="GET /open-apis/bot/v3/info")
    assert 99991400 == api(second, "GET", "/bot/v3/info").code
    assert 0 == api(box, "GET", "/bot/v3/info").code
    second.end_fault(fault)
    second.set_scopes([])
    assert 99991672 == api(second, "GET", "/im/v1/chats").code
    assert 0 == api(box, "GET", "/im/v1/chats").code
    second.set_scopes(box.settings.granted_scopes)
    assert "/open-apis/im/v1/chats" in {one["path"] for one in second.requests()}


def test_the_control_api_names_the_app_in_its_query(box: FeishuBox, second: FeishuBox) -> None:
    def state(query: str) -> Any:
        with urllib.request.urlopen(f"{box.url}/api/state{query}", timeout=10) as answer:
            return json.load(answer)

    assert box.app_id == state("")["app"]["app_id"] == state(f"?app={box.app_id}")["app"]["app_id"]
    assert second.app_id == state(f"?app={second.app_id}")["app"]["app_id"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        state("?app=cli_x")
    assert 404 == refused.value.code
    assert "there is no app 'cli_x'; apps: cli_" in refused.value.read().decode()
    with pytest.raises(UnknownAppError, match="there is no app"):
        box.for_app("cli_x")


def test_a_moved_clock_is_the_clock_of_all(box: FeishuBox, second: FeishuBox) -> None:
    before = box.state()["now_ms"]
    second.advance(3600)
    assert 3_600_000 <= box.state()["now_ms"] - before

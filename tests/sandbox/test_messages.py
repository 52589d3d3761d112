"""Messages: sent once, to whom it may be sent, and updated as long as it is allowed."""

import json
from typing import Any

import pytest

from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api, card, send, upload_form


def patch(box: FeishuBox, message_id: object, content: object) -> Reply:
    return api(box, "PATCH", f"/im/v1/messages/{message_id}", {"content": json.dumps(content)})


def only_message(box: FeishuBox) -> Any:
    (message,) = box.all_messages()
    return message


def test_a_sent_card_appears_in_the_persons_chat(feishu_box: FeishuBox) -> None:
    reply = send(feishu_box, card(), uuid="u-1")

    message = only_message(feishu_box)
    assert [message] == feishu_box.messages("ou_sandbox_lin") == feishu_box.messages("oc_sandbox_p2p_lin")
    assert ("interactive", card(), "u-1") == (message["msg_type"], message["content"], message["uuid"])
    assert message["message_id"] == reply.data["message_id"]
    assert ("oc_sandbox_p2p_lin", "app") == (reply.data["chat_id"], reply.data["sender"]["sender_type"])
    assert card() == json.loads(reply.data["body"]["content"])
    assert {} == feishu_box.refusals()


@pytest.mark.parametrize(
    "id_type, receive_id",
    [
        ("open_id", "ou_sandbox_lin"),
        ("union_id", "on_sandbox_lin"),
        ("user_id", "sandbox_lin"),
        ("email", "lin@sandbox.example"),
        ("chat_id", "oc_sandbox_p2p_lin"),
    ],
)
def test_a_person_can_be_named_in_five_ways(feishu_box: FeishuBox, id_type: str, receive_id: str) -> None:
    body = {"receive_id": receive_id, "msg_type": "text", "content": '{"text": "hi"}'}
    reply = api(feishu_box, "POST", f"/im/v1/messages?receive_id_type={id_type}", body)

    assert (0, "oc_sandbox_p2p_lin") == (reply.code, reply.data["chat_id"])


@pytest.mark.parametrize(
    "status, code",
    [
        ("active", 0),
        ("resigned", 230029),
        ("out_of_range", 230013),
        ("bot_stopped", 230053),
        ("blocked", 230035),
    ],
)
def test_what_a_person_has_done_decides_if_a_message_arrives(
    feishu_box: FeishuBox, status: str, code: int
) -> None:
    feishu_box.set_person("ou_sandbox_lin", status=status)

    assert code == send(feishu_box, "hi").code == send(feishu_box, "hi", to="oc_sandbox_p2p_lin").code


def test_a_resigned_person_may_also_be_out_of_range(feishu_box: FeishuBox) -> None:
    feishu_box.set_person("ou_sandbox_lin", status="resigned", resigned_code=230013)

    assert send(feishu_box, "hi").code == 230013


@pytest.mark.parametrize(
    "state, code",
    [({}, 0), ({"has_bot": False}, 230002), ({"muted": True}, 230018), ({"dissolved": True}, 232009)],
)
def test_the_state_of_a_group_decides_too(feishu_box: FeishuBox, state: dict[str, bool], code: int) -> None:
    feishu_box.set_group("oc_sandbox_hr", **state)

    assert code == send(feishu_box, "hi", to="oc_sandbox_hr").code


@pytest.mark.parametrize(
    "to, code",
    [
        ("ou_nobody", 99992351),
        ("ou_sandbox_of_another_app", 99992361),
        ("oc_nothing", 99992356),
        ("nonsense", 230034),
    ],
)
def test_an_unknown_receiver_is_refused(feishu_box: FeishuBox, to: str, code: int) -> None:
    assert (400, code) == (send(feishu_box, "hi", to=to).status, send(feishu_box, "hi", to=to).code)


@pytest.mark.parametrize(
    "changed, code",
    [
        ({"receive_id": None}, 99992402),
        ({"receive_id": 5}, 9499),
        ({"msg_type": "letter"}, 99992402),
        ({"content": None}, 99992402),
        ({"content": {"text": "not in a string"}}, 9499),
        ({"content": "no json"}, 230001),
        ({"content": "[]"}, 230001),
        ({"content": "{}"}, 230001),
        ({"uuid": "u" * 51}, 99992402),
        ({"uuid": 1}, 9499),
        ({"msg_type": "file", "content": '{"file_key": "of another app"}'}, 230017),
        ({"msg_type": "file", "content": '{"file_key": []}'}, 230017),
        ({"msg_type": "file", "content": "{}"}, 230001),
        ({"msg_type": "image", "content": "{}"}, 230001),
        ({"msg_type": "image", "content": '{"image_key": "img_v3_of_another_app"}'}, 230017),
        ({"msg_type": "share_chat", "content": "{}"}, 230001),
        ({"msg_type": "post", "content": "{}"}, 230001),
        ({"msg_type": "post", "content": '{"content": [[]]}'}, 230001),
        ({"msg_type": "post", "content": '{"zh_cn": {"content": ["text"]}}'}, 230001),
        (
            {"msg_type": "post", "content": '{"zh_cn": {"content": [[{"tag": "img", "image_key": "x"}]]}}'},
            230017,
        ),
        ({"content": '{"text": NaN}'}, 230001),
        ({"msg_type": "interactive", "content": '{"schema": "2.0", "n": Infinity}'}, 230001),
        ({"msg_type": "interactive", "content": "{}"}, 230099),
        ({"msg_type": "interactive", "content": '{"type": "card", "data": {"card_id": "7"}}'}, 230099),
        ({"msg_type": "interactive", "content": '{"a":' * 900 + "1" + "}" * 900}, 230001),
        ({"msg_type": "interactive", "content": "[" * 90_000}, 9499),
    ],
)
def test_a_badly_formed_message_is_refused(feishu_box: FeishuBox, changed: dict[str, Any], code: int) -> None:
    assert code == send(feishu_box, "hi", **changed).code
    assert [] == feishu_box.all_messages()


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_a_bad_request(feishu_box: FeishuBox, body: bytes) -> None:
    assert api(feishu_box, "POST", "/im/v1/messages?receive_id_type=open_id", body).code == 9499


def test_a_receive_id_type_is_needed(feishu_box: FeishuBox) -> None:
    body = {"receive_id": "ou_sandbox_lin", "msg_type": "text", "content": '{"text": "hi"}'}
    reply = api(feishu_box, "POST", "/im/v1/messages", body)

    assert reply.code == 99992402
    assert reply.content["error"]["field_violations"][0]["field"] == "receive_id_type"


def test_a_card_may_have_30_kb_and_a_text_150(feishu_box: FeishuBox) -> None:
    def sized(size: int) -> dict[str, object]:
        empty = card({"tag": "markdown", "content": ""})
        return card({"tag": "markdown", "content": "x" * (size - len(json.dumps(empty)))})

    assert send(feishu_box, sized(30 * 1024)).code == 0
    assert send(feishu_box, sized(30 * 1024 + 1)).code == 230025
    assert send(feishu_box, "x" * (150 * 1024 - len('{"text": ""}'))).code == 0
    assert send(feishu_box, "x" * 150 * 1024).code == 230025


def test_the_same_uuid_makes_one_message_within_an_hour(feishu_box: FeishuBox) -> None:
    first = send(feishu_box, card(), uuid="u-1").data["message_id"]
    feishu_box.advance(3599)
    again = send(feishu_box, card(), uuid="u-1").data["message_id"]
    feishu_box.advance(1)
    later = send(feishu_box, card(), uuid="u-1").data["message_id"]

    assert first == again != later
    assert len(feishu_box.all_messages()) == 2


def test_a_refused_message_leaves_its_uuid_free(feishu_box: FeishuBox) -> None:
    feishu_box.set_person("ou_sandbox_lin", status="blocked")
    assert send(feishu_box, "hi", uuid="u-1").code == 230035
    feishu_box.set_person("ou_sandbox_lin", status="active")

    assert send(feishu_box, "hi", uuid="u-1").code == 0


@pytest.mark.parametrize(
    "text, code",
    [
        ("call 13800001234 now", 230028),
        ("+86 13800001234", 230028),
        ("138-0000-1234", 230028),
        ("write to lin@sandbox.example", 230028),
        ("account 7000000000000000001", 0),
        ("1,380,000,123.40 CNY at 1700000000000", 0),
        ("2026-08-01 10:00", 0),
        ("a@b", 0),
    ],
)
def test_phone_numbers_and_addresses_fail_the_leak_audit(feishu_box: FeishuBox, text: str, code: int) -> None:
    table = {
        "tag": "table",
        "columns": [{"name": "a", "data_type": "text"}],
        "rows": [{"a": text}],
    }

    assert [code] * 2 == [send(feishu_box, text).code, send(feishu_box, card(table)).code]


def test_the_leak_audit_can_be_switched_off() -> None:
    with FeishuBox(SandboxSettings(leak_audit=False)) as box:
        assert send(box, "lin@sandbox.example").code == 0


def test_a_missing_scope_is_named(feishu_box: FeishuBox) -> None:
    feishu_box.set_scopes(["im:chat"])
    reply = send(feishu_box, "hi")

    assert reply.code == 99991672
    assert "[im:message, im:message:send_as_bot, im:message:send]" in reply.content["msg"]
    violations = reply.content["error"]["permission_violations"]
    assert {"type": "action_scope_required", "subject": "im:message"} == violations[0]


def test_an_update_replaces_the_card(feishu_box: FeishuBox) -> None:
    message_id = send(feishu_box, card()).data["message_id"]
    feishu_box.advance(60)
    reply = patch(feishu_box, message_id, card({"tag": "hr"}))

    message = only_message(feishu_box)
    assert 0 == reply.code
    assert card({"tag": "hr"}) == message["content"]
    assert message["update_time_ms"] - message["create_time_ms"] >= 60_000


@pytest.mark.parametrize("config", [{}, None])
def test_an_update_needs_update_multi_spelled_out_in_both_cards(
    feishu_box: FeishuBox, config: object
) -> None:
    vague = {name: value for name, value in {**card(), "config": config}.items() if value is not None}
    shared, silent = send(feishu_box, card()).data["message_id"], send(feishu_box, vague).data["message_id"]

    assert 230001 == patch(feishu_box, shared, vague).code == patch(feishu_box, silent, card()).code


def test_an_update_has_14_days_and_5_calls_a_second() -> None:
    with FeishuBox(SandboxSettings(clock=lambda: 1_000_000.0)) as box:
        message_id = send(box, card()).data["message_id"]
        assert [0] * 5 + [230020] == [patch(box, message_id, card()).code for _ in range(6)]
        box.advance(14 * 86400)
        assert 0 == patch(box, message_id, card()).code
        box.advance(1)
        assert 230031 == patch(box, message_id, card()).code


def test_only_cards_that_exist_can_be_updated(feishu_box: FeishuBox) -> None:
    text_id = send(feishu_box, "hi").data["message_id"]

    refused = patch(feishu_box, text_id, card())
    assert (230001, True) == (refused.code, "NOT a card" in refused.content["msg"])
    assert 99992354 == patch(feishu_box, "om_nothing", card()).code


def test_an_update_keeps_the_version_of_the_card(feishu_box: FeishuBox) -> None:
    old = {"config": {"update_multi": True}, "elements": [{"tag": "hr"}]}
    for sent, other in ((card(), old), (old, card())):
        message_id = send(feishu_box, sent).data["message_id"]
        refused = patch(feishu_box, message_id, other)

        assert (230099, True) == (refused.code, "ErrCode: 200830" in refused.content["msg"])
        assert 0 == patch(feishu_box, message_id, sent).code


def test_a_post_is_sent(feishu_box: FeishuBox) -> None:
    post = {"zh_cn": {"title": "t", "content": [[{"tag": "text", "text": "hi"}], []]}}

    assert 0 == send(feishu_box, post, msg_type="post").code


def test_a_bad_card_does_not_replace_a_good_one(feishu_box: FeishuBox) -> None:
    message_id = send(feishu_box, card()).data["message_id"]

    assert 230099 == patch(feishu_box, message_id, card({"tag": "note"})).code
    assert card() == only_message(feishu_box)["content"]


def test_a_reply_appears_in_the_chat_of_its_message(feishu_box: FeishuBox) -> None:
    message_id = send(feishu_box, "hi", to="oc_sandbox_hr").data["message_id"]
    body = {"msg_type": "text", "content": '{"text": "well"}', "uuid": "r-1"}
    replies = [api(feishu_box, "POST", f"/im/v1/messages/{message_id}/reply", body) for _ in range(2)]

    assert replies[0].data == replies[1].data
    assert ("oc_sandbox_hr", message_id) == (replies[0].data["chat_id"], replies[0].data["parent_id"])
    assert len(feishu_box.messages("oc_sandbox_hr")) == 2


def test_a_message_can_be_read_back(feishu_box: FeishuBox) -> None:
    sent = send(feishu_box, card()).data

    assert {"items": [sent]} == api(feishu_box, "GET", f"/im/v1/messages/{sent['message_id']}").data


def test_an_image_is_uploaded_sent_and_shown(feishu_box: FeishuBox) -> None:
    def upload(content: bytes, image_type: bytes = b"message") -> Reply:
        return upload_form(feishu_box, "images", [("image_type", image_type, ""), ("image", content, "")])

    key = upload(b"\x89PNG\r\n\x1a\n").data["image_key"]
    shown = card({"tag": "img", "img_key": key, "alt": {"tag": "plain_text", "content": ""}})

    assert 0 == send(feishu_box, {"image_key": key}, msg_type="image").code
    assert 0 == send(feishu_box, shown).code
    assert [234010, 234011, 234001] == [upload(b"").code, upload(b"text").code, upload(b"GIF8", b"x").code]


def test_a_file_is_uploaded_and_sent(feishu_box: FeishuBox) -> None:
    def upload(content: bytes) -> Reply:
        parts = [
            ("file_type", b"stream", ""),
            ("file_name", b"a.csv", ""),
            ("file", content, '; filename="a.csv"'),
        ]
        return upload_form(feishu_box, "files", parts)

    key = upload(b"a,b").data["file_key"]

    assert 0 == send(feishu_box, {"file_key": key}, msg_type="file").code
    assert {"file_key": key} == only_message(feishu_box)["content"]
    assert 234010 == upload(b"").code
    assert 234001 == api(feishu_box, "POST", "/im/v1/files", {}).code


def test_text_made_to_be_slow_is_judged_quickly(feishu_box: FeishuBox) -> None:
    for piece in ("a", "<at ", "a.", "+", "a@", "1 "):
        assert send(feishu_box, (piece * 150_000)[:150_000], to="oc_sandbox_hr").code in {0, 230028}
        feishu_box.advance(1)
    for piece in ("![", "<at id=", "<person id=", "|", "|\n", "|-|\n", "[a]("):
        made = card({"tag": "markdown", "content": (piece * 29_000)[:20_000]})
        assert send(feishu_box, made, to="oc_sandbox_hr").code in {0, 230099}
        feishu_box.advance(1)

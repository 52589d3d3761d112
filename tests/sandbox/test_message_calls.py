"""The calls about messages, called with the official SDK: its models understand every member of each answer."""

import json
from collections.abc import Iterator
from typing import Any

import lark_oapi as lark
import pytest
from lark_oapi.api.im.v1 import (
    CreateMessageReactionRequest,
    CreateMessageReactionRequestBody,
    CreatePinRequest,
    CreatePinRequestBody,
    DeleteMessageReactionRequest,
    DeleteMessageRequest,
    DeletePinRequest,
    Emoji,
    ForwardMessageRequest,
    ForwardMessageRequestBody,
    GetMessageRequest,
    GetMessageResourceRequest,
    ListMessageReactionRequest,
    ListMessageRequest,
    ListPinRequest,
    MergeForwardMessageRequest,
    MergeForwardMessageRequestBody,
    ReadUsersMessageRequest,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
    UpdateMessageRequest,
    UpdateMessageRequestBody,
    UrgentAppMessageRequest,
    UrgentReceivers,
)

from notifier.sandbox.settings import DEFAULT_SCOPES, SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, call, card, send, upload_form

LIN, CHEN, GROUP = "ou_sandbox_lin", "ou_sandbox_chen", "oc_sandbox_hr"
LIN_CHAT, CHEN_CHAT = "oc_sandbox_p2p_lin", "oc_sandbox_p2p_chen"
DAY = 86_400
APP_ID = "cli_5a4db0c05a4db0c1"
"""The SDK keeps one token for each app_id in the whole process."""


@pytest.fixture(scope="module")
def shared_box() -> Iterator[FeishuBox]:
    settings = SandboxSettings(app_id=APP_ID, quotas=False, token_lifetime_seconds=1000 * DAY)
    with FeishuBox(settings) as box:
        yield box


@pytest.fixture
def box(shared_box: FeishuBox) -> FeishuBox:
    shared_box.set_group(GROUP)
    shared_box.set_scopes({*DEFAULT_SCOPES, "im:message.group_msg"})
    return shared_box


@pytest.fixture
def client(box: FeishuBox) -> Any:
    return lark.Client.builder().app_id(box.app_id).app_secret(box.app_secret).domain(box.url).build()


def checked(response: Any) -> Any:
    """The data of a successful answer, of which the SDK's model has lost nothing."""
    assert response.success(), (response.code, response.msg)
    raw = json.loads(response.raw.content)["data"]
    data = getattr(response, "data", None)  # models of calls without data have none
    assert raw == ({} if data is None else json.loads(lark.JSON.marshal(data)))
    return data


def sent(box: FeishuBox, text: object = "hello", *, to: str = LIN) -> str:
    return str(send(box, text, to=to).data["message_id"])


def one(client: Any, message_id: str, **query: str) -> Any:
    builder = GetMessageRequest.builder().message_id(message_id)
    for name, value in query.items():
        getattr(builder, name)(value)
    return checked(client.im.v1.message.get(builder.build())).items[0]


def edit(client: Any, message_id: str, text: str = "new") -> Any:
    body = UpdateMessageRequestBody.builder().msg_type("text").content(json.dumps({"text": text})).build()
    return client.im.v1.message.update(
        UpdateMessageRequest.builder().message_id(message_id).request_body(body).build()
    )


def recall(client: Any, message_id: str) -> Any:
    return client.im.v1.message.delete(DeleteMessageRequest.builder().message_id(message_id).build())


def test_a_text_is_edited_twenty_times(box: FeishuBox, client: Any) -> None:
    message_id = sent(box)
    edited = [checked(edit(client, message_id, f"new {number}")) for number in range(20)][-1]

    assert ({"text": "new 19"}, True) == (json.loads(edited.body.content), edited.updated)
    assert {"text": "new 19"} == box.messages(LIN)[-1]["content"]
    assert 230072 == edit(client, message_id).code


def test_what_cannot_be_edited(box: FeishuBox, client: Any) -> None:
    recalled, old = sent(box), sent(box)
    checked(recall(client, recalled))
    codes = [
        edit(client, each).code for each in (sent(box, card()), box.write(LIN, "hi"), recalled, "om_none")
    ]
    box.advance(DAY + 1)

    assert [230054, 230071, 230011, 99992354] == codes
    assert 230075 == edit(client, old).code


def test_a_message_is_recalled_for_all(box: FeishuBox, client: Any) -> None:
    message_id = sent(box)
    checked(recall(client, message_id))
    checked(recall(client, message_id))

    shown = one(client, message_id)
    assert (True, "This message was recalled") == (shown.deleted, shown.body.content)
    assert box.messages(LIN)[-1]["is_recalled"]
    reply = api(
        box, "POST", f"/im/v1/messages/{message_id}/reply", {"msg_type": "text", "content": '{"text":"a"}'}
    )
    assert 230011 == reply.code


def test_what_cannot_be_recalled(box: FeishuBox, client: Any) -> None:
    old, in_group = sent(box), sent(box, to=GROUP)
    theirs = recall(client, box.write(LIN, "hi")).code
    box.set_group(GROUP, has_bot=False)
    outside = recall(client, in_group).code
    box.advance(DAY + 1)

    assert [230026, 230002, 230009] == [theirs, outside, recall(client, old).code]


def listed(client: Any, container_id: str, **query: object) -> Any:
    builder = ListMessageRequest.builder().container_id(container_id)
    for name, value in {"container_id_type": "chat", "page_size": 50, **query}.items():
        getattr(builder, name)(value)
    return client.im.v1.message.list(builder.build())


def test_the_history_of_a_chat_has_pages_an_order_and_a_time_range(box: FeishuBox, client: Any) -> None:
    box.advance(10)
    start = box.state()["now_ms"] // 1000
    ids = []
    for number in range(5):
        ids.append(sent(box, str(number), to=CHEN) if number % 2 else box.write(CHEN, str(number)))
        box.advance(2)

    first = checked(listed(client, CHEN_CHAT, page_size=3, start_time=str(start)))
    box.write(CHEN, "later")
    second = checked(
        listed(client, CHEN_CHAT, page_size=3, start_time=str(start), page_token=first.page_token)
    )
    assert ids == [each.message_id for each in [*first.items, *second.items]][:5]
    assert ["user", "app", "user"] == [each.sender.sender_type for each in first.items]
    assert (True, False) == (first.has_more, second.has_more)
    newest = checked(listed(client, CHEN_CHAT, sort_type="ByCreateTimeDesc", start_time=str(start)))
    assert ids[::-1] == [each.message_id for each in newest.items][-5:]
    ranged = checked(listed(client, CHEN_CHAT, start_time=str(start + 2), end_time=str(start + 5)))
    assert ids[1:3] == [each.message_id for each in ranged.items]


def test_a_thread_has_a_history_of_its_own(box: FeishuBox, client: Any) -> None:
    first = box.write(LIN, "one", chat_id=GROUP)
    body = (
        ReplyMessageRequestBody.builder()
        .msg_type("text")
        .content('{"text": "two"}')
        .reply_in_thread(reply_in_thread=True)
    )
    request = ReplyMessageRequest.builder().message_id(first).request_body(body.build()).build()
    second = checked(client.im.v1.message.reply(request))
    third = box.write(CHEN, "three", chat_id=GROUP, reply_to=second.message_id)

    thread = checked(listed(client, second.thread_id, container_id_type="thread"))
    assert [first, second.message_id, third] == [each.message_id for each in thread.items]
    assert [None, first, first] == [each.root_id for each in thread.items]
    in_chat = [each.message_id for each in checked(listed(client, GROUP)).items]
    assert first in in_chat
    assert not {second.message_id, third} & set(in_chat)


@pytest.mark.parametrize(
    "container_id, query, code",
    [
        (LIN_CHAT, {"page_size": 51}, 99992402),
        (LIN_CHAT, {"page_token": "bad"}, 230001),
        (LIN_CHAT, {"sort_type": "ByName"}, 99992402),
        (LIN_CHAT, {"start_time": "today"}, 99992402),
        ("oc_none", {}, 99992356),
        ("omt_none", {"container_id_type": "thread"}, 230001),
        (LIN_CHAT, {"container_id_type": "group"}, 99992402),
    ],
)
def test_a_wrong_history_call_is_refused(
    client: Any, container_id: str, query: dict[str, object], code: int
) -> None:
    assert code == listed(client, container_id, **query).code


def test_the_history_of_a_group_needs_its_scope(box: FeishuBox, client: Any) -> None:
    box.set_scopes(DEFAULT_SCOPES)

    assert (230027, 0) == (listed(client, GROUP).code, listed(client, LIN_CHAT).code)


def test_people_in_messages_have_the_wanted_ids(box: FeishuBox, client: Any) -> None:
    message_id = box.write(LIN, '<at user_id="ou_sandbox_chen"></at> hi', chat_id=GROUP, mention_bot=False)

    shown = one(client, message_id, user_id_type="union_id")
    assert ("on_sandbox_lin", "union_id") == (shown.sender.id, shown.sender.id_type)
    assert [("@_user_1", "on_sandbox_chen")] == [(each.key, each.id) for each in shown.mentions]
    mention = sent(box, '<at user_id="ou_sandbox_chen">Chen</at> <at user_id="all"></at>', to=GROUP)
    of_app = one(client, mention)
    assert {"text": "@_user_1 @_all"} == json.loads(of_app.body.content)
    assert [CHEN] == [each.id for each in of_app.mentions]


def test_a_post_is_read_in_one_language(box: FeishuBox, client: Any) -> None:
    paragraphs = [[{"tag": "text", "text": "hello"}]]
    content = {"en_us": {"content": []}, "zh_cn": {"title": "t", "content": paragraphs}}
    message_id = send(box, content, msg_type="post").data["message_id"]

    assert {"title": "t", "content": paragraphs} == json.loads(one(client, message_id).body.content)


def test_a_message_outside_of_the_bots_chats_is_not_read(box: FeishuBox, client: Any) -> None:
    message_id = box.write(LIN, "hi", chat_id=GROUP)
    box.set_group(GROUP, has_bot=False)

    answer = client.im.v1.message.get(GetMessageRequest.builder().message_id(message_id).build())
    assert 230002 == answer.code


def forwarded(client: Any, message_id: str, receive_id: str, id_type: str = "chat_id", uuid: str = "") -> Any:
    body = ForwardMessageRequestBody.builder().receive_id(receive_id).build()
    request = ForwardMessageRequest.builder().message_id(message_id).receive_id_type(id_type).uuid(uuid)
    return client.im.v1.message.forward(request.request_body(body).build())


def test_a_message_is_forwarded_once(box: FeishuBox, client: Any) -> None:
    message_id = box.write(LIN, '<at user_id="ou_sandbox_chen"></at> hi')
    first = checked(forwarded(client, message_id, CHEN, "open_id", "forward-1"))
    again = checked(forwarded(client, message_id, CHEN, "open_id", "forward-1"))

    assert (CHEN_CHAT, "app", first.message_id) == (first.chat_id, first.sender.sender_type, again.message_id)
    assert message_id != first.message_id
    assert {"text": "@_user_1 hi"} == json.loads(first.body.content)
    assert [CHEN] == [each.id for each in one(client, first.message_id).mentions]


def test_a_message_is_forwarded_to_a_thread(box: FeishuBox, client: Any) -> None:
    first = box.write(LIN, "one", chat_id=GROUP)
    box.write(CHEN, "two", chat_id=GROUP, reply_to=first, in_thread=True)
    thread_id = one(client, first).thread_id

    new = checked(forwarded(client, sent(box), thread_id, "thread_id"))
    assert (thread_id, first, GROUP) == (new.thread_id, new.root_id, new.chat_id)
    assert 230019 == forwarded(client, first, "omt_none", "thread_id").code


def test_what_cannot_be_forwarded(box: FeishuBox, client: Any) -> None:
    recalled = sent(box)
    checked(recall(client, recalled))
    system = send(box, {"type": "divider"}, msg_type="system").data["message_id"]
    codes = [forwarded(client, each, GROUP).code for each in (recalled, system, "om_none")]

    assert [230065, 230061, 99992354] == codes
    assert 230034 == forwarded(client, sent(box), LIN, "chat_id").code


def merged(client: Any, ids: list[str]) -> Any:
    body = MergeForwardMessageRequestBody.builder().receive_id(CHEN).message_id_list(ids).build()
    request = MergeForwardMessageRequest.builder().receive_id_type("open_id").request_body(body).build()
    return client.im.v1.message.merge_forward(request)


def test_messages_are_merged_into_one(box: FeishuBox, client: Any) -> None:
    ids = [box.write(LIN, "one"), sent(box, "two")]
    answer = checked(merged(client, [*ids, "om_none"]))

    assert ("merge_forward", "Merged and Forwarded Message") == (
        answer.message.msg_type,
        answer.message.body.content,
    )
    assert ["om_none"] == answer.invalid_message_id_list
    request = GetMessageRequest.builder().message_id(answer.message.message_id).build()
    shown = checked(client.im.v1.message.get(request)).items
    assert [answer.message.message_id, *ids] == [each.message_id for each in shown]
    assert [None] + [answer.message.message_id] * 2 == [each.upper_message_id for each in shown]


def test_what_cannot_be_merged(box: FeishuBox, client: Any) -> None:
    first = box.write(LIN, "one", chat_id=GROUP)
    in_thread = box.write(CHEN, "two", chat_id=GROUP, reply_to=first, in_thread=True)
    lists = [["om_none"], [first, sent(box)], [in_thread, sent(box, to=GROUP)], [first] * 101, []]

    assert [230064, 230069, 230068, 99992402, 99992402] == [merged(client, each).code for each in lists]


def test_the_readers_of_a_message_are_listed(box: FeishuBox, client: Any) -> None:
    message_id = sent(box, to=GROUP)
    box.read(LIN, message_id)
    box.read(CHEN, message_id)

    def readers(of: str, id_type: str = "open_id", size: int = 1, token: str = "") -> Any:
        request = ReadUsersMessageRequest.builder().message_id(of).user_id_type(id_type).page_size(size)
        return client.im.v1.message.read_users((request.page_token(token) if token else request).build())

    first = checked(readers(message_id))
    second = checked(readers(message_id, token=first.page_token))
    assert [LIN, CHEN] == [each.user_id for each in [*first.items, *second.items]]
    assert "on_sandbox_lin" == checked(readers(message_id, "union_id")).items[0].user_id
    codes = [
        readers(box.write(LIN, "hi")).code,
        readers(message_id, size=101).code,
        readers(message_id, "x").code,
    ]
    box.advance(7 * DAY + 1)
    assert [230012, 99992402, 99992402, 230033] == [*codes, readers(message_id).code]


def urgent(client: Any, message_id: str, *ids: str) -> Any:
    body = UrgentReceivers.builder().user_id_list(list(ids)).build()
    request = UrgentAppMessageRequest.builder().message_id(message_id).user_id_type("open_id")
    return client.im.v1.message.urgent_app(request.request_body(body).build())


def test_a_message_is_urgent_for_people_in_its_chat(box: FeishuBox, client: Any) -> None:
    message_id = sent(box)

    assert [CHEN] == checked(urgent(client, message_id, LIN, CHEN)).invalid_user_id_list
    assert [LIN] == box.messages(LIN)[-1]["urgent_to"]
    codes = [urgent(client, message_id, CHEN).code, urgent(client, box.write(LIN, "hi"), LIN).code]
    codes += [urgent(client, message_id).code, urgent(client, message_id, *([LIN] * 201)).code]
    assert [230001, 230012, 99992402, 99992402] == codes
    sms = api(
        box,
        "PATCH",
        f"/im/v1/messages/{message_id}/urgent_sms?user_id_type=open_id",
        {"user_id_list": [LIN]},
    )
    assert 99991672 == sms.code


def test_a_person_has_at_most_200_unread_urgent_messages(box: FeishuBox, client: Any) -> None:
    zhou = "ou_sandbox_zhou"
    ids = [sent(box, to=zhou) for _ in range(3)]
    box._call(lambda sandbox: sandbox.tenant.messages[ids[0]].urgent_to.extend([zhou]))
    codes = []
    for most in (1, 2):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("notifier.sandbox.api.message_calls.urgent.MOST_UNREAD", most)
            codes.append(urgent(client, ids[most], zhou).code)
    box.read(zhou, ids[0])

    assert [230023, 0] == codes


def react(client: Any, message_id: str, emoji: str) -> Any:
    body = CreateMessageReactionRequestBody.builder().reaction_type(Emoji.builder().emoji_type(emoji).build())
    request = CreateMessageReactionRequest.builder().message_id(message_id).request_body(body.build()).build()
    return client.im.v1.message_reaction.create(request)


def reactions(client: Any, message_id: str, **query: object) -> Any:
    builder = ListMessageReactionRequest.builder().message_id(message_id)
    for name, value in query.items():
        getattr(builder, name)(value)
    return client.im.v1.message_reaction.list(builder.build())


def unreact(client: Any, message_id: str, reaction_id: str) -> Any:
    builder = DeleteMessageReactionRequest.builder().message_id(message_id).reaction_id(reaction_id)
    return client.im.v1.message_reaction.delete(builder.build())


def test_reactions_come_and_go(box: FeishuBox, client: Any) -> None:
    message_id = box.write(LIN, "hi")
    mine = checked(react(client, message_id, "Typing"))
    theirs = box.react(LIN, message_id, "SMILE")

    assert (box.app_id, "app", "Typing") == (
        mine.operator.operator_id,
        mine.operator.operator_type,
        mine.reaction_type.emoji_type,
    )
    assert mine.reaction_id == checked(react(client, message_id, "Typing")).reaction_id
    first = checked(reactions(client, message_id, page_size=1))
    second = checked(reactions(client, message_id, page_size=1, page_token=first.page_token))
    assert [mine.reaction_id, theirs] == [each.reaction_id for each in [*first.items, *second.items]]
    smiles = checked(reactions(client, message_id, reaction_type="SMILE", user_id_type="user_id")).items
    assert ["sandbox_lin"] == [each.operator.operator_id for each in smiles]
    assert [231007, 231011] == [unreact(client, message_id, each).code for each in (theirs, "none")]
    assert 231010 == unreact(client, sent(box), mine.reaction_id).code
    assert mine.reaction_id == checked(unreact(client, message_id, mine.reaction_id)).reaction_id
    assert [theirs] == [each.reaction_id for each in checked(reactions(client, message_id)).items]


def test_what_cannot_be_reacted_to(box: FeishuBox, client: Any) -> None:
    recalled, in_group = sent(box), box.write(LIN, "hi", chat_id=GROUP)
    checked(recall(client, recalled))
    codes = [react(client, recalled, "SMILE").code, react(client, "om_none", "SMILE").code]
    codes += [react(client, in_group, "smile").code, reactions(client, in_group, reaction_type="x").code]
    codes += [
        reactions(client, in_group, page_token="x").code,
        reactions(client, in_group, page_size=51).code,
    ]
    codes += [reactions(client, in_group, user_id_type="x").code]
    box.set_group(GROUP, has_bot=False)

    assert [231003, 231003, 231001, 231001, 231012, 99992402, 231014] == codes
    assert 231002 == react(client, in_group, "SMILE").code


def test_a_message_is_pinned_once(box: FeishuBox, client: Any) -> None:
    box.advance(1)
    first, second = (box.write(LIN, text, chat_id=GROUP) for text in ("one", "two"))

    def pin(message_id: str) -> Any:
        body = CreatePinRequestBody.builder().message_id(message_id).build()
        return client.im.v1.pin.create(CreatePinRequest.builder().request_body(body).build())

    def pins(**query: object) -> list[str]:
        builder = ListPinRequest.builder().chat_id(GROUP)
        for name, value in query.items():
            getattr(builder, name)(value)
        return [each.message_id for each in checked(client.im.v1.pin.list(builder.build())).items or []]

    created = checked(pin(first)).pin
    box.advance(5)
    assert created.create_time == checked(pin(first)).pin.create_time
    checked(pin(second))
    assert (GROUP, box.app_id, "app_id") == (created.chat_id, created.operator_id, created.operator_id_type)
    assert [second, first] == pins()
    assert [first] == pins(end_time=created.create_time)
    assert [second] == pins(page_size=1)
    assert box.messages(GROUP)[-1]["is_pinned"]
    for _ in range(2):
        checked(client.im.v1.pin.delete(DeletePinRequest.builder().message_id(first).build()))
    assert [second] == pins()
    box.recall(LIN, second)
    assert [230011, 99992354] == [pin(second).code, pin("om_none").code]


def test_the_files_of_messages_are_downloaded(box: FeishuBox, client: Any) -> None:
    body = {"file_name": "报表.csv", "base64": "YSxi"}
    message_id = box.write(LIN, msg_type="file", content=body)
    key = box.messages(LIN)[-1]["content"]["file_key"]

    def download(of: str, file_key: str, kind: str = "file") -> Any:
        request = GetMessageResourceRequest.builder().message_id(of).file_key(file_key).type(kind).build()
        return client.im.v1.message_resource.get(request)

    answer = download(message_id, key)
    assert (0, "报表.csv", b"a,b") == (answer.code, answer.file_name, answer.file.read())
    png = {"base64": "iVBORw0KGgo="}
    image = box.write(LIN, msg_type="image", content=png)
    image_key = box.messages(LIN)[-1]["content"]["image_key"]
    answer = download(image, image_key, "image")
    assert (b"\x89PNG\r\n\x1a\n", "image/png") == (answer.file.read(), answer.raw.headers["Content-Type"])
    node = {"tag": "img", "image_key": image_key}
    post = box.write(LIN, msg_type="post", content={"title": "t", "content": [[node]]})
    assert 0 == download(post, image_key, "image").code
    uploaded = upload_form(
        box,
        "files",
        [("file_type", b"stream", ""), ("file_name", b"a.txt", ""), ("file", b"hi", '; filename="a"')],
    ).data["file_key"]
    own = send(box, {"file_key": uploaded}, msg_type="file").data["message_id"]
    assert (b"hi", "a.txt") == (download(own, uploaded).file.read(), download(own, uploaded).file_name)
    form = [("image_type", b"message", ""), ("image", b"GIF89a", '; filename="a.gif"')]
    gif = upload_form(box, "images", form).data["image_key"]
    own = send(box, {"image_key": gif}, msg_type="image").data["message_id"]
    shown = call(box, "GET", f"/api/files/{gif}")
    assert (b"GIF89a", "image/gif") == (
        download(own, gif, "image").file.read(),
        shown.headers["Content-Type"],
    )
    codes = [download(message_id, uploaded).code, download(message_id, key, "image").code]
    codes += [download(message_id, key, "video").code, download(sent(box, card()), key).code]
    assert [234003, 234003, 234001, 234043] == codes


def test_a_pin_has_a_limit_of_its_own() -> None:
    with FeishuBox(SandboxSettings()) as box:
        message_id = sent(box)
        codes = [api(box, "POST", "/im/v1/pins", {"message_id": message_id}).code for _ in range(6)]

    assert [0] * 5 + [230047] == codes


@pytest.mark.parametrize(
    "method, path, scope",
    [
        ("PUT", "/im/v1/messages/om_x", "im:message:update"),
        ("DELETE", "/im/v1/messages/om_x", "im:message:recall"),
        ("GET", "/im/v1/messages", "im:message.history:readonly"),
        ("GET", "/im/v1/messages/om_x/read_users", "im:message:basic"),
        ("POST", "/im/v1/messages/om_x/forward", "im:message:send_as_bot"),
        ("POST", "/im/v1/messages/merge_forward", "im:message:send_as_bot"),
        ("PATCH", "/im/v1/messages/om_x/urgent_app", "im:message.urgent"),
        ("PATCH", "/im/v1/messages/om_x/urgent_sms", "im:message.urgent:sms"),
        ("PATCH", "/im/v1/messages/om_x/urgent_phone", "im:message.urgent:phone"),
        ("POST", "/im/v1/messages/om_x/reactions", "im:message.reactions:write_only"),
        ("GET", "/im/v1/messages/om_x/reactions", "im:message.reactions:read"),
        ("DELETE", "/im/v1/messages/om_x/reactions/r", "im:message.reactions:write_only"),
        ("POST", "/im/v1/pins", "im:message.pins:write_only"),
        ("GET", "/im/v1/pins", "im:message.pins:read"),
        ("DELETE", "/im/v1/pins/om_x", "im:message.pins:write_only"),
        ("GET", "/im/v1/messages/om_x/resources/k", "im:message.history:readonly"),
    ],
)
def test_each_call_needs_one_of_its_scopes(box: FeishuBox, method: str, path: str, scope: str) -> None:
    box.set_scopes(["im:resource"])
    without = api(box, method, path, {})
    box.set_scopes([scope])

    assert (99991672, True) == (without.code, scope in without.content["msg"])
    assert 99991672 != api(box, method, path, {}).code

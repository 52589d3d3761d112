"""A bot on the official SDK's Client and ws.Client. Arguments: domain, app id, app secret."""

import io
import json
import sys
from typing import Any

import lark_oapi as lark
from lark_oapi.api.im.v1 import (
    CreateImageRequest,
    CreateImageRequestBody,
    CreateMessageReactionRequest,
    CreateMessageReactionRequestBody,
    Emoji,
    GetChatRequest,
    GetMessageResourceRequest,
    P2ImMessageReceiveV1,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
)
from lark_oapi.event.callback.model.p2_card_action_trigger import (
    P2CardActionTrigger,
    P2CardActionTriggerResponse,
)

PICTURE = bytes.fromhex("89504e470d0a1a0a0000")
DOMAIN, APP_ID, APP_SECRET = sys.argv[1:4]
api = lark.Client.builder().app_id(APP_ID).app_secret(APP_SECRET).domain(DOMAIN).build()


def card(text: str) -> dict[str, Any]:
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "Ship"},
        "behaviors": [{"type": "callback", "value": {"op": "ship"}}],
    }
    elements = [{"tag": "markdown", "content": text}, button]
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": elements}}


def checked(answer: Any) -> Any:
    assert answer.success(), (answer.code, answer.msg)
    return answer.data


def reply(message_id: str, msg_type: str, content: object) -> None:
    body = ReplyMessageRequestBody.builder().msg_type(msg_type).content(json.dumps(content)).build()
    checked(
        api.im.v1.message.reply(
            ReplyMessageRequest.builder().message_id(message_id).request_body(body).build()
        )
    )


def upload() -> str:
    body = CreateImageRequestBody.builder().image_type("message").image(io.BytesIO(PICTURE)).build()
    image = checked(api.im.v1.image.create(CreateImageRequest.builder().request_body(body).build()))
    return str(image.image_key)


def react(message_id: str) -> None:
    emoji = Emoji.builder().emoji_type("THUMBSUP").build()
    body = CreateMessageReactionRequestBody.builder().reaction_type(emoji).build()
    request = CreateMessageReactionRequest.builder().message_id(message_id).request_body(body).build()
    checked(api.im.v1.message_reaction.create(request))


def receive(event: P2ImMessageReceiveV1) -> None:
    message = event.event.message
    message_id, content = message.message_id, json.loads(message.content)
    text = content.get("text", "").split()[-1:]
    if message.message_type == "image":
        request = GetMessageResourceRequest.builder().message_id(message_id)
        request = request.file_key(content["image_key"]).type("image")
        found = api.im.v1.message_resource.get(request.build())
        reply(message_id, "text", {"text": f"picture {len(found.file.read())}"})
    elif text == ["card"]:
        reply(message_id, "interactive", card("new"))
    elif text == ["upload"]:
        reply(message_id, "image", {"image_key": upload()})
    elif text == ["react"]:
        react(message_id)
    elif text == ["chat"]:
        chat = checked(api.im.v1.chat.get(GetChatRequest.builder().chat_id(message.chat_id).build()))
        reply(message_id, "text", {"text": f"chat {chat.name}"})
    else:
        reply(message_id, "text", {"text": f"echo {text[0]}"})


def click(event: P2CardActionTrigger) -> P2CardActionTriggerResponse:
    toast = {"type": "info", "content": event.event.action.value["op"]}
    return P2CardActionTriggerResponse(
        {"toast": toast, "card": {"type": "raw", "data": card("shipped")}},
    )


handler = lark.EventDispatcherHandler.builder("", "").register_p2_im_message_receive_v1(receive)
handler = handler.register_p2_card_action_trigger(click).build()
lark.ws.Client(APP_ID, APP_SECRET, event_handler=handler, domain=DOMAIN).start()

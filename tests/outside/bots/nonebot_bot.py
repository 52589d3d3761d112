"""A bot on nonebot2 with nonebot-adapter-feishu. Arguments: port, domain, app id, app secret."""

import json
import sys
from typing import Any

import nonebot
from nonebot.adapters.feishu import Adapter, Bot, Event, Message, MessageEvent, MessageSegment

PICTURE = bytes.fromhex("89504e470d0a1a0a0000")
PORT, DOMAIN, APP_ID, APP_SECRET = sys.argv[1:5]
CONFIG = {
    "app_id": APP_ID,
    "app_secret": APP_SECRET,
    "verification_token": "",
    "protocol": "ws",
    "api_base": DOMAIN,
}


def card(text: str) -> dict[str, Any]:
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "Ship"},
        "behaviors": [{"type": "callback", "value": {"op": "ship"}}],
    }
    elements = [{"tag": "markdown", "content": text}, button]
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": elements}}


async def receive(bot: Bot, event: MessageEvent) -> None:
    message = event.event.message
    message_id, found = message.message_id, event.get_message()
    text = found.extract_plain_text().split()[-1:]
    if message.message_type == "image":
        picture = await bot.get_msg_resource(message_id, found[0].data["image_key"], "image")
        await bot.send(event, f"picture {len(picture)}")
    elif text == ["card"]:
        await bot.send_msg("chat_id", message.chat_id, json.dumps(card("new")), "interactive")
    elif text == ["upload"]:
        uploaded = await bot.call_api(
            "im/v1/images",
            method="POST",
            data={"image_type": "message"},
            files={"image": ("picture.png", PICTURE)},
        )
        await bot.send(event, Message(MessageSegment.image(uploaded["data"]["image_key"])))
    elif text == ["react"]:
        body = {"reaction_type": {"emoji_type": "THUMBSUP"}}
        await bot.call_api(f"im/v1/messages/{message_id}/reactions", method="POST", json=body)
    elif text == ["chat"]:
        chat = await bot.call_api(f"im/v1/chats/{message.chat_id}", method="GET")
        await bot.send(event, f"chat {chat['data']['name']}")
    else:
        content = json.dumps({"text": f"echo {text[0]}"})
        await bot.reply_msg(message_id, content, "text")


async def click(bot: Bot, event: Event) -> None:
    if event.header.event_type == "card.action.trigger":
        message_id = event.event["context"]["open_message_id"]
        await bot.call_api(
            f"im/v1/messages/{message_id}", method="PATCH", json={"content": json.dumps(card("shipped"))}
        )


nonebot.init(driver="~fastapi+~httpx+~websockets", port=int(PORT), feishu_bots=[CONFIG])
nonebot.get_driver().register_adapter(Adapter)
nonebot.on_message().append_handler(receive)
nonebot.on("").append_handler(click)
nonebot.run()

"""A bot on the official SDK's FeishuChannel. Arguments: module of the channel, domain, app id, app secret."""

import importlib
import sys
from typing import Any

PICTURE = bytes.fromhex("89504e470d0a1a0a0000")


def card(text: str) -> dict[str, Any]:
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "Ship"},
        "behaviors": [{"type": "callback", "value": {"op": "ship"}}],
    }
    elements = [{"tag": "markdown", "content": text}, button]
    return {"schema": "2.0", "config": {"update_multi": True}, "body": {"elements": elements}}


def main() -> None:
    module, domain, app_id, app_secret = sys.argv[1:5]
    library = importlib.import_module(module)
    channel = library.FeishuChannel(app_id=app_id, app_secret=app_secret, domain=domain)

    async def send(chat_id: str, message: Any, options: Any = None) -> None:
        sent = await channel.send(chat_id, message, options)
        assert sent.success, sent.error

    async def words(stream: Any) -> None:
        await stream.append("one ")
        await stream.append("two")

    async def receive(message: Any) -> None:
        text, chat_id = message.content_text.split()[-1], message.chat_id
        if message.raw_content_type == "image":
            content = await channel.download_resource(
                message.resources[0].file_key, "image", message.message_id
            )
            await send(chat_id, {"text": f"picture {len(content)}"})
        elif text == "card":
            await send(chat_id, {"card": card("new")})
        elif text == "upload":
            await send(chat_id, {"image": {"source": PICTURE}})
        elif text == "stream":
            streamed = await channel.stream(chat_id, {"markdown": words})
            assert streamed.success, streamed.error
        elif text == "react":
            reaction = await channel.add_reaction(message.message_id, "THUMBSUP")
            assert reaction.success, reaction.error
        elif text == "chat":
            info = await channel.get_chat_info(chat_id)
            await send(chat_id, {"text": f"chat {info.name}"})
        else:
            await send(chat_id, {"text": f"echo {text}"}, {"reply_to": message.message_id})

    async def click(event: Any) -> None:
        updated = await channel.update_card(event.message_id, card("shipped"))
        assert updated.success, updated.error

    channel.on("message", receive)
    channel.on("cardAction", click)
    channel.start()


main()

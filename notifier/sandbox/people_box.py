"""The part of FeishuBox that acts as the people of the tenant."""

from typing import Any

from notifier.sandbox.sandbox_thread import SandboxThread

Json = dict[str, Any]


class PeopleBox(SandboxThread):
    """People who use Feishu's client. Every method raises BadActionError for what the person cannot do."""

    def write(
        self,
        open_id: str,
        text: str = "",
        *,
        chat_id: str | None = None,
        mention_bot: bool = True,
        reply_to: str | None = None,
        in_thread: bool = False,
        msg_type: str = "text",
        content: Json | None = None,
    ) -> str:
        """Writes a message to the bot, or in a group. Returns its message_id.

        chat_id: the private chat with the bot by default. mention_bot: in a group, the text begins with @bot.
        msg_type: text, post, image or file; all but text need `content`.
        """
        return self._call(
            lambda sandbox: (
                sandbox.people.write(
                    open_id,
                    msg_type=msg_type,
                    content={"text": text} if content is None else content,
                    chat_id=chat_id,
                    mention_bot=mention_bot,
                    reply_to=reply_to,
                    in_thread=in_thread,
                )[0].message_id
            )
        )

    def press_menu(self, open_id: str, event_key: str) -> list[str]:
        """Chooses an item of the bot's menu. Returns the ids of the pushed events."""
        return self._call(lambda sandbox: sandbox.people.press_menu(open_id, event_key))

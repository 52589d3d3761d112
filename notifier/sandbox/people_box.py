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

    def recall(self, open_id: str, message_id: str) -> list[str]:
        """Recalls an own message. Returns the ids of the pushed events."""
        return self._call(lambda sandbox: sandbox.people.recall(open_id, message_id))

    def react(self, open_id: str, message_id: str, emoji_type: str) -> str:
        """Puts an emoji, such as SMILE, on a message. Returns the reaction_id."""
        return self._call(lambda sandbox: sandbox.people.react(open_id, message_id, emoji_type)[0])

    def remove_reaction(self, message_id: str, reaction_id: str) -> list[str]:
        """Removes a reaction of a person. Returns the ids of the pushed events."""
        return self._call(lambda sandbox: sandbox.people.remove_reaction(message_id, reaction_id))

    def read(self, open_id: str, message_id: str) -> list[str]:
        """Reads a message. Returns the ids of the pushed events: none in a group, and none the second time."""
        return self._call(lambda sandbox: sandbox.people.read(open_id, message_id))

    def enter_chat(self, open_id: str, chat_id: str | None = None) -> list[str]:
        """Opens the private chat with the bot. Returns the ids of the pushed events."""
        return self._call(
            lambda sandbox: sandbox.people.enter_chat(
                open_id, sandbox.tenant.people[open_id].chat_id if chat_id is None else chat_id
            )
        )

    def set_bot_in_group(self, open_id: str, chat_id: str, *, is_member: bool) -> list[str]:
        """A member adds the bot to a group or removes it. Returns the ids of the pushed events."""
        return self._call(lambda sandbox: sandbox.people.set_bot(open_id, chat_id, is_member=is_member))

    def press_menu(self, open_id: str, event_key: str) -> list[str]:
        """Chooses an item of the bot's menu. Returns the ids of the pushed events."""
        return self._call(lambda sandbox: sandbox.people.press_menu(open_id, event_key))

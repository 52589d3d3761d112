"""Reactions of the app to messages."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.message_calls.pages import build_page
from notifier.sandbox.api.messages import BOT_OFF
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.recipients import check_readable, user_id_type
from notifier.sandbox.chat.messages import person_id
from notifier.sandbox.chat.reactions import EMOJI_TYPES, Reactions
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import APP_SENDER, USER_SENDER, Message, Reaction, Tenant

WRITE_SCOPES = ("im:message", "im:message.reactions:write_only")
LIST_SCOPES = ("im:message.reactions:read", "im:message:readonly")


class ReactionApi:
    """The calls about reactions."""

    def __init__(self, tenant: Tenant, reactions: Reactions) -> None:
        self._tenant = tenant
        self._reactions = reactions

    def apis(self) -> list[Api]:
        """All calls of this class."""
        path = "/open-apis/im/v1/messages/{message_id}/reactions"
        return [
            Api(
                method="POST",
                path=path,
                scopes=WRITE_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.create,
                notes="The same reaction twice is one reaction; our choice.",
            ),
            Api(
                method="GET",
                path=path,
                scopes=LIST_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.list_reactions,
            ),
            Api(
                method="DELETE",
                path=path + "/{reaction_id}",
                scopes=WRITE_SCOPES,
                limits=MESSAGES,
                bot_off_code=BOT_OFF,
                answer=self.delete,
            ),
        ]

    def create(self, call: Call) -> JsonObject:
        """Puts an emoji on a message."""
        reaction_type = call.body.get("reaction_type")
        emoji = reaction_type.get("emoji_type") if isinstance(reaction_type, dict) else None
        if emoji not in EMOJI_TYPES:
            raise RefusedError(231001)
        message = self._message(call)
        app_id = self._tenant.settings.app_id
        reaction, _ = self._reactions.add(message, app_id, APP_SENDER, str(emoji))
        return self._to_wire(reaction)

    def list_reactions(self, call: Call) -> JsonObject:
        """The reactions to a message, oldest first, all or those of one emoji."""
        emoji = call.query.get("reaction_type", "")
        if emoji and emoji not in EMOJI_TYPES:
            raise RefusedError(231001)
        id_type = user_id_type(call, 231014)
        found = [each for each in self._message(call).reactions if emoji in ("", each.emoji_type)]
        return build_page(
            call,
            found,
            key=lambda reaction: reaction.reaction_id,
            to_wire=lambda reaction: self._to_wire(reaction, id_type),
            bad_token_code=231012,
        )

    def delete(self, call: Call) -> JsonObject:
        """Removes a reaction of the app."""
        message, reaction_id = self._message(call), call.path["reaction_id"]
        reaction = next((each for each in message.reactions if each.reaction_id == reaction_id), None)
        if reaction is None:
            everywhere = (each for one in self._tenant.messages.values() for each in one.reactions)
            is_known = any(each.reaction_id == reaction_id for each in everywhere)
            raise RefusedError(231010 if is_known else 231011)
        if reaction.operator_id != self._tenant.settings.app_id:
            raise RefusedError(231007)
        self._reactions.remove(message, reaction)
        return self._to_wire(reaction)

    def _message(self, call: Call) -> Message:
        message = self._tenant.messages.get(call.path["message_id"])
        if message is None or message.recalled:
            raise RefusedError(231003)
        try:
            check_readable(self._tenant, message.chat_id)
        except RefusedError as refused:
            raise (RefusedError(231002) if refused.code == 230002 else refused) from refused
        return message

    def _to_wire(self, reaction: Reaction, id_type: str = "open_id") -> JsonObject:
        is_user = reaction.operator_type == USER_SENDER
        operator_id = reaction.operator_id
        return {
            "reaction_id": reaction.reaction_id,
            "operator": {
                "operator_id": person_id(self._tenant, operator_id, id_type) if is_user else operator_id,
                "operator_type": reaction.operator_type,
            },
            "action_time": str(reaction.action_time_ms),
            "reaction_type": {"emoji_type": reaction.emoji_type},
        }

"""The event types that the sandbox can push, and the scopes that Feishu demands for each."""

from collections.abc import Mapping

BALANCE_EVENT = "hire.referral_account.assets_update_v1"
MESSAGE_RECEIVED = "im.message.receive_v1"
MESSAGE_READ = "im.message.message_read_v1"
MESSAGE_RECALLED = "im.message.recalled_v1"
REACTION_CREATED = "im.message.reaction.created_v1"
REACTION_DELETED = "im.message.reaction.deleted_v1"
BOT_ADDED = "im.chat.member.bot.added_v1"
BOT_DELETED = "im.chat.member.bot.deleted_v1"
USER_ADDED = "im.chat.member.user.added_v1"
USER_DELETED = "im.chat.member.user.deleted_v1"
USER_WITHDRAWN = "im.chat.member.user.withdrawn_v1"
CHAT_ENTERED = "im.chat.access_event.bot_p2p_chat_entered_v1"
CHAT_UPDATED = "im.chat.updated_v1"
CHAT_DISBANDED = "im.chat.disbanded_v1"
MENU_CHOSEN = "application.bot.menu_v6"

PRIVATE_MESSAGE_SCOPES = ("im:message.p2p_msg:readonly", "im:message.p2p_msg")
MENTION_SCOPES = ("im:message.group_at_msg:readonly", "im:message.group_at_msg", "im:message.group_msg")
GROUP_MESSAGE_SCOPES = ("im:message.group_msg",)
"""The scopes of MESSAGE_RECEIVED depend on the message: in a private chat, with @bot in a group, any in a group."""

_READ_MESSAGES = ("im:message", "im:message:readonly")
_REACTIONS = ("im:message", "im:message:readonly", "im:message.reactions:read")
_READ_CHATS = ("im:chat", "im:chat:readonly", "im:chat:read")
_READ_MEMBERS = ("im:chat", "im:chat:readonly", "im:chat.members:read", "im:chat.members:bot_access")

EVENT_SCOPES: Mapping[str, tuple[str, ...]] = {
    BALANCE_EVENT: ("hire:referral_account:readonly",),
    MESSAGE_RECEIVED: (*PRIVATE_MESSAGE_SCOPES, *MENTION_SCOPES),
    MESSAGE_READ: _READ_MESSAGES,
    MESSAGE_RECALLED: _READ_MESSAGES,
    REACTION_CREATED: _REACTIONS,
    REACTION_DELETED: _REACTIONS,
    BOT_ADDED: _READ_MEMBERS,
    BOT_DELETED: _READ_MEMBERS,
    USER_ADDED: _READ_MEMBERS,
    USER_DELETED: _READ_MEMBERS,
    USER_WITHDRAWN: _READ_MEMBERS,
    CHAT_ENTERED: (),
    CHAT_UPDATED: _READ_CHATS,
    CHAT_DISBANDED: _READ_CHATS,
    MENU_CHOSEN: (),
}
"""One granted scope of them is enough; () when no scope is required."""

PUSHABLE_EVENTS = frozenset(EVENT_SCOPES)
"""Every event type that the sandbox can push."""

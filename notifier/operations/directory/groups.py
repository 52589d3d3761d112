"""Lists the groups that the bot is a member of, for the chat_ids of the configuration."""

import json

from notifier.clock import Clock
from notifier.config.settings import Config
from notifier.domain.card import Bilingual
from notifier.domain.scopes import SCOPES, Feature
from notifier.errors import CallError, NotifierError
from notifier.feishu.api import FeishuApi
from notifier.feishu.app_queries import BotChat, list_chats
from notifier.operations.accounts import texts
from notifier.operations.formatting import format_table
from notifier.operations.language import Language, get_language, say
from notifier.runtime.factories import make_app_access

_HEADS = {
    Language.EN: ("chat_id", "in the configuration", "name"),
    Language.ZH: ("chat_id", "配置中", "群名"),
}
_EXTERNAL = Bilingual(zh="（外部群）", en=" (external)")
_NONE = Bilingual(
    zh="机器人不在任何群里。在群设置的“群机器人”中添加它。",
    en="The bot is in no group. Add it in the settings of a group, under Bots.",
)


async def list_groups(config: Config, clock: Clock, *, as_json: bool) -> str:
    """List the groups of the bot. Raises CallError, or NotifierError if the scope is missing."""
    async with FeishuApi(make_app_access(config), clock) as api:
        try:
            chats = await list_chats(api)
        except CallError as error:
            if error.code == texts.SCOPE_MISSING:
                raise NotifierError(say(texts.scope_missing(SCOPES[Feature.GROUPS]))) from error
            raise
    names = {group.chat_id: name for name, group in config.groups.items()}
    present = {chat.chat_id for chat in chats}
    absent = [(chat_id, name) for chat_id, name in names.items() if chat_id not in present]
    if as_json:
        return json.dumps(_to_json(chats, names, absent), ensure_ascii=False, indent=2)
    rows = [
        (
            chat.chat_id,
            names.get(chat.chat_id, "-"),
            f"{chat.name}{say(_EXTERNAL) if chat.is_external else ''}",
        )
        for chat in chats
    ]
    lines = [format_table(_HEADS[get_language()], rows) if rows else say(_NONE)]
    for chat_id, name in absent:
        text = Bilingual(
            zh=f"groups.{name}（{chat_id}）：机器人不在这个群里，请在群设置中添加",
            en=f"groups.{name} ({chat_id}): the bot is not a member; add it in the settings of the group",
        )
        lines.append(say(text))
    return "\n".join(lines)


def _to_json(
    chats: list[BotChat], names: dict[str, str], absent: list[tuple[str, str]]
) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = [
        {
            "chat_id": chat.chat_id,
            "name": chat.name,
            "is_external": chat.is_external,
            "configured_as": names.get(chat.chat_id),
            "has_bot": True,
        }
        for chat in chats
    ]
    return listed + [
        {"chat_id": chat_id, "name": None, "is_external": None, "configured_as": name, "has_bot": False}
        for chat_id, name in absent
    ]

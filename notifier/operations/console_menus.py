"""The names of the menus in Feishu's developer console, in both languages. The READMEs use the same ones."""

from notifier.domain.card import Bilingual
from notifier.operations.language import localized

SCOPES_MENU = Bilingual(zh="权限管理", en="Permissions & Scopes")
EVENTS_MENU = Bilingual(zh="事件与回调 › 事件配置", en="Events & Callbacks › Event Configuration")
CALLBACKS_MENU = Bilingual(zh="事件与回调 › 回调配置", en="Events & Callbacks › Callback Configuration")
VERSION_MENU = Bilingual(zh="版本管理与发布", en="Version Management & Release")
BOT_MENU = Bilingual(zh="添加应用能力 › 机器人", en="Add Features › Bot")
CREDENTIALS_MENU = Bilingual(zh="凭证与基础信息", en="Credentials & Basic Info")
SECURITY_MENU = Bilingual(zh="安全设置 › IP 白名单", en="Security Settings › IP Allowlist")


def name_menu(menu: Bilingual) -> str:
    """Return the name of a menu in the language of the locale, with the other name after it."""
    return localized(f"{menu.en} ({menu.zh})", f"{menu.zh}（{menu.en}）")

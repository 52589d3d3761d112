"""Feishu's developer console: the names of its menus in both languages, and the remedies that use them."""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from notifier.domain.card import Bilingual
from notifier.domain.scopes import get_scope_name
from notifier.feishu.api import is_loopback
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


class Console:
    """Describes steps in the console of one app, with the address of the page."""

    def __init__(self, base_url: str, app_id: str) -> None:
        self._base_url = base_url
        self._app_id = app_id

    def describe(self, menu: Bilingual, page: str, *, zh: str, en: str) -> Bilingual:
        """Return the step: where to go, and what to do there. page: the end of the page's address."""
        link = self._link(page)
        return Bilingual(
            zh=f"开发者后台 › {menu.zh}{link}：{zh}", en=f"Developer console › {menu.en}{link}: {en}"
        )

    def publish(self) -> Bilingual:
        """Return the step that puts changes in force."""
        return self.describe(
            VERSION_MENU,
            "version",
            zh="创建版本并发布，等待管理员审批",
            en="create a version, publish it, and wait for the administrator's approval",
        )

    def add_scopes(self, scopes: Sequence[str]) -> Bilingual:
        """Return the step that adds scopes."""
        names = [(scope, get_scope_name(scope)) for scope in scopes]
        step = self.describe(
            SCOPES_MENU,
            f"auth?q={quote(','.join(scopes), safe=',')}",
            zh="、".join(f"开通“{name.zh}”（{scope}）" for scope, name in names),
            en=", ".join(f"add “{name.en}” ({scope})" for scope, name in names),
        )
        return join(step, self.publish())

    def _link(self, page: str) -> str:
        """The address of the page; "" for the sandbox, whose own page has the console."""
        if is_loopback(self._base_url):
            return ""
        parts = urlsplit(self._base_url)
        return f" ({parts.scheme}://{parts.netloc}/app/{quote(self._app_id, safe='')}/{page})"


def join(*steps: Bilingual) -> Bilingual:
    """Return several steps as one text, a line each."""
    return Bilingual(zh="\n".join(each.zh for each in steps), en="\n".join(each.en for each in steps))

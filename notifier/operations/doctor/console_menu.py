"""Feishu's developer console: the remedies that name its menus and scopes."""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from notifier.domain.card import Bilingual
from notifier.domain.scopes import SCOPES_MENU, VERSION_MENU, get_scope_name
from notifier.feishu.api import is_loopback


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

"""The calls about the app itself: its bot, its granted scopes, and its published version."""

from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.tenant import BOT_NAME, BOT_OPEN_ID, Tenant

APP_SCOPES = ("application:application:self_manage", "admin:app.info:readonly")


class AppInfoApi:
    """The calls about the app itself."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        application = "/open-apis/application/v6"
        one = application + "/applications/{app_id}"
        return [
            Api(method="GET", path="/open-apis/bot/v3/info", scopes=(), limits=MESSAGES, answer=self.bot),
            Api(method="GET", path=application + "/scopes", scopes=(), limits=MESSAGES, answer=self.scopes),
            Api(method="GET", path=one, scopes=APP_SCOPES, limits=MESSAGES, answer=self.application),
        ]

    def bot(self, _call: Call) -> JsonObject:
        """The bot of the app. Feishu answers it beside `code` and not under `data`."""
        return {
            "bot": {
                "activate_status": self._tenant.console.activate_status,
                "app_name": BOT_NAME,
                "avatar_url": "https://open.feishu.cn/avatar/sandbox.png",
                "ip_white_list": [],
                "open_id": BOT_OPEN_ID,
            }
        }

    def scopes(self, _call: Call) -> JsonObject:
        """Each scope that the app asked for, and whether the tenant granted it."""
        return {"scopes": self._tenant.console.list_scopes()}

    def application(self, call: Call) -> JsonObject:
        """The published version: what it subscribes to, and whether a newer version waits."""
        if call.path["app_id"] != self._tenant.settings.app_id:
            raise RefusedError(210508)
        console = self._tenant.console
        live = console.live
        modes = {"long_connection": "websocket", "": "none"}
        return {
            "app": {
                "app_id": call.path["app_id"],
                "status": 1,
                "online_version_id": "oav_sandbox",
                "unaudit_version_id": "",
                "event": {
                    "subscription_type": modes[live.event_mode],
                    "subscribed_events": sorted(live.events),
                },
                "callback": {
                    "callback_type": modes[live.callback_mode],
                    "subscribed_callbacks": sorted(live.callbacks),
                },
            }
        }

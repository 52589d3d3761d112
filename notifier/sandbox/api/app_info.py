"""The calls about the app itself: its bot, its granted scopes, and its published version."""

from typing import Any

from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.quota import MESSAGES, PER_MINUTE_100
from notifier.sandbox.error_codes import JsonObject, RefusedError, bad_field
from notifier.sandbox.tenant import Tenant

APP_NAME, AVATAR = "Referral notifier (sandbox)", "https://open.feishu.cn/avatar/sandbox.png"
VERSION_ID, ONE_VERSION = "oav_sandbox", "there is one version at most"
VERSION_SCOPES = ("application:application.app_version:readonly", "application:application:self_manage")
APP_SCOPES = ("application:application:self_manage", "admin:app.info:readonly")


class AppInfoApi:
    """The calls about the app itself."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def apis(self) -> list[Api]:
        """All calls of this class."""
        application = "/open-apis/application/v6"
        one = application + "/applications/{app_id:me|cli_[^/]+}"  # and not `underauditlist`
        versions = one + "/app_versions"
        get: Any = {"method": "GET", "limits": MESSAGES}
        version: Any = {**get, "limits": PER_MINUTE_100, "scopes": VERSION_SCOPES}
        return [
            Api(path="/open-apis/bot/v3/info", scopes=(), answer=self.bot, **get),
            Api(path=application + "/scopes", scopes=(), answer=self.scopes, **get),
            Api(
                path="/open-apis/tenant/v2/tenant/query",
                scopes=("tenant:tenant:readonly",),
                answer=self.tenant,
                coverage="shape",
                notes="the name is the tenant_key",
                **get,
            ),
            Api(path=one, scopes=APP_SCOPES, answer=self.application, **get),
            Api(path=versions, answer=self.versions, notes=ONE_VERSION, **version),
            Api(path=versions + "/{version_id}", answer=self.version, notes=ONE_VERSION, **version),
        ]

    def bot(self, _call: Call) -> RawAnswer:
        """The bot of the app. Feishu answers it beside `code` and not under `data`."""
        bot: JsonObject = {
            "activate_status": self._tenant.console.activate_status,
            "app_name": self._tenant.settings.app_name,
            "avatar_url": AVATAR,
            "ip_white_list": [],
            "open_id": self._tenant.bot_open_id,
        }
        return RawAnswer(body={"code": 0, "msg": "ok", "bot": bot})

    def scopes(self, _call: Call) -> JsonObject:
        """Each scope that the app asked for, and whether the tenant granted it."""
        return {"scopes": self._tenant.console.list_scopes()}

    def tenant(self, _call: Call) -> JsonObject:
        """The tenant."""
        key = self._tenant.settings.tenant_key
        avatar = {"avatar_origin": AVATAR, "avatar_72": AVATAR, "avatar_240": AVATAR, "avatar_640": AVATAR}
        shown = {
            "name": key,
            "display_id": "F0000000000",
            "tenant_tag": 0,
            "tenant_key": key,
            "avatar": avatar,
        }
        return {"tenant": shown}

    def application(self, call: Call) -> JsonObject:
        """The published version: what it subscribes to, and whether a newer version waits."""
        app_id = self._check(call)
        console = self._tenant.console
        live = console.live
        modes = {"long_connection": "websocket", "": "none"}
        return {
            "app": {
                "app_id": app_id,
                "app_name": APP_NAME,
                "avatar_url": AVATAR,
                "description": "",
                "status": 1,
                "scene_type": 0,
                "payment_type": 0,
                "primary_language": "zh_cn",
                "scopes": _scopes(live.scopes),
                "owner": {"type": 2},
                "online_version_id": VERSION_ID,
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

    def versions(self, call: Call) -> JsonObject:
        """The versions of the app: the published one."""
        self._check(call)
        is_published = self._tenant.console.published is not None
        return {"items": [self._version()] if is_published else [], "has_more": False, "page_token": ""}

    def version(self, call: Call) -> JsonObject:
        """One version of the app."""
        self._check(call)
        if call.path["version_id"] != VERSION_ID or self._tenant.console.published is None:
            raise RefusedError(211002)
        return {"app_version": self._version()}

    def _check(self, call: Call) -> str:
        """The id of the app, which can be called `me`. An app can read itself only."""
        if not call.query.get("lang"):
            raise bad_field("lang", "lang is required")
        app_id = self._tenant.settings.app_id
        if call.path["app_id"] not in (app_id, "me"):
            raise RefusedError(210508)
        return app_id

    def _version(self) -> JsonObject:
        live = self._tenant.console.live
        return {
            "app_id": self._tenant.settings.app_id,
            "version": "1.0.0",
            "version_id": VERSION_ID,
            "app_name": APP_NAME,
            "avatar_url": AVATAR,
            "scopes": _scopes(live.scopes),
            "events": sorted(live.events),
            "status": 1,
            "ability": {"bot": {"card_request_url": ""}} if live.bot else {},
        }


def _scopes(names: set[str]) -> list[JsonObject]:
    return [{"scope": name, "token_types": ["tenant"]} for name in sorted(names)]

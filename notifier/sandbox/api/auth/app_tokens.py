"""The calls that issue the tokens of the app. They need no token; their result stands beside `code`."""

from collections.abc import Callable
from typing import Any

from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.error_codes import JsonObject

BASE = "/open-apis/auth/v3"
STORE_NOTE = "any app can use it; `SandboxSettings(is_store_app=True)` pushes the ticket every hour"


class AppTokenApi:
    """The token calls. push_ticket: pushes an `app_ticket` event with a new ticket."""

    def __init__(self, tokens: Tokens, push_ticket: Callable[[], object]) -> None:
        self._tokens = tokens
        self._push_ticket = push_ticket

    def apis(self) -> list[Api]:
        """All calls of this class."""
        post: Any = {"method": "POST", "scopes": (), "limits": (), "tokens": ()}
        store: Any = {**post, "notes": STORE_NOTE}
        tenant, app = BASE + "/tenant_access_token", BASE + "/app_access_token"
        return [
            Api(path=tenant + "/internal", answer=self.internal_tenant_token, **post),
            Api(path=app + "/internal", answer=self.internal_app_token, **post),
            Api(path=app, answer=self.store_app_token, **store),
            Api(path=tenant, answer=self.store_tenant_token, **store),
            Api(path=BASE + "/app_ticket/resend", answer=self.resend_ticket, **store),
        ]

    def internal_tenant_token(self, call: Call) -> RawAnswer:
        """The tenant_access_token of an app of one tenant."""
        return _beside_code(self._tokens.issue(call.body))

    def internal_app_token(self, call: Call) -> RawAnswer:
        """The app_access_token of an app of one tenant is its tenant_access_token."""
        issued = self._tokens.issue(call.body)
        return _beside_code({"app_access_token": issued["tenant_access_token"], **issued})

    def store_app_token(self, call: Call) -> RawAnswer:
        """The app_access_token of a store app, for its newest app ticket."""
        return _beside_code(self._tokens.issue_store_app_token(call.body))

    def store_tenant_token(self, call: Call) -> RawAnswer:
        """The tenant_access_token of a store app in one tenant."""
        return _beside_code(self._tokens.issue_store_tenant_token(call.body))

    def resend_ticket(self, call: Call) -> RawAnswer:
        """Pushes a new app ticket at once."""
        self._tokens.check_credentials(call.body)
        self._push_ticket()
        return _beside_code({})


def _beside_code(members: JsonObject) -> RawAnswer:
    return RawAnswer(body={"code": 0, "msg": "ok", **members})

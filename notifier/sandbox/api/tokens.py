"""Access tokens of the app, issued, renewed and expired as Feishu does, and the check of every token."""

import secrets
from collections.abc import Sequence

from notifier.sandbox.api.user_tokens import UserToken, UserTokens
from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.settings import SandboxSettings, new_secret

TENANT, USER, APP = "tenant", "user", "app"
"""Kinds of token: tenant_access_token (t-), user_access_token (u-), app_access_token (t- or a-)."""
TICKETS_KEPT = 2
"""The newest app ticket and the one before it are valid."""


class Tokens:
    """The issued tokens and when they expire.

    A token with at least `token_renew_before_seconds` left is issued again. Otherwise a new token is issued, and both
    are valid until they expire. users: the tokens of people.
    """

    def __init__(self, settings: SandboxSettings, clock: SandboxClock) -> None:
        self._settings = settings
        self._clock = clock
        self._expires_at: dict[str, float] = {}
        self._newest: str | None = None
        self._issued: set[str] = set()
        self._tickets: list[str] = []
        self.users = UserTokens(clock)
        self.app_disabled = False  # refuses every call
        self.secret_changed = False  # the app's secret is no longer valid

    def issue(self, body: JsonObject) -> JsonObject:
        """Issues a token. Returns the members of the answer beside `code` and `msg`. Raises 10003, 10014, 10015."""
        self.check_credentials(body)
        return self._issue_tenant_token()

    def check_credentials(self, body: JsonObject) -> None:
        """Checks `app_id` and `app_secret`. Raises 10003, 10014, 10015."""
        app_id, app_secret = body.get("app_id"), body.get("app_secret")
        if app_id != self._settings.app_id or not isinstance(app_secret, str) or not app_secret:
            raise RefusedError(10003)
        if self.app_disabled:
            raise RefusedError(10014)
        if app_secret != self._settings.app_secret or self.secret_changed:
            raise RefusedError(10015)

    def _issue_tenant_token(self) -> JsonObject:
        now = self._clock.elapsed()
        left = self._expires_at.get(self._newest or "", 0) - now
        if self._newest is None or left < min(
            self._settings.token_renew_before_seconds, self._settings.token_lifetime_seconds
        ):
            self._newest = f"t-sandbox{secrets.token_hex(16)}"
            self._issued.add(self._newest)
            self._expires_at[self._newest] = now + self._settings.token_lifetime_seconds
            left = self._settings.token_lifetime_seconds
        return {"tenant_access_token": self._newest, "expire": int(left)}

    def create_app_ticket(self) -> str:
        """A new app ticket of a store app."""
        ticket = new_secret("app-ticket")
        self._tickets = [*self._tickets, ticket][-TICKETS_KEPT:]
        return ticket

    def issue_store_app_token(self, body: JsonObject) -> JsonObject:
        """Issues the app_access_token of a store app. Raises 10003, 10014, 10015, and 10012 for a wrong ticket."""
        self.check_credentials(body)
        if body.get("app_ticket") not in self._tickets:
            raise RefusedError(10012)
        token = f"a-sandbox{secrets.token_hex(16)}"
        self._issued.add(token)
        self._expires_at[token] = self._clock.elapsed() + self._settings.token_lifetime_seconds
        return {"app_access_token": token, "expire": self._settings.token_lifetime_seconds}

    def issue_store_tenant_token(self, body: JsonObject) -> JsonObject:
        """Issues the tenant_access_token of a store app. Raises 99991664 and 10003."""
        token = body.get("app_access_token")
        if not isinstance(token, str) or not token.startswith("a-") or not self._is_valid(token):
            raise RefusedError(99991664)
        if body.get("tenant_key") != self._settings.tenant_key:
            raise RefusedError(10003, "tenant_key")
        return self._issue_tenant_token()

    def check(self, authorization: str | None, kinds: Sequence[str] = (TENANT,)) -> UserToken | None:
        """Checks the `Authorization` header. kinds: the kinds of token that the call takes.

        Returns the token of a person, None for a token of the app. Raises 99991661 (missing), 99991671 (form), 99991663
        (tenant token expired, or not taken by the call), 99991664 (app token), 99991668 and 99991677 (user token).
        """
        if not authorization or not authorization.removeprefix("Bearer").strip():
            raise RefusedError(99991661)
        token = authorization.removeprefix("Bearer").strip()
        if token.startswith("u-"):
            found = self.users.find(token)
            if USER not in kinds:
                raise RefusedError(99991668, "user access token not support")
            return found
        if token.startswith("a-") and APP in kinds:
            if not self._is_valid(token):
                raise RefusedError(99991664)
            return None
        if not token.startswith("t-"):
            raise RefusedError(99991671)
        if not self._is_valid(token):
            raise RefusedError(99991663)
        if TENANT not in kinds and APP not in kinds:
            raise RefusedError(99991663, "tenant access token not support")
        return None

    def _is_valid(self, token: str) -> bool:
        return self._expires_at.get(token, 0) > self._clock.elapsed()

    def has_issued(self, token: str) -> bool:
        """Whether the token was issued to this app, also if it has expired since."""
        return token in self._issued or self.users.has_issued(token)

    def expire_all(self) -> None:
        """Expires all access tokens; the next call of `issue` makes a new one."""
        self._expires_at.clear()
        self._newest = None
        self.users.expire_all()

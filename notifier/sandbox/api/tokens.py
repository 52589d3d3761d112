"""Tenant access tokens, issued, renewed and expired as Feishu does."""

import secrets

from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import JsonObject, RefusedError
from notifier.sandbox.settings import SandboxSettings


class Tokens:
    """The issued tokens and when they expire.

    A token with at least `token_renew_before_seconds` left is issued again. Otherwise a new token is issued, and both
    are valid until they expire.
    """

    def __init__(self, settings: SandboxSettings, clock: SandboxClock) -> None:
        self._settings = settings
        self._clock = clock
        self._expires_at: dict[str, float] = {}
        self._newest: str | None = None
        self._issued: set[str] = set()
        self.app_disabled = False  # refuses every call
        self.secret_changed = False  # the app's secret is no longer valid

    def issue(self, body: JsonObject) -> JsonObject:
        """Issues a token. Returns the members of the answer beside `code` and `msg`. Raises 10003, 10014, 10015."""
        app_id, app_secret = body.get("app_id"), body.get("app_secret")
        if app_id != self._settings.app_id or not isinstance(app_secret, str) or not app_secret:
            raise RefusedError(10003)
        if self.app_disabled:
            raise RefusedError(10014)
        if app_secret != self._settings.app_secret or self.secret_changed:
            raise RefusedError(10015)
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

    def check(self, authorization: str | None) -> None:
        """Checks the `Authorization` header. Raises 99991661 (missing), 99991671 (form), 99991663 (expired)."""
        if not authorization or not authorization.removeprefix("Bearer").strip():
            raise RefusedError(99991661)
        token = authorization.removeprefix("Bearer").strip()
        if not token.startswith(("t-", "u-")):
            raise RefusedError(99991671)
        if self._expires_at.get(token, 0) <= self._clock.elapsed():
            raise RefusedError(99991663)

    def has_issued(self, token: str) -> bool:
        """Whether the token was issued to this app, also if it has expired since."""
        return token in self._issued

    def expire_all(self) -> None:
        """Expires all tokens; the next call of `issue` makes a new one."""
        self._expires_at.clear()
        self._newest = None

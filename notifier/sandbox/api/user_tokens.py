"""Login codes, user access tokens and refresh tokens: issued, used once, and expired as Feishu does."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from notifier.sandbox.clock import SandboxClock
from notifier.sandbox.error_codes import RefusedError
from notifier.sandbox.settings import new_secret

CODE_SECONDS = 300
ACCESS_SECONDS = 7200
OFFLINE = "offline_access"
"""The scope without which version 2 of the login issues no refresh token."""


@dataclass(slots=True, kw_only=True)
class LoginCode:
    """One authorization code."""

    open_id: str  # who logged in
    scopes: frozenset[str]  # granted by the person
    redirect_uri: str  # of the login
    expires_at: float  # on SandboxClock.elapsed
    challenge: str = ""  # PKCE; "" without it
    challenge_method: str = "plain"  # plain or S256
    is_used: bool = False  # it was exchanged


@dataclass(slots=True, kw_only=True)
class UserToken:
    """One access token or refresh token of a person."""

    open_id: str  # who it stands for
    scopes: frozenset[str]  # what it allows
    expires_at: float  # on SandboxClock.elapsed
    version: int = 1  # of the login that issued it
    is_used: bool = False  # a refresh token that was exchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokens:
    """An access token with its refresh token, "" without one."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str]
    open_id: str


class UserTokens:
    """All codes and tokens of people."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._codes: dict[str, LoginCode] = {}
        self._access: dict[str, UserToken] = {}
        self._refresh: dict[str, UserToken] = {}

    def create_code(
        self,
        open_id: str,
        scopes: frozenset[str],
        redirect_uri: str,
        *,
        challenge: str = "",
        challenge_method: str = "plain",
    ) -> str:
        """A code that is valid for 5 minutes and for one exchange. challenge: of PKCE."""
        code = new_secret("code")
        self._codes[code] = LoginCode(
            open_id=open_id,
            scopes=scopes,
            redirect_uri=redirect_uri,
            expires_at=self._clock.elapsed() + CODE_SECONDS,
            challenge=challenge,
            challenge_method=challenge_method,
        )
        return code

    def exchange_code(
        self,
        code: str,
        *,
        version: int,
        refresh_seconds: int,
        redirect_uri: str = "",
        verifier: str = "",
        scopes: frozenset[str] | None = None,
    ) -> IssuedTokens:
        """Exchanges a code. scopes: fewer scopes than granted, None for all.

        Raises 20003 (unknown), 20004 (expired), 20065 or 20003 (used), 20049 (PKCE), 20071 (redirect_uri) and 20068
        (a scope that was not granted).
        """
        found = self._codes.get(code)
        if found is None:
            raise RefusedError(20003)
        if found.is_used:
            raise RefusedError(20065 if version == 2 else 20003)
        if found.expires_at <= self._clock.elapsed():
            raise RefusedError(20004)
        if redirect_uri and redirect_uri != found.redirect_uri:
            raise RefusedError(20071)
        if found.challenge and not _is_answer(verifier, found.challenge, found.challenge_method):
            raise RefusedError(20049)
        _check_subset(scopes, found.scopes)
        found.is_used = True
        granted = found.scopes if scopes is None else scopes
        return self._issue(found.open_id, granted, version=version, refresh_seconds=refresh_seconds)

    def refresh(
        self, token: str, *, version: int, refresh_seconds: int, scopes: frozenset[str] | None = None
    ) -> IssuedTokens:
        """Exchanges a refresh token, which works once.

        Raises 20026 (unknown, or of the other version), 20037 (expired), 20073 or 20038 (used) and 20068.
        """
        found = self._refresh.get(token)
        if found is None or found.version != version:
            raise RefusedError(20026)
        if found.is_used:
            raise RefusedError(20073 if version == 2 else 20038)
        if found.expires_at <= self._clock.elapsed():
            raise RefusedError(20037)
        _check_subset(scopes, found.scopes)
        found.is_used = True
        granted = found.scopes if scopes is None else scopes
        return self._issue(found.open_id, granted, version=version, refresh_seconds=refresh_seconds)

    def find(self, token: str) -> UserToken:
        """The person and scopes of an access token. Raises 99991668 (unknown) and 99991677 (expired)."""
        found = self._access.get(token)
        if found is None:
            raise RefusedError(99991668)
        if found.expires_at <= self._clock.elapsed():
            raise RefusedError(99991677)
        return found

    def has_issued(self, token: str) -> bool:
        """Whether it is an access token of a person, also if it has expired since."""
        return token in self._access

    def expire_all(self) -> None:
        """Expires all access tokens. Refresh tokens stay valid."""
        for token in self._access.values():
            token.expires_at = self._clock.elapsed()

    def _issue(
        self, open_id: str, scopes: frozenset[str], *, version: int, refresh_seconds: int
    ) -> IssuedTokens:
        now = self._clock.elapsed()
        access, refresh = f"u-sandbox{secrets.token_hex(16)}", ""
        self._access[access] = UserToken(open_id=open_id, scopes=scopes, expires_at=now + ACCESS_SECONDS)
        if version == 1 or OFFLINE in scopes:
            refresh = f"ur-sandbox{secrets.token_hex(16)}"
            self._refresh[refresh] = UserToken(
                open_id=open_id, scopes=scopes, expires_at=now + refresh_seconds, version=version
            )
        return IssuedTokens(access_token=access, refresh_token=refresh, scopes=scopes, open_id=open_id)


def _check_subset(wanted: frozenset[str] | None, granted: frozenset[str]) -> None:
    if wanted is not None and not wanted <= granted:
        raise RefusedError(20068)


def _is_answer(verifier: str, challenge: str, method: str) -> bool:
    """Whether a code verifier belongs to a challenge (RFC 7636)."""
    answer = verifier
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        answer = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(answer.encode(), challenge.encode())

"""The login of people: the page that asks who logs in, and the calls for user access tokens and their renewal."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from notifier.sandbox.api.auth.login_page import refusal_page, who_page
from notifier.sandbox.api.gateway import Api, Call, RawAnswer
from notifier.sandbox.api.quota import MESSAGES
from notifier.sandbox.api.tokens import APP, USER, Tokens
from notifier.sandbox.api.user_tokens import ACCESS_SECONDS, IssuedTokens
from notifier.sandbox.error_codes import JsonObject, RefusedError, optional_text
from notifier.sandbox.tenant import PersonStatus, Tenant, TenantPerson

AUTHEN = "/open-apis/authen"
REFRESH_SECONDS_1, REFRESH_SECONDS_2 = 30 * 86400, 7 * 86400
AVATAR = "https://open.feishu.cn/avatar/sandbox.png"
OAUTH_ERRORS = {
    20001: "invalid_request",
    20002: "invalid_client",
    20036: "unsupported_grant_type",
    20048: "invalid_client",
    20063: "invalid_request",
    20067: "invalid_scope",
    20068: "invalid_scope",
}
"""`error` of RFC 6749 for a code; invalid_grant for others."""


class LoginApi:
    """The login page and its calls."""

    def __init__(self, tenant: Tenant, tokens: Tokens) -> None:
        self._tenant = tenant
        self._tokens = tokens

    def apis(self) -> list[Api]:
        """All calls of this class."""
        open_call: Any = {"scopes": (), "limits": MESSAGES, "tokens": ()}
        app: Any = {"scopes": (), "limits": MESSAGES, "tokens": (APP,), "bad_token_code": 20014}
        user: Any = {"scopes": (), "limits": MESSAGES, "tokens": (USER,), "bad_token_code": 20005}
        page = "any http(s) address is accepted as redirect_uri; `as=OPEN_ID` logs in without the page"
        post, first = "POST", AUTHEN + "/v1"
        token = AUTHEN + "/v2/oauth/token"
        return [
            Api(method="GET", path=first + "/authorize", answer=self.authorize, notes=page, **open_call),
            Api(method="GET", path=first + "/index", answer=self.authorize, notes=page, **open_call),
            Api(method=post, path=token, answer=self.oauth_token, **open_call),
            Api(method=post, path=first + "/access_token", answer=self.access_token, **app),
            Api(method=post, path=first + "/refresh_access_token", answer=self.refresh, **app),
            Api(method=post, path=first + "/oidc/access_token", answer=self.oidc_access_token, **app),
            Api(method=post, path=first + "/oidc/refresh_access_token", answer=self.oidc_refresh, **app),
            Api(method="GET", path=first + "/user_info", answer=self.user_info, **user),
        ]

    def authorize(self, call: Call) -> RawAnswer:
        """The page that asks who logs in. `as`: open_id of that person, or `nobody`; then it redirects at once."""
        query = call.query
        try:
            scopes = self._check_login(query)
            person_id = query.get("as", "")
            if not person_id:
                return _html(who_page(self._tenant, query, scopes))
            target, state = query["redirect_uri"], query.get("state")
            shown = {} if state is None else {"state": state}
            if person_id == "nobody":
                return _redirect(target, {"error": "access_denied", **shown})
            person = self._find_person(person_id)
        except RefusedError as refused:
            return _html(refusal_page(refused), status=400)
        code = self._tokens.users.create_code(
            person.open_id,
            scopes,
            target,
            challenge=query.get("code_challenge", ""),
            challenge_method=query.get("code_challenge_method", "plain"),
        )
        return _redirect(target, {"code": code, **shown})

    def _find_person(self, open_id: str) -> TenantPerson:
        """The person who logs in. Raises 20010 for somebody outside the availability range."""
        person = self._tenant.people.get(open_id)
        if person is None or not self._tenant.is_available_to(person):
            raise RefusedError(20010)
        return person

    def _check_login(self, query: Mapping[str, str]) -> frozenset[str]:
        """The scopes that the login asks for. Raises 20048, 20069, 20001, 20029 and 20027."""
        if query.get("client_id", query.get("app_id")) != self._tenant.settings.app_id:
            raise RefusedError(20048)
        if self._tokens.app_disabled:
            raise RefusedError(20069)
        if query.get("response_type", "code") != "code":
            raise RefusedError(20001, "response_type must be code")
        if query.get("code_challenge_method", "plain") not in ("plain", "S256"):
            raise RefusedError(20001, "code_challenge_method must be plain or S256")
        target = urlsplit(query.get("redirect_uri", ""))
        if target.scheme not in ("http", "https") or not target.netloc:
            raise RefusedError(20029)
        scopes = frozenset(query.get("scope", "").split())
        missing = scopes - self._tenant.granted_scopes - {"auth:user.id:read"}
        if missing:
            raise RefusedError(20027, ", ".join(sorted(missing)))
        return scopes | {"auth:user.id:read"}

    def oauth_token(self, call: Call) -> RawAnswer:
        """Version 2: exchanges a code or a refresh token. Its members stand beside `code`, also those of errors."""
        try:
            issued = self._exchange_2(call.body)
        except RefusedError as refused:
            error = OAUTH_ERRORS.get(refused.code, "invalid_grant")
            refused.members = {"error": error, "error_description": refused.msg}
            raise
        answer: JsonObject = {
            "code": 0,
            "access_token": issued.access_token,
            "expires_in": ACCESS_SECONDS,
            "scope": " ".join(sorted(issued.scopes)),
            "token_type": "Bearer",
        }
        if issued.refresh_token:
            answer |= {
                "refresh_token": issued.refresh_token,
                "refresh_token_expires_in": REFRESH_SECONDS_2,
            }
        return RawAnswer(body=answer)

    def _exchange_2(self, body: JsonObject) -> IssuedTokens:
        grant, settings = body.get("grant_type"), self._tenant.settings
        if grant not in ("authorization_code", "refresh_token"):
            raise RefusedError(20036)
        if body.get("client_id") != settings.app_id:
            raise RefusedError(20048)
        if body.get("client_secret") != settings.app_secret or self._tokens.secret_changed:
            raise RefusedError(20002)
        if self._tokens.app_disabled:
            raise RefusedError(20069)
        wanted = (optional_text(body, "scope") or "").split()
        if len(set(wanted)) != len(wanted):
            raise RefusedError(20067)
        scopes = frozenset(wanted) if wanted else None
        given = optional_text(body, "code" if grant == "authorization_code" else "refresh_token")
        if not given:
            raise RefusedError(20063)
        users = self._tokens.users
        if grant == "refresh_token":
            issued = users.refresh(given, version=2, refresh_seconds=REFRESH_SECONDS_2, scopes=scopes)
        else:
            issued = users.exchange_code(
                given,
                version=2,
                refresh_seconds=REFRESH_SECONDS_2,
                redirect_uri=optional_text(body, "redirect_uri") or "",
                verifier=optional_text(body, "code_verifier") or "",
                scopes=scopes,
            )
        if self._tenant.people[issued.open_id].status is PersonStatus.RESIGNED:
            raise RefusedError(20066)
        return issued

    def access_token(self, call: Call) -> JsonObject:
        """Version 1: exchanges a code. The answer has the person too."""
        return self._with_person(self._exchange_1(call))

    def refresh(self, call: Call) -> JsonObject:
        """Version 1: exchanges a refresh token. The answer has the person too."""
        return self._with_person(self._exchange_1(call, is_refresh=True))

    def oidc_access_token(self, call: Call) -> JsonObject:
        """Version 1 with OIDC: exchanges a code."""
        issued = self._exchange_1(call)
        return {**_tokens_json(issued), "scope": " ".join(sorted(issued.scopes))}

    def oidc_refresh(self, call: Call) -> JsonObject:
        """Version 1 with OIDC: exchanges a refresh token."""
        issued = self._exchange_1(call, is_refresh=True)
        return {**_tokens_json(issued), "scope": " ".join(sorted(issued.scopes))}

    def _exchange_1(self, call: Call, *, is_refresh: bool = False) -> IssuedTokens:
        """Exchanges a code or a refresh token of version 1, which answers errors with HTTP 200."""
        try:
            return self._exchange_given(call.body, is_refresh=is_refresh)
        except RefusedError as refused:
            refused.http_status = 200
            raise

    def _exchange_given(self, body: JsonObject, *, is_refresh: bool) -> IssuedTokens:
        grant, name = ("refresh_token", "refresh_token") if is_refresh else ("authorization_code", "code")
        if body.get("grant_type") != grant:
            raise RefusedError(20036)
        given = optional_text(body, name)
        if not given:
            raise RefusedError(20001)
        users = self._tokens.users
        exchange = users.refresh if is_refresh else users.exchange_code
        return exchange(given, version=1, refresh_seconds=REFRESH_SECONDS_1)

    def _with_person(self, issued: IssuedTokens) -> JsonObject:
        return {**_tokens_json(issued), **self._person_json(self._tenant.people[issued.open_id])}

    def user_info(self, call: Call) -> JsonObject:
        """The person of a user token."""
        person = self._tenant.people[call.open_id]
        if person.status is PersonStatus.RESIGNED:
            raise RefusedError(20021)
        return self._person_json(person)

    def _person_json(self, person: TenantPerson) -> JsonObject:
        """The person with the fields that the granted scopes allow."""
        found: JsonObject = {
            "name": person.name,
            "en_name": person.en_name,
            "avatar_url": AVATAR,
            "avatar_thumb": AVATAR,
            "avatar_middle": AVATAR,
            "avatar_big": AVATAR,
            "open_id": person.open_id,
            "union_id": person.union_id,
            "tenant_key": self._tenant.settings.tenant_key,
        }
        fields = {
            "contact:user.email:readonly": ("email", person.email),
            "contact:user.employee_id:readonly": ("user_id", person.user_id),
            "contact:user.phone:readonly": ("mobile", person.mobile),
        }
        granted = self._tenant.granted_scopes
        return found | {name: value for scope, (name, value) in fields.items() if scope in granted}


def _tokens_json(issued: IssuedTokens) -> JsonObject:
    return {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "refresh_token": issued.refresh_token,
        "refresh_expires_in": REFRESH_SECONDS_1,
    }


def _redirect(target: str, members: Mapping[str, str]) -> RawAnswer:
    """Redirects to the app. A fragment of the address stays at its end."""
    split = urlsplit(target)
    query = "&".join(part for part in (split.query, urlencode(members)) if part)
    location = urlunsplit(split._replace(query=query))
    return RawAnswer(body=b"", status=302, content_type="text/plain", headers={"Location": location})


def _html(page: str, *, status: int = 200) -> RawAnswer:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return RawAnswer(body=page.encode(), status=status, content_type="text/html", headers=headers)

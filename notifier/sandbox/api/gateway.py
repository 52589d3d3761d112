"""The checks of each open-apis call before its handler runs: token, scopes, quota, JSON body.

Each module lists its calls as `Api` values. The gateway makes HTTP routes of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from notifier.sandbox.api.quota import Limit, Quota
from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.error_codes import CODE, LOG_ID, JsonObject, RefusedError
from notifier.sandbox.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request after the checks.

    path: the values of the placeholders in the route. form: the fields of a multipart body, files as bytes.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject
    form: Mapping[str, str | bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One call of the platform."""

    method: str  # HTTP method
    path: str  # with placeholders such as {message_id}
    scopes: Sequence[str]  # one granted scope of them is enough; empty when no scope is required
    limits: tuple[Limit, ...]  # rate limits, for all callers together
    answer: Callable[[Call], JsonObject]  # returns `data` of the answer, or raises RefusedError


class ApiGateway:
    """Makes routes of `Api` values and counts the refused calls."""

    def __init__(self, tenant: Tenant, tokens: Tokens, quota: Quota) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._quota = quota

    def route(self, api: Api) -> web.RouteDef:
        """The HTTP route of a call, with all checks."""

        async def handle(request: web.Request) -> web.Response:
            try:
                self._tokens.check(request.headers.get("Authorization"))
                self._check_scopes(api)
                self._quota.consume_call(f"{api.method} {api.path}", api.limits)
                data = api.answer(await _read_call(request))
            except RefusedError as refused:
                return self.refuse(request, refused)
            except RecursionError:
                return self.refuse(request, RefusedError(9499, "nested too deeply"))
            self._tenant.bump_revision()
            request[CODE] = 0
            return web.json_response({"code": 0, "msg": "success", "data": data})

        return web.route(api.method, api.path, handle)

    async def issue_token(self, request: web.Request) -> web.Response:
        """The token call. Unlike other calls, its result stands beside `code` and not under `data`."""
        try:
            call = await _read_call(request)
            issued = self._tokens.issue(call.body)
            request[CODE] = 0
            return web.json_response({"code": 0, "msg": "ok", **issued})
        except RefusedError as refused:
            return self.refuse(request, refused)
        except RecursionError:
            return self.refuse(request, RefusedError(9499, "nested too deeply"))

    def refuse(self, request: web.Request, refused: RefusedError) -> web.Response:
        """The answer for a refused call, with Feishu's `error` object."""
        self._tenant.refusals[refused.code] += 1
        error = {"log_id": request[LOG_ID], **refused.error}
        content = {"code": refused.code, "msg": refused.msg, "error": error}
        request[CODE] = refused.code
        return web.json_response(content, status=refused.http_status, headers=refused.headers)

    def _check_scopes(self, api: Api) -> None:
        if api.scopes and self._tenant.granted_scopes.isdisjoint(api.scopes):
            names = ", ".join(api.scopes)
            link = f"https://open.feishu.cn/app/{self._tenant.settings.app_id}/auth?q={','.join(api.scopes)}"
            raise RefusedError(
                99991672,
                f"One of the following scopes is required: [{names}]."
                f"应用尚未开通所需的应用身份权限：[{names}]，点击链接申请并开通任一权限即可：{link}",
                error={
                    "permission_violations": [
                        {"type": "action_scope_required", "subject": scope} for scope in api.scopes
                    ]
                },
            )


async def _read_call(request: web.Request) -> Call:
    body: object = {}
    form: dict[str, str | bytes] = {}
    if request.content_type == "multipart/form-data":
        for name, value in (await request.post()).items():
            form[name] = value.file.read() if isinstance(value, web.FileField) else _as_text(value)
    elif text := await request.read():
        try:
            body = json.loads(text)
        except ValueError as error:
            raise RefusedError(9499, f"body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError(9499, "body must be a JSON object")
    return Call(path=dict(request.match_info), query=dict(request.query), body=body, form=form)


def _as_text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else bytes(value).decode(errors="replace")

"""The checks of each open-apis call before its handler runs: token, scopes, quota, JSON body.

Each module lists its calls as `Api` values. The gateway makes HTTP routes of them. A path with a slash at its end is
the same call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from notifier.sandbox.api.quota import Limit, Quota
from notifier.sandbox.api.tokens import TENANT, Tokens
from notifier.sandbox.error_codes import CODE, LOG_ID, JsonObject, RefusedError, parse_json
from notifier.sandbox.tenant import Tenant

CONNECTION_COUNT_PATH = "/open-apis/event/v1/connection"
UNKNOWN_CALL = 404
"""`code` of the answer to a call that the stand-in does not know."""
MAX_PART_BYTES = 31 * 1024 * 1024
"""More than the 30 MB of a file are not read."""
CONTENT_FIELDS = ("content", "card")
"""Members of a body that hold a message or card, whose ids are checked with it."""
FILE_PARTS = ("file", "image")
"""Parts of a form that hold bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request after the checks.

    path: the values of the placeholders in the route. form: the fields of a multipart body, files as bytes.
    """

    path: Mapping[str, str]
    """Values of the placeholders in the route."""
    query: Mapping[str, str]
    """Query parameters."""
    body: JsonObject
    """The JSON body; {} without one."""
    form: Mapping[str, str | bytes] = field(default_factory=dict)
    """Fields of a multipart body; files as bytes."""
    query_lists: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # query parameters with all their values
    """Query parameters with all their values."""
    open_id: str = ""
    """The person whose user token authorizes the call; "" for a call of the app itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """An answer that is sent unchanged, for calls without the usual `code`, `msg` and `data`."""

    body: JsonObject | bytes
    """JSON, or the bytes of a file or page."""
    status: int = 200
    """HTTP status."""
    content_type: str = "application/octet-stream"
    """Of bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers."""

    def to_response(self) -> web.Response:
        """The HTTP response."""
        if isinstance(self.body, bytes):
            return web.Response(
                body=self.body, status=self.status, content_type=self.content_type, headers=self.headers
            )
        return web.json_response(self.body, status=self.status, headers=self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One call of the platform."""

    method: str  # HTTP method
    path: str  # with placeholders such as {message_id}
    scopes: Sequence[str]  # one granted scope of them is enough; empty when no scope is required
    limits: tuple[Limit, ...]  # rate limits, for all callers together
    answer: Callable[[Call], JsonObject | RawAnswer]  # `data` of the answer; raises RefusedError
    bot_off_code: int | None = None  # the code without the ability Bot; None if the call does not need it
    tokens: Sequence[str] = (TENANT,)  # kinds of token that the call takes; () for a call without a token
    bad_token_code: int | None = None  # answered instead of the general codes for a bad token
    coverage: str = "full"  # full, or shape: the answer has the right shape, without Feishu's rules behind it
    notes: str = ""  # what is left out, and choices of the sandbox; for docs/sandbox.md


class ApiGateway:
    """Makes routes of `Api` values and counts the refused calls."""

    def __init__(self, tenant: Tenant, tokens: Tokens, quota: Quota) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._quota = quota

    def routes(self, api: Api) -> list[web.RouteDef]:
        """The HTTP routes of a call, with all checks."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                open_id = self._check_token(api, request.headers.get("Authorization"))
                if api.limits:
                    self._quota.consume_call(f"{api.method} {api.path}", api.limits)
                call = await _read_call(request, open_id)
                self._check_open_ids(call)
                data = api.answer(call)
            except RefusedError as refused:
                return self.refuse(request, refused)
            except RecursionError:
                return self.refuse(request, RefusedError(9499, "nested too deeply"))
            self._tenant.bump_revision()
            request[CODE] = 0
            if isinstance(data, RawAnswer):
                return data.to_response()
            return web.json_response({"code": 0, "msg": "success", "data": data})

        return [web.route(api.method, path, handle) for path in (api.path, api.path + "/")]

    async def refuse_unknown(self, request: web.Request) -> web.Response:
        """The answer for a call that the stand-in does not know. SDKs parse the body as JSON, also of a 404."""
        if (
            request.path == CONNECTION_COUNT_PATH
        ):  # switched off on purpose: a platform that does not have it yet
            raise web.HTTPNotFound
        name = f"{request.method} {request.path}"
        self._tenant.unknown_calls[name] += 1
        self._tenant.bump_revision()
        request[CODE] = UNKNOWN_CALL
        msg = f"the sandbox does not know the call {name}; docs/sandbox.md lists those that it knows"
        return web.json_response(
            {"code": UNKNOWN_CALL, "msg": msg, "error": {"log_id": request[LOG_ID]}}, status=404
        )

    def refuse(self, request: web.Request, refused: RefusedError) -> web.Response:
        """The answer for a refused call, with Feishu's `error` object."""
        self._tenant.refusals[refused.code] += 1
        error = {"log_id": request[LOG_ID], **refused.error}
        content = {"code": refused.code, "msg": refused.msg, "error": error, **refused.members}
        request[CODE] = refused.code
        return web.json_response(content, status=refused.http_status, headers=refused.headers)

    def _check_token(self, api: Api, authorization: str | None) -> str:
        """Checks the token and what it allows. Returns the person of a user token, "" for a token of the app."""
        if not api.tokens:
            return ""
        try:
            user = self._tokens.check(authorization, api.tokens)
        except RefusedError as refused:
            raise refused if api.bad_token_code is None else RefusedError(api.bad_token_code) from refused
        if self._tokens.app_disabled:
            raise RefusedError(99991662)
        self._check_scopes(api)
        if user is None:
            if api.bot_off_code is not None and not self._tenant.console.live.bot:
                raise RefusedError(api.bot_off_code)
            return ""
        if api.scopes and user.scopes.isdisjoint(api.scopes):
            violations = [{"type": "action_privilege_required", "subject": scope} for scope in api.scopes]
            raise RefusedError(99991679, error={"permission_violations": violations})
        return user.open_id

    def _check_open_ids(self, call: Call) -> None:
        """Raises 99992361 for an open_id of another app, wherever the call has it but in a message or card."""
        body = [value for name, value in call.body.items() if name not in CONTENT_FIELDS]
        if any(self._tenant.is_foreign(one) for one in _texts([call.path, call.query_lists, body], depth=4)):
            raise RefusedError(99992361)

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


def _texts(value: object, *, depth: int) -> Iterator[str]:
    """The texts in a value that look like an open_id. depth: how many levels are searched."""
    if isinstance(value, str):
        if value.startswith("ou_"):
            yield value
    elif depth and isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each, depth=depth - 1)


async def _read_call(request: web.Request, open_id: str) -> Call:
    body: object = {}
    form: dict[str, str | bytes] = {}
    if request.content_type == "multipart/form-data":
        try:
            form = await _read_form(request)
        except ValueError as error:  # no boundary, or a form that ends too early
            raise RefusedError(234001, f"ext=the form cannot be read: {error}") from error
    elif request.content_type == "application/x-www-form-urlencoded":  # OAuth clients
        try:
            body = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        except (LookupError, ValueError) as error:  # an unknown charset, or other bytes
            raise RefusedError(9499, f"the form cannot be read: {error}") from error
    elif text := await request.read():
        try:
            body = parse_json(text)
        except ValueError as error:
            raise RefusedError(9499, f"body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError(9499, "body must be a JSON object")
    lists = {name: request.query.getall(name) for name in request.query}
    return Call(
        path=dict(request.match_info),
        query=dict(request.query),
        body=body,
        form=form,
        query_lists=lists,
        open_id=open_id,
    )


async def _read_form(request: web.Request) -> dict[str, str | bytes]:
    """The parts of a form. A part that holds bytes may come without a file name, as some SDKs send it."""
    form: dict[str, str | bytes] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        content = bytearray()
        while chunk := await part.read_chunk():
            content += chunk
            if len(content) > MAX_PART_BYTES:
                raise RefusedError(234006)
        is_bytes = part.filename is not None or part.name in FILE_PARTS
        form[part.name] = bytes(content) if is_bytes else content.decode(errors="replace")
    return form

"""Control: the sandbox's own HTTP API, for its page and for curl. Errors are {"error": "..."} with 4xx."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from urllib.parse import quote

from aiohttp import web

from notifier.sandbox.accounts import CURRENCY_FORMS, BadBalanceChangeError, parse_cash
from notifier.sandbox.api.error_codes import JsonObject
from notifier.sandbox.cards.clicks import BadClickError
from notifier.sandbox.commands import CommandFailedError, run_command
from notifier.sandbox.faults.call_faults import BadCallFaultError
from notifier.sandbox.faults.catalogue import FAULT_TYPES
from notifier.sandbox.faults.running import BadFaultError, UnknownFaultError
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.pusher import decode_frame
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.sandbox import SEND_MODES, Sandbox
from notifier.sandbox.snapshot import account_json, build_state, person_json
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus, TenantPerson

API = "/sandbox/api"
MAX_OTHER_CONNECTIONS = 50  # the platform's limit for one app
Change = tuple[str, int, dict[str, Decimal], str]


class BadRequestError(ValueError):
    """The request cannot be done; the text says why."""


class NotFoundError(BadRequestError):
    """It names something that is not there."""


CLIENT_ERRORS = (
    BadRequestError,
    BadBalanceChangeError,
    BadClickError,
    BadCallFaultError,
    BadPayoutError,
    BadFaultError,
    BadWebhookError,
)
"""What the person who asked is told of, as a 400."""


class ControlApi:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._tenant = sandbox.tenant

    def routes(self) -> list[web.RouteDef]:
        posts: list[tuple[str, Callable[[web.Request, JsonObject], JsonObject | Awaitable[JsonObject]]]] = [
            ("/changes", self.changes),
            ("/events", self.events),
            ("/release", self.release),
            ("/hold", self.hold),
            ("/clicks", self.click),
            ("/people", self.create_person),
            ("/people/{open_id}", self.set_person),
            ("/groups/{chat_id}", self.set_group),
            ("/accounts/{account_id}", self.set_account),
            ("/scopes", self.set_scopes),
            ("/tokens/expire", self.expire_tokens),
            ("/disconnect", self.disconnect),
            ("/silence", self.silence),
            ("/advance", self.advance),
            ("/digest", self.send_digest),
            ("/call-faults", self.add_call_fault),
            ("/faults", self.start_fault),
            ("/other-connections", self.set_other_connections),
            ("/webhook", self.set_webhook),
            ("/payouts/report-url", self.set_report_url),
            ("/payouts/{order_id}/report", self.report_payout),
        ]
        return [
            web.get(API + "/state", self.state),
            web.get(API + "/call-faults", self.list_call_faults),
            web.get(API + "/faults", self.list_faults),
            web.delete(API + "/faults", self.end_faults),
            web.delete(API + "/faults/{fault_id}", self.end_faults),
            web.get(API + "/files/{file_key}", self.file),
            web.delete(API + "/call-faults", self.clear_call_faults),
            web.delete(API + "/call-faults/{fault_id}", self.clear_call_faults),
            *(web.post(API + path, _json_handler(answer)) for path, answer in posts),
        ]

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response(build_state(self._sandbox, feishu_url=f"http://{request.host}"))

    async def list_call_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"call_faults": [fault.to_json() for fault in self._sandbox.call_faults.rules]}
        )

    async def clear_call_faults(self, request: web.Request) -> web.Response:
        self._sandbox.call_faults.clear(request.match_info.get("fault_id"))
        return web.json_response(
            {"call_faults": [fault.to_json() for fault in self._sandbox.call_faults.rules]}
        )

    def add_call_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        return self._sandbox.call_faults.add(body).to_json()

    async def list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults_json())

    def start_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        return self._sandbox.running_faults.start(body).to_json()

    async def end_faults(self, request: web.Request) -> web.Response:
        fault_id = request.match_info.get("fault_id")
        try:
            if fault_id is None:
                self._sandbox.running_faults.end_all()
            else:
                self._sandbox.running_faults.end(fault_id)
        except UnknownFaultError as error:
            return _error(str(error), status=404)
        return web.json_response(self._faults_json())

    def _faults_json(self) -> JsonObject:
        """What is running, and what can be ordered."""
        return {
            "running_faults": [fault.to_json() for fault in self._sandbox.running_faults.running()],
            "fault_types": {name: fault_type.to_json() for name, fault_type in FAULT_TYPES.items()},
        }

    def set_other_connections(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"count": 2}: as if somebody else had two more connections of this app."""
        count = body.get("count")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_OTHER_CONNECTIONS:
            raise BadRequestError(f'"count" must be a whole number from 0 to {MAX_OTHER_CONNECTIONS}')
        self._sandbox.connection.other_connections = count
        self._tenant.bump_revision()
        return {"count": count}

    def changes(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """All changes are read before the first is made, so a bad one changes nothing."""
        wanted = body.get("changes")
        send = body.get("send", "once")
        if not isinstance(wanted, list) or not wanted:
            raise BadRequestError('"changes" must be a list with at least one change')
        if send not in SEND_MODES:
            raise BadRequestError(f'"send" must be one of: {", ".join(SEND_MODES)}')
        records = [
            self._sandbox.change_balance(account_id, points=points, cash=cash, currency_form=form)
            for account_id, points, cash, form in [self._change(one) for one in wanted]
        ]
        return {
            "events": self._sandbox.push([record for record in records if record is not None], send=str(send))
        }

    def _change(self, one: object) -> Change:
        if not isinstance(one, dict):
            raise BadRequestError("a change must be an object with account_id, points and cash")
        account_id, points, cash = one.get("account_id"), one.get("points", 0), one.get("cash", {})
        form = one.get("currency_form", "iso")
        if not isinstance(account_id, str) or account_id not in self._tenant.accounts:
            raise NotFoundError(f"there is no account {account_id!r}")
        if isinstance(points, bool) or not isinstance(points, int):
            raise BadRequestError(f"points must be a whole number, not {points!r}")
        if not isinstance(cash, dict):
            raise BadRequestError('cash must be an object such as {"CNY": "+500.00"}')
        if form not in CURRENCY_FORMS:
            raise BadRequestError(f"currency_form must be one of: {', '.join(CURRENCY_FORMS)}")
        return account_id, points, parse_cash(cash), str(form)

    def events(self, _request: web.Request, body: JsonObject) -> JsonObject:
        payload, frame = body.get("payload"), body.get("frame_base64")
        if isinstance(payload, str):
            return {"event_id": self._sandbox.push_verbatim(payload=payload.encode(errors="surrogatepass"))}
        if isinstance(frame, str):
            try:
                raw = decode_frame(frame)
            except ValueError as error:
                raise BadRequestError(f"frame_base64 is not base64: {error}") from error
            return {"event_id": self._sandbox.push_verbatim(raw_frame=raw)}
        raise BadRequestError('give "payload" (text) or "frame_base64"')

    def release(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        return {"released": self._sandbox.pusher.release()}

    def hold(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """From now on every new event waits until release."""
        self._sandbox.pusher.on_hold = True
        self._tenant.bump_revision()
        return {"on_hold": True}

    async def click(self, _request: web.Request, body: JsonObject) -> JsonObject:
        message_id, open_id = body.pop("message_id", ""), body.pop("open_id", "")
        action = {"tag": "button", **body}
        return await self._sandbox.clicks.click(
            message_id=str(message_id), open_id=str(open_id), action=action
        )

    def create_person(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """A new person with an account. Only the name is needed."""
        name = body.get("name")
        if not isinstance(name, str) or not name.strip():
            raise BadRequestError('"name" is needed')
        person = self._tenant.add_person(
            f"added_{len(self._tenant.people) + 1}", name=name, en_name=str(body.get("en_name") or name)
        )
        account = self._tenant.add_account(person.open_id)
        return {"person": person_json(person), "account": account_json(account)}

    def set_person(self, request: web.Request, body: JsonObject) -> JsonObject:
        person = self._person(request.match_info["open_id"])
        statuses = [status.value for status in PersonStatus]
        if body.get("status") not in statuses:
            raise BadRequestError(f'"status" must be one of: {", ".join(statuses)}')
        if body.get("resigned_code", person.resigned_code) not in (230013, 230029):
            raise BadRequestError('"resigned_code" must be 230029 or 230013')
        person.status = PersonStatus(body["status"])
        person.resigned_code = int(str(body.get("resigned_code", person.resigned_code)))
        return person_json(person)

    def _person(self, open_id: str) -> TenantPerson:
        if open_id not in self._tenant.people:
            raise NotFoundError(f"there is no person {open_id!r}")
        return self._tenant.people[open_id]

    def set_group(self, request: web.Request, body: JsonObject) -> JsonObject:
        group = self._tenant.groups.get(request.match_info["chat_id"])
        if group is None:
            raise NotFoundError(f"there is no group {request.match_info['chat_id']!r}")
        switches = ("has_bot", "muted", "dissolved")
        if not body or not all(name in switches and isinstance(value, bool) for name, value in body.items()):
            raise BadRequestError(f"give true or false for any of: {', '.join(switches)}")
        for name, value in body.items():
            setattr(group, name, value)
        return {"chat_id": group.chat_id, **{name: getattr(group, name) for name in switches}}

    def set_account(self, request: web.Request, body: JsonObject) -> JsonObject:
        account = self._tenant.accounts.get(request.match_info["account_id"])
        if account is None:
            raise NotFoundError(f"there is no account {request.match_info['account_id']!r}")
        status = body.get("status")
        if status not in (USABLE, DEACTIVATED) or isinstance(status, bool):
            raise BadRequestError('"status" must be 1 (usable) or 2 (deactivated)')
        account.status = int(str(status))
        return account_json(account)

    def set_scopes(self, _request: web.Request, body: JsonObject) -> JsonObject:
        granted = body.get("granted")
        if not isinstance(granted, list) or not all(isinstance(scope, str) for scope in granted):
            raise BadRequestError('"granted" must be a list of scope names')
        self._tenant.granted_scopes = set(granted)
        return {"granted": sorted(granted)}

    def expire_tokens(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        self._sandbox.tokens.expire_all()
        return {"expired": True}

    def disconnect(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        return {"disconnected": self._sandbox.connection.disconnect_all()}

    def silence(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"on": true}: connections stay open, but nothing is answered or pushed."""
        on = body.get("on") is not False
        self._sandbox.connection.silence(on=on)
        return {"on": on}

    def advance(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"seconds": 15}: the sandbox's clock moves forward; what falls due happens."""
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadRequestError('"seconds" must be a number from 0')
        self._sandbox.move_clock(seconds)
        return {"now_ms": self._tenant.clock.now_ms()}

    async def send_digest(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Runs the app's own command for it; what it says last is the answer."""
        try:
            return {"output": await run_command(self._tenant.settings.digest_command)}
        except CommandFailedError as error:
            raise BadRequestError(str(error)) from error

    async def file(self, request: web.Request) -> web.Response:
        """An uploaded file, to be saved."""
        file = self._tenant.files.get(request.match_info["file_key"])
        content = file["content"] if file else None
        if not isinstance(content, bytes) or file is None:
            return _error("there is no such file", status=404)
        name = quote(str(file["file_name"]), safe="")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)

    async def set_webhook(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"url": ...}, "" for the long connection. As in the developer console the address must pass a check."""
        url = body.get("url")
        if not isinstance(url, str):
            raise BadRequestError('"url" must be text')
        refused = await self._sandbox.set_webhook(url)
        if refused:
            raise BadRequestError(f"the address did not pass the check: {refused}")
        return {"url": url}

    def set_report_url(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Where the payroll stand-in reports to; an empty text turns reports off."""
        url = body.get("url")
        if not isinstance(url, str):
            raise BadRequestError('"url" must be text')
        self._sandbox.payroll.set_report_url(url)
        return {"url": url}

    async def report_payout(self, request: web.Request, body: JsonObject) -> JsonObject:
        order_id = request.match_info["order_id"]
        if order_id not in self._sandbox.payroll.payouts:
            raise NotFoundError(f"there is no payout {order_id!r}")
        status, reference, reason = (body.get(name, "") for name in ("status", "reference", "reason"))
        if not isinstance(status, str) or not isinstance(reference, str) or not isinstance(reason, str):
            raise BadRequestError('"status", "reference" and "reason" must be text')
        return await self._sandbox.payroll.report(order_id, status, reference=reference, reason=reason)


def _json_handler(
    answer: Callable[[web.Request, JsonObject], JsonObject | Awaitable[JsonObject]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            text = await request.text()
            body = json.loads(text) if text else {}
            if not isinstance(body, dict):
                return _error("the body must be a JSON object", status=400)
            result = answer(request, body)
            return web.json_response(result if isinstance(result, dict) else await result)
        except NotFoundError as error:
            return _error(str(error), status=404)
        except CLIENT_ERRORS as error:
            return _error(str(error), status=400)
        except (ValueError, RecursionError):
            return _error("the body is not JSON that can be read", status=400)

    return handle


def _error(message: str, *, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)

"""The control API under `/api`, for the page and for scripts. Errors are {"error": "..."} with HTTP 4xx."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from urllib.parse import quote

from aiohttp import web

from notifier.sandbox.accounts import CURRENCY_FORMS, BadBalanceChangeError, parse_cash
from notifier.sandbox.app_console import BadConsoleChangeError
from notifier.sandbox.chat.people import BadActionError, MissingTargetError
from notifier.sandbox.control.commands import CommandFailedError, run_command
from notifier.sandbox.control.people_api import PeopleApi
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.faults.call_faults import BadCallFaultError
from notifier.sandbox.faults.catalogue import FAULT_TYPES
from notifier.sandbox.faults.running import BadFaultError, UnknownFaultError
from notifier.sandbox.payroll import BadPayoutError
from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.push.pusher import decode_frame
from notifier.sandbox.push.webhook import BadWebhookError
from notifier.sandbox.sandbox import SEND_MODES, Sandbox
from notifier.sandbox.snapshot import account_json, build_state, person_json
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus, TenantPerson

API = "/api"
MAX_OTHER_CONNECTIONS = 50  # Feishu's limit for one app
Change = tuple[str, int, dict[str, Decimal], str]  # account id, points, cash by currency, currency form


class BadRequestError(ValueError):
    """An invalid request. The text is the error message of the answer."""


class NotFoundError(BadRequestError):
    """The request names something that does not exist; answered with 404."""


CLIENT_ERRORS = (
    BadRequestError,
    BadBalanceChangeError,
    BadClickError,
    BadCallFaultError,
    BadPayoutError,
    BadFaultError,
    BadWebhookError,
    BadConsoleChangeError,
    BadActionError,
)
"""Errors that are answered with HTTP 400 and their text."""


class ControlApi:
    """The handlers of the control API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._tenant = sandbox.tenant

    def routes(self) -> list[web.RouteDef]:
        """All routes of the control API."""
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
            ("/console", self.change_console),
            ("/console/publish", self.publish),
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
            *PeopleApi(self._sandbox).posts(),
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
        """The whole state as JSON, see snapshot.py."""
        return web.json_response(build_state(self._sandbox, feishu_url=f"http://{request.host}"))

    async def list_call_faults(self, _request: web.Request) -> web.Response:
        """All rules for calls."""
        return web.json_response(
            {"call_faults": [fault.to_json() for fault in self._sandbox.call_faults.rules]}
        )

    async def clear_call_faults(self, request: web.Request) -> web.Response:
        """Removes one rule, or all."""
        self._sandbox.call_faults.clear(request.match_info.get("fault_id"))
        return web.json_response(
            {"call_faults": [fault.to_json() for fault in self._sandbox.call_faults.rules]}
        )

    def add_call_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Adds a rule, see call_faults.py for its members."""
        return self._sandbox.call_faults.add(body).to_json()

    async def list_faults(self, _request: web.Request) -> web.Response:
        """The running faults and all fault types."""
        return web.json_response(self._faults_json())

    def start_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Starts a fault such as {"fault_type": "429", "times": 3, "header": false}."""
        return self._sandbox.running_faults.start(body).to_json()

    async def end_faults(self, request: web.Request) -> web.Response:
        """Ends one running fault, or all."""
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
        """The running faults and all fault types."""
        return {
            "running_faults": [fault.to_json() for fault in self._sandbox.running_faults.running()],
            "fault_types": {name: fault_type.to_json() for name, fault_type in FAULT_TYPES.items()},
        }

    def set_other_connections(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"count": 2}: simulates two more connections of this app from elsewhere."""
        count = body.get("count")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_OTHER_CONNECTIONS:
            raise BadRequestError(f'"count" must be a whole number from 0 to {MAX_OTHER_CONNECTIONS}')
        self._sandbox.connection.other_connections = count
        self._tenant.bump_revision()
        return {"count": count}

    def changes(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Changes balances and pushes their events. All changes are checked before the first one is made."""
        changes = body.get("changes")
        send = body.get("send", "once")
        if not isinstance(changes, list) or not changes:
            raise BadRequestError('"changes" must be a list with at least one change')
        if send not in SEND_MODES:
            raise BadRequestError(f'"send" must be one of: {", ".join(SEND_MODES)}')
        records = [
            self._sandbox.change_balance(account_id, points=points, cash=cash, currency_form=form)
            for account_id, points, cash, form in [self._change(one) for one in changes]
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
        """Pushes `payload` (text) or `frame_base64` without a change."""
        payload, frame = body.get("payload"), body.get("frame_base64")
        if isinstance(payload, str):
            return {"event_id": self._sandbox.push_verbatim(payload=payload.encode(errors="surrogatepass"))}
        if isinstance(frame, str):
            try:
                raw = decode_frame(frame)
            except ValueError as error:
                raise BadRequestError(f"frame_base64 is not base64: {error}") from error
            return {"event_id": self._sandbox.push_verbatim(raw_frame=raw)}
        raise BadRequestError('"payload" (text) or "frame_base64" is required')

    def release(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Pushes all held events and ends the hold."""
        return {"released": self._sandbox.pusher.release()}

    def hold(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Holds each new event until `release`."""
        self._sandbox.pusher.on_hold = True
        self._tenant.bump_revision()
        return {"on_hold": True}

    async def click(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Clicks a component of a card as a person, see push/clicks.py for the result."""
        message_id, open_id = body.pop("message_id", ""), body.pop("open_id", "")
        action = {"tag": "button", **body}
        return await self._sandbox.clicks.click(
            message_id=str(message_id), open_id=str(open_id), action=action
        )

    def create_person(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Adds a person with an account. Only "name" is required."""
        name = body.get("name")
        if not isinstance(name, str) or not name.strip():
            raise BadRequestError('"name" is required')
        person = self._tenant.add_person(
            f"added_{len(self._tenant.people) + 1}", name=name, en_name=str(body.get("en_name") or name)
        )
        account = self._tenant.add_account(person.open_id)
        return {"person": person_json(person), "account": account_json(account)}

    def set_person(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Sets the status of a person."""
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
        """Sets `has_bot`, `muted` or `dissolved` of a group."""
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
        """Sets the status of an account: 1 usable, 2 deactivated."""
        account = self._tenant.accounts.get(request.match_info["account_id"])
        if account is None:
            raise NotFoundError(f"there is no account {request.match_info['account_id']!r}")
        status = body.get("status")
        if status not in (USABLE, DEACTIVATED) or isinstance(status, bool):
            raise BadRequestError('"status" must be 1 (usable) or 2 (deactivated)')
        account.status = int(str(status))
        return account_json(account)

    def set_scopes(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"granted": [...]}: replaces the permission scopes of the app."""
        granted = body.get("granted")
        if not isinstance(granted, list) or not all(isinstance(scope, str) for scope in granted):
            raise BadRequestError('"granted" must be a list of scope names')
        self._tenant.granted_scopes = set(granted)
        return {"granted": sorted(granted)}

    def change_console(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Changes the draft of the app, see AppSettings in app_console.py. `publish` puts it in force."""
        is_connected = bool(self._sandbox.connection.connections or self._sandbox.webhook.url)
        self._tenant.console.change(body, is_connected=is_connected)
        self._tenant.bump_revision()
        return self._tenant.console.to_json()

    def publish(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Creates a version of the app and publishes it."""
        self._tenant.console.publish()
        self._tenant.bump_revision()
        return self._tenant.console.to_json()

    def expire_tokens(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Expires all access tokens."""
        self._sandbox.tokens.expire_all()
        return {"expired": True}

    def disconnect(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Resets all long connections."""
        return {"disconnected": self._sandbox.connection.disconnect_all()}

    def silence(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"on": true}: connections stay open, but the server neither answers nor pushes."""
        on = body.get("on") is not False
        self._sandbox.connection.silence(on=on)
        return {"on": on}

    def advance(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"seconds": 15}: moves the clock forward and starts the pushes that become due."""
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise BadRequestError('"seconds" must be a number from 0')
        self._sandbox.move_clock(seconds)
        return {"now_ms": self._tenant.clock.now_ms()}

    async def send_digest(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Runs `digest_command` of the settings. Answers {"output": last line of its output}."""
        try:
            return {"output": await run_command(self._tenant.settings.digest_command)}
        except CommandFailedError as error:
            raise BadRequestError(str(error)) from error

    async def file(self, request: web.Request) -> web.Response:
        """The content of an uploaded file, as a download."""
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
        """{"url": ...}, "" for the long connection. The URL must pass the check of Feishu's developer console."""
        url = body.get("url")
        if not isinstance(url, str):
            raise BadRequestError('"url" must be text')
        refused = await self._sandbox.set_webhook(url)
        if refused:
            raise BadRequestError(f"the address did not pass the check: {refused}")
        return {"url": url}

    def set_report_url(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """{"url": ...}: where the simulated payroll system sends its reports; "" disables reports."""
        url = body.get("url")
        if not isinstance(url, str):
            raise BadRequestError('"url" must be text')
        self._sandbox.payroll.set_report_url(url)
        return {"url": url}

    async def report_payout(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Sets the result of a payout and reports it to the app."""
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
        except (NotFoundError, MissingTargetError) as error:
            return _error(str(error), status=404)
        except CLIENT_ERRORS as error:
            return _error(str(error), status=400)
        except (ValueError, RecursionError):
            return _error("the body is not valid JSON", status=400)

    return handle


def _error(message: str, *, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)

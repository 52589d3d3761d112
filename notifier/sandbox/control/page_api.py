"""Handlers of the control API that change the sandbox. The package `table` lists their routes."""

from decimal import Decimal
from urllib.parse import quote

from aiohttp import web

from notifier.sandbox.accounts import CURRENCY_FORMS, parse_cash
from notifier.sandbox.chat.images import image_type
from notifier.sandbox.control.commands import CommandFailedError, run_command
from notifier.sandbox.control.routes import BadRequestError, NotFoundError, read_seconds
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.faults.catalogue import FAULT_TYPES, MAX_CLOCK_JUMP_SECONDS
from notifier.sandbox.push.pusher import decode_frame
from notifier.sandbox.sandbox import SEND_MODES, Sandbox
from notifier.sandbox.snapshot import build_state

MAX_OTHER_CONNECTIONS = 50  # Feishu's limit for one app
CHANGE_MEMBERS = ("account_id", "points", "cash", "currency_form")
Change = tuple[str, int, dict[str, Decimal], str]  # account id, points, cash by currency, currency form


class ControlApi:
    """The handlers that cause events, change the tenant and start faults."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._tenant = sandbox.tenant

    def state(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """The whole state as JSON, see snapshot.py."""
        return build_state(self._sandbox, feishu_url=f"{request.scheme}://{request.host}")

    def list_call_faults(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """All rules for calls."""
        return {"call_faults": [fault.to_json() for fault in self._sandbox.call_faults.rules]}

    def clear_call_faults(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Removes one rule, or all."""
        fault_id = request.match_info.get("fault_id")
        if fault_id is not None and all(one.fault_id != fault_id for one in self._sandbox.call_faults.rules):
            raise NotFoundError(f"there is no call fault {fault_id!r}; it may be over")
        self._sandbox.call_faults.clear(fault_id)
        self._tenant.bump_revision()
        return self.list_call_faults(request, body)

    def add_call_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Adds a rule, see call_faults.py for its members."""
        return self._sandbox.call_faults.add(body).to_json()

    def list_faults(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """The running faults and all fault types."""
        return {
            "running_faults": [fault.to_json() for fault in self._sandbox.running_faults.running()],
            "fault_types": {name: fault_type.to_json() for name, fault_type in FAULT_TYPES.items()},
        }

    def start_fault(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Starts a fault such as {"fault_type": "429", "times": 3, "header": false}."""
        return self._sandbox.running_faults.start(body).to_json()

    def end_faults(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Ends one running fault, or all."""
        fault_id = request.match_info.get("fault_id")
        if fault_id is None:
            self._sandbox.running_faults.end_all()
        else:
            self._sandbox.running_faults.end(fault_id)
        return self.list_faults(request, body)

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
        if unknown := one.keys() - set(CHANGE_MEMBERS):
            raise BadRequestError(
                f"there is no member {min(unknown)!r:.100} of a change; allowed: {', '.join(CHANGE_MEMBERS)}"
            )
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

    def push_event(self, _request: web.Request, body: JsonObject) -> JsonObject:
        """Pushes `payload` (text) or `frame_base64` verbatim, or `event` of an `event_type` with a new header."""
        given = [name for name in ("payload", "frame_base64", "event") if name in body]
        if len(given) != 1:
            raise BadRequestError(
                'give one of "payload" (text), "frame_base64", or "event" with "event_type"'
            )
        [name] = given
        if name == "event":
            event_type, event = body.get("event_type"), body["event"]
            if not isinstance(event_type, str) or not event_type or not isinstance(event, dict):
                raise BadRequestError('"event_type" must be text and "event" an object')
            return {"event_id": self._sandbox.push_event(event_type, event)}
        content = body[name]
        if not isinstance(content, str):
            raise BadRequestError(f'"{name}" must be text')
        if name == "payload":
            return {"event_id": self._sandbox.push_verbatim(payload=content.encode())}
        try:
            return {"event_id": self._sandbox.push_verbatim(raw_frame=decode_frame(content))}
        except ValueError as error:
            raise BadRequestError(f"frame_base64 is not base64: {error}") from error

    def push_again(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """Pushes a known event once more, with its id and payload."""
        event_id = request.match_info["event_id"]
        if not self._sandbox.pusher.push_again(event_id):
            raise NotFoundError(f"there is no event {event_id!r}")
        return {"event_id": event_id}

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

    def add_hook(self, request: web.Request, body: JsonObject) -> JsonObject:
        """{"name": "...", "keywords": [...], "is_signed": true}: adds a custom bot. Answers its webhook address."""
        chat_id, keywords = request.match_info["chat_id"], body.get("keywords", [])
        if chat_id not in self._tenant.groups:
            raise NotFoundError(f"there is no group {chat_id!r}")
        name, is_signed = body.get("name", ""), body.get("is_signed", False)
        if not isinstance(keywords, list):
            raise BadRequestError('"keywords" must be a list of texts')
        if not isinstance(name, str) or not isinstance(is_signed, bool):
            raise BadRequestError('"name" must be text, and "is_signed" true or false')
        bot = self._sandbox.custom_bots.add(chat_id, name=name, keywords=keywords, is_signed=is_signed)
        return bot.to_json(f"{request.scheme}://{request.host}")

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
        on = body.get("on", True)
        if not isinstance(on, bool):
            raise BadRequestError('"on" must be true or false')
        self._sandbox.connection.silence(on=on)
        return {"on": on}

    def read_clock(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """The time of the sandbox, and how far it is ahead of the machine."""
        clock = self._tenant.clock
        return {"now_ms": clock.now_ms(), "ahead_seconds": clock.ahead_seconds}

    def move_clock(self, request: web.Request, body: JsonObject) -> JsonObject:
        """{"seconds": 15}: moves the clock forward and starts the pushes that become due."""
        self._sandbox.move_clock(read_seconds("seconds", body.get("seconds"), maximum=MAX_CLOCK_JUMP_SECONDS))
        return self.read_clock(request, body)

    async def send_digest(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """Runs `digest_command` of the settings. Answers {"output": last line of its output}."""
        try:
            return {"output": await run_command(self._tenant.settings.digest_command)}
        except CommandFailedError as error:
            raise BadRequestError(str(error)) from error

    def file(self, request: web.Request, _body: JsonObject) -> web.Response:
        """The content of an uploaded file as a download, or an image."""
        sniffing = {"X-Content-Type-Options": "nosniff"}
        image = self._tenant.image_bytes.get(request.match_info["file_key"])
        if image is not None:
            content_type = image_type(image) or "application/octet-stream"
            return web.Response(body=image, content_type=content_type, headers=sniffing)
        file = self._tenant.files.get(request.match_info["file_key"])
        content = file["content"] if file else None
        if not isinstance(content, bytes) or file is None:
            raise NotFoundError("there is no such file")
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

"""The sandbox for tests: it runs in its own thread and is controlled by plain calls."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Self

from notifier.sandbox.accounts import parse_cash
from notifier.sandbox.box.people import PeopleBox
from notifier.sandbox.box.records import RecordsBox
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.snapshot import account_json, build_state, message_json, withdrawal_json
from notifier.sandbox.tenant import Group, PersonStatus
from notifier.sandbox.world.world import AppIdentity, World

Json = dict[str, Any]


class FeishuBox(PeopleBox, RecordsBox):
    """A running sandbox. Call its methods from any thread except the thread of the sandbox.

    The calls block for a moment. From a coroutine use `wait_for_async` instead of `wait_for`, and `asyncio.to_thread`
    for `click`.
    """

    @property
    def app_id(self) -> str:
        """The app id that the app under test must use."""
        if self._world is None:
            return self.settings.app_id
        return self._read(lambda sandbox: sandbox.settings.app_id)

    @property
    def app_secret(self) -> str:
        """The app secret that the app under test must use."""
        if self._world is None:
            return self.settings.app_secret
        return self._read(lambda sandbox: sandbox.settings.app_secret)

    def add_app(self, app: AppIdentity) -> Self:
        """Adds an app, in a tenant that exists or in a new one. Returns the calls about it, as `for_app` does."""

        async def add(world: World) -> None:
            world.add_app(app)

        self._await_in_world(add)
        return self.for_app(app.app_id)

    def change_balance(
        self,
        account_id: str,
        points: int = 0,
        cash: Mapping[str, str] | None = None,
        *,
        send: str = "once",
        currency_form: str = "iso",
    ) -> list[str]:
        """Changes a balance by amounts such as {"CNY": "+500.00"} and pushes its event.

        send: once, twice, copy (again with a new event_id), reversed or hold. currency_form: iso, number or
        numeric_string. Returns the ids of the events. Raises BadBalanceChangeError.
        """
        deltas = parse_cash(cash or {})

        def operation(sandbox: Sandbox) -> list[str]:
            record = sandbox.change_balance(
                account_id, points=points, cash=deltas, currency_form=currency_form
            )
            return sandbox.push([record] if record else [], send=send)

        return self._call(operation)

    def change_balances(
        self, changes: Iterable[tuple[str, int, Mapping[str, str]]], *, send: str = "once"
    ) -> list[str]:
        """Changes several balances, given as (account_id, points, cash). Returns the event ids in pushing order."""
        parsed = [(account_id, points, parse_cash(cash)) for account_id, points, cash in changes]

        def operation(sandbox: Sandbox) -> list[str]:
            records = [
                sandbox.change_balance(account_id, points=points, cash=cash, currency_form="iso")
                for account_id, points, cash in parsed
            ]
            return sandbox.push([record for record in records if record], send=send)

        return self._call(operation)

    def push_payload(self, text: str) -> str:
        """Pushes any text as the payload of an event. Returns the event_id of the record."""
        return self._call(lambda sandbox: sandbox.push_verbatim(payload=text.encode(errors="surrogatepass")))

    def push_frame(self, raw: bytes) -> str:
        """Pushes raw bytes as one WebSocket message. Returns the event_id of the record."""
        return self._call(lambda sandbox: sandbox.push_verbatim(raw_frame=raw))

    def hold(self) -> None:
        """Holds new events until `release`."""
        self._call(lambda sandbox: setattr(sandbox.pusher, "on_hold", True))

    def release(self) -> int:
        """Ends the hold and pushes all held events. Returns their number."""
        return self._call(lambda sandbox: sandbox.pusher.release())

    def messages(self, chat_id_or_open_id: str) -> list[Json]:
        """The messages of one chat, oldest first."""

        def operation(sandbox: Sandbox) -> list[Json]:
            person = sandbox.tenant.people.get(chat_id_or_open_id)
            chat_id = person.chat_id if person else chat_id_or_open_id
            return [
                message_json(message, sandbox.tenant) for message in sandbox.tenant.chat_messages(chat_id)
            ]

        return self._read(operation)

    def all_messages(self) -> list[Json]:
        """The messages of all chats, oldest first."""
        return self._read(
            lambda sandbox: [
                message_json(message, sandbox.tenant) for message in sandbox.tenant.messages.values()
            ]
        )

    def events(self) -> list[Json]:
        """Every event with its pushes, oldest first."""
        return self._read(lambda sandbox: [record.to_json() for record in sandbox.pusher.records.values()])

    def newest_events(self, limit: int) -> list[Json]:
        """At most `limit` events, newest first. Fast, for checks under load."""
        return self._read(
            lambda sandbox: [
                record.to_json()
                for record in itertools.islice(reversed(sandbox.pusher.records.values()), limit)
            ]
        )

    def unacknowledged(self) -> int:
        """The number of events without an acknowledgement. Fast, for checks under load."""
        return self._read(
            lambda sandbox: sum(record.state != "acknowledged" for record in sandbox.pusher.records.values())
        )

    def event(self, event_id: str) -> Json:
        """One event with its pushes."""
        return self._read(lambda sandbox: sandbox.pusher.records[event_id].to_json())

    def payload(self, event_id: str) -> bytes:
        """The bytes of an event's payload."""
        return self._read(lambda sandbox: sandbox.pusher.records[event_id].payload)

    def push_codes(self, event_id: str) -> list[int | None]:
        """The code of the answer to each push of an event, oldest first; None without an answer."""
        return [push["code"] for push in self.event(event_id)["pushes"]]

    def requests(self, path_beginning: str = "/") -> list[Json]:
        """The calls of the app whose path starts with `path_beginning`, oldest first."""
        return self._read(
            lambda sandbox: [
                request.to_json()
                for request in sandbox.tenant.requests
                if request.path.startswith(path_beginning)
            ]
        )

    def refusals(self) -> dict[int, int]:
        """The number of refused calls by error code, without those that a fault refused."""
        return self._read(lambda sandbox: dict(sandbox.tenant.refusals))

    def account(self, account_id: str) -> Json:
        """One account with its balance."""
        return self._read(lambda sandbox: account_json(sandbox.tenant.accounts[account_id]))

    def accounts(self) -> list[Json]:
        """All accounts with their balances."""
        return self._read(
            lambda sandbox: [account_json(account) for account in sandbox.tenant.accounts.values()]
        )

    def withdrawals(self) -> list[Json]:
        """The completed withdrawals, oldest first. `request_count` is the number of requests with the order id."""
        return self._read(lambda sandbox: [withdrawal_json(order) for order in sandbox.hire.orders.values()])

    def payouts(self) -> list[Json]:
        """The payouts that the simulated payroll received, oldest first."""
        return self._read(lambda sandbox: [payout.to_json() for payout in sandbox.payroll.payouts.values()])

    def file(self, file_key: str) -> bytes:
        """The content of an uploaded file or image."""

        def operation(sandbox: Sandbox) -> bytes:
            if (image := sandbox.tenant.image_bytes.get(file_key)) is not None:
                return image
            content = sandbox.tenant.files[file_key]["content"]
            return content if isinstance(content, bytes) else b""

        return self._read(operation)

    def set_payout_report_url(self, url: str) -> None:
        """Sets where the simulated payroll sends its reports: http on loopback; "" for no reports."""
        self._call(lambda sandbox: sandbox.payroll.set_report_url(url))

    def report_payout(self, order_id: str, status: str, reference: str = "", reason: str = "") -> Json:
        """Sets a payout to paid or failed and reports it.

        Returns the payout with "http_status" (None without an answer) and "error". Raises BadPayoutError.
        """
        return self._await(
            lambda sandbox: sandbox.payroll.report(order_id, status, reference=reference, reason=reason)
        )

    def set_webhook(self, url: str) -> str:
        """Sends events and callbacks to this URL from now on: http on loopback; "" for the long connection.

        Returns the reason when the check of the URL fails, then nothing changes; else "". Raises BadWebhookError.
        """
        return self._await(lambda sandbox: sandbox.set_webhook(url))

    def set_account(self, account_id: str, *, status: int) -> None:
        """Sets the status of an account: 1 usable, 2 deactivated."""
        self._call(lambda sandbox: setattr(sandbox.tenant.accounts[account_id], "status", status))

    def set_person(self, open_id: str, *, status: str, resigned_code: int = 230029) -> None:
        """Sets the status of a person: active, resigned, bot_stopped, out_of_range or blocked.

        resigned_code: the error code for `resigned`, 230029 or 230013.
        """

        def operation(sandbox: Sandbox) -> None:
            person = sandbox.tenant.people[open_id]
            person.status = PersonStatus(status)
            person.resigned_code = resigned_code

        self._call(operation)

    def add_people(self, keys: Iterable[str]) -> list[str]:
        """Adds people without accounts. Returns their open_ids.

        The e-mail address of `key` is key@sandbox.example. See Tenant.add_person.
        """
        return self._call(
            lambda sandbox: [
                sandbox.tenant.add_person(key, name=f"示例 {key}", en_name=f"Sample {key}").open_id
                for key in keys
            ]
        )

    def contact(self, open_id: str) -> tuple[str, str]:
        """The e-mail address and the mobile number of a person."""
        return self._read(
            lambda sandbox: (sandbox.tenant.people[open_id].email, sandbox.tenant.people[open_id].mobile)
        )

    def set_mobile(self, open_id: str, mobile: str) -> None:
        """Changes a mobile number. Several people can have the same."""
        self._call(lambda sandbox: setattr(sandbox.tenant.people[open_id], "mobile", mobile))

    def rename(self, open_id: str, *, name: str, en_name: str) -> None:
        """Renames a person. Any text is allowed, because names in HR data can be any text."""

        def operation(sandbox: Sandbox) -> None:
            person = sandbox.tenant.people[open_id]
            person.name, person.en_name = name, en_name

        self._call(operation)

    def set_group(
        self, chat_id: str, *, has_bot: bool = True, muted: bool = False, dissolved: bool = False
    ) -> None:
        """Sets the state of a group."""

        def operation(sandbox: Sandbox) -> None:
            group = sandbox.tenant.groups[chat_id]
            group.has_bot, group.muted, group.dissolved = has_bot, muted, dissolved

        self._call(operation)

    def add_group(self, chat_id: str, name: str) -> None:
        """Adds a group of the bot without other members."""
        self._call(
            lambda sandbox: sandbox.tenant.groups.update(
                {chat_id: Group(chat_id=chat_id, name=name, members=[])}
            )
        )

    def add_hook(
        self, chat_id: str, *, name: str = "", keywords: Iterable[str] = (), is_signed: bool = False
    ) -> Json:
        """Adds a custom bot to a group. is_signed: its requests need a signature with `secret`.

        Returns {"url", "token", "chat_id", "name", "secret", "keywords"}. Raises BadHookError.
        """
        return self._call(
            lambda sandbox: sandbox.custom_bots.add(
                chat_id, name=name, keywords=keywords, is_signed=is_signed
            ).to_json(self.url)
        )

    def push_app_ticket(self) -> str:
        """Pushes a new `app_ticket` event, as Feishu does every hour for a store app. Returns its event_id."""
        return self._call(lambda sandbox: sandbox.app_tickets.push())

    def set_scopes(self, granted: Iterable[str]) -> None:
        """Replaces the permission scopes of the app."""
        scopes = set(granted)
        self._call(lambda sandbox: setattr(sandbox.tenant, "granted_scopes", scopes))

    def change_console(self, **changes: object) -> None:
        """Changes settings in the developer console, see AppSettings in app_console.py.

        They are in force after `publish`. Raises BadConsoleChangeError.
        """

        def operation(sandbox: Sandbox) -> None:
            sandbox.tenant.console.change(changes, is_connected=bool(sandbox.connection.connections))

        self._call(operation)

    def publish(self) -> None:
        """Creates a version of the app and publishes it."""
        self._call(lambda sandbox: sandbox.tenant.console.publish())

    def add_call_fault(self, rule: Json) -> str:
        """Adds a rule for calls, see faults/call_faults.py for its fields. Returns its id. Raises BadCallFaultError."""
        return self._call(lambda sandbox: sandbox.call_faults.add(rule).fault_id)

    def count_call_fault_hits(self, fault_id: str) -> int:
        """The number of calls that a rule has affected."""
        return self._read(
            lambda sandbox: sum(rule.hits for rule in sandbox.call_faults.rules if rule.fault_id == fault_id)
        )

    def clear_call_faults(self) -> None:
        """Removes all rules for calls."""
        self._call(lambda sandbox: sandbox.call_faults.clear())

    def expire_tokens(self) -> None:
        """Expires all access tokens."""
        self._call(lambda sandbox: sandbox.tokens.expire_all())

    def start_fault(self, fault_type: str, **options: object) -> str:
        """Starts a fault of faults/catalogue.py, such as ("429", times=2, header=False). Returns its id.

        It ends after `seconds` of real time or `times` hits, where given. Raises BadFaultError.
        """
        return self._call(
            lambda sandbox: sandbox.running_faults.start({**options, "fault_type": fault_type}).fault_id
        )

    def end_fault(self, fault_id: str) -> None:
        """Ends a running fault. Raises UnknownFaultError when it has already ended."""
        self._call(lambda sandbox: sandbox.running_faults.end(fault_id))

    def end_all_faults(self) -> None:
        """Ends all running faults."""
        self._call(lambda sandbox: sandbox.running_faults.end_all())

    def running_faults(self) -> list[Json]:
        """The running faults, with their hits, remaining seconds and remaining hits."""
        return self._read(lambda sandbox: [fault.to_json() for fault in sandbox.running_faults.running()])

    def connection_status(self) -> Json:
        """The status of the long connection.

        Keys: is_connected, disconnected_at_ms, offline_seconds, reconnects, dead (open but without an answer),
        other_connections.
        """
        return self._read(lambda sandbox: sandbox.connection.to_json())

    def set_other_connections(self, count: int) -> None:
        """Simulates more connections of this app from elsewhere."""
        self._call(lambda sandbox: setattr(sandbox.connection, "other_connections", count))

    def pings(self) -> int:
        """The number of ping frames from clients so far."""
        return self._read(lambda sandbox: sandbox.connection.pings)

    def connections(self) -> int:
        """The number of open long connections."""
        return self._read(lambda sandbox: len(sandbox.connection.connections))

    def disconnect_all(self) -> int:
        """Resets all long connections. Returns their number."""
        return self._call(lambda sandbox: sandbox.connection.disconnect_all())

    def silence(self, *, on: bool = True) -> None:
        """Keeps connections open but neither answers nor pushes, as a half-open network does."""
        self._call(lambda sandbox: sandbox.connection.silence(on=on))

    def advance(self, seconds: float) -> None:
        """Moves the clock of the sandbox. Redeliveries, quotas, tokens and windows follow it, but never move back."""
        self._call(lambda sandbox: sandbox.move_clock(seconds))

    def click(
        self, message_id: str, open_id: str, value: object, *, tag: str = "button", **action: object
    ) -> Json:
        """Clicks a component of a card and waits for the answer of the app.

        Returns {"code", "msg", "event_id", "toast", "card_updated"}. code is 0 or the code that Feishu's client shows.
        Raises BadClickError.
        """
        component: Json = {"tag": tag, "value": value, **action}
        return self._await(
            lambda sandbox: sandbox.clicks.click(message_id=message_id, open_id=open_id, action=component)
        )

    def state(self) -> Json:
        """The whole state as JSON, see snapshot.py."""
        return self._read(lambda sandbox: build_state(sandbox, feishu_url=self.url))

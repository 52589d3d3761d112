"""Builds the sandbox from its components and changes its state. The HTTP server is in control/."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from notifier.sandbox import accounts
from notifier.sandbox.api.app_info import AppInfoApi
from notifier.sandbox.api.contacts import ContactApi
from notifier.sandbox.api.files import FileApi
from notifier.sandbox.api.gateway import Api, ApiGateway
from notifier.sandbox.api.hire import ReferralAccountApi
from notifier.sandbox.api.messages import MessageApi
from notifier.sandbox.api.quota import Quota
from notifier.sandbox.api.rewards import ExternalRewardApi
from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.chat.people import PeopleActions
from notifier.sandbox.event_types import BALANCE_EVENT
from notifier.sandbox.faults.call_faults import CallFaults
from notifier.sandbox.faults.catalogue import SETUP_FAULTS, FaultOptions
from notifier.sandbox.faults.running import RunningFault, RunningFaults
from notifier.sandbox.payroll import Payroll
from notifier.sandbox.push.clicks import ClickSimulator
from notifier.sandbox.push.events import EventRecord, balance_event, copy_event, verbatim_event
from notifier.sandbox.push.long_connection import LongConnection
from notifier.sandbox.push.pusher import Pusher
from notifier.sandbox.push.webhook import WebhookPusher
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.tenant import USABLE, Account, build_sample_tenant

SEND_MODES = ("once", "twice", "copy", "reversed", "hold")
EVENT_SCOPE = "hire:referral_account:readonly"
OPENING_SECONDS = 30
"""Longest wait for the app before the set-up errors start, in real time."""


class Sandbox:
    """One tenant with one app. Create and use it inside the event loop of its server."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.tenant = build_sample_tenant(settings)
        self.quota = Quota(self.tenant.clock, enforced=settings.quotas)
        self.tokens = Tokens(settings, self.tenant.clock)
        self.call_faults = CallFaults(self.tenant)
        self.running_faults = RunningFaults(self.tenant)
        self.connection = LongConnection(self.tenant, self.running_faults)
        self.webhook = WebhookPusher(self.tenant)
        self.pusher = Pusher(self.tenant, self.connection, self.webhook, self.running_faults)
        self.messages = MessageApi(self.tenant, self.quota)
        self.people = PeopleActions(self.tenant, self.messages.store, self.pusher.publish)
        self.hire = ReferralAccountApi(self.tenant, self._push_balance_event)
        self.rewards = ExternalRewardApi(self.tenant, self._push_balance_event)
        self.payroll = Payroll(self.tenant)
        self.contacts = ContactApi(self.tenant)
        self.clicks = ClickSimulator(self.tenant, self.connection, self.webhook, self.messages)
        self.gateway = ApiGateway(self.tenant, self.tokens, self.quota)
        self.last_modify_ms = 0  # of the newest event, milliseconds since 1970
        self._register_faults()
        self._register_setup_faults()
        self.has_started_faults = asyncio.Event()
        """Set when all faults of the settings run."""
        self._start_faults(lambda fault_type: fault_type not in SETUP_FAULTS)

    def apis(self) -> list[Api]:
        """All calls of the platform behind the gateway."""
        return [
            *self.messages.apis(),
            *FileApi(self.tenant).apis(),
            *self.hire.apis(),
            *self.rewards.apis(),
            *self.contacts.apis(),
            *AppInfoApi(self.tenant).apis(),
            *self.connection.apis(),
        ]

    def move_clock(self, seconds: float) -> None:
        """Moves the clock and starts the pushes that become due. A negative number postpones no push."""
        self.tenant.clock.advance(seconds)
        self.pusher.wake()
        self.tenant.bump_revision()

    def _register_faults(self) -> None:
        """Registers the effects of faults that go beyond rules for calls."""
        connection = self.connection

        def drop(_fault: RunningFault) -> None:
            connection.disconnect_all()

        def refuse_tokens(fault: RunningFault) -> None:
            if fault.options["expire"]:
                self.tokens.expire_all()

        def revive_unless_exhausted(fault: RunningFault) -> None:
            """After its last hit the connection stays dead; ending the fault earlier makes it work again."""
            if fault.times is None or fault.hits < fault.times:
                connection.mark_alive(fault)

        self.running_faults.uses_webhook = lambda: bool(self.webhook.url)
        self.running_faults.on_start = {
            "drop": drop,
            "close_code": lambda fault: connection.close_all(fault.options["code"]),
            "black_hole": lambda _: connection.notify_changed(),
            "half_open": connection.mark_dead,
            "expire_tokens": lambda _: self.tokens.expire_all(),
            "refuse_tokens": refuse_tokens,
            "clock": lambda fault: self.move_clock(fault.options["seconds"]),
        }
        self.running_faults.on_end = {
            "black_hole": lambda _: connection.notify_changed(),
            "half_open": connection.mark_alive,
            "goes_silent_after_connect": revive_unless_exhausted,
            "reorder": self.pusher.release_reversed,
        }

    def _register_setup_faults(self) -> None:
        """Registers the effects of planted set-up errors that the console does not look up."""

        def list_options(fault_type: str) -> list[FaultOptions]:
            return [fault.options for fault in self.running_faults.running(fault_type)]

        def update_tokens(_fault: RunningFault) -> None:
            self.tokens.secret_changed = bool(self.running_faults.running("setup:wrong_secret"))
            self.tokens.app_disabled = bool(self.running_faults.running("setup:app_disabled"))
            if self.tokens.secret_changed:
                self.tokens.expire_all()

        hidden: dict[str, Account] = {}

        def hide_accounts(_fault: RunningFault) -> None:
            hidden.update(self.tenant.accounts)
            self.tenant.accounts.clear()

        def show_accounts(_fault: RunningFault) -> None:
            if not self.running_faults.running("setup:nobody_registered"):
                self.tenant.accounts.update({**hidden, **self.tenant.accounts})
                hidden.clear()

        self.tenant.console.find_faults = list_options
        tokens = dict.fromkeys(("setup:wrong_secret", "setup:app_disabled"), update_tokens)
        self.running_faults.on_start = {
            **self.running_faults.on_start,
            **tokens,
            "setup:nobody_registered": hide_accounts,
        }
        self.running_faults.on_end = {
            **self.running_faults.on_end,
            **tokens,
            "setup:nobody_registered": show_accounts,
        }

    def change_balance(
        self, account_id: str, *, points: int, cash: Mapping[str, Decimal], currency_form: str
    ) -> EventRecord | None:
        """Changes a balance and returns its event, which is not pushed yet; None for a deactivated account.

        Raises BadBalanceChangeError for an unknown account.
        """
        account = self.tenant.accounts.get(account_id)
        if account is None:
            raise accounts.BadBalanceChangeError(f"there is no account {account_id!r}")
        accounts.add_to_balance(account, points=points, cash=cash)
        account.currency_form = currency_form
        self.tenant.bump_revision()
        return self._event(account)

    def push_opening_balances(self) -> list[str]:
        """Pushes one event per account, with its current balance, to the first client that connects.

        Returns the ids of the events.
        """
        records = [
            self.change_balance(one, points=0, cash={}, currency_form="iso") for one in self.tenant.accounts
        ]
        self.pusher.release_on_connect = True
        return self.push([record for record in records if record is not None], send="hold")

    async def start_setup_faults(self, opening_events: Sequence[str]) -> None:
        """Starts the set-up errors of the settings once the app acknowledged these events and sent a card.

        An error in the set-up then is the only one: the app knows the accounts and has sent cards. After
        OPENING_SECONDS the errors start in any case.
        """
        changed = asyncio.Event()

        def watcher(_revision: int) -> None:
            changed.set()

        def has_opened() -> bool:
            records = (self.pusher.records.get(event_id) for event_id in opening_events)
            is_acknowledged = all(record is None or record.is_finished for record in records)
            return is_acknowledged and (not opening_events or bool(self.tenant.messages))

        self.tenant.watchers.append(watcher)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPENING_SECONDS):
                while not has_opened():
                    await changed.wait()
                    changed.clear()
        self.tenant.watchers.remove(watcher)
        self._start_faults(lambda fault_type: fault_type in SETUP_FAULTS)
        self.has_started_faults.set()

    def _start_faults(self, is_wanted: Callable[[object], bool]) -> None:
        for fault in self.settings.faults:
            if is_wanted(fault.get("fault_type")):
                self.running_faults.start(dict(fault))

    def push(self, records: list[EventRecord], *, send: str = "once") -> list[str]:
        """Pushes events. send: one of `SEND_MODES`. Returns their ids in pushing order."""
        match send:
            case "twice":
                return self.pusher.add(records, times=2)
            case "copy":
                copies = [(record, copy_event(record)) for record in records]
                return self.pusher.add([one for pair in copies for one in pair if one is not None])
            case "reversed":
                return self.pusher.add(records[::-1])
            case "hold":
                return self.pusher.add(records, hold=True)
            case _:
                return self.pusher.add(records)

    def push_verbatim(self, *, payload: bytes = b"", raw_frame: bytes | None = None) -> str:
        """Pushes bytes unchanged; they are redelivered like any event. Returns the event_id of the record."""
        return self.pusher.add([verbatim_event(self.tenant, payload=payload, raw_frame=raw_frame)])[0]

    async def set_webhook(self, url: str) -> str:
        """Sends events and callbacks to this URL from now on, "" for the long connection.

        Returns the reason when the check of the URL fails, then nothing changes; else "". Raises BadWebhookError.
        """
        refused = await self.webhook.check_url(url) if url else ""
        if not refused:
            self.webhook.set_url(url)
            self.connection.new_connection.set()
        return refused

    async def wait_for_webhook(self) -> None:
        """Waits until the app answers at its webhook, which can start later, then pushes the waiting events."""
        if self.webhook.url:
            await self.webhook.wait_until_up()
            self.connection.new_connection.set()

    def _push_balance_event(self, account: Account) -> None:
        record = self._event(account)
        if record is not None:
            self.pusher.add([record])

    def _event(self, account: Account) -> EventRecord | None:
        """None for a deactivated account, and for an app without the scope or the subscription of the event.

        Each event gets a later modify_time than the one before, so that events have an order.
        """
        live = self.tenant.console.live
        if account.status != USABLE or EVENT_SCOPE not in live.scopes or BALANCE_EVENT not in live.events:
            return None
        self.last_modify_ms = max(self.last_modify_ms + 1, self.tenant.clock.now_ms())
        return balance_event(self.tenant, account, modify_time_ms=self.last_modify_ms)

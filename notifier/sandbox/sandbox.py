"""Sandbox: all parts of the stand-in put together, and what can be done to it from outside. No HTTP here."""

from collections.abc import Mapping
from decimal import Decimal

from notifier.sandbox import accounts
from notifier.sandbox.api.contacts import Contacts
from notifier.sandbox.api.gateway import Api, Gateway
from notifier.sandbox.api.hire import Hire
from notifier.sandbox.api.messages import Messages
from notifier.sandbox.api.quota import Quota
from notifier.sandbox.api.tokens import Tokens
from notifier.sandbox.cards.clicks import Clicks
from notifier.sandbox.faults.call_faults import Faults
from notifier.sandbox.faults.running import Trouble, Troubles
from notifier.sandbox.payroll import Payroll
from notifier.sandbox.push.events import EventRecord, balance_event, copy_of, verbatim_event
from notifier.sandbox.push.long_connection import LongConnection
from notifier.sandbox.push.pusher import Pusher
from notifier.sandbox.push.webhook import Webhook
from notifier.sandbox.sample_tenant import sample_world
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.tenant import USABLE, Account

SENDINGS = ("once", "twice", "copy", "reversed", "hold")
EVENT_SCOPE = "hire:referral_account:readonly"


class Sandbox:
    """One tenant with one app. Must be made and used inside the loop that serves it."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.world = sample_world(settings)
        self.quota = Quota(self.world.clock, enforced=settings.quotas)
        self.tokens = Tokens(settings, self.world.clock)
        self.faults = Faults(self.world)
        self.troubles = Troubles(self.world)
        self.connection = LongConnection(self.world, self.troubles)
        self.webhook = Webhook(self.world)
        self.pusher = Pusher(self.world, self.connection, self.webhook, self.troubles)
        self.messages = Messages(self.world, self.quota)
        self.hire = Hire(self.world, self._announce)
        self.payroll = Payroll(self.world)
        self.contacts = Contacts(self.world)
        self.clicks = Clicks(self.world, self.connection, self.webhook, self.messages)
        self.gateway = Gateway(self.world, self.tokens, self.quota)
        self._last_modify_ms = 0
        self._arm_troubles()

    def apis(self) -> list[Api]:
        return [
            *self.messages.apis(),
            *self.hire.apis(),
            *self.contacts.apis(),
            *self.connection.apis(),
        ]

    def move_clock(self, seconds: float) -> None:
        """What falls due happens. seconds may be negative; nothing becomes due later by that."""
        self.world.clock.advance(seconds)
        self.pusher.wake()
        self.world.touch()

    def _arm_troubles(self) -> None:
        """What the named troubles do beside putting faults on calls."""
        connection = self.connection

        def drop(_trouble: Trouble) -> None:
            connection.disconnect_all()

        def refuse_tokens(trouble: Trouble) -> None:
            if trouble.options["expire"]:
                self.tokens.expire_all()

        def revive_unless_used_up(trouble: Trouble) -> None:
            """A connection that was promised to be dead stays so; an order that was ended takes that back."""
            if trouble.times is None or trouble.hits < trouble.times:
                connection.revive(trouble)

        self.troubles.is_posting = lambda: bool(self.webhook.url)
        self.troubles.at_start = {
            "drop": drop,
            "close_code": lambda trouble: connection.close_all(trouble.options["code"]),
            "black_hole": lambda _: connection.changed(),
            "half_open": connection.kill,
            "expire_tokens": lambda _: self.tokens.expire_all(),
            "refuse_tokens": refuse_tokens,
            "clock": lambda trouble: self.move_clock(trouble.options["seconds"]),
        }
        self.troubles.at_end = {
            "black_hole": lambda _: connection.changed(),
            "half_open": connection.revive,
            "goes_silent_after_connect": revive_unless_used_up,
            "reorder": self.pusher.release_reversed,
        }

    def change(
        self, account_id: str, *, points: int, cash: Mapping[str, Decimal], currency_form: str
    ) -> EventRecord | None:
        """Changes a balance and makes its event, which is not pushed yet; None for a deactivated account."""
        account = self.world.accounts.get(account_id)
        if account is None:
            raise accounts.BadChangeError(f"there is no account {account_id!r}")
        accounts.add(account, points=points, cash=cash)
        account.currency_form = currency_form
        self.world.touch()
        return self._event(account)

    def tell_balances(self) -> None:
        """One event for every account, with the balance it has, to the first client that connects."""
        records = [self.change(one, points=0, cash={}, currency_form="iso") for one in self.world.accounts]
        self.pusher.release_on_connect = True
        self.push([record for record in records if record is not None], send="hold")

    def push(self, records: list[EventRecord], *, send: str = "once") -> list[str]:
        """Pushes events as `send` says; gives their ids, in pushing order."""
        match send:
            case "twice":
                return self.pusher.add(records, times=2)
            case "copy":
                copies = [(record, copy_of(record)) for record in records]
                return self.pusher.add([one for pair in copies for one in pair if one is not None])
            case "reversed":
                return self.pusher.add(records[::-1])
            case "hold":
                return self.pusher.add(records, hold=True)
            case _:
                return self.pusher.add(records)

    def push_verbatim(self, *, payload: bytes = b"", raw_frame: bytes | None = None) -> str:
        """Pushes bytes as they are; redelivered like any event. Gives the id of the record."""
        return self.pusher.add([verbatim_event(self.world, payload=payload, raw_frame=raw_frame)])[0]

    async def set_webhook(self, url: str) -> str:
        """Where events and callbacks go from now on, "" for the long connection. Gives why the address was refused,
        or "" when it is taken. Raises BadWebhookError.
        """
        refused = await self.webhook.check_url(url) if url else ""
        if not refused:
            self.webhook.set_url(url)
            self.connection.newcomer.set()
        return refused

    async def wait_for_webhook(self) -> None:
        """The app comes up after us: what waits goes to it as soon as it does."""
        if self.webhook.url:
            await self.webhook.wait_until_up()
            self.connection.newcomer.set()

    def _announce(self, account: Account) -> None:
        record = self._event(account)
        if record is not None:
            self.pusher.add([record])

    def _event(self, account: Account) -> EventRecord | None:
        """None for a deactivated account and for an app without the event's scope. Times never repeat."""
        if account.status != USABLE or EVENT_SCOPE not in self.world.granted_scopes:
            return None
        self._last_modify_ms = max(self._last_modify_ms + 1, self.world.clock.now_ms())
        return balance_event(self.world, account, modify_time_ms=self._last_modify_ms)

"""All apps of the sandbox, and the app that a request belongs to."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.tenant import Tenant
from notifier.sandbox.world.links import link_tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class AppIdentity:
    """What makes an app the one it is."""

    app_id: str  # `cli_` and 16 hex digits
    app_secret: str  # with which it gets tokens and connections, "" for that of the settings
    name: str  # of its bot
    tenant_key: str  # of its tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSnapshot:
    """A saved state of all apps. state: as of saved_state.copy_state."""

    at_ms: int
    state: Mapping[str, Any]


class UnknownAppError(ValueError):
    """There is no such app. The text is shown to the caller."""


class BadWorldError(ValueError):
    """Data that is not a world, or a change that is not possible. One line per fault, shown to the user."""


class NotInWorldError(BadWorldError):
    """What is to be changed does not exist."""


class World:
    """All apps by app_id. The first one answers requests that name no app.

    watchers: called after each change of any app.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.sandboxes: dict[str, Sandbox] = {}
        self.watchers: list[Callable[[], None]] = []
        self.start_state: Mapping[str, Any] = {}  # for a reset; see control/snapshots_api.py
        self.snapshots: dict[str, SavedSnapshot] = {}  # by name
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_running = False
        self._add(Sandbox(settings))

    @property
    def first(self) -> Sandbox:
        """The first app."""
        return next(iter(self.sandboxes.values()))

    def sandbox(self, app_id: str | None) -> Sandbox:
        """The sandbox of an app, None or "" for the first one. Raises UnknownAppError."""
        if not app_id:
            return self.first
        if app_id not in self.sandboxes:
            raise UnknownAppError(f"there is no app {app_id!r}; apps: {', '.join(self.sandboxes)}")
        return self.sandboxes[app_id]

    def find(self, app_id: object) -> Sandbox | None:
        """The sandbox of an app_id that a client sent, None for anything else."""
        return self.sandboxes.get(app_id) if isinstance(app_id, str) else None

    def find_by_token(self, token: str) -> Sandbox | None:
        """The app that an access token was issued to."""
        return next((one for one in self.sandboxes.values() if one.owns_token(token)), None)

    def find_by_hook(self, token: str) -> Sandbox | None:
        """The app through which a custom bot was added."""
        return next((one for one in self.sandboxes.values() if token in one.custom_bots.bots), None)

    def find_by_ticket(self, ticket: str) -> Sandbox | None:
        """The app that may connect with a ticket."""
        return next((one for one in self.sandboxes.values() if one.connection.has_ticket(ticket)), None)

    def _secret_to_keep(self, sandbox: Sandbox) -> str:
        """The secret of the settings needs no copy in a file."""
        own = sandbox.settings.app_secret
        return "" if own == self.settings.app_secret else own

    def identities(self) -> list[AppIdentity]:
        """What makes each app the one it is, the first app first."""
        return [
            AppIdentity(
                app_id=app_id,
                app_secret=self._secret_to_keep(one),
                name=one.settings.app_name,
                tenant_key=one.settings.tenant_key,
            )
            for app_id, one in self.sandboxes.items()
        ]

    def add_app(self, app: AppIdentity) -> Sandbox:
        """Adds an app. In a tenant that has apps it meets their people; in a new one it has none.

        Its console has every setting, as the first app without `fresh`, and its bot is in no group.
        """
        settings = replace(
            _settings_of(self.settings, app),
            opening_events=False,
            extra_accounts=0,
            faults=(),
            webhook_url="",
            clock_file="",
            operators={},
            digest_command=(),
            payout_report_url="",
        )
        clock = self.first.tenant.clock
        sandbox = Sandbox(settings, Tenant(settings, clock=clock, is_first=False))
        self._add(sandbox)
        self.link()
        return sandbox

    def remove_app(self, app_id: str) -> None:
        """Removes an app with its connections. The first one stays. Raises UnknownAppError."""
        sandbox = self.sandbox(app_id)
        if sandbox is self.first:
            raise UnknownAppError("the first app cannot be deleted: requests that name no app are its own")
        self._remove(sandbox)
        self.link()
        self._on_change(0)

    def set_apps(self, apps: Sequence[AppIdentity]) -> None:
        """Makes these the apps, at least one. An app that keeps its tenant keeps its connections and tokens."""
        if (apps[0].app_id, apps[0].tenant_key) != (
            self.first.settings.app_id,
            self.first.settings.tenant_key,
        ):
            clock = self.first.tenant.clock
            for sandbox in list(self.sandboxes.values()):
                self._remove(sandbox)
            settings = _settings_of(self.settings, apps[0])
            self._add(Sandbox(settings, Tenant(settings, clock=clock)))
        tenant_keys = {app.app_id: app.tenant_key for app in apps}
        for app_id, sandbox in list(self.sandboxes.items()):
            if tenant_keys.get(app_id) != sandbox.settings.tenant_key:
                self._remove(sandbox)
        for app in apps:
            if app.app_id not in self.sandboxes:
                self.add_app(app)
            self.sandboxes[app.app_id].settings.app_secret = app.app_secret or self.settings.app_secret
            self.sandboxes[app.app_id].settings.app_name = app.name
        self.sandboxes = {app.app_id: self.sandboxes[app.app_id] for app in apps}
        self.link()

    def tenants(self) -> Mapping[str, list[Sandbox]]:
        """The apps of each tenant by its tenant_key."""
        found: dict[str, list[Sandbox]] = {}
        for sandbox in self.sandboxes.values():
            found.setdefault(sandbox.settings.tenant_key, []).append(sandbox)
        return found

    def link(self) -> None:
        """Links the apps of each tenant. Call it after objects of an app were replaced."""
        for apps in self.tenants().values():
            link_tenants([each.tenant for each in apps])
        for sandbox in self.sandboxes.values():
            sandbox.tenant.other_apps = [
                each.tenant for each in self.sandboxes.values() if each is not sandbox
            ]

    def start(self) -> None:
        """Starts to push events, of later apps too."""
        self._is_running = True
        for app_id, sandbox in self.sandboxes.items():
            self._tasks[app_id] = asyncio.create_task(sandbox.run())

    async def stop(self) -> None:
        """Ends all connections and stops pushing."""
        for sandbox in self.sandboxes.values():
            sandbox.close()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _add(self, sandbox: Sandbox) -> None:
        self.sandboxes[sandbox.settings.app_id] = sandbox
        sandbox.tenant.watchers.append(self._on_change)
        if self._is_running:
            self._tasks[sandbox.settings.app_id] = asyncio.create_task(sandbox.run())

    def _remove(self, sandbox: Sandbox) -> None:
        app_id = sandbox.settings.app_id
        del self.sandboxes[app_id]
        sandbox.close()
        if (task := self._tasks.pop(app_id, None)) is not None:
            task.cancel()

    def _on_change(self, _revision: int) -> None:
        for watcher in list(self.watchers):
            watcher()


def _settings_of(settings: SandboxSettings, app: AppIdentity) -> SandboxSettings:
    return replace(
        settings,
        app_id=app.app_id,
        app_secret=app.app_secret or settings.app_secret,
        app_name=app.name,
        tenant_key=app.tenant_key,
    )

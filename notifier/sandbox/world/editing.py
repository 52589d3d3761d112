"""Changes of the world from outside: people, departments, groups, accounts and apps.

Each change is made in the data of the world, which is checked as a whole and then applied.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from notifier.sandbox.chat.groups import read_group
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.settings import new_secret
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus
from notifier.sandbox.world.contents import apply_world, describe_world, open_ids_by_person, person_id
from notifier.sandbox.world.world import BadWorldError, NotInWorldError, World
from notifier.sandbox.world.world_file import parse_world

Entry = dict[str, Any]
PERSON_KEYS = (
    "name",
    "en_name",
    "email",
    "mobile",
    "user_id",
    "departments",
    "status",
    "resigned_code",
)
DEPARTMENT_KEYS = ("name", "en_name", "parent", "leader")
GROUP_KEYS = ("name", "en_name", "members", "has_bot", "muted", "dissolved")
ACCOUNT_KEYS = ("status", "points", "cash")
APP_KEYS = ("app_secret", "name", "menu")


class WorldEditor:
    """Changes of the world for one app, by whose open_ids people are named. Each raises BadWorldError."""

    def __init__(self, world: World, sandbox: Sandbox) -> None:
        self._world = world
        self._sandbox = sandbox
        self._data: Entry = describe_world(world, with_hidden=False).model_dump()
        settings = sandbox.settings
        self._tenant: Entry = next(one for one in self._data["tenants"] if one["key"] == settings.tenant_key)
        self._app: Entry = next(one for one in self._tenant["apps"] if one["app_id"] == settings.app_id)

    def create_person(self, body: JsonObject) -> str:
        """Adds a person, with an account unless `account` is false. Returns the open_id."""
        _check_keys(body, ("id", "account", *PERSON_KEYS))
        own_id = _given_id(body, "id") or self._free_id(
            "added", [one["id"] for one in self._tenant["people"]]
        )
        self._tenant["people"].append({"id": own_id})
        self._set_person(self._tenant["people"][-1], body)
        if not isinstance(body.get("account", True), bool):
            raise BadWorldError(f"account must be true or false, not {body['account']!r:.60}")
        if body.get("account", True):
            self._app["accounts"].append({"person": own_id})
        self._apply()
        return open_ids_by_person(self._sandbox.tenant)[str(own_id)]

    def change_person(self, open_id: str, body: JsonObject) -> None:
        """Changes a person."""
        _check_keys(body, PERSON_KEYS)
        self._set_person(_find(self._tenant["people"], "id", self._id_of(open_id)), body)
        self._apply()

    def delete_person(self, open_id: str) -> None:
        """Deletes a person with the private chats and accounts, and from all groups."""
        own_id = self._id_of(open_id)
        tenant = self._tenant
        tenant["people"].remove(_find(tenant["people"], "id", own_id))
        for group in tenant["groups"]:
            group["members"] = [one for one in group["members"] if one != own_id]
        for department in tenant["departments"]:
            if department["leader"] == own_id:
                department["leader"] = ""
        for app in tenant["apps"]:
            app["accounts"] = [one for one in app["accounts"] if one["person"] != own_id]
            app["statuses"].pop(own_id, None)
        self._apply()

    def create_department(self, body: JsonObject) -> str:
        """Adds a department. Returns its id."""
        _check_keys(body, ("id", *DEPARTMENT_KEYS))
        known = [one["id"] for one in self._tenant["departments"]]
        own_id = _given_id(body, "id") or self._free_id("department", known)
        self._tenant["departments"].append({"id": own_id})
        self._set_department(self._tenant["departments"][-1], body)
        self._apply()
        return str(own_id)

    def change_department(self, department_id: str, body: JsonObject) -> None:
        """Changes a department."""
        _check_keys(body, DEPARTMENT_KEYS)
        self._set_department(_find(self._tenant["departments"], "id", department_id), body)
        self._apply()

    def delete_department(self, department_id: str) -> None:
        """Deletes a department without people and without departments below it."""
        found = _find(self._tenant["departments"], "id", department_id)
        inside = [one["id"] for one in self._tenant["people"] if department_id in one["departments"]]
        inside += [one["id"] for one in self._tenant["departments"] if one["parent"] == department_id]
        if inside:
            raise BadWorldError(f"the department {department_id!r} is not empty: {', '.join(inside[:20])}")
        self._tenant["departments"].remove(found)
        self._apply()

    def create_group(self, body: JsonObject) -> str:
        """Adds a group with the bot, unless `has_bot` is false. Returns its chat_id."""
        _check_keys(body, ("chat_id", *GROUP_KEYS))
        chat_id = _given_id(body, "chat_id") or f"oc_{secrets.token_hex(16)}"
        self._tenant["groups"].append({"chat_id": chat_id, "members": []})
        self._set_group(self._tenant["groups"][-1], {"has_bot": True, **body})
        self._apply()
        return str(chat_id)

    def change_group(self, chat_id: str, body: JsonObject) -> None:
        """Changes a group, as its members do in Feishu's client: each bot in it gets the events."""
        _check_keys(body, GROUP_KEYS)
        self._set_group(_find(self._tenant["groups"], "chat_id", chat_id), body)
        apps = self._world.tenants()[self._sandbox.settings.tenant_key]
        before = [read_group(app.tenant.groups[chat_id]) for app in apps]
        self._apply()
        for app, state in zip(apps, before, strict=True):
            app.people.group_actions.push_changes(app.tenant.groups[chat_id], state)

    def delete_group(self, chat_id: str) -> None:
        """Deletes a group with its messages. `dissolved` keeps it, as Feishu does."""
        self._tenant["groups"].remove(_find(self._tenant["groups"], "chat_id", chat_id))
        for app in self._tenant["apps"]:
            for name in ("groups", "muted_in"):
                app[name] = [one for one in app[name] if one != chat_id]
        self._apply()

    def create_account(self, body: JsonObject) -> str:
        """Adds a referral account of `open_id`. Returns its id."""
        _check_keys(body, ("account_id", "open_id", *ACCOUNT_KEYS))
        account_id = _given_id(body, "account_id") or self._sandbox.tenant.next_account_id()
        self._app["accounts"].append({"account_id": account_id, "person": self._id_of(body.get("open_id"))})
        self._set_account(self._app["accounts"][-1], body)
        self._apply()
        return str(account_id)

    def change_account(self, account_id: str, body: JsonObject) -> None:
        """Changes an account without an event; a balance change with its event is another call."""
        _check_keys(body, ACCOUNT_KEYS)
        self._set_account(_find(self._app["accounts"], "account_id", account_id), body)
        self._apply()

    def delete_account(self, account_id: str) -> None:
        """Deletes an account."""
        self._app["accounts"].remove(_find(self._app["accounts"], "account_id", account_id))
        self._apply()

    def create_app(self, body: JsonObject) -> str:
        """Adds an app, in the tenant `tenant_key` (default: that of this app). Returns its app_id."""
        _check_keys(body, ("app_id", "tenant_key", "console", *APP_KEYS))
        app_id = _given_id(body, "app_id") or f"cli_{secrets.token_hex(8)}"
        key = body.get("tenant_key") or self._tenant["key"]
        tenants: list[Entry] = self._data["tenants"]
        if key not in [one["key"] for one in tenants]:
            tenants.append({"key": key, "apps": []})
        tenant = _find(tenants, "key", str(key))
        given: Entry = {name: body[name] for name in ("name", "console", "menu") if name in body}
        given |= {"app_id": app_id, "app_secret": body.get("app_secret") or new_secret("secret")}
        tenant["apps"].append(given)
        self._apply()
        return str(app_id)

    def change_app(self, app_id: str, body: JsonObject) -> None:
        """Changes the name, the secret or the menu of an app. Its tokens stay valid."""
        _check_keys(body, APP_KEYS)
        apps = [app for tenant in self._data["tenants"] for app in tenant["apps"]]
        _find(apps, "app_id", app_id).update(body)
        self._apply()

    def delete_app(self, app_id: str) -> None:
        """Deletes an app, but not the first one. The last app of a tenant takes the tenant with it."""
        if app_id == self._world.first.settings.app_id:
            raise BadWorldError("the first app cannot be deleted: requests that name no app are its own")
        for tenant in list(self._data["tenants"]):
            tenant["apps"] = [app for app in tenant["apps"] if app["app_id"] != app_id]
            if not tenant["apps"]:
                self._data["tenants"].remove(tenant)
        if app_id not in self._world.sandboxes:
            raise NotInWorldError(f"there is no app {app_id!r}")
        self._apply()

    def _set_person(self, entry: Entry, body: JsonObject) -> None:
        entry.update({name: body[name] for name in PERSON_KEYS if name in body and name != "status"})
        if "status" not in body:
            return
        status = body["status"]
        allowed = [one.value for one in PersonStatus]
        if status not in allowed:
            raise BadWorldError(f"status must be one of: {', '.join(allowed)}; not {status!r:.60}")
        entry["is_resigned"] = status == "resigned"
        self._app["statuses"].pop(entry["id"], None)
        if status not in ("active", "resigned"):
            self._app["statuses"][entry["id"]] = status

    def _set_department(self, entry: Entry, body: JsonObject) -> None:
        entry.update({name: body[name] for name in DEPARTMENT_KEYS if name in body})
        if body.get("leader"):
            entry["leader"] = self._id_of(body["leader"])

    def _set_group(self, entry: Entry, body: JsonObject) -> None:
        entry.update({name: body[name] for name in ("name", "en_name", "dissolved") if name in body})
        if "members" in body:
            entry["members"] = [self._id_of(one) for one in _as_list(body, "members")]
        for name, where in (("has_bot", "groups"), ("muted", "muted_in")):
            if name not in body:
                continue
            if not isinstance(body[name], bool):
                raise BadWorldError(f"{name} must be true or false, not {body[name]!r:.60}")
            others = [one for one in self._app[where] if one != entry["chat_id"]]
            self._app[where] = [*others, entry["chat_id"]] if body[name] else others

    def _set_account(self, entry: Entry, body: JsonObject) -> None:
        entry.update({name: body[name] for name in ("points", "cash") if name in body})
        if "status" in body:
            status = body["status"]
            if status not in (USABLE, DEACTIVATED) or isinstance(status, bool):
                raise BadWorldError(f"status must be 1 (usable) or 2 (deactivated), not {status!r:.60}")
            entry["deactivated"] = status == DEACTIVATED

    def _id_of(self, open_id: object) -> str:
        person = self._sandbox.tenant.people.get(str(open_id))
        if person is None:
            raise NotInWorldError(f"there is no person {open_id!r:.60} for this app")
        return person_id(person.union_id)

    @staticmethod
    def _free_id(beginning: str, known: Sequence[str]) -> str:
        number = len(known) + 1
        while f"{beginning}_{number}" in known:
            number += 1
        return f"{beginning}_{number}"

    def _apply(self) -> None:
        apply_world(self._world, parse_world(self._data))


def _check_keys(body: Mapping[str, object], allowed: Sequence[str]) -> None:
    for name in body:
        if name not in allowed:
            raise BadWorldError(f"there is no key {name!r} here; allowed: {', '.join(allowed)}")


def _given_id(body: JsonObject, name: str) -> str:
    """The id that the caller chose, "" for none."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise BadWorldError(f"{name} must be text, not {value!r:.60}")
    return value


def _as_list(body: JsonObject, name: str) -> list[object]:
    value = body[name]
    if not isinstance(value, list):
        raise BadWorldError(f"{name} must be a list, not {value!r:.60}")
    return value


def _find(entries: Sequence[Entry], key: str, wanted: str) -> Entry:
    for entry in entries:
        if entry[key] == wanted:
            return entry
    raise NotInWorldError(f"there is no {wanted!r:.60}")

"""The editable world under `/api`: people, departments, groups, accounts, apps, and all of it as one document.

The modules that check data are imported with the first request, because they take a part of the time to start.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from notifier.sandbox.control.app_routing import SANDBOX
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.snapshot import account_json, department_json, group_json, person_json
from notifier.sandbox.world.world import BadWorldError, NotInWorldError, World

if TYPE_CHECKING:
    from notifier.sandbox.world.editing import WorldEditor

API = "/api"
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
Edit = Callable[["WorldEditor", str, JsonObject], object]
"""Makes one change. Gets the id in the path, "" without one, and the body. Returns the id of what it created."""
Show = Callable[[Sandbox, str], JsonObject]


class WorldApi:
    """The handlers of the editable world. People are named by the open_ids of the app in `?app=`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get(API + "/world", self.read),
            web.put(API + "/world", self.replace),
            web.get(API + "/world.yaml", self.export),
            *self._routes_of("/people", "person", self._show_person),
            *self._routes_of("/departments", "department", _show_department),
            *self._routes_of("/groups", "group", _show_group),
            *self._routes_of("/accounts", "account", _show_account),
            *self._routes_of("/apps", "app", self._show_app),
        ]

    async def read(self, _request: web.Request) -> web.Response:
        """The whole world as JSON, in the form of a world file. It has the secrets of the apps."""
        return _answer(self._describe)

    async def export(self, _request: web.Request) -> web.Response:
        """The whole world as a world file. It has the secrets of the apps, but not the sample secret."""
        from notifier.sandbox.world.contents import describe_world  # noqa: PLC0415 - see above
        from notifier.sandbox.world.world_file import dump_world  # noqa: PLC0415 - see above

        try:
            text = dump_world(describe_world(self._world))
        except BadWorldError as error:
            return _refused(str(error), status=400)
        return web.Response(text=text, content_type="application/yaml", charset="utf-8")

    async def replace(self, request: web.Request) -> web.Response:
        """Replaces the world by a JSON body as `read` answers it, or by a world file with a content type of YAML.

        What is in both worlds keeps its messages, tokens and connections.
        """
        from notifier.sandbox.world.contents import apply_world  # noqa: PLC0415 - see above
        from notifier.sandbox.world.world_file import parse_world, read_world_text  # noqa: PLC0415 - see above

        text = await request.text()

        def replace_world() -> JsonObject:
            if request.content_type in YAML_TYPES:
                entry = read_world_text(text, "the body")
            else:
                entry = parse_world(json.loads(text))
            apply_world(self._world, entry)
            return self._describe()

        return _answer(replace_world)

    def _describe(self) -> JsonObject:
        from notifier.sandbox.world.contents import describe_world  # noqa: PLC0415 - see above

        return describe_world(self._world).model_dump(mode="json")

    def _routes_of(self, path: str, name: str, show: Show) -> list[web.RouteDef]:
        """The routes to create, change and delete one kind of thing. name: as in the methods of WorldEditor."""
        one = API + path + "/{id}"
        return [
            web.post(
                API + path, self._handler(lambda editor, _, body: _call(editor, "create", name, body), show)
            ),
            web.patch(
                one, self._handler(lambda editor, own, body: _call(editor, "change", name, own, body), show)
            ),
            web.delete(
                one, self._handler(lambda editor, own, _: _call(editor, "delete", name, own), _show_deleted)
            ),
        ]

    def _handler(self, edit: Edit, show: Show) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            text = await request.text()
            sandbox, own_id = request[SANDBOX], request.match_info.get("id", "")

            def make_change() -> JsonObject:
                from notifier.sandbox.world.editing import WorldEditor  # noqa: PLC0415 - see above

                body = json.loads(text) if text else {}
                if not isinstance(body, dict):
                    raise BadWorldError("the body must be a JSON object")
                created = edit(WorldEditor(self._world, sandbox), own_id, body)
                return show(sandbox, str(created or own_id))

            return _answer(make_change)

        return handle

    def _show_app(self, _sandbox: Sandbox, app_id: str) -> JsonObject:
        """An app with its secret, which a client needs."""
        settings = self._world.sandboxes[app_id].settings
        return {
            "app_id": app_id,
            "app_secret": settings.app_secret,
            "name": settings.app_name,
            "tenant_key": settings.tenant_key,
        }

    def _show_person(self, sandbox: Sandbox, open_id: str) -> JsonObject:
        """A person, with the account if there is one."""
        tenant = sandbox.tenant
        accounts = [account_json(one) for one in tenant.accounts.values() if one.open_id == open_id]
        return {"person": person_json(tenant.people[open_id]), "account": accounts[0] if accounts else None}


def _call(editor: "WorldEditor", verb: str, name: str, *arguments: object) -> object:
    return getattr(editor, f"{verb}_{name}")(*arguments)


def _show_department(sandbox: Sandbox, department_id: str) -> JsonObject:
    return department_json(sandbox.tenant.departments[department_id])


def _show_group(sandbox: Sandbox, chat_id: str) -> JsonObject:
    return group_json(sandbox.tenant.groups[chat_id], sandbox.tenant)


def _show_account(sandbox: Sandbox, account_id: str) -> JsonObject:
    return account_json(sandbox.tenant.accounts[account_id])


def _show_deleted(_sandbox: Sandbox, deleted_id: str) -> JsonObject:
    return {"deleted": deleted_id}


def _answer(make: Callable[[], JsonObject]) -> web.Response:
    try:
        return web.json_response(make())
    except NotInWorldError as error:
        return _refused(str(error), status=404)
    except BadWorldError as error:
        return _refused(str(error), status=400)
    except (ValueError, RecursionError):
        return _refused("the body is not valid JSON", status=400)


def _refused(message: str, *, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)

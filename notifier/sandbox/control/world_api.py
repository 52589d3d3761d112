"""The editable world under `/api`: people, departments, groups, accounts, apps, and all of it as one document.

The modules that check data are imported with the first request, because they take a part of the time to start.
"""

from typing import TYPE_CHECKING

from aiohttp import web

from notifier.sandbox.control.routes import ControlHandler
from notifier.sandbox.error_codes import JsonObject, parse_json
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.snapshot import account_json, department_json, group_json, person_json
from notifier.sandbox.world.world import BadWorldError, World

if TYPE_CHECKING:
    from notifier.sandbox.world.editing import WorldEditor

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")


class WorldApi:
    """The handlers of the editable world. People are named by the open_ids of one app."""

    def __init__(self, sandbox: Sandbox, world: World) -> None:
        self._sandbox = sandbox
        self._world = world

    def read(self, _request: web.Request, _body: JsonObject) -> JsonObject:
        """The whole world as JSON, in the form of a world file. It has the secrets of the apps."""
        return self._describe()

    def export(self, _request: web.Request, _body: JsonObject) -> web.Response:
        """The whole world as a world file. It has the secrets of the apps, but not the sample secret."""
        from notifier.sandbox.world.contents import describe_world  # noqa: PLC0415 - see above
        from notifier.sandbox.world.world_file import dump_world  # noqa: PLC0415 - see above

        text = dump_world(describe_world(self._world))
        return web.Response(text=text, content_type="application/yaml", charset="utf-8")

    async def replace(self, request: web.Request, _body: JsonObject) -> JsonObject:
        """Replaces the world by a JSON body as `read` answers it, or by a world file with a content type of YAML.

        What is in both worlds keeps its messages, tokens and connections.
        """
        from notifier.sandbox.world.contents import apply_world  # noqa: PLC0415 - see above
        from notifier.sandbox.world.world_file import parse_world, read_world_text  # noqa: PLC0415 - see above

        raw = await request.read()
        if request.content_type in YAML_TYPES:
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise BadWorldError(f"the body is not UTF-8: {error}") from error
            entry = read_world_text(text, "the body")
        else:
            try:
                data = parse_json(raw)
            except ValueError as error:
                raise BadWorldError("the body is not valid JSON") from error
            entry = parse_world(data)
        apply_world(self._world, entry)
        return self._describe()

    def create(self, kind: str) -> ControlHandler:
        """The handler that adds one thing. kind: person, department, group, account or app."""

        def handle(_request: web.Request, body: JsonObject) -> JsonObject:
            created = getattr(self._editor(), f"create_{kind}")(body)
            return self._show(kind, str(created))

        return handle

    def change(self, kind: str) -> ControlHandler:
        """The handler that changes one thing."""

        def handle(request: web.Request, body: JsonObject) -> JsonObject:
            own_id = request.match_info["id"]
            getattr(self._editor(), f"change_{kind}")(own_id, body)
            return self._show(kind, own_id)

        return handle

    def delete(self, kind: str) -> ControlHandler:
        """The handler that deletes one thing."""

        def handle(request: web.Request, _body: JsonObject) -> JsonObject:
            own_id = request.match_info["id"]
            getattr(self._editor(), f"delete_{kind}")(own_id)
            return {"deleted": own_id}

        return handle

    def _editor(self) -> "WorldEditor":
        from notifier.sandbox.world.editing import WorldEditor  # noqa: PLC0415 - see above

        return WorldEditor(self._world, self._sandbox)

    def _describe(self) -> JsonObject:
        from notifier.sandbox.world.contents import describe_world  # noqa: PLC0415 - see above

        described: JsonObject = describe_world(self._world).model_dump(mode="json")
        return described

    def _show(self, kind: str, own_id: str) -> JsonObject:
        """What was created or changed. A person comes with the account, an app with the secret for its client."""
        tenant = self._sandbox.tenant
        match kind:
            case "person":
                accounts = [account_json(one) for one in tenant.accounts.values() if one.open_id == own_id]
                person = person_json(tenant.people[own_id])
                return {"person": person, "account": accounts[0] if accounts else None}
            case "department":
                return department_json(tenant.departments[own_id])
            case "group":
                return group_json(tenant.groups[own_id], tenant)
            case "account":
                return account_json(tenant.accounts[own_id])
        settings = self._world.sandboxes[own_id].settings
        return {
            "app_id": own_id,
            "app_secret": settings.app_secret,
            "name": settings.app_name,
            "tenant_key": settings.tenant_key,
        }

"""All routes of the control API."""

from aiohttp import web

from notifier.sandbox.control.page_api import ControlApi
from notifier.sandbox.control.people_api import PeopleApi
from notifier.sandbox.control.reading_api import ReadingApi
from notifier.sandbox.control.routes import ControlRoute
from notifier.sandbox.control.snapshots_api import SnapshotApi
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.activity_routes import (
    chat_routes,
    event_routes,
    message_routes,
    people_routes,
    reading_routes,
)
from notifier.sandbox.control.table.entries import GROUPS, READ, get_route
from notifier.sandbox.control.table.openapi import describe_routes
from notifier.sandbox.control.table.operation_routes import call_fault_routes, fault_routes, time_routes
from notifier.sandbox.control.table.tenant_routes import app_routes, hook_route, payout_routes
from notifier.sandbox.control.table.world_routes import document_routes, editing_routes
from notifier.sandbox.control.world_api import WorldApi
from notifier.sandbox.error_codes import JsonObject
from notifier.sandbox.sandbox import Sandbox
from notifier.sandbox.world.world import World


def list_routes(sandbox: Sandbox, world: World) -> list[ControlRoute]:
    """All routes, bound to one app of a world, in the order of the description."""
    control = ControlApi(sandbox)
    routes = [
        *reading_routes(ReadingApi(sandbox), control, sandbox),
        *event_routes(control),
        *people_routes(PeopleApi(sandbox), control),
        *message_routes(PeopleApi(sandbox)),
        *chat_routes(PeopleApi(sandbox)),
        *document_routes(WorldApi(sandbox, world)),
        *editing_routes(WorldApi(sandbox, world)),
        hook_route(control),
        *app_routes(control),
        *fault_routes(control),
        *call_fault_routes(control),
        *time_routes(control, SnapshotApi(world)),
        *payout_routes(control),
    ]

    def describe(_request: web.Request, _body: JsonObject) -> JsonObject:
        return describe_routes(routes, s.SCHEMAS, GROUPS)

    summary = "This description, in the form of OpenAPI 3.1."
    routes.append(get_route(READ, "/openapi.json", describe, summary, s.OBJECT))
    return routes

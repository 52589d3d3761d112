"""The sections of the description, and short forms of its routes."""

from typing import Any

from notifier.sandbox.control.routes import ControlHandler, ControlRoute, Schema
from notifier.sandbox.control.table import schemas as s

READ, EVENTS, CARDS, WORLD, APP, FAULTS, TIME, PAYOUTS = (
    "Read and wait",
    "Events",
    "People and cards",
    "People, groups and accounts",
    "App",
    "Faults and connections",
    "Clock, reset and snapshots",
    "Payouts",
)
"""The sections of the description, in its order."""
GROUPS = (READ, EVENTS, CARDS, WORLD, APP, FAULTS, TIME, PAYOUTS)
LIN = "ou_sandbox_lin"


def get_route(
    group: str,
    path: str,
    handle: ControlHandler,
    summary: str,
    answer: Schema,
    **more: Any,  # noqa: ANN401 - fields of ControlRoute
) -> ControlRoute:
    """A route without a body."""
    return ControlRoute(
        method="GET", path=path, handle=handle, group=group, summary=summary, answer=answer, **more
    )


def delete_route(group: str, path: str, handle: ControlHandler, summary: str, answer: Schema) -> ControlRoute:
    """A route that removes something."""
    return ControlRoute(
        method="DELETE", path=path, handle=handle, group=group, summary=summary, answer=answer
    )


def post_route(
    group: str,
    path: str,
    handle: ControlHandler,
    summary: str,
    answer: Schema,
    *,
    body: Schema | None = None,
    example: dict[str, Any] | None = None,
) -> ControlRoute:
    """body: None for a route that needs no members."""
    return ControlRoute(
        method="POST",
        path=path,
        handle=handle,
        group=group,
        summary=summary,
        answer=answer,
        body=s.struct({}) if body is None else body,
        example={} if example is None else example,
    )

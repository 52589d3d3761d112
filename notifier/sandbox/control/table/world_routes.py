"""Routes of the editable world: the whole document, and each kind of thing in it."""

from notifier.sandbox.control.routes import ControlRoute, Schema
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.entries import WORLD, get_route
from notifier.sandbox.control.world_api import WorldApi
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus

_NAMES = {"name": s.text(minLength=1), "en_name": s.text()}
_PERSON = {
    **_NAMES,
    "email": s.text(),
    "mobile": s.text("With country code."),
    "user_id": s.text(),
    "departments": s.items(s.text(), "Their ids."),
    "status": s.choice([status.value for status in PersonStatus]),
    "resigned_code": s.whole("Error code of a resigned person.", enum=[230029, 230013]),
}
_DEPARTMENT = {**_NAMES, "parent": s.text("Its id; 0 for the company."), "leader": s.text("An open_id.")}
_GROUP = {
    **_NAMES,
    "members": s.items(s.text(), "open_ids."),
    "has_bot": s.flag("The bot of the app is a member."),
    "muted": s.flag("The bot may not send."),
    "dissolved": s.flag(),
}
_ACCOUNT = {
    "status": s.whole("1 usable, 2 deactivated.", enum=[USABLE, DEACTIVATED]),
    "points": s.whole(),
    "cash": s.mapping(s.text(), "Amount by currency."),
}
_APP = {
    "name": s.text(minLength=1),
    "app_secret": s.text(minLength=1),
    "menu": s.items(s.struct({"key": s.text(minLength=1), **_NAMES}, optional="en_name"), "Of its bot."),
}
_PERSON_ANSWER = s.struct({"person": s.ref("Person"), "account": {"type": ["object", "null"]}})
_APP_ANSWER = s.struct({name: s.text() for name in ("app_id", "app_secret", "name", "tenant_key")})
_WORLD_FILE = {**s.OBJECT, "description": "A world, as in docs/world.example.yaml."}


def document_routes(world: WorldApi) -> list[ControlRoute]:
    """The whole world."""
    yaml = s.text("A world file.")
    return [
        get_route(WORLD, "/world", world.read, "The whole world, with the secrets of its apps.", _WORLD_FILE),
        get_route(
            WORLD,
            "/world.yaml",
            world.export,
            "The whole world as a world file.",
            yaml,
            content_type="application/yaml",
        ),
        ControlRoute(
            method="PUT",
            path="/world",
            handle=world.replace,
            group=WORLD,
            summary="Replaces the world, by JSON or by a world file with `Content-Type: application/yaml`.",
            answer=_WORLD_FILE,
            body=_WORLD_FILE,
            example={"tenants": [{"key": "sandbox-tenant", "apps": [{"app_id": "cli_5a4db0c05a4db0c0"}]}]},
            reads_body=True,
        ),
    ]


def editing_routes(world: WorldApi) -> list[ControlRoute]:
    """People, departments, groups, accounts and apps."""
    lin = "ou_sandbox_lin"
    return [
        *_routes_of(
            world,
            ("person", "people", "a person, with an account unless `account` is false"),
            {"id": s.text("From which the ids are made."), "account": s.flag(), **_PERSON},
            _PERSON,
            _PERSON_ANSWER,
            ({"name": "新人（示例）", "en_name": "New person (sample)"}, {"status": "resigned"}),
        ),
        *_routes_of(
            world,
            ("department", "departments", "a department"),
            {"id": s.text(), **_DEPARTMENT},
            _DEPARTMENT,
            s.OBJECT,
            ({"id": "sales", "name": "销售部（示例）"}, {"name": "市场部（示例）"}),
        ),
        *_routes_of(
            world,
            ("group", "groups", "a group"),
            {"chat_id": s.text(), **_GROUP},
            _GROUP,
            s.OBJECT,
            ({"name": "新群（示例）", "members": [lin]}, {"muted": True}),
        ),
        *_routes_of(
            world,
            ("account", "accounts", "a referral account, without an event"),
            {"account_id": s.text(), "open_id": s.text(), **_ACCOUNT},
            _ACCOUNT,
            s.ref("Account"),
            ({"open_id": lin, "points": 5}, {"status": DEACTIVATED}),
            required="open_id",
        ),
        *_routes_of(
            world,
            ("app", "apps", "an app"),
            {"app_id": s.text(), "tenant_key": s.text(), "console": s.OBJECT, **_APP},
            _APP,
            _APP_ANSWER,
            ({"name": "Second bot (sample)"}, {"name": "Other bot (sample)"}),
            required="",
        ),
    ]


def _routes_of(
    world: WorldApi,
    names: tuple[str, str, str],
    new: Schema,
    changes: Schema,
    answer: Schema,
    examples: tuple[dict[str, object], dict[str, object]],
    *,
    required: str = "name",
) -> list[ControlRoute]:
    """names: as in the methods of WorldEditor, in the path, and for a reader."""
    kind, path, shown = names
    one = f"/{path}/{{id}}"
    optional = " ".join(name for name in new if name != required)

    def route(method: str, where: str, summary: str, **more: object) -> ControlRoute:
        return ControlRoute(method=method, path=where, group=WORLD, summary=summary, **more)  # type: ignore[arg-type]

    return [
        route(
            "POST",
            f"/{path}",
            f"Adds {shown}.",
            handle=world.create(kind),
            answer=answer,
            body=s.struct(new, optional=optional),
            example=examples[0],
        ),
        route(
            "PATCH",
            one,
            f"Changes {shown.split(',')[0]}.",
            handle=world.change(kind),
            answer=answer,
            body=s.changes(changes),
            example=examples[1],
        ),
        route(
            "DELETE",
            one,
            f"Deletes {shown.split(',')[0]}.",
            handle=world.delete(kind),
            answer=s.struct({"deleted": s.text()}),
        ),
    ]

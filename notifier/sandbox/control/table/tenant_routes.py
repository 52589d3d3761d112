"""Routes that change the app, custom bots and payouts."""

from notifier.sandbox.app_console import MODES
from notifier.sandbox.control.page_api import ControlApi
from notifier.sandbox.control.routes import ControlRoute
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.entries import APP, PAYOUTS, WORLD, post_route
from notifier.sandbox.payroll import REPORT_STATUSES

_CONSOLE = s.open_struct(
    {
        "draft": s.OBJECT,
        "event_types": s.items(s.text(), "All that the sandbox can push."),
        "is_published": s.flag(),
        "has_unpublished_changes": s.flag(),
    }
)


def hook_route(control: ControlApi) -> ControlRoute:
    """Custom bots of groups."""
    return post_route(
        WORLD,
        "/groups/{chat_id}/hooks",
        control.add_hook,
        "Adds a custom bot to a group. The answer has its webhook address.",
        s.struct(
            {
                **{name: s.text() for name in ("url", "token", "chat_id", "name")},
                "secret": s.text("For the signature; empty without one."),
                "keywords": s.items(s.text(), "A message needs one of them."),
            }
        ),
        body=s.changes({"name": s.text(), "keywords": s.items(s.text()), "is_signed": s.flag()}),
        example={"name": "Alerts (sample)"},
    )


def app_routes(control: ControlApi) -> list[ControlRoute]:
    """Scopes, console, tokens and webhook of the app."""
    names = s.items(s.text())
    mode = s.choice(MODES, "Empty: not chosen.")
    settings = {
        **dict.fromkeys(("scopes", "events", "callbacks"), names),
        **dict.fromkeys(("bot", "availability", "contact_range"), s.flag()),
        **dict.fromkeys(("event_mode", "callback_mode"), mode),
    }
    return [
        post_route(
            APP,
            "/scopes",
            control.set_scopes,
            "Replaces the permission scopes and publishes them.",
            s.struct({"granted": names}),
            body=s.struct({"granted": names}),
            example={"granted": ["im:message:send_as_bot"]},
        ),
        post_route(
            APP,
            "/console",
            control.change_console,
            "Changes settings in the developer console. They are in force after `/console/publish`.",
            _CONSOLE,
            body=s.changes(settings),
            example={"bot": True},
        ),
        post_route(APP, "/console/publish", control.publish, "Publishes a version of the app.", _CONSOLE),
        post_route(
            APP,
            "/tokens/expire",
            control.expire_tokens,
            "Expires all access tokens.",
            s.struct({"expired": s.flag()}),
        ),
        post_route(
            APP,
            "/webhook",
            control.set_webhook,
            "Sends events and callbacks to this URL, after Feishu's check of the URL. Empty: the long connection.",
            s.struct({"url": s.text()}),
            body=s.struct({"url": s.text("http on loopback.")}),
            example={"url": ""},
        ),
        post_route(
            APP,
            "/digest",
            control.send_digest,
            "Runs the command of the page's button *Send digest*.",
            s.struct({"output": s.text()}),
        ),
    ]


def payout_routes(control: ControlApi) -> list[ControlRoute]:
    """The simulated payroll system."""
    return [
        post_route(
            PAYOUTS,
            "/payouts/report-url",
            control.set_report_url,
            "Sets where the simulated payroll system sends its reports. Empty: nowhere.",
            s.struct({"url": s.text()}),
            body=s.struct({"url": s.text("http on loopback.")}),
            example={"url": ""},
        ),
        post_route(
            PAYOUTS,
            "/payouts/{order_id}/report",
            control.report_payout,
            "Sets a payout to paid or failed and reports it to the app.",
            s.OBJECT,
            body=s.struct(
                {"status": s.choice(REPORT_STATUSES), "reference": s.text(), "reason": s.text()},
                optional="reference reason",
            ),
            example={"status": "paid", "reference": "P-1"},
        ),
    ]

"""Routes that change people, groups, accounts, the app and payouts."""

from notifier.sandbox.app_console import MODES
from notifier.sandbox.control.page_api import ControlApi
from notifier.sandbox.control.routes import ControlRoute
from notifier.sandbox.control.table import schemas as s
from notifier.sandbox.control.table.entries import APP, PAYOUTS, WORLD, post_route
from notifier.sandbox.payroll import REPORT_STATUSES
from notifier.sandbox.tenant import DEACTIVATED, USABLE, PersonStatus


def world_routes(control: ControlApi) -> list[ControlRoute]:
    """People, groups and accounts."""
    switches = {"has_bot": s.flag(), "muted": s.flag("The bot may not send."), "dissolved": s.flag()}
    statuses = s.choice([status.value for status in PersonStatus])
    codes = s.whole("Error code of a resigned person.", enum=[230029, 230013])
    usable = s.whole("1 usable, 2 deactivated.", enum=[USABLE, DEACTIVATED])
    return [
        post_route(
            WORLD,
            "/people",
            control.create_person,
            "Adds a person with an account.",
            s.struct({"person": s.ref("Person"), "account": s.ref("Account")}),
            body=s.struct({"name": s.text(minLength=1), "en_name": s.text()}, optional="en_name"),
            example={"name": "新人（示例）", "en_name": "New person (sample)"},
        ),
        post_route(
            WORLD,
            "/people/{open_id}",
            control.set_person,
            "Sets whether the bot can reach a person.",
            s.ref("Person"),
            body=s.struct({"status": statuses, "resigned_code": codes}, optional="resigned_code"),
            example={"status": "resigned"},
        ),
        post_route(
            WORLD,
            "/groups/{chat_id}",
            control.set_group,
            "Changes a group.",
            s.struct({"chat_id": s.text(), **switches}),
            body={**s.changes(switches), "minProperties": 1},
            example={"muted": True},
        ),
        post_route(
            WORLD,
            "/accounts/{account_id}",
            control.set_account,
            "Deactivates a referral account, or makes it usable again.",
            s.ref("Account"),
            body=s.struct({"status": usable}),
            example={"status": DEACTIVATED},
        ),
    ]


def app_routes(control: ControlApi) -> list[ControlRoute]:
    """Scopes, console, tokens and webhook of the app."""
    names = s.items(s.text())
    mode = s.choice(MODES, "Empty: not chosen.")
    settings = {
        **dict.fromkeys(("scopes", "events", "callbacks"), names),
        **dict.fromkeys(("bot", "availability", "contact_range"), s.flag()),
        **dict.fromkeys(("event_mode", "callback_mode"), mode),
    }
    console = s.open_struct(
        {"draft": s.OBJECT, "is_published": s.flag(), "has_unpublished_changes": s.flag()}
    )
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
            console,
            body=s.changes(settings),
            example={"bot": True},
        ),
        post_route(APP, "/console/publish", control.publish, "Publishes a version of the app.", console),
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

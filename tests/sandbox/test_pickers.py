"""The page draws the components with which a reader picks, and sends their values as Feishu does."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import LongConnectionClient, card, listening, send, upload_form
from support.browser import open_page

pytestmark = pytest.mark.browser

OP: dict[str, Any] = {"behaviors": [{"type": "callback", "value": {"op": "pick"}}]}


def plain(content: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": content}


def options(*values: str) -> list[dict[str, Any]]:
    return [{"text": plain(value.upper()), "value": value} for value in values]


PICKERS: list[dict[str, Any]] = [
    {"tag": "date_picker", "name": "day", "placeholder": plain("Day")},
    {"tag": "picker_time", "name": "time", "placeholder": plain("Time")},
    {"tag": "picker_datetime", "name": "moment", "placeholder": plain("Moment")},
    {"tag": "select_person", "name": "person", "placeholder": plain("Person")},
    {
        "tag": "multi_select_person",
        "name": "people",
        "placeholder": plain("People"),
        "options": [{"value": "ou_sandbox_lin"}, {"value": "ou_sandbox_chen"}],
    },
    {
        "tag": "multi_select_static",
        "name": "several",
        "placeholder": plain("Several"),
        "options": options("a", "b", "c"),
        "selected_values": ["b"],
    },
    {"tag": "checker", "name": "tick", "text": plain("Read it")},
    {"tag": "overflow", "name": "menu", "options": options("first", "second")},
]


def pressed(client: LongConnectionClient) -> dict[str, Any]:
    """The action of the next click, which is answered with nothing."""
    frame, event = client.event()
    client.acknowledge(frame)
    action: dict[str, Any] = event["event"]["action"]
    return action


def shown_card(page: Page) -> Any:
    page.get_by_test_id("identity-select").select_option("ou_sandbox_lin")
    return page.locator(".card").last


def test_what_is_picked_is_sent_at_once_outside_a_form(feishu_box: FeishuBox) -> None:
    with (
        listening(feishu_box) as client,
        open_page(f"{feishu_box.url}/#/chats/oc_sandbox_hr", height=1600) as page,
    ):
        send(feishu_box, card(*[{**picker, **OP} for picker in PICKERS]), to="oc_sandbox_hr")
        shown = shown_card(page)
        expect(shown.locator("[data-unsupported]")).to_have_count(0)

        shown.locator("[data-field=day]").fill("2026-01-31")
        first = pressed(client)
        assert {"tag": "date_picker", "name": "day", "value": {"op": "pick"}}.items() <= first.items()
        assert ("2026-01-31 +0800", "Asia/Shanghai") == (first["option"], first["timezone"])
        shown.locator("[data-field=time]").fill("09:30")
        assert "09:30 +0800" == pressed(client)["option"]
        shown.locator("[data-field=moment]").fill("2026-01-31T09:30")
        assert "2026-01-31 09:30 +0800" == pressed(client)["option"]
        shown.locator("[data-field=person]").select_option("ou_sandbox_chen")
        assert "ou_sandbox_chen" == pressed(client)["option"]

        people = shown.locator("[data-field=people]")
        people.get_by_role("checkbox").first.check()
        people.get_by_role("button").click()
        assert ["ou_sandbox_lin"] == pressed(client)["options"]
        several = shown.locator("[data-field=several]")
        several.get_by_role("checkbox").last.check()
        several.get_by_role("button").click()
        assert ["b", "c"] == pressed(client)["options"]

        shown.locator("[data-field=tick]").check()
        assert (True, "checker") == ((last := pressed(client))["checked"], last["tag"])
        shown.locator(".c-menu summary").click()
        shown.get_by_role("button", name="SECOND").click()
        assert ("second", "overflow") == ((last := pressed(client))["option"], last["tag"])


def test_in_a_form_all_values_are_sent_together(feishu_box: FeishuBox) -> None:
    submit = {"tag": "button", "name": "go", "text": plain("Go"), "form_action_type": "submit"}
    image = _uploaded(feishu_box)
    pictures: dict[str, Any] = {
        "tag": "select_img",
        "name": "pictures",
        "placeholder": plain("Pictures"),
        "options": [{"img_key": image, "value": "one"}, {"img_key": image, "value": "two"}],
    }
    fields = [picker for picker in PICKERS if picker["tag"] != "overflow"]
    combination = {
        "tag": "img_combination",
        "combination_mode": "double",
        "img_list": [{"img_key": image}] * 2,
    }
    with (
        listening(feishu_box) as client,
        open_page(f"{feishu_box.url}/#/chats/oc_sandbox_hr", height=1600) as page,
    ):
        assert (
            0
            == send(
                feishu_box,
                card(combination, {"tag": "form", "name": "f", "elements": [*fields, pictures, submit]}),
                to="oc_sandbox_hr",
            ).code
        )
        shown = shown_card(page)
        expect(shown.locator("[data-unsupported]")).to_have_count(0)
        expect(shown.locator(".c-images .c-img-box")).to_have_count(2)
        shown.locator("[data-field=day]").fill("2026-01-31")
        shown.locator("[data-field=pictures]").get_by_role("radio").last.check()
        shown.locator("[data-field=tick]").check()
        shown.get_by_role("button", name="Go").click()

        assert {
            "day": "2026-01-31 +0800",
            "time": "",
            "moment": "",
            "person": "",
            "people": [],
            "several": ["b"],
            "tick": True,
            "pictures": "two",
        } == pressed(client)["form_value"]


def _uploaded(box: FeishuBox) -> str:
    parts = [("image_type", b"message", ""), ("image", b"GIF89a", "")]
    return str(upload_form(box, "images", parts).data["image_key"])

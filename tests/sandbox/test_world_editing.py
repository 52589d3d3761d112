"""The world is edited through the sandbox's own API, with a clear error for what is not possible."""

from collections.abc import Iterator

import pytest

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import Reply, api, call, send

LIN, GROUP, ACCOUNT = "ou_sandbox_lin", "oc_sandbox_hr", "7000000000000000001"


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox() as started:
        yield started


def edit(box: FeishuBox, method: str, path: str, body: object = None) -> Reply:
    return call(box, method, f"/api{path}", body)


def listed(box: FeishuBox, kind: str, key: str, value: str) -> list[dict[str, object]]:
    return [one for one in box.state()[kind] if one[key] == value]


def test_a_person_is_created_changed_and_deleted(box: FeishuBox) -> None:
    made = edit(box, "POST", "/people", {"id": "wu", "name": "吴（示例）", "departments": ["hr"]})
    assert 200 == made.status, made.text
    open_id = made.content["person"]["open_id"]
    assert ("ou_sandbox_wu", 0) == (open_id, made.content["account"]["points"])
    edit(box, "PATCH", f"/groups/{GROUP}", {"members": [LIN, open_id]})
    changed = edit(
        box, "PATCH", f"/people/{open_id}", {"name": "吴二", "email": "wu@x.example", "status": "blocked"}
    )
    assert ("吴二", "wu@x.example", "blocked") == tuple(
        changed.content["person"][name] for name in ("name", "email", "status")
    )
    assert 230035 == send(box, "x", to=open_id).code
    found = api(box, "POST", "/contact/v3/users/batch_get_id", {"emails": ["wu@x.example"]})
    assert open_id == found.data["user_list"][0]["user_id"]

    assert {"deleted": open_id} == edit(box, "DELETE", f"/people/{open_id}").content
    assert 99992351 == send(box, "x", to=open_id).code
    assert [LIN] == listed(box, "groups", "chat_id", GROUP)[0]["members"]
    assert made.content["account"]["account_id"] not in {one["account_id"] for one in box.accounts()}


def test_departments_are_a_tree_with_people_and_a_leader(box: FeishuBox) -> None:
    edit(box, "POST", "/departments", {"id": "up", "name": "上级", "leader": LIN})
    made = edit(box, "POST", "/departments", {"id": "below", "name": "下级", "parent": "up"})
    assert {"id": "below", "name": "下级", "en_name": "", "parent": "up", "leader": ""} == made.content
    edit(box, "PATCH", f"/people/{LIN}", {"departments": ["below", "up"]})

    assert "is not empty: lin, below" in edit(box, "DELETE", "/departments/up").content["error"]
    looped = edit(box, "PATCH", "/departments/up", {"parent": "below"})
    assert (400, True) == (looped.status, "contains itself" in looped.content["error"])
    edit(box, "PATCH", f"/people/{LIN}", {"departments": []})
    assert (
        200
        == edit(box, "DELETE", "/departments/below").status
        == edit(box, "DELETE", "/departments/up").status
    )
    assert ["hr", "hr_recruiting", "rd"] == [one["id"] for one in box.state()["departments"]]


def test_a_group_is_created_with_the_bot_changed_and_deleted(box: FeishuBox) -> None:
    made = edit(box, "POST", "/groups", {"name": "项目群", "members": [LIN]})
    chat_id = made.content["chat_id"]
    assert 0 == send(box, "x", to=chat_id).code
    edit(box, "PATCH", f"/groups/{chat_id}", {"name": "新名", "muted": True})
    assert ("新名", True) == tuple(
        listed(box, "groups", "chat_id", chat_id)[0][one] for one in ("name", "muted")
    )
    assert 230018 == send(box, "x", to=chat_id).code
    edit(box, "DELETE", f"/groups/{chat_id}")
    assert 99992356 == send(box, "x", to=chat_id).code
    assert [] == box.messages(chat_id)


def test_an_account_is_created_changed_and_deleted(box: FeishuBox) -> None:
    zhou = "ou_sandbox_zhou"
    edit(box, "DELETE", "/accounts/7000000000000000004")
    made = edit(box, "POST", "/accounts", {"open_id": zhou, "points": 3, "cash": {"CNY": "1.50"}})
    account_id = made.content["account_id"]
    assert (3, [{"currency": "CNY", "amount": "1.50"}]) == (made.content["points"], made.content["cash"])
    assert 2 == edit(box, "PATCH", f"/accounts/{account_id}", {"status": 2}).content["status"]
    edit(box, "PATCH", f"/accounts/{account_id}", {"status": 1})
    (event_id,) = box.change_balance(account_id, points=1)
    assert event_id


def test_a_negative_balance_is_a_balance(box: FeishuBox) -> None:
    """A press of the page can cause it, and it must not keep the world from being edited and exported."""
    try:
        edit(box, "PATCH", f"/accounts/{ACCOUNT}", {"points": -50})

        assert -50 == box.account(ACCOUNT)["points"]
        assert 200 == edit(box, "PATCH", f"/groups/{GROUP}", {"muted": False}).status
        assert 200 == edit(box, "GET", "/world").status
    finally:
        edit(box, "PATCH", f"/accounts/{ACCOUNT}", {"points": 120})


def test_the_menu_of_a_bot_is_that_of_its_app(box: FeishuBox) -> None:
    app_id = box.app_id
    try:
        edit(box, "PATCH", f"/apps/{app_id}", {"menu": [{"key": "order", "name": "订单"}]})

        assert [{"event_key": "order", "name": "订单", "en_name": ""}] == box.state()["menu"]
        assert ["application.bot.menu_v6"] == [
            box.event(one)["event_type"]
            for one in call(box, "POST", "/api/menu", {"open_id": LIN, "event_key": "order"}).content[
                "event_ids"
            ]
        ]
    finally:
        edit(box, "PATCH", f"/apps/{app_id}", {"menu": None})


def test_what_a_fault_hides_is_in_the_export(box: FeishuBox) -> None:
    fault_id = box.start_fault("setup:nobody_registered")
    try:
        world = edit(box, "GET", "/world").content

        assert 4 == len(world["tenants"][0]["apps"][0]["accounts"])
        edit(box, "PATCH", f"/groups/{GROUP}", {"muted": False})
        assert [] == box.state()["accounts"], "an edit does not end the fault"
    finally:
        box.end_fault(fault_id)
    assert 4 == len(box.state()["accounts"])


def test_an_app_is_created_changed_and_deleted(box: FeishuBox) -> None:
    made = edit(box, "POST", "/apps", {"name": "Other bot"}).content
    other = box.for_app(made["app_id"])
    assert made["app_secret"] == other.app_secret != box.app_secret
    assert "Other bot" == api(other, "GET", "/bot/v3/info").content["bot"]["app_name"]
    edit(box, "PATCH", f"/apps/{made['app_id']}", {"app_secret": "another-secret"})
    assert "another-secret" == other.app_secret
    assert 0 == api(other, "GET", "/bot/v3/info").code
    person = edit(box, "POST", f"/people?app={made['app_id']}", {"name": "对方应用的人"}).content["person"]
    assert other.state()["people"][-1]["open_id"] == person["open_id"] != box.state()["people"][-1]["open_id"]
    assert 200 == edit(box, "DELETE", f"/apps/{made['app_id']}").status
    assert 404 == edit(box, "GET", f"/state?app={made['app_id']}").status


@pytest.mark.parametrize(
    "method, path, body, status, sentence",
    [
        ("POST", "/people", {}, 400, "'name' is required"),
        (
            "POST",
            "/people",
            {"name": "x", "age": 3},
            400,
            "there is no member 'age'; allowed: id, account, name",
        ),
        ("POST", "/people", {"id": "lin", "name": "x"}, 400, "'lin' is there twice"),
        ("PATCH", "/people/ou_x", {"name": "x"}, 404, "there is no person 'ou_x' for this app"),
        ("PATCH", f"/people/{LIN}", {"status": "gone"}, 400, "status must be one of: active, resigned"),
        ("PATCH", f"/people/{LIN}", {"email": "x"}, 400, "email must be an e-mail address, not 'x'"),
        (
            "PATCH",
            f"/people/{LIN}",
            {"departments": ["x"]},
            400,
            "there is no 'x' in this tenant; allowed: hr, hr_recruiting, rd",
        ),
        ("DELETE", "/people/ou_x", None, 404, "there is no person"),
        ("POST", "/groups", {"name": "x", "members": ["ou_x"]}, 404, "there is no person 'ou_x'"),
        ("POST", "/groups", {"name": "x", "chat_id": "x"}, 400, "a text that starts with oc_"),
        ("PATCH", f"/groups/{GROUP}", {"muted": "no"}, 400, "muted must be true or false"),
        ("DELETE", "/groups/oc_x", None, 404, "there is no 'oc_x'"),
        ("POST", "/accounts", {"open_id": LIN, "cash": {"XXX": "1"}}, 400, "currency 'XXX' is not one"),
        ("PATCH", f"/accounts/{ACCOUNT}", {"points": 1.5}, 400, "points must be a whole number"),
        ("POST", "/apps", {"app_id": "x"}, 400, "cli_ and 16 hex digits"),
        ("DELETE", "/apps/cli_5a4db0c05a4db0c0", None, 400, "the first app cannot be deleted"),
        ("DELETE", "/apps/cli_x", None, 404, "there is no app 'cli_x'"),
        ("PUT", "/world", {"tenants": []}, 400, "tenants must be at least one entry"),
        ("PUT", "/world", [], 400, "the world: it must be keys with values"),
        ("PATCH", f"/people/{LIN}", b"{", 400, "not valid JSON"),
        ("PATCH", f"/people/{LIN}", b"[]", 400, "the body must be a JSON object"),
    ],
)
def test_a_change_that_is_not_possible_changes_nothing(
    box: FeishuBox, method: str, path: str, body: object, status: int, sentence: str
) -> None:
    before = edit(box, "GET", "/world").content
    refused = edit(box, method, path, body)

    assert (status, True) == (refused.status, sentence in refused.content["error"]), refused.text
    assert before == edit(box, "GET", "/world").content

"""Contact and chat calls."""

from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api


def test_people_are_found_by_address_and_number_and_strangers_come_back_without_id(
    feishu_box: FeishuBox,
) -> None:
    body = {"emails": ["lin@sandbox.example", "nobody@sandbox.example"], "mobiles": ["13800000002"]}
    reply = api(feishu_box, "POST", "/contact/v3/users/batch_get_id?user_id_type=open_id", body)

    expected = [
        {"email": "lin@sandbox.example", "user_id": "ou_sandbox_lin"},
        {"email": "nobody@sandbox.example"},
        {"mobile": "13800000002", "user_id": "ou_sandbox_chen"},
    ]
    assert expected == reply.data["user_list"]


def test_people_who_left_are_found_only_when_asked_for(feishu_box: FeishuBox) -> None:
    feishu_box.set_person("ou_sandbox_lin", status="resigned")
    path, body = "/contact/v3/users/batch_get_id", {"emails": ["lin@sandbox.example"]}

    assert "user_id" not in api(feishu_box, "POST", path, body).data["user_list"][0]
    found = api(feishu_box, "POST", path, {**body, "include_resigned": True}).data["user_list"][0]
    assert "ou_sandbox_lin" == found["user_id"]


def test_a_search_has_50_entries_at_most_and_they_are_texts(feishu_box: FeishuBox) -> None:
    path = "/contact/v3/users/batch_get_id"

    assert 99992402 == api(feishu_box, "POST", path, {"emails": ["x"] * 51}).code
    assert 9499 == api(feishu_box, "POST", path, {"emails": [1]}).code


def test_a_persons_fields_depend_on_scopes(feishu_box: FeishuBox) -> None:
    path = "/contact/v3/users/ou_sandbox_lin?user_id_type=open_id"
    user = api(feishu_box, "GET", path).data["user"]
    assert ("林小满（示例）", "lin@sandbox.example") == (user["name"], user["email"])

    feishu_box.set_scopes(["contact:contact.base:readonly"])
    assert {"open_id", "union_id", "status"} == set(api(feishu_box, "GET", path).data["user"])


def test_a_person_outside_the_contact_range_is_hidden(feishu_box: FeishuBox) -> None:
    feishu_box.set_person("ou_sandbox_lin", status="out_of_range")

    assert 41050 == api(feishu_box, "GET", "/contact/v3/users/ou_sandbox_lin").code
    assert 99992351 == api(feishu_box, "GET", "/contact/v3/users/ou_nobody").code


def test_the_bots_groups_come_in_pages_and_without_p2p_chats(feishu_box: FeishuBox) -> None:
    first = api(feishu_box, "GET", "/im/v1/chats?page_size=1").data
    second = api(feishu_box, "GET", f"/im/v1/chats?page_size=1&page_token={first['page_token']}").data

    assert (True, False) == (first["has_more"], second["has_more"])
    ids = [page["items"][0]["chat_id"] for page in (first, second)]
    assert ["oc_sandbox_hr", "oc_sandbox_fallback"] == ids


def test_the_bot_can_ask_whether_it_is_in_a_group(feishu_box: FeishuBox) -> None:
    path = "/im/v1/chats/oc_sandbox_hr/members/is_in_chat"
    assert api(feishu_box, "GET", path).data["is_in_chat"] is True

    feishu_box.set_group("oc_sandbox_hr", has_bot=False)
    assert api(feishu_box, "GET", path).data["is_in_chat"] is False
    assert 99992356 == api(feishu_box, "GET", "/im/v1/chats/oc_x/members/is_in_chat").code

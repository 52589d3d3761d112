"""The calls about groups and their members, made with the official SDK."""

from collections.abc import Iterator
from typing import Any

import pytest

from notifier.sandbox.settings import DEFAULT_SCOPES
from sandbox.clients import api
from sandbox.sdk_client import SdkClient, sdk_client

HR, LIN, CHEN, ZHOU = "oc_sandbox_hr", "ou_sandbox_lin", "ou_sandbox_chen", "ou_sandbox_zhou"


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkClient]:
    with sdk_client() as client:
        yield client


def create(sdk: SdkClient, body: dict[str, Any] | None = None, **query: Any) -> Any:
    return sdk.data("im.v1.chat.create", body={"name": "Project (sample)"} | (body or {}), **query)


def test_a_group_is_created_read_changed_found_and_dissolved(sdk: SdkClient) -> None:
    made = create(sdk, {"user_id_list": [CHEN], "owner_id": LIN, "description": "a sample"})
    assert (LIN, "open_id", "group") == (made.owner_id, made.owner_id_type, made.chat_mode)

    sdk.data(
        "im.v1.chat.update", chat_id=made.chat_id, body={"name": "Renamed", "edit_permission": "only_owner"}
    )
    found = sdk.data("im.v1.chat.get", chat_id=made.chat_id, user_id_type="user_id")
    shown = (found.name, found.description, found.owner_id, found.user_count, found.edit_permission)
    assert ("Renamed", "a sample", "sandbox_lin", "2", "only_owner") == shown

    listed = [one.chat_id for one in sdk.data("im.v1.chat.list", page_size=100).items]
    assert {HR, made.chat_id} <= set(listed)
    assert [made.chat_id] == [one.chat_id for one in sdk.data("im.v1.chat.search", query="renam").items]
    assert sdk.data("im.v1.chat.search", query="").items == []

    link = sdk.data("im.v1.chat.link", chat_id=made.chat_id, body={"validity_period": "permanently"})
    assert (True, "") == (link.is_permanent, link.expire_time)
    assert link.share_link.startswith("https://applink.feishu.cn/client/chat/chatter/add_by_link?link_token=")

    sdk.data("im.v1.chat.delete", chat_id=made.chat_id)
    assert "dissolved" == sdk.data("im.v1.chat.get", chat_id=made.chat_id).chat_status
    assert 232009 == sdk.code("im.v1.chat.delete", chat_id=made.chat_id)


def test_a_repeated_uuid_returns_the_first_group_for_ten_hours(sdk: SdkClient) -> None:
    first = create(sdk, uuid="u-1").chat_id

    assert first == create(sdk, uuid="u-1").chat_id
    assert first != create(sdk, {"owner_id": LIN}, uuid="u-1").chat_id
    sdk.box.advance(10 * 3600)
    assert first != create(sdk, uuid="u-1").chat_id


@pytest.mark.parametrize(
    "body, code",
    [
        ({"user_id_list": ["ou_nobody"]}, 232043),
        ({"user_id_list": [ZHOU]}, 232022),
        ({"user_id_list": [LIN] * 51}, 99992402),
        ({"owner_id": "ou_nobody"}, 232030),
        ({"bot_id_list": ["cli_other"]}, 232021),
        ({"chat_type": "public", "name": "x"}, 232020),
        ({"chat_type": "public", "name": ""}, 232042),
        ({"chat_type": "open"}, 232001),
        ({"avatar": "img_unknown"}, 232041),
    ],
)
def test_a_group_that_feishu_refuses_is_not_created(sdk: SdkClient, body: dict[str, Any], code: int) -> None:
    sdk.box.set_person(ZHOU, status="resigned")

    assert code == sdk.code("im.v1.chat.create", body={"name": "x", **body})


def test_a_member_may_change_little_and_dissolve_nothing(sdk: SdkClient) -> None:
    """The sample groups belong to a person: the bot is a member like others."""
    fallback = "oc_sandbox_fallback"

    assert 0 == sdk.code("im.v1.chat.update", chat_id=fallback, body={"description": "changed"})
    assert 232016 == sdk.code("im.v1.chat.update", chat_id=fallback, body={"edit_permission": "only_owner"})
    assert 232017 == sdk.code("im.v1.chat.delete", chat_id=fallback)
    assert 232014 == sdk.code("im.v1.chat_members.delete", chat_id=fallback, body={"id_list": [CHEN]})


def test_the_app_manages_its_own_group_only_with_the_scope_of_the_owner(sdk: SdkClient) -> None:
    chat_id = create(sdk, {"owner_id": LIN, "edit_permission": "only_owner"}).chat_id
    sdk.box.set_scopes(DEFAULT_SCOPES - {"im:chat:operate_as_owner"})
    refused = sdk.code("im.v1.chat.update", chat_id=chat_id, body={"name": "x"})
    sdk.box.set_scopes(DEFAULT_SCOPES)

    assert 232002 == refused
    assert 232012 == sdk.code("im.v1.chat.update", chat_id=chat_id, body={"owner_id": CHEN})
    assert 232035 == sdk.code("im.v1.chat.update", chat_id=chat_id, body={"owner_id": "ou_nobody"})


def test_members_come_and_go(sdk: SdkClient) -> None:
    sdk.box.set_person(ZHOU, status="resigned")
    chat_id = create(sdk, {"owner_id": LIN}).chat_id
    ids = {"id_list": ["sandbox_chen", "sandbox_zhou", "nobody"]}

    def add(succeed_type: int) -> Any:
        return sdk.ask(
            "im.v1.chat_members.create",
            chat_id=chat_id,
            body=ids,
            member_id_type="user_id",
            succeed_type=succeed_type,
        )

    assert [232043, 232043] == [add(0).code, add(2).code]
    added = add(1).data
    assert (["sandbox_zhou"], ["nobody"]) == (added.invalid_id_list, added.not_existed_id_list)
    assert sdk.data("im.v1.chat_members.is_in_chat", chat_id=chat_id).is_in_chat

    page = sdk.data("im.v1.chat_members.get", chat_id=chat_id, page_size=1)
    assert ([LIN], True, 2) == ([one.member_id for one in page.items], page.has_more, page.member_total)
    rest = sdk.data("im.v1.chat_members.get", chat_id=chat_id, page_size=1, page_token=page.page_token)
    assert ([CHEN], False) == ([one.member_id for one in rest.items], rest.has_more)

    def remove(open_id: str) -> int:
        return sdk.code("im.v1.chat_members.delete", chat_id=chat_id, body={"id_list": [open_id]})

    assert [232076, 0, 232027] == [remove(LIN), remove(CHEN), remove(CHEN)]
    bot = {"id_list": [sdk.box.app_id]}
    sdk.data("im.v1.chat_members.delete", chat_id=chat_id, member_id_type="app_id", body=bot)
    assert 232011 == sdk.code("im.v1.chat_members.create", chat_id=chat_id, body={"id_list": [CHEN]})


def test_a_path_with_a_slash_at_its_end_is_the_same_call(sdk: SdkClient) -> None:
    assert 0 == api(sdk.box, "GET", f"/im/v1/chats/{HR}/").code
    assert [] == api(sdk.box, "GET", "/im/v1/chats/search/?query=").data["items"]


def test_an_unknown_group_and_a_direct_chat(sdk: SdkClient) -> None:
    assert 232006 == sdk.code("im.v1.chat.get", chat_id="oc_unknown")
    assert "p2p" == sdk.data("im.v1.chat.get", chat_id="oc_sandbox_p2p_lin").chat_mode

"""Wire of withdrawals: clicks never raise and never guess; balances and bookings are exact or refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.account import Referrer
from notifier.domain.event import CARD_CLICKED, Click
from notifier.domain.money import POINTS
from notifier.feishu.wire import read_event
from notifier.feishu.withdrawal_wire import read_account, read_click, read_withdrawn
from support.builders import CNY, USD

CLICKED = Click(
    key="cb-1",
    button_ref="abc",
    open_id="ou_1",
    operator_tenant="tk",
    tenant_key="tk",
    app_id="cli_x",
    message_id="om_1",
    chat_id="oc_1",
)
PLACES = {
    "button_ref": ("event", "action", "value", "ref"),
    "open_id": ("event", "operator", "open_id"),
    "operator_tenant": ("event", "operator", "tenant_key"),
    "tenant_key": ("header", "tenant_key"),
    "app_id": ("header", "app_id"),
    "message_id": ("event", "context", "open_message_id"),
    "chat_id": ("event", "context", "open_chat_id"),
}
"""Where each part of a click stands in the payload."""

ASSETS = {
    "confirmed_bonus": {"point_bonus": 120, "cash_bonus": [{"currency_type": "CNY", "amount": "350.5"}]}
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def payload(*place: str, value: object = ...) -> bytes:
    """The callback of Feishu's page with another value in one place; ... leaves that out."""
    document: dict[str, Any] = {
        "schema": "2.0",
        "header": {
            "event_id": "cb-1",
            "event_type": CARD_CLICKED,
            "create_time": "1700000000000000",
            "token": "",
            "app_id": "cli_x",
            "tenant_key": "tk",
        },
        "event": {
            "operator": {"open_id": "ou_1", "union_id": "on_1", "tenant_key": "tk"},
            "token": "c-1",
            "action": {"tag": "button", "value": {"op": "withdraw", "ref": "abc"}},
            "host": "im_message",
            "context": {"open_message_id": "om_1", "open_chat_id": "oc_1"},
        },
    }
    if place:
        *parents, last = place
        parent = document
        for name in parents:
            parent = parent[name]
        parent.pop(last)
        if value is not ...:
            parent[last] = value
    return json.dumps(document).encode()


def click_in(raw: bytes) -> Click:
    return read_click(read_event(raw, app_id="cli_ours"))


def changed(**parts: str) -> dict[str, Any]:
    return {name: getattr(CLICKED, name) for name in Click.__slots__} | parts


def test_a_click_is_read_as_the_page_shows_it() -> None:
    assert CLICKED == click_in(payload())


@pytest.mark.parametrize(
    "value", ["abc", '{"ref": "abc"}', ["abc"], [{"ref": "abc"}], 7, None, True, {}, ...]
)
def test_a_value_that_is_no_object_with_a_ref_refers_to_nothing(value: object) -> None:
    assert Click(**changed(button_ref="")) == click_in(payload("event", "action", "value", value=value))


@pytest.mark.parametrize("value", [..., None, "", 7, 1.5, True, ["x"], {"x": "x"}, "x" * 129])
@pytest.mark.parametrize("part, place", PLACES.items())
def test_a_part_that_is_missing_or_of_the_wrong_form_is_empty(
    part: str, place: tuple[str, ...], value: object
) -> None:
    assert Click(**changed(**{part: ""})) == click_in(payload(*place, value=value))


@pytest.mark.parametrize("value", [..., None, "ou_1", 7, ["ou_1"]])
@pytest.mark.parametrize(
    "empty, place",
    [
        (("open_id", "operator_tenant"), ("event", "operator")),
        (("message_id", "chat_id"), ("event", "context")),
        (("button_ref",), ("event", "action")),
        (("button_ref", "open_id", "operator_tenant", "message_id", "chat_id"), ("event",)),
    ],
)
def test_a_whole_that_is_missing_or_no_object_leaves_its_parts_empty(
    empty: tuple[str, ...], place: tuple[str, ...], value: object
) -> None:
    assert Click(**changed(**dict.fromkeys(empty, ""))) == click_in(payload(*place, value=value))


def test_an_app_that_the_payload_does_not_name_is_not_taken_for_ours() -> None:
    assert "" == click_in(payload("header", "app_id")).app_id


@pytest.mark.parametrize("part, place", PLACES.items())
def test_the_longest_that_is_taken_is_taken_whole(part: str, place: tuple[str, ...]) -> None:
    longest = "x" * (64 if part == "button_ref" else 128)

    assert longest == getattr(click_in(payload(*place, value=longest)), part)
    assert "" == getattr(click_in(payload(*place, value=f"{longest}x")), part)


@pytest.mark.parametrize("part, place", PLACES.items())
def test_what_cannot_be_stored_is_replaced(part: str, place: tuple[str, ...]) -> None:
    assert "a?b?" == getattr(click_in(payload(*place, value="a\ud800b\0")), part)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"{", b"[]", b"null", b"7", b'{"event": []}', b'{"event": ' + b"[" * 100_000]
)
def test_a_payload_that_is_no_callback_is_nobodys_click(raw: bytes) -> None:
    click = click_in(raw)

    assert click.key.startswith("sha256:")
    assert {""} == {getattr(click, part) for part in PLACES}


@given(
    place=st.sampled_from([*PLACES.values(), ("header",), ("event",), ("event", "operator")]), value=ANY_JSON
)
def test_no_shape_makes_a_click_raise(place: tuple[str, ...], value: object) -> None:
    click = click_in(payload(*place, value=value))

    for part in Click.__slots__:
        assert isinstance(getattr(click, part), dict if part == "form" else str)


def test_an_account_is_its_balance_its_status_and_its_owner() -> None:
    referrer = {"id": "ou_1", "name": {"zh_cn": "林", "en_us": "Lin"}}
    state = read_account({"account_id": "7", "assets": ASSETS, "status": 1, "referrer": referrer})

    assert {POINTS: Decimal(120), CNY: Decimal("350.5")} == state.amounts
    assert state.is_active
    assert Referrer(open_id="ou_1", name_zh="林", name_en="Lin") == state.referrer


@pytest.mark.parametrize("status", [None, 0, 2, 3, "1", True, 1.0, Decimal(1), [1], {}])
def test_an_account_is_usable_only_if_feishu_says_so_in_as_many_words(status: object) -> None:
    assert not read_account({"assets": ASSETS, "status": status}).is_active
    assert not read_account({"assets": ASSETS}).is_active


@pytest.mark.parametrize(
    "path, account",
    [
        ("account is missing", None),
        ("account is ", []),
        ("account.assets is missing", {"status": 1}),
        ("account.assets.confirmed_bonus is missing", {"assets": {}}),
        ("point_bonus", {"assets": {"confirmed_bonus": {"point_bonus": "many"}}}),
    ],
)
def test_a_balance_that_cannot_be_read_is_named(path: str, account: object) -> None:
    with pytest.raises(ValueError, match=path):
        read_account(account)


def test_a_booking_is_its_order_its_time_and_what_was_taken() -> None:
    cash = [{"currency_type": "USD", "amount": Decimal("80.10")}, {"currency_type": "CNY", "amount": 0}]
    withdrawn = read_withdrawn(
        {
            "external_order_id": "order-1",
            "trans_time": "1700000000000",
            "withdrawal_details": {"point_bonus": 0, "cash_bonus": cash},
        }
    )

    assert ("order-1", 1_700_000_000_000) == (withdrawn.order_id, withdrawn.at)
    assert {USD: Decimal("80.1")} == withdrawn.amounts


@pytest.mark.parametrize("details", [{}, {"withdrawal_details": None}, {"withdrawal_details": {}}])
def test_a_booking_without_details_took_nothing(details: dict[str, object]) -> None:
    withdrawn = read_withdrawn(details)

    assert ("", None, {}) == (withdrawn.order_id, withdrawn.at, withdrawn.amounts)


@pytest.mark.parametrize("trans_time", [None, "", "soon", "-1", "0", 0, True, 1.5, [], "1" * 17])
def test_a_time_that_cannot_be_read_does_not_hide_what_was_taken(trans_time: object) -> None:
    withdrawn = read_withdrawn({"trans_time": trans_time, "withdrawal_details": {"point_bonus": 3}})

    assert (None, {POINTS: Decimal(3)}) == (withdrawn.at, withdrawn.amounts)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"withdrawal_details": []},
        {"withdrawal_details": "3"},
        {"withdrawal_details": {"point_bonus": True}},
        {"withdrawal_details": {"cash_bonus": "80"}},
        {"withdrawal_details": {"cash_bonus": [{"amount": 80}]}},
        {"external_order_id": 7},
        {"external_order_id": ["order-1"]},
    ],
)
def test_a_booking_that_cannot_be_read_is_not_nothing(data: object) -> None:
    with pytest.raises(ValueError, match="is "):
        read_withdrawn(data)

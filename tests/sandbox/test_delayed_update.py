"""Cards that change after a click, and cards that one person sees."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from notifier.sandbox.push.clicks import BadClickError
from notifier.sandbox.settings import SandboxSettings
from notifier.sandbox.testing import FeishuBox
from sandbox.clients import api, card, listening, send

HR, LIN, CHEN, VALUE = "oc_sandbox_hr", "ou_sandbox_lin", "ou_sandbox_chen", {"op": "x"}
OLD_CARD = {"config": {"update_multi": False}, "elements": [{"tag": "hr"}]}


@pytest.fixture(scope="module")
def box() -> Iterator[FeishuBox]:
    with FeishuBox(SandboxSettings(clock=lambda: 1_700_000_000.0)) as found:  # only the tests move it
        yield found


def update(box: FeishuBox, token: object, new: object) -> int:
    return int(api(box, "POST", "/interactive/v1/card/update", {"token": token, "card": new}).code)


def clicked(box: FeishuBox, shown: object, *, meanwhile: object = None) -> tuple[str, str, int | None]:
    """A click on a new card in the HR group: its token, the message, and the code of an update before the answer."""
    box.advance(1)  # a group gets five messages a second
    message_id = send(box, shown, to=HR).data["message_id"]
    with listening(box) as listener, ThreadPoolExecutor(1) as pool:
        future = pool.submit(box.click, message_id, LIN, VALUE)
        frame, question = listener.event()
        token = question["event"]["token"]
        early = None if meanwhile is None else update(box, token, meanwhile)
        listener.acknowledge(frame)
        assert 0 == future.result()["code"]
    return token, message_id, early


def shown(box: FeishuBox, message_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in box.messages(HR) if one["message_id"] == message_id)
    return found


def test_the_token_of_a_click_updates_its_card_twice_and_only_after_the_answer(box: FeishuBox) -> None:
    first, second = card({"tag": "hr"}), card({"tag": "hr"}, {"tag": "hr"})
    token, message_id, early = clicked(box, card(), meanwhile=first)

    assert 11310 == early
    assert [11311, 0, 0, 300040] == [
        update(box, token, new) for new in (card({"tag": "note"}), first, second, first)
    ]
    assert second == shown(box, message_id)["content"]


def test_a_token_is_valid_for_half_an_hour(box: FeishuBox) -> None:
    token, message_id, _ = clicked(box, card())
    box.advance(30 * 60 + 1)

    assert 300030 == update(box, token, card({"tag": "hr"}))
    assert card() == shown(box, message_id)["content"]


@pytest.mark.parametrize(
    "new, code",
    [
        (None, 10002),
        ({"elements": [], "config": {"update_multi": True}}, 11311),
        (card({"tag": "markdown", "content": "x" * 31_000}), 11311),
        (card({"tag": "markdown", "content": "x" * 103_000}), 100000),
    ],
)
def test_a_wrong_card_is_refused(box: FeishuBox, new: object, code: int) -> None:
    token = clicked(box, card())[0]

    assert code == update(box, token, new)


@pytest.mark.parametrize("token", [None, 5, "x", "c-unknown"])
def test_an_unknown_token_is_refused(box: FeishuBox, token: object) -> None:
    assert 300020 == update(box, token, card())


def test_an_exclusive_card_changes_for_those_who_are_named(box: FeishuBox) -> None:
    token, message_id, _ = clicked(box, OLD_CARD)
    new = {**OLD_CARD, "elements": [{"tag": "hr"}, {"tag": "hr"}]}

    assert [300090, 300090] == [update(box, token, new), update(box, token, {**new, "open_ids": []})]
    assert 200320 == update(box, token, {**new, "open_ids": [LIN, "ou_nobody"]})
    assert 0 == update(box, token, {**new, "open_ids": [LIN]})
    found = shown(box, message_id)
    assert (OLD_CARD, {LIN: new}) == (found["content"], found["personal_cards"])


def ephemeral(box: FeishuBox, **changes: object) -> Any:
    body = {"chat_id": HR, "open_id": LIN, "msg_type": "interactive", "card": card(), **changes}
    return api(box, "POST", "/ephemeral/v1/send", body)


def test_a_card_for_one_person_is_seen_clicked_and_deleted_by_that_person(box: FeishuBox) -> None:
    message_id = ephemeral(box, user_id="sandbox_chen").data["message_id"]

    assert LIN == shown(box, message_id)["visible_to"]
    with pytest.raises(BadClickError, match="does not see"):
        box.click(message_id, CHEN, VALUE)
    patch = {"content": json.dumps(card())}
    assert 230001 == api(box, "PATCH", f"/im/v1/messages/{message_id}", patch).code
    delete = [api(box, "POST", "/ephemeral/v1/delete", {"message_id": message_id}).code for _ in range(2)]
    assert [0, 18051] == delete
    assert not [one for one in box.messages(HR) if one["message_id"] == message_id]


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"open_id": "ou_nobody"}, 99992351),
        ({"open_id": None}, 99992402),
        ({"chat_id": "oc_unknown"}, 99992356),
        ({"chat_id": "oc_sandbox_p2p_lin"}, 99992356),
        ({"msg_type": "text"}, 230001),
        ({"card": "text"}, 99992402),
        ({"card": card({"tag": "note"})}, 230099),
    ],
)
def test_a_card_for_one_person_that_feishu_refuses(
    box: FeishuBox, changes: dict[str, object], code: int
) -> None:
    assert code == ephemeral(box, **changes).code


def test_only_cards_for_one_person_are_deleted_this_way(box: FeishuBox) -> None:
    message_id = send(box, "hello", to=HR).data["message_id"]

    assert 230001 == api(box, "POST", "/ephemeral/v1/delete", {"message_id": message_id}).code
    assert 99992354 == api(box, "POST", "/ephemeral/v1/delete", {"message_id": "om_unknown"}).code

"""Card entities (CardKit), made with the official SDK: what they show, their order, and their streaming mode."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.clients import card, listening
from sandbox.sdk_client import SdkClient, sdk_client

LIN = "ou_sandbox_lin"
TEXT = {"tag": "markdown", "element_id": "text_1", "content": "old"}
DIV = {
    "tag": "div",
    "element_id": "div_1",
    "text": {"tag": "plain_text", "element_id": "plain_1", "content": "old"},
}


@pytest.fixture(scope="module")
def sdk() -> Iterator[SdkClient]:
    with sdk_client(clock=lambda: 1_700_000_000.0) as client:  # only the tests move it
        yield client


class Entity:
    """One card entity that is shown in a message, with the next sequence number."""

    def __init__(self, sdk: SdkClient, *, streaming: bool = False, is_sent: bool = True) -> None:
        self.sdk = sdk
        sdk.box.advance(1)  # one person gets five messages a second
        whole = card(TEXT, DIV, config={"update_multi": True, "streaming_mode": streaming})
        body = {"type": "card_json", "data": json.dumps(whole)}
        self.card_id = sdk.data("cardkit.v1.card.create", body=body).card_id
        self.sequence = 0
        self.message_id = self.send().data.message_id if is_sent else ""

    def send(self) -> Any:
        content = json.dumps({"type": "card", "data": {"card_id": self.card_id}})
        body = {"receive_id": LIN, "msg_type": "interactive", "content": content}
        return self.sdk.ask("im.v1.message.create", receive_id_type="open_id", body=body)

    def do(self, name: str, body: dict[str, Any] | None = None, **path: Any) -> int:
        """The code of one operation, with a growing sequence number."""
        self.sequence += 1
        full = {"sequence": self.sequence, **(body or {})}
        return self.sdk.code(f"cardkit.v1.{name}", card_id=self.card_id, body=full, **path)

    def stream(self, content: str, element_id: str = "text_1") -> int:
        return self.do("card_element.content", {"content": content}, element_id=element_id)

    @property
    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = next(
            one["content"] for one in self.sdk.box.messages(LIN) if one["message_id"] == self.message_id
        )
        return found

    @property
    def ids(self) -> list[str]:
        return [one["element_id"] for one in self.shown["body"]["elements"]]


def test_each_operation_shows_in_the_message_at_once(sdk: SdkClient) -> None:
    entity = Entity(sdk)
    added = {
        "type": "insert_before",
        "target_element_id": "div_1",
        "elements": json.dumps([{"tag": "hr", "element_id": "hr_1"}]),
    }
    assert 0 == entity.do("card_element.create", added)
    assert ["text_1", "hr_1", "div_1"] == entity.ids
    changes = {"partial_element": json.dumps({"content": "new"})}
    assert 0 == entity.do("card_element.patch", changes, element_id="text_1")
    assert "new" == entity.shown["body"]["elements"][0]["content"]
    whole = {"element": json.dumps({"tag": "markdown", "content": "instead"})}
    assert 0 == entity.do("card_element.update", whole, element_id="hr_1")
    assert {"element_id": "hr_1", "tag": "markdown", "content": "instead"} == entity.shown["body"][
        "elements"
    ][1]
    assert 0 == entity.do("card_element.delete", element_id="hr_1")
    assert ["text_1", "div_1"] == entity.ids
    settings = {
        "settings": json.dumps(
            {"config": {"enable_forward": False}, "card_link": {"url": "https://example.com"}}
        )
    }
    assert 0 == entity.do("card.settings", settings)
    assert {"update_multi": True, "streaming_mode": False, "enable_forward": False} == entity.shown["config"]
    data = json.dumps(card({"tag": "hr", "element_id": "only"}, config={"wide_screen_mode": True}))
    assert 0 == entity.do("card.update", {"card": {"type": "card_json", "data": data}})
    assert ["only"] == entity.ids


def test_a_batch_does_all_or_nothing(sdk: SdkClient) -> None:
    entity = Entity(sdk)
    actions: list[dict[str, Any]] = [
        {"action": "partial_update_setting", "params": {"settings": {"config": {"streaming_mode": True}}}},
        {
            "action": "add_elements",
            "params": {"type": "append", "elements": [{"tag": "hr", "element_id": "hr_1"}]},
        },
        {
            "action": "partial_update_element",
            "params": {"element_id": "text_1", "partial_element": {"content": "a"}},
        },
        {
            "action": "update_element",
            "params": {"element_id": "hr_1", "element": TEXT | {"element_id": "text_2"}},
        },
        {"action": "delete_elements", "params": {"element_ids": ["div_1"]}},
    ]
    unknown = {"action": "delete_elements", "params": {"element_ids": ["nothing"]}}

    assert 300314 == entity.do("card.batch_update", {"actions": json.dumps([*actions, unknown])})
    assert (["text_1", "div_1"], False) == (entity.ids, entity.shown["config"]["streaming_mode"])
    assert 0 == entity.do("card.batch_update", {"actions": json.dumps(actions)})
    assert (["text_1", "text_2"], True) == (entity.ids, entity.shown["config"]["streaming_mode"])
    assert 10002 == entity.do("card.batch_update", {"actions": json.dumps([{"action": "x", "params": {}}])})


def test_text_streams_only_in_streaming_mode_which_ends_after_ten_minutes(sdk: SdkClient) -> None:
    entity = Entity(sdk)
    on = {"settings": json.dumps({"config": {"streaming_mode": True}})}

    assert 300309 == entity.stream("x")
    assert [0, 0, 0] == [
        entity.do("card.settings", on),
        entity.stream("Hello"),
        entity.stream("there", "plain_1"),
    ]
    text, div = entity.shown["body"]["elements"]
    assert ("Hello", "there") == (text["content"], div["text"]["content"])
    assert [300310, 300313] == [entity.stream("x", "div_1"), entity.stream("x", "nothing")]
    sdk.box.advance(601)
    assert [200850, 300309] == [entity.stream("x"), entity.stream("x")]
    assert not entity.shown["config"]["streaming_mode"]
    assert [0, 0] == [entity.do("card.settings", on), entity.stream("again")]


def test_sequence_numbers_grow_and_a_repeated_uuid_has_no_effect(sdk: SdkClient) -> None:
    entity = Entity(sdk, streaming=True)

    def stream(sequence: Any, content: str = "x", **more: Any) -> int:
        return entity.do(
            "card_element.content", {"content": content, "sequence": sequence, **more}, element_id="text_1"
        )

    assert [300317, 0, 300317, 300317, 0] == [stream(one) for one in (0, 5, 5, 4, 9)]
    assert [300317, 9499, 99992402] == [stream(2**31), stream("10"), stream(None)]
    assert [0, 0, 200770] == [stream(10, "y", uuid="u"), stream(10, "y", uuid="u"), stream(11, "z", uuid="u")]
    assert "y" == entity.shown["body"]["elements"][0]["content"]
    assert 0 == stream(11), "a refused operation uses no number"


def test_one_card_takes_ten_operations_a_second_and_more_while_it_streams(sdk: SdkClient) -> None:
    slow, fast = Entity(sdk), Entity(sdk, streaming=True)
    change = {"partial_element": json.dumps({"content": "x"})}

    codes = [slow.do("card_element.patch", change, element_id="text_1") for _ in range(12)]
    assert [0] * 10 + [230020] * 2 == codes
    assert {0} == {fast.stream(str(number)) for number in range(20)}


def test_an_entity_is_sent_once_and_lives_for_14_days(sdk: SdkClient) -> None:
    entity = Entity(sdk)
    again = entity.send()
    assert (230099, True) == (again.code, "already sent" in again.msg)
    unsent = Entity(sdk, is_sent=False)
    sdk.box.advance(14 * 86400 + 1)

    assert [200750, 230099] == [entity.stream("x"), unsent.send().code]
    entity.card_id = "7000"
    assert [200740, 230099] == [entity.stream("x"), entity.send().code]


def test_an_ordinary_card_becomes_an_entity(sdk: SdkClient) -> None:
    body = {"receive_id": LIN, "msg_type": "interactive", "content": json.dumps(card(TEXT, DIV))}
    message_id = sdk.data("im.v1.message.create", receive_id_type="open_id", body=body).message_id
    entity = Entity(sdk)
    entity.card_id = sdk.data("cardkit.v1.card.id_convert", body={"message_id": message_id}).card_id
    entity.message_id = message_id

    assert entity.card_id == sdk.data("cardkit.v1.card.id_convert", body={"message_id": message_id}).card_id
    assert 0 == entity.do("card_element.delete", element_id="text_1")
    assert ["div_1"] == entity.ids
    body |= {"msg_type": "text", "content": json.dumps({"text": "x"})}
    text_id = sdk.data("im.v1.message.create", receive_id_type="open_id", body=body).message_id
    assert 10002 == sdk.code("cardkit.v1.card.id_convert", body={"message_id": text_id})


def test_while_a_click_waits_the_card_is_locked(sdk: SdkClient) -> None:
    entity = Entity(sdk, streaming=True)
    with listening(sdk.box) as listener, ThreadPoolExecutor(1) as pool:
        clicked = pool.submit(sdk.box.click, entity.message_id, LIN, {"op": "x"})
        frame, _ = listener.event()
        assert 200810 == entity.stream("x")
        listener.acknowledge(frame)
        assert 0 == clicked.result()["code"]
    assert 0 == entity.stream("x")


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda whole: {key: value for key, value in whole.items() if key != name}


@pytest.mark.parametrize(
    "data, code",
    [
        ("{}", 300307),
        ("not json", 200220),
        (json.dumps(without("schema")(card())), 300303),
        (json.dumps(card({"tag": "note"})), 200220),
        (json.dumps(card(TEXT, TEXT)), 300301),
        (json.dumps(card(config={"update_multi": False})), 300302),
        (json.dumps(card(*[{"tag": "hr"}] * 201)), 300305),
        (json.dumps(card({"tag": "markdown", "content": "x" * 31_000})), 200860),
    ],
)
def test_a_card_that_feishu_refuses_becomes_no_entity(sdk: SdkClient, data: str, code: int) -> None:
    assert code == sdk.code("cardkit.v1.card.create", body={"type": "card_json", "data": data})


@pytest.mark.parametrize(
    "name, body, path, code",
    [
        ("card_element.create", {"type": "append", "elements": '[{"tag": "note"}]'}, {}, 300315),
        (
            "card_element.create",
            {"type": "insert_after", "target_element_id": "no", "elements": '[{"tag": "hr"}]'},
            {},
            300315,
        ),
        ("card_element.create", {"type": "beside", "elements": '[{"tag": "hr"}]'}, {}, 10002),
        ("card_element.create", {"type": "append", "elements": json.dumps([TEXT])}, {}, 300301),
        ("card_element.patch", {"partial_element": '{"tag": "hr"}'}, {"element_id": "text_1"}, 300312),
        ("card_element.patch", {"partial_element": '{"content": 5}'}, {"element_id": "text_1"}, 300313),
        ("card_element.patch", {"partial_element": "{}"}, {"element_id": "no"}, 300313),
        ("card_element.update", {"element": '{"tag": "note"}'}, {"element_id": "text_1"}, 300121),
        ("card_element.update", {"element": '{"tag": "hr"}'}, {"element_id": "no"}, 300121),
        ("card_element.delete", {}, {"element_id": "no"}, 300314),
        ("card.settings", {"settings": '{"body": {}}'}, {}, 300122),
        ("card.settings", {"settings": '{"config": {"colour": 1}}'}, {}, 300122),
        ("card.update", {"card": {"type": "card_json", "data": "{}"}}, {}, 300307),
    ],
)
def test_a_wrong_operation_changes_nothing(
    sdk: SdkClient, name: str, body: dict[str, Any], path: dict[str, str], code: int
) -> None:
    entity = Entity(sdk)
    before = entity.shown

    assert (code, before) == (entity.do(name, body, **path), entity.shown)

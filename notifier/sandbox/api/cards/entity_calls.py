"""CardKit: the calls that create and change card entities, with the rules of their sequence numbers."""

import copy
import json
from collections.abc import Callable
from typing import Any

from notifier.sandbox.api.card_entities import CardEntity, card_text, is_streaming
from notifier.sandbox.api.cards.batch import apply_actions, merge_settings, parse_list, parse_object
from notifier.sandbox.api.cards.element_tree import (
    NOT_ADDED,
    NOT_CHANGED,
    NOT_DELETED,
    NOT_REPLACED,
    add_elements,
    change_element,
    delete_element,
    replace_element,
    set_text,
)
from notifier.sandbox.api.content import CARD_BYTES
from notifier.sandbox.api.gateway import Api, Call
from notifier.sandbox.api.messages import MessageApi, known_person_ids
from notifier.sandbox.api.quota import MESSAGES, Limit, Quota
from notifier.sandbox.cards.rules import CardRefusedError, check_card
from notifier.sandbox.error_codes import (
    JsonObject,
    RefusedError,
    bad_field,
    optional_text,
    text_field,
    wrong_type,
)
from notifier.sandbox.tenant import Tenant

BASE = "/open-apis/cardkit/v1/cards"
WRITE_SCOPES, READ_SCOPES = ("cardkit:card:write",), ("cardkit:card:read",)
PER_CARD = (Limit(10, 1),)
STREAMING_SECONDS = 600
MAX_SEQUENCE, UUID_CHARS, CONTENT_CHARS = 2**31 - 1, 64, 100_000
NOT_RENDERED, NOT_CONFIGURED = 200220, 300122
CODES = {300301: 300301, 300302: 300302}
"""Codes of the card check that CardKit answers with. Others become the code of the operation."""


class CardKitApi:
    """The calls of card entities. A change shows in the message at once."""

    def __init__(self, tenant: Tenant, quota: Quota, messages: MessageApi) -> None:
        self._tenant = tenant
        self._quota = quota
        self._messages = messages
        self._entities = messages.entities

    def apis(self) -> list[Api]:
        """All calls of this class."""
        one = BASE + "/{card_id}"
        element = one + "/elements/{element_id}"
        write: Any = {"limits": MESSAGES, "scopes": WRITE_SCOPES}
        template = "the content of a template is not known"
        convert = BASE + "/id_convert"
        return [
            Api(method="POST", path=BASE, answer=self.create, notes=template, **write),
            Api(method="POST", path=convert, answer=self.convert, limits=MESSAGES, scopes=READ_SCOPES),
            Api(method="PUT", path=one, answer=self.update, **write),
            Api(method="PATCH", path=one + "/settings", answer=self.change_settings, **write),
            Api(method="POST", path=one + "/batch_update", answer=self.batch_update, **write),
            Api(method="POST", path=one + "/elements", answer=self.add, **write),
            Api(method="PUT", path=element, answer=self.replace, **write),
            Api(method="PATCH", path=element, answer=self.change, **write),
            Api(method="DELETE", path=element, answer=self.delete, **write),
            Api(method="PUT", path=element + "/content", answer=self.stream, **write),
        ]

    def create(self, call: Call) -> JsonObject:
        """Creates an entity from card JSON 2.0 or a template."""
        kind, data = text_field(call.body, "type"), text_field(call.body, "data")
        if kind not in ("card_json", "template"):
            raise RefusedError(10002, "type must be card_json or template")
        card = parse_object(data, code=NOT_RENDERED)
        if kind == "template":
            if not isinstance(card.get("template_id"), str) or not card["template_id"]:
                raise RefusedError(NOT_RENDERED, "template_id is required")
            card = {"type": "template", "data": card}
        else:
            card = self._read_card(card)
        return {"card_id": self._entities.create(card).card_id}

    def convert(self, call: Call) -> JsonObject:
        """The card_id of a card that was sent as a message."""
        message_id = text_field(call.body, "message_id")
        message = self._tenant.messages.get(message_id)
        if message is None or message.msg_type != "interactive" or message.hook_token:
            raise RefusedError(10002, f"{message_id!r} is not a card of this app")
        known = self._entities.find_by_message(message_id)
        entity = known or self._entities.create(message.content, message_id=message_id)
        return {"card_id": entity.card_id}

    def update(self, call: Call) -> JsonObject:
        """Replaces the whole card."""
        given = call.body.get("card")
        if not isinstance(given, dict):
            raise bad_field("card", "card is required") if given is None else wrong_type("card", given)
        if text_field(given, "type") != "card_json":
            raise RefusedError(10002, "card.type must be card_json")
        new = self._read_card(parse_object(text_field(given, "data"), code=NOT_RENDERED))

        def replace(card: JsonObject) -> None:
            card.clear()
            card.update(new)

        return self._operate(call, replace, code=NOT_RENDERED)

    def change_settings(self, call: Call) -> JsonObject:
        """Changes `config` and `card_link`, such as the streaming mode."""
        settings = parse_object(text_field(call.body, "settings"), code=NOT_CONFIGURED)
        return self._operate(call, lambda card: merge_settings(card, settings), code=NOT_CONFIGURED)

    def batch_update(self, call: Call) -> JsonObject:
        """Does several changes; all of them or none."""
        actions = parse_list(text_field(call.body, "actions"), code=10002)
        return self._operate(call, lambda card: apply_actions(card, actions), code=NOT_RENDERED)

    def add(self, call: Call) -> JsonObject:
        """Adds components."""
        elements = parse_list(text_field(call.body, "elements"), code=NOT_ADDED)
        how, target_id = text_field(call.body, "type"), optional_text(call.body, "target_element_id") or ""
        if how not in ("insert_before", "insert_after", "append"):
            raise RefusedError(10002, "type must be insert_before, insert_after or append")
        return self._operate(
            call, lambda card: add_elements(card, elements, how=how, target_id=target_id), code=NOT_ADDED
        )

    def replace(self, call: Call) -> JsonObject:
        """Replaces a component."""
        element = parse_object(text_field(call.body, "element"), code=NOT_REPLACED)
        element_id = call.path["element_id"]
        return self._operate(call, lambda card: replace_element(card, element_id, element), code=NOT_REPLACED)

    def change(self, call: Call) -> JsonObject:
        """Changes attributes of a component."""
        changes = parse_object(text_field(call.body, "partial_element"), code=NOT_CHANGED)
        element_id = call.path["element_id"]
        return self._operate(call, lambda card: change_element(card, element_id, changes), code=NOT_CHANGED)

    def delete(self, call: Call) -> JsonObject:
        """Removes a component."""
        element_id = call.path["element_id"]
        return self._operate(call, lambda card: delete_element(card, element_id), code=NOT_DELETED)

    def stream(self, call: Call) -> JsonObject:
        """Replaces the text of a component, in streaming mode only."""
        content = text_field(call.body, "content")
        if len(content) > CONTENT_CHARS:
            raise bad_field("content", f"at most {CONTENT_CHARS} characters")
        element_id = call.path["element_id"]

        def change(card: JsonObject) -> None:
            set_text(card, element_id, content)

        return self._operate(call, change, code=NOT_CHANGED, needs_streaming=True)

    def _read_card(self, card: JsonObject) -> JsonObject:
        """A whole card after its checks. CardKit ignores `wide_screen_mode`, which messages refuse."""
        if not card:
            raise RefusedError(300307)
        if card.get("schema") != "2.0":
            raise RefusedError(300303)
        config = card.get("config")
        if isinstance(config, dict):
            config.pop("wide_screen_mode", None)
        self._check(card, code=NOT_RENDERED)
        return card

    def _check(self, card: JsonObject, *, code: int) -> None:
        """Raises RefusedError for a card that Feishu refuses. code: for errors without a code of their own."""
        tenant = self._tenant
        if len(card_text(card).encode()) > CARD_BYTES:
            raise RefusedError(200860)
        try:
            check_card(
                card,
                settings=tenant.settings,
                known_ids=known_person_ids(tenant),
                known_images=tenant.images,
            )
        except CardRefusedError as refused:
            is_too_long = "element exceeds the limit" in refused.err_msg
            found = 300305 if is_too_long else CODES.get(refused.err_code, code)
            detail = f"ErrCode: {refused.err_code}; ErrPath: {refused.err_path}; ErrMsg: {refused.err_msg}"
            raise RefusedError(found, detail) from refused

    def _operate(
        self,
        call: Call,
        change: Callable[[JsonObject], None],
        *,
        code: int,
        needs_streaming: bool = False,
    ) -> JsonObject:
        """One operation on an entity: the rules of its sequence number, the change, the check of the new card."""
        sequence, uuid = call.body.get("sequence"), optional_text(call.body, "uuid") or ""
        if sequence is None:
            raise bad_field("sequence", "sequence is required")
        if isinstance(sequence, bool) or not isinstance(sequence, int):
            raise wrong_type("sequence", sequence)
        if len(uuid) > UUID_CHARS:
            raise bad_field("uuid", f"at most {UUID_CHARS} characters", uuid)
        entity = self._entities.find(call.path["card_id"])
        body = json.dumps([call.path, call.body], sort_keys=True)
        if uuid in entity.uuids:
            if entity.uuids[uuid] == body:
                return {}
            raise RefusedError(200770)
        card = copy.deepcopy(self._entities.card_of(entity))
        self._check_turn(entity, card, sequence)
        if needs_streaming:
            self._check_streaming(entity, card)
        change(card)
        self._check(card, code=code)
        self._apply(entity, card)
        entity.sequence = sequence
        if uuid:
            entity.uuids[uuid] = body
        return {}

    def _check_turn(self, entity: CardEntity, card: JsonObject, sequence: int) -> None:
        """Raises 200810 (a click waits), 230020 (too fast), 300317 (sequence) and 300303 (card JSON 1.0)."""
        message = self._entities.message_of(entity)
        if message is not None and message.has_pending_click:
            raise RefusedError(200810)
        if not is_streaming(card) and self._quota.consume(f"card {entity.card_id}", PER_CARD):
            raise RefusedError(230020, f"ext=more than {PER_CARD[0].calls} in a second for one card")
        if not entity.sequence < sequence <= MAX_SEQUENCE or sequence < 1:
            raise RefusedError(300317)
        if card.get("schema") != "2.0":
            raise RefusedError(300303)

    def _check_streaming(self, entity: CardEntity, card: JsonObject) -> None:
        """Raises 300309 outside streaming mode. It closes after 10 minutes: then the first call gets 200850."""
        if not is_streaming(card):
            raise RefusedError(300309)
        since = entity.streaming_since or 0.0
        if self._tenant.clock.elapsed() - since > STREAMING_SECONDS:
            merge_settings(card, {"config": {"streaming_mode": False}})
            self._apply(entity, card)
            raise RefusedError(200850)

    def _apply(self, entity: CardEntity, card: JsonObject) -> None:
        was_streaming = is_streaming(self._entities.card_of(entity))
        message = self._entities.message_of(entity)
        entity.card = card
        if is_streaming(card) and not was_streaming:
            entity.streaming_since = self._tenant.clock.elapsed()
        if message is not None:
            self._messages.replace_content(message, card, card_text(card))

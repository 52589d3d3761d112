"""The actions of CardKit's batch_update, and the JSON in strings that CardKit's calls take."""

from notifier.sandbox.api.cards.element_tree import (
    add_elements,
    change_element,
    delete_element,
    replace_element,
)
from notifier.sandbox.error_codes import JsonObject, RefusedError, parse_json

BAD_ACTION, NOT_CONFIGURED = 10002, 300122
SETTINGS = ("config", "card_link")


def parse_object(text: object, *, code: int) -> JsonObject:
    """An object, or the object in a JSON string. Raises RefusedError with the code."""
    found = _parse(text, code=code)
    if not isinstance(found, dict):
        raise RefusedError(code, "a JSON object is required")
    return found


def parse_list(text: object, *, code: int) -> list[JsonObject]:
    """A list of objects, or that list in a JSON string. Raises RefusedError with the code."""
    found = _parse(text, code=code)
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise RefusedError(code, "a JSON array of objects is required")
    return found


def _parse(text: object, *, code: int) -> object:
    if not isinstance(text, str):
        return text
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(code, f"not JSON: {error}") from error


def merge_settings(card: JsonObject, settings: JsonObject) -> None:
    """Replaces members of `config` and the whole `card_link`. Raises 300122."""
    if not settings or set(settings) - set(SETTINGS):
        raise RefusedError(NOT_CONFIGURED, "settings can have config and card_link")
    config = card.setdefault("config", {})
    changes = settings.get("config", {})
    if not isinstance(config, dict) or not isinstance(changes, dict):
        raise RefusedError(NOT_CONFIGURED, "config must be an object")
    config.update(changes)
    if "card_link" in settings:
        card["card_link"] = settings["card_link"]


def apply_actions(card: JsonObject, actions: list[JsonObject]) -> None:
    """Does the actions in their order. Raises RefusedError at the first one that fails."""
    for action in actions:
        params = action.get("params")
        if not isinstance(params, dict):
            raise RefusedError(BAD_ACTION, "each action needs params")
        _apply_action(card, str(action.get("action")), params)


def _apply_action(card: JsonObject, name: str, params: JsonObject) -> None:
    element_id = str(params.get("element_id"))
    match name:
        case "partial_update_setting":
            merge_settings(card, parse_object(params.get("settings"), code=BAD_ACTION))
        case "add_elements":
            elements = parse_list(params.get("elements"), code=BAD_ACTION)
            how, target_id = str(params.get("type")), str(params.get("target_element_id") or "")
            if how not in ("insert_before", "insert_after", "append"):
                raise RefusedError(BAD_ACTION, "type must be insert_before, insert_after or append")
            add_elements(card, elements, how=how, target_id=target_id)
        case "delete_elements":
            ids = params.get("element_ids")
            if not isinstance(ids, list) or not ids:
                raise RefusedError(BAD_ACTION, "element_ids must be a list")
            for one in ids:
                delete_element(card, str(one))
        case "partial_update_element":
            change_element(card, element_id, parse_object(params.get("partial_element"), code=BAD_ACTION))
        case "update_element":
            replace_element(card, element_id, parse_object(params.get("element"), code=BAD_ACTION))
        case _:
            raise RefusedError(BAD_ACTION, f"unknown action {name!r}")

"""Finds, adds, changes and removes components of a card by their element_id, with the codes of CardKit."""

from typing import Any, NamedTuple

from notifier.sandbox.error_codes import JsonObject, RefusedError

NOT_REPLACED, ONLY_TEXT, TAG_CHANGED, NOT_CHANGED, NOT_DELETED, NOT_ADDED = (
    300121,
    300310,
    300312,
    300313,
    300314,
    300315,
)
TEXT_TAGS = ("plain_text", "markdown")
CHILDREN = ("elements", "columns")
"""The attributes in which containers keep their components."""


class Place(NamedTuple):
    """Where a component is: `holder[key]`."""

    holder: Any  # the list or object around it
    key: Any  # its index or name there

    @property
    def element(self) -> JsonObject:
        """The component."""
        found: JsonObject = self.holder[self.key]
        return found


def find_place(card: JsonObject, element_id: str) -> Place | None:
    """The place of a component or text, None without one of this id."""
    inside: list[Any] = [card]
    while inside:
        holder = inside.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in pairs:
            if isinstance(value, dict) and value.get("element_id") == element_id:
                return Place(holder, key)
            if isinstance(value, dict | list):
                inside.append(value)
    return None


def add_elements(card: JsonObject, elements: list[JsonObject], *, how: str, target_id: str) -> None:
    """Adds components. how: insert_before, insert_after or append. target_id: "" for the end of the card's body."""
    if not target_id and how == "append":
        _children_of(card.get("body")).extend(elements)
        return
    place = find_place(card, target_id)
    if place is None:
        raise RefusedError(NOT_ADDED, f"there is no element {target_id!r}")
    if how == "append":
        _children_of(place.element).extend(elements)
        return
    if not isinstance(place.holder, list):
        raise RefusedError(NOT_ADDED, f"nothing can be added beside {target_id!r}")
    at = place.key + (how == "insert_after")
    place.holder[at:at] = elements


def replace_element(card: JsonObject, element_id: str, element: JsonObject) -> None:
    """Replaces a component. Without an id of its own the new one keeps the id."""
    place = find_place(card, element_id)
    if place is None:
        raise RefusedError(NOT_REPLACED, f"there is no element {element_id!r}")
    place.holder[place.key] = {"element_id": element_id, **element}


def change_element(card: JsonObject, element_id: str, changes: JsonObject) -> None:
    """Replaces single attributes of a component."""
    place = find_place(card, element_id)
    if place is None:
        raise RefusedError(NOT_CHANGED, f"there is no element {element_id!r}")
    if changes.get("tag", place.element.get("tag")) != place.element.get("tag"):
        raise RefusedError(TAG_CHANGED)
    place.element.update(changes)


def set_text(card: JsonObject, element_id: str, content: str) -> None:
    """Replaces the text of a markdown component or a plain text."""
    place = find_place(card, element_id)
    if place is None:
        raise RefusedError(NOT_CHANGED, f"there is no element {element_id!r}")
    if place.element.get("tag") not in TEXT_TAGS:
        raise RefusedError(ONLY_TEXT)
    place.element["content"] = content


def delete_element(card: JsonObject, element_id: str) -> None:
    """Removes a component."""
    place = find_place(card, element_id)
    if place is None or not isinstance(place.holder, list):
        raise RefusedError(NOT_DELETED, f"there is no element {element_id!r}")
    del place.holder[place.key]


def _children_of(container: object) -> list[JsonObject]:
    """The components of a container. Raises 300315 for anything else."""
    for name in CHILDREN if isinstance(container, dict) else ():
        children = container.get(name) if isinstance(container, dict) else None
        if isinstance(children, list):
            return children
    raise RefusedError(NOT_ADDED, "the target is no container")

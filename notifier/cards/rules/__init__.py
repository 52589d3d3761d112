"""The rules of card JSON 2.0, checked before Feishu sees a card: what is wrong, and what would be right."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from notifier.cards.rules.card import card_shape
from notifier.cards.rules.walk import (
    MAX_NUMBER,
    CardWalk,
    FoundProblem,
    Path,
    format_path,
    iter_objects,
    wrong_type,
)

__all__ = [
    "MAX_BYTES",
    "SAFE_BYTES",
    "CardProblem",
    "card_problems",
    "card_size",
    "document_position",
    "element_count",
    "walk_card",
]

MAX_PROBLEMS = 50
MAX_ELEMENTS = 200
MAX_BYTES = 30_000
"""Of a card as compact UTF-8 JSON. Feishu takes 30 KB and counts style tags of its own as well."""
SAFE_BYTES = 25_000
"""Up to here a card stays below Feishu's limit whatever Feishu adds."""
MAX_DEPTH = 64  # levels of JSON; the deepest card that keeps the nesting rule has fewer than half
STOP = -1

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_NOT_COUNTED = frozenset({"lark_md", "standard_icon", "custom_icon"})
_UNREAD_KEYS = frozenset(
    {"chart_spec", "value", "rows", "streaming_config"}
)  # keys under which a tag is no element


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProblem:
    """One thing that Feishu would refuse, or show otherwise than meant.

    path     where, such as body.elements[2].text.content; "card" for the card as a whole.
    rule     a short name that stays the same, such as unknown-attribute.
    message  one sentence: what is wrong and what would be right. Never repeats a card's longer texts.
    """

    path: str
    rule: str
    message: str


def card_problems(
    card: object, body: str | None = None, /, *, max_bytes: int = MAX_BYTES
) -> list[CardProblem]:
    """Return the errors in a parsed card, in document order, at most 50; empty for a card that Feishu accepts.

    Warnings are not among them: see `notifier.cards.linter`. body: the card as compact JSON, if the caller has it.
    max_bytes: of the card as compact UTF-8 JSON. Never raises: what cannot be JSON is a problem too.
    """
    walk = walk_card(card, body, max_bytes=max_bytes)
    return [_as_problem(problem) for problem in walk.problems[:MAX_PROBLEMS]]


def walk_card(card: object, body: str | None = None, /, *, max_bytes: int = MAX_BYTES) -> CardWalk:
    """Check a parsed card and return the walk, with its problems in document order and its warnings."""
    walk = CardWalk(card)
    if _check_raw(walk, card, left=max_bytes - 1) != STOP:
        _check_size(walk, card, _JSON.encode(card) if body is None else body, max_bytes)
        raw, walk.problems = walk.problems, []
        card_shape(walk, card)
        walk.problems = raw + walk.problems
        walk.is_readable = True
    if len(walk.problems) > 1:
        walk.problems.sort(key=lambda problem: document_position(card, problem.path))
    return walk


def card_size(card: object) -> int:
    """Return the size of a card in bytes, as compact UTF-8 JSON."""
    return len(_JSON.encode(card).encode(errors="surrogatepass"))


def element_count(card: object) -> int:
    """How many elements Feishu counts in a card: components, columns, header tags and plain_text objects."""
    tags = (node.get("tag") for node in iter_objects(card, unread=_UNREAD_KEYS))
    return sum(isinstance(tag, str) and tag not in _NOT_COUNTED for tag in tags)


def _as_problem(problem: FoundProblem) -> CardProblem:
    return CardProblem(path=format_path(problem.path), rule=problem.rule, message=problem.message)


def document_position(card: object, path: Path) -> tuple[int, ...]:
    """A path as positions in the document; what is absent comes after all that is there."""
    place = []
    node = card
    for step in path:
        if isinstance(node, dict):
            keys = list(node)
            place.append(keys.index(step) if step in node else len(keys))
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int):
            place.append(step)
            node = node[step]
    return tuple(place)


def _check_raw(walk: CardWalk, value: object, left: int) -> int:
    """Look at a raw value and all below it for what no JSON text may hold, and for nulls.

    left: how many more values fit below this one, each being at least a byte. Returns what is left after them,
    or STOP after a problem that makes the card unsafe to read further.
    """
    members: Iterable[tuple[str | int, object]]
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return left if _check_raw_leaf(walk, value) else STOP
    if len(walk.path) >= MAX_DEPTH:
        walk.add_problem("nesting-limit", f"A card's JSON may be at most {MAX_DEPTH} levels deep.")
        return STOP
    left -= len(value)
    if left < 0:
        walk.problems.append(
            FoundProblem(path=(), rule="size-limit", message="The card has more values than bytes allowed.")
        )
        return STOP
    if isinstance(value, dict) and not _check_raw_keys(walk, value):
        return STOP
    for key, member in members:
        if isinstance(member, str) and member.isascii():
            continue
        walk.path.append(key)
        left = _check_raw(walk, member, left)
        walk.path.pop()
        if left == STOP:
            break
    return left


def _check_raw_keys(walk: CardWalk, keys: Iterable[object]) -> bool:
    for key in keys:
        if not isinstance(key, str):
            wrong_type(walk, "an object with strings as keys", key)
            return False
        if not key.isascii():
            _check_raw_text(walk, key)
    return True


def _check_raw_leaf(walk: CardWalk, value: object) -> bool:
    """Whether a string, number, flag or null can be written as JSON at all."""
    if isinstance(value, str):
        _check_raw_text(walk, value)
    elif value is None:
        walk.add_problem("null", "Feishu refuses null; leave the attribute out.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            walk.add_problem("wrong-value", "This number is not finite, which JSON cannot say.")
    elif not isinstance(value, int):
        walk.add_problem("wrong-type", f"A {type(value).__name__} is no JSON value.")
        return False
    elif abs(value) >= MAX_NUMBER:
        walk.add_problem("wrong-value", "This number has more than 64 bits; write it as a string.")
        return False
    return True


def _check_raw_text(walk: CardWalk, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        walk.add_problem(
            "wrong-value", "This text holds half a surrogate pair, which cannot be sent as UTF-8."
        )


def _check_size(walk: CardWalk, card: object, body: str, max_bytes: int) -> None:
    size = len(body.encode(errors="surrogatepass"))
    if size > max_bytes:
        walk.add_problem(
            "size-limit", f"The card has {size} bytes as JSON, but may have at most {max_bytes}."
        )
    if body.count('"tag"') <= MAX_ELEMENTS:
        return  # each element has a tag
    count = element_count(card)
    if count > MAX_ELEMENTS:
        walk.add_problem(
            "element-limit", f"The card has {count} elements, but may have at most {MAX_ELEMENTS}."
        )

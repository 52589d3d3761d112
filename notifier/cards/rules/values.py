"""Checks of single values, of which the tables of components are made: lengths, colours, ids, lists."""

import re
from collections.abc import Mapping

from notifier.cards.rules.walk import CardWalk, Check, Shape, describe, wrong_type, wrong_value

_PIXELS = re.compile(r"(-?[0-9]{1,5})px")
_PERCENT = re.compile(r"[0-9]{1,3}%")
_TWO_SIDES = re.compile(r"[0-9]{1,4}px [0-9]{1,4}px")
_ELEMENT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
_RGBA = re.compile(r"rgba\( *[0-9]{1,3} *(?:, *[0-9]{1,3} *){2}, *(?:[01]|[01]?\.[0-9]+) *\)")
_HEX = re.compile(r"#(?:[0-9A-Fa-f]{3}){1,2}(?:[0-9A-Fa-f]{2})?")
_SHADE = re.compile(r"([a-z]+)-[0-9]{2,3}")

TAG_COLOURS = (
    *("neutral", "blue", "turquoise", "lime", "orange", "violet", "indigo"),
    *("wathet", "green", "yellow", "red", "purple", "carmine"),
)
COLOURS = frozenset({*TAG_COLOURS, "grey", "default", "white", "bg-white", "black", "sunflower"})
TEXT_SIZES = (
    *("heading-0", "heading-1", "heading-2", "heading-3", "heading-4", "heading", "normal", "notation"),
    *("normal_v2", "notation_small_v2"),
    *("xxxx-large", "xxx-large", "xx-large", "x-large", "large", "medium", "small", "x-small"),
)
LANGUAGES = (
    *("zh_cn", "en_us", "zh_hk", "zh_tw", "ja_jp", "id_id", "vi_vn", "th_th"),
    *("pt_br", "es_es", "ko_kr", "de_de", "fr_fr", "it_it", "ru_ru", "ms_my"),
)


def anything(walk: CardWalk, value: object) -> None:
    """No rule of its own: checked elsewhere, or free."""


def boolean(walk: CardWalk, value: object) -> None:
    """A boolean."""
    if not isinstance(value, bool):
        wrong_type(walk, "true or false", value)


def only_true(walk: CardWalk, value: object) -> None:
    """true, for attributes that have no other value in card JSON 2.0."""
    if not isinstance(value, bool):
        wrong_type(walk, "true", value)
    elif not value:
        walk.add_problem(
            "wrong-value", "This can only be true in card JSON 2.0, where all cards are shared ones."
        )


def string(walk: CardWalk, value: object) -> None:
    """Any string."""
    if not isinstance(value, str):
        wrong_type(walk, "a string", value)


def filled_string(walk: CardWalk, value: object) -> None:
    """A string that is not empty."""
    if not isinstance(value, str):
        wrong_type(walk, "a string", value)
    elif not value:
        walk.add_problem("wrong-value", "This must not be empty.")


def free_object(walk: CardWalk, value: object) -> None:
    """An object whose members are ours to choose, such as the value a button sends back."""
    if not isinstance(value, dict):
        wrong_type(walk, "an object", value)


def whole_number(low: int, high: int) -> Check:
    """A whole number from low to high."""

    def check(walk: CardWalk, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            wrong_type(walk, f"a whole number from {low} to {high}", value)
        elif not low <= value <= high:
            wrong_value(walk, f"from {low} to {high}", value)

    return check


def number_of(*allowed: int) -> Check:
    """One of these numbers."""

    def check(walk: CardWalk, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong_type(walk, "a number", value)
        elif value not in allowed:
            wrong_value(walk, f"one of {', '.join(map(str, allowed))}", value)

    return check


def one_of(*allowed: str) -> Check:
    """One of these strings."""

    def check(walk: CardWalk, value: object) -> None:
        if not isinstance(value, str):
            wrong_type(walk, "a string", value)
        elif value not in allowed:
            wrong_value(walk, allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}", value)

    return check


def pixels(low: int, high: int, *words: str, percent: bool = False) -> Check:
    """A length such as "12px" within bounds, or one of the words, or a share such as "50%" where allowed."""
    either = [*words, f"{low}px to {high}px", *(["a percentage"] if percent else [])]

    def check(walk: CardWalk, value: object) -> None:
        if not isinstance(value, str):
            wrong_type(walk, f"a string ({' or '.join(either)})", value)
        elif not (value in words or _is_length(value, low, high) or (percent and _PERCENT.fullmatch(value))):
            wrong_value(walk, " or ".join(either), value)

    return check


def sides(low: int, high: int) -> Check:
    """One, two or four lengths for the sides of a box, as in "4px 0 4px 0"."""

    def check(walk: CardWalk, value: object) -> None:
        wanted = f"one, two or four lengths from {low}px to {high}px, such as “4px 12px”"
        if not isinstance(value, str):
            wrong_type(walk, wanted, value)
            return
        lengths = value.split(" ")
        if len(lengths) not in {1, 2, 4} or not all(_is_length(length, low, high) for length in lengths):
            wrong_value(walk, wanted, value)

    return check


def _is_length(text: str, low: int, high: int) -> bool:
    found = _PIXELS.fullmatch(text)
    return low <= int(found[1]) <= high if found else text == "0" and low <= 0


def picture_size(walk: CardWalk, value: object) -> None:
    """The name of a size, or two lengths in pixels."""
    words = ("large", "medium", "small", "tiny", "stretch")
    if not isinstance(value, str):
        wrong_type(walk, "a string", value)
    elif value not in words and not _TWO_SIDES.fullmatch(value):
        wrong_value(walk, f"one of {', '.join(words)}, or two lengths such as “40px 40px”", value)


def colour(walk: CardWalk, value: object) -> None:
    """A base name, a shade of one (blue-50), rgba(), or a name from config.style.color."""
    if not isinstance(value, str):
        wrong_type(walk, "a colour", value)
        return
    shade = _SHADE.fullmatch(value)
    is_named = (shade[1] if shade else value) in COLOURS or value in walk.declared_colours
    if is_named or _RGBA.fullmatch(value):
        return
    if _HEX.fullmatch(value):
        walk.add_warning("hex-colour", f"Feishu was seen accepting and refusing hex colours such as {value}.")
    else:
        wrong_value(walk, "a colour name, rgba(…) or a name declared in config.style.color", value)


def rgba(walk: CardWalk, value: object) -> None:
    """A colour such as “rgba(0,0,0,1)”."""
    if not isinstance(value, str):
        wrong_type(walk, "a colour such as “rgba(0,0,0,1)”", value)
    elif not _RGBA.fullmatch(value):
        wrong_value(walk, "a colour such as “rgba(0,0,0,1)”", value)


def text_size(walk: CardWalk, value: object) -> None:
    """The name of a text size, or one that the card declares."""
    if not isinstance(value, str):
        wrong_type(walk, "a text size", value)
    elif value not in TEXT_SIZES and value not in walk.declared_text_sizes:
        wrong_value(
            walk, "a size such as normal or heading-1, or a name declared in config.style.text_size", value
        )


def element_id(walk: CardWalk, value: object) -> None:
    """An element id, which must be unique in the card."""
    if not isinstance(value, str):
        wrong_type(walk, "a string", value)
    elif not _ELEMENT_ID.fullmatch(value):
        walk.add_problem(
            "bad-element-id",
            f"An element_id is a letter and up to 19 letters, digits or underscores, unlike {describe(value)}.",
        )
    elif value in walk.element_ids:
        walk.add_problem(
            "duplicate-element-id", f"Another element has the id {describe(value)}; it must be unique."
        )
    else:
        walk.element_ids.add(value)


def list_of(check: Check, *, max_count: int | None = None, rule: str = "too-many") -> Check:
    """A list with the same check for each entry; with most, a longer one is a problem of the given rule."""

    def check_list(walk: CardWalk, value: object) -> None:
        if not isinstance(value, list):
            wrong_type(walk, "a list", value)
            return
        if max_count is not None and len(value) > max_count:
            walk.add_problem(rule, f"There may be at most {max_count} entries here, not {len(value)}.")
        for index, entry in enumerate(value):
            walk.check_member(index, entry, check)

    return check_list


def map_of(check: Check) -> Check:
    """An object with names of our own choice, each with a value of the same kind."""

    def check_named(walk: CardWalk, value: object) -> None:
        if not isinstance(value, dict):
            wrong_type(walk, "an object", value)
            return
        for key, member in value.items():
            walk.check_member(key, member, check)

    return check_named


def by_language(check: Check) -> Shape:
    """An object with a value for each language."""
    return Shape(name="A map of languages", attributes=dict.fromkeys(LANGUAGES, check))


def variant(key: str, shapes: Mapping[str, Shape]) -> Check:
    """An object whose attribute key ("tag" or "type") says which of the shapes it has."""
    choices = " or ".join(shapes)

    def check(walk: CardWalk, value: object) -> None:
        if not isinstance(value, dict):
            wrong_type(walk, "an object", value)
            return
        kind = value.get(key)
        shape = shapes.get(kind) if isinstance(kind, str) else None
        if shape is not None:
            shape(walk, value)
        elif key not in value:
            walk.add_problem("missing-attribute", f"This object needs a {key}: {choices}.", key)
        elif kind is not None:
            walk.add_problem("wrong-value", f"The {key} here must be {choices}, not {describe(kind)}.", key)

    return check

"""Checks of single attributes of a card, and of objects and lists of them."""

import re
from collections.abc import Mapping

from notifier.sandbox.cards.checker import DUPLICATE_ID, CardChecker, Check, as_list, as_object, as_text

_LANGUAGES = "zh_cn en_us zh_hk zh_tw ja_jp id_id vi_vn th_th pt_br es_es ko_kr de_de fr_fr it_it ru_ru ms_my"
LANGUAGES = frozenset(_LANGUAGES.split())
_TAG_COLOURS = "neutral,blue,turquoise,lime,orange,violet,indigo,wathet,green,yellow,red,purple,carmine"
COLOURS = frozenset([*_TAG_COLOURS.split(","), "default", "grey", "white"])
_NAMED_SIZES = "normal,notation,xxxx-large,xxx-large,xx-large,x-large,large,medium,small,x-small"
_IGNORED_SIZES = ("normal_v2", "notation_small_v2")  # accepted without effect
TEXT_SIZES = frozenset(
    [*_NAMED_SIZES.split(","), *_IGNORED_SIZES, "heading", *(f"heading-{level}" for level in range(5))]
)
_SHADE = re.compile(r"([a-z]+)-(?:50|[1-9]00)")
_LITERAL_COLOUR = re.compile(r"rgba?\( *\d{1,3} *(, *[\d.]{1,5}%? *){2,3}\)|#[0-9a-fA-F]{6}")
ELEMENT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
PIXELS = re.compile(r"(-?\d{1,4})px")


def boolean(checker: CardChecker, value: object) -> None:
    """A boolean."""
    if not isinstance(value, bool):
        raise checker.invalid("should be a boolean", value)


def anything(_checker: CardChecker, _value: object) -> None:
    """Accepts any value, for attributes without a rule."""


def integer(low: int, high: int) -> Check:
    """A whole number from low to high."""

    def check(checker: CardChecker, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise checker.invalid(f"should be a whole number from {low} to {high}", value)

    return check


def number(low: float, high: float) -> Check:
    """A number from low to high."""

    def check(checker: CardChecker, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise checker.invalid(f"should be a number from {low} to {high}", value)

    return check


def text(maximum: int | None = None, *, minimum: int = 0) -> Check:
    """A string of minimum to maximum characters."""

    def check(checker: CardChecker, value: object) -> None:
        found = as_text(checker, value)
        if len(found) < minimum or (maximum is not None and len(found) > maximum):
            raise checker.invalid(f"should have {minimum} to {maximum or 'any'} characters", found)

    return check


def one_of(*allowed: object) -> Check:
    """One of these values."""

    def check(checker: CardChecker, value: object) -> None:
        if value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool):
            raise checker.invalid(f"should be one of {', '.join(map(str, allowed))}", value)

    return check


def pixels(low: int, high: int, *words: str) -> Check:
    """A length such as "100px" within the limits, or one of the words."""

    def check(checker: CardChecker, value: object) -> None:
        found = PIXELS.fullmatch(as_text(checker, value))
        if value not in words and (found is None or not low <= int(found[1]) <= high):
            raise checker.invalid(f"should be [{low},{high}]px {' '.join(words)}".strip(), value)

    return check


def side_lengths(low: int) -> Check:
    """Margin (low -99) or padding (low 0): one, two or four lengths, as in “4px 0 4px 0”."""

    def check(checker: CardChecker, value: object) -> None:
        lengths = ["0px" if length == "0" else length for length in as_text(checker, value).split(" ")]
        found = [PIXELS.fullmatch(length) for length in lengths]
        if len(lengths) not in (1, 2, 4) or not all(one and low <= int(one[1]) <= 99 for one in found):
            raise checker.invalid(f"should be 1, 2 or 4 values of [{low},99]px", value)

    return check


margin, padding = side_lengths(-99), side_lengths(0)
spacing = pixels(0, 99, "small", "medium", "large", "extra_large")


def colour(checker: CardChecker, value: object) -> None:
    """A base colour, a shade such as blue-50, a name from config.style.color, rgba(…) or #rrggbb."""
    name = as_text(checker, value)
    shade = _SHADE.fullmatch(name)
    base = shade[1] if shade else name
    if base not in COLOURS | checker.colours and not _LITERAL_COLOUR.fullmatch(name):
        raise checker.invalid("unknown color", value)


def text_size(checker: CardChecker, value: object) -> None:
    """A named text size, or one from config.style.text_size."""
    if as_text(checker, value) not in TEXT_SIZES | checker.text_sizes:
        raise checker.invalid("unknown text_size", value)


def element_id(checker: CardChecker, value: object) -> None:
    """A well-formed `element_id` that is unique in the card."""
    if not ELEMENT_ID.fullmatch(as_text(checker, value)):
        raise checker.invalid("element_id should be a letter and at most 19 letters, digits and _", value)
    if value in checker.element_ids:
        raise checker.refuse(DUPLICATE_ID, "element_id is not unique", value)
    checker.element_ids.add(str(value))


def list_of(check_item: Check, *, minimum: int = 0, maximum: int | None = None) -> Check:
    """A list of minimum to maximum entries, each of which passes `check_item`."""

    def check(checker: CardChecker, value: object) -> None:
        items = as_list(checker, value)
        if len(items) < minimum or (maximum is not None and len(items) > maximum):
            raise checker.invalid(f"should have {minimum} to {maximum or 'any'} entries", len(items))
        for number, item in enumerate(items):
            tag = item.get("tag") if isinstance(item, dict) else None
            with checker.at_path(f"[{number}](tag: {tag})" if tag else f"[{number}]"):
                check_item(checker, item)

    return check


def shape(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these attributes and no others."""
    known = {**required, **(optional or {})}

    def check(checker: CardChecker, value: object) -> None:
        found = as_object(checker, value)
        for name in found:
            if name not in known:
                raise checker.invalid(f"unknown property, property: {name}", found[name])
        for name in required:
            if name not in found:
                raise checker.invalid(f"required property is missing, property: {name}", "")
        for name, item in found.items():
            with checker.at_path(name):
                known[name](checker, item)

    return check


def by_tag(shapes: Mapping[str, Check]) -> Check:
    """An object whose tag selects its shape. It counts as one element."""

    def check(checker: CardChecker, value: object) -> None:
        tag = as_object(checker, value).get("tag")
        if not isinstance(tag, str) or tag not in shapes:
            raise checker.invalid(f"tag should be one of {', '.join(shapes)}", tag)
        checker.count_elements()
        shapes[tag](checker, value)

    return check


def mapping(check_item: Check, *, keys: frozenset[str] | None = None) -> Check:
    """An object with any keys, or only with keys of `keys`."""

    def check(checker: CardChecker, value: object) -> None:
        for name, item in as_object(checker, value).items():
            if keys is not None and name not in keys:
                raise checker.invalid(f"unknown language, property: {name}", item)
            with checker.at_path(name):
                check_item(checker, item)

    return check


def by_language(check_item: Check) -> Check:
    """An object with languages as keys."""
    return mapping(check_item, keys=LANGUAGES)

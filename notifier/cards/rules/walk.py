"""Traversal of a card: the current path, the problems found so far, and the shape of objects."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]

MAX_FOUND_PROBLEMS = 200  # more than a person reads; bounds the work a hostile card can cause
MAX_NUMBER = 2**63  # and above: no number that every reader of JSON keeps exact
MAX_SHOWN_LENGTH = 40  # characters of a key or value repeated in a message

_KINDS = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProblem:
    """One problem with its path still in steps, so that it can be put in document order."""

    path: Path
    rule: str
    message: str


class CardWalk:
    """One reading of one card.

    path        keys and indexes from the card down to the value being read.
    containers  tags of the container components around it, outermost first.
    element_ids, field_names and form_names hold the names seen so far; declared_… are names from config.style.
    tables      how many so far, components and Markdown tables together.
    warnings    findings that do not make Feishu refuse the card.
    is_readable whether the whole card was checked. False: it holds what no JSON text can hold, or too much.
    """

    __slots__ = (
        *(
            "containers",
            "element_ids",
            "field_names",
            "form_names",
            "problems",
            "declared_colours",
            "declared_text_sizes",
        ),
        *("path", "tables", "warnings", "is_readable"),
    )

    def __init__(self, card: object) -> None:
        self.path: list[str | int] = []
        self.containers: list[str] = []
        self.problems: list[FoundProblem] = []
        self.warnings: list[FoundProblem] = []
        self.is_readable = False
        self.element_ids: set[str] = set()
        self.form_names: set[str] = set()
        self.field_names: set[str] = set()
        self.tables = 0
        self.declared_text_sizes = _declared(card, "text_size")
        self.declared_colours = _declared(card, "color")

    @property
    def is_full(self) -> bool:
        """Whether so many problems were found that the walk can end."""
        return len(self.problems) >= MAX_FOUND_PROBLEMS

    def add_problem(self, rule: str, message: str, *below: str | int) -> None:
        """Note a problem at the current path, or at a place below it."""
        if not self.is_full:
            self.problems.append(FoundProblem(path=(*self.path, *below), rule=rule, message=message))

    def add_warning(self, rule: str, message: str, *below: str | int) -> None:
        """Note a warning at the current path, or at a place below it."""
        if len(self.warnings) < MAX_FOUND_PROBLEMS:
            self.warnings.append(FoundProblem(path=(*self.path, *below), rule=rule, message=message))

    def check_member(self, key: str | int, value: object, check: "Check") -> None:
        """Check one member; a null is skipped here, since it is refused everywhere else already."""
        if value is None:
            return
        self.path.append(key)
        check(self, value)
        self.path.pop()


Check = Callable[[CardWalk, object], None]
ObjectRule = Callable[[CardWalk, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A check that an object has the right attributes, each with a valid value."""

    name: str
    """How messages call the object."""
    attributes: Mapping[str, Check]
    """The check of each attribute."""
    required: tuple[str, ...] = ()
    """Names of attributes that must be there."""
    deprecated: Mapping[str, str] | None = None
    """Attributes of card JSON 1.0, with their replacement in 2.0."""
    extra_rule: ObjectRule | None = None
    """A rule on several attributes, run after the check of each attribute."""
    is_open: bool = False
    """True if the list of attributes is incomplete; other attributes are then accepted unchecked."""

    def __call__(self, walk: CardWalk, value: object) -> None:
        """Check an object against the shape."""
        if not isinstance(value, dict):
            wrong_type(walk, "an object", value)
            return
        attributes, path = self.attributes, walk.path
        for key, member in value.items():
            check = attributes.get(key)
            if check is not None:
                if member is not None:  # as in check_member, without a call for each value of a card
                    path.append(key)
                    check(walk, member)
                    path.pop()
            elif not self.is_open and not walk.is_full:
                is_old = self.deprecated is not None and key in self.deprecated
                walk.add_problem(
                    "schema-1-attribute" if is_old else "unknown-attribute", self._unknown(key), key
                )
        for key in self.required:
            if key not in value:
                walk.add_problem("missing-attribute", f"{self.name} needs {key}.", key)
        if self.extra_rule is not None:
            self.extra_rule(walk, value)

    def _unknown(self, key: str) -> str:
        if self.deprecated is not None and key in self.deprecated:
            return f"{self.name} has no {key} in card JSON 2.0: {self.deprecated[key]}."
        meant = closest_name(key, self.attributes)
        hint = f"did you mean {meant}?" if meant else f"it has {', '.join(self.attributes)}."
        return f"{self.name} has no attribute {describe(key)}; {hint}"


def closest_name(name: str, known: Mapping[str, object]) -> str | None:
    """The known name that was most likely meant, or None."""
    if len(name) > MAX_SHOWN_LENGTH:
        return None
    return next(iter(difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)), None)


def describe(value: object) -> str:
    """A value as a message may repeat it: short strings and numbers as they are, the rest by kind."""
    if isinstance(value, str):
        start = "".join(char if char.isprintable() else "�" for char in value[:MAX_SHOWN_LENGTH])
        return f"“{start}”" if len(value) <= MAX_SHOWN_LENGTH else f"“{start}…”"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and abs(value) < MAX_NUMBER:
        return str(value)
    return _KINDS.get(type(value), "something else")


def format_path(path: Path) -> str:
    """A path as people write it: body.elements[2].text.content; the card itself is "card"."""
    steps = [_format_step(step) for step in path]
    return "".join(steps).removeprefix(".") or "card"


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{describe(step)}]"


def iter_objects(value: object, *, unread: frozenset[str] = frozenset()) -> Iterator[dict[str, object]]:
    """Every object in a value at any depth, in no promised order, without the values of the unread keys."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(member for key, member in node.items() if key not in unread)
        elif isinstance(node, list):
            waiting.extend(node)


def _declared(card: object, kind: str) -> frozenset[str]:
    node = card
    for key in ("config", "style", kind):
        node = node.get(key) if isinstance(node, dict) else None
    return frozenset(node) if isinstance(node, dict) else frozenset()


def wrong_type(walk: CardWalk, wanted: str, value: object) -> None:
    """Note that a value has the wrong type. wanted: the right one, for people."""
    walk.add_problem("wrong-type", f"This must be {wanted}, not {describe(value)}.")


def wrong_value(walk: CardWalk, wanted: str, value: object) -> None:
    """Note that a value is not allowed. wanted: the allowed ones, for people."""
    walk.add_problem("wrong-value", f"This must be {wanted}, not {describe(value)}.")

"""Positions in JSON text: where each value of a parsed document begins."""

import bisect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Path = Sequence[str | int]

_TOKEN = re.compile(r'[ \t\n\r]*([{}\[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^ \t\n\r,:{}\[\]"]+)', re.DOTALL)


@dataclass(slots=True, kw_only=True)
class JsonNode:
    """A value in a JSON text. Offsets are counted in characters from 0."""

    start: int
    """Where the value begins."""
    key_start: int
    """Where the key of an object's member begins; in a list, the same as `start`."""
    members: dict[str | int, "JsonNode"] = field(default_factory=dict)
    """The values inside, by key or index, in the order of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateKey:
    """A key that an object has twice. JSON parsers keep the last value."""

    path: tuple[str | int, ...]
    start: int


class JsonPositions:
    """The positions of all values of a JSON text."""

    def __init__(self, text: str) -> None:
        """text: valid JSON; for other text the positions are without meaning, but nothing is raised."""
        self.duplicates: list[DuplicateKey] = []
        self._text = text
        self._root = self._read(text)
        self._lines = LineStarts(text)

    def line_and_column(self, path: Path, document: object) -> tuple[int, int]:
        """Return the position of a value; of an absent one, that of the object in which it is missing."""
        return self._lines.line_and_column(self.offset(path, document))

    def position_of(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset, both counted from 1."""
        return self._lines.line_and_column(offset)

    def offset(self, path: Path, document: object) -> int:
        """Return where a value begins: at its key in an object. document: the parsed text, with keys in its order.

        Keys are found by their order, so that a document whose keys were renamed after parsing is understood too.
        """
        node, is_found = self._find(path, document)
        return node.key_start if is_found else node.start

    def value_at(self, path: Path, document: object) -> object:
        """Return the value in the text, which may differ from that in the document; None if it is absent."""
        node, is_found = self._find(path, document)
        return json.JSONDecoder().raw_decode(self._text, node.start)[0] if is_found else None

    def _find(self, path: Path, document: object) -> tuple[JsonNode, bool]:
        """The node at a path, or the last one on the way to it."""
        node, value = self._root, document
        for step in path:
            below = _child(node, value, step)
            if below is None:
                return node, False
            node, value = below, _member(value, step)
        return node, True

    def _read(self, text: str) -> JsonNode:
        """Read without recursion, so that no depth of the text is a problem."""
        root = JsonNode(start=0, key_start=0)
        containers: list[_Container] = []
        for found in _TOKEN.finditer(text):
            token, start = found[1], found.start(1)
            if token in ("}", "]"):
                del containers[-1:]
            elif token in (",", ":"):
                continue
            elif containers and containers[-1].wants_key:
                containers[-1].key, containers[-1].key_start = _as_key(token), start
            else:
                node = self._add(containers, start) if containers else root
                if not containers:
                    root.start = root.key_start = start
                if token in ("{", "["):
                    containers.append(_Container(node=node, is_object=token.startswith("{")))
        return root

    def _add(self, containers: list["_Container"], start: int) -> JsonNode:
        inside = containers[-1]
        step = inside.next_step()
        node = JsonNode(start=start, key_start=inside.key_start if inside.is_object else start)
        if step in inside.node.members:
            path = (*(each.last_step for each in containers[:-1]), step)
            self.duplicates.append(DuplicateKey(path=path, start=inside.key_start))
        inside.node.members[step] = node
        return node


@dataclass(slots=True, kw_only=True)
class _Container:
    """An object or list that is being read."""

    node: JsonNode
    """Its node."""
    is_object: bool
    """Whether it has keys."""
    key: str | None = None
    """The key that was read last and has no value yet."""
    key_start: int = 0
    """Where this key begins."""
    last_step: str | int = 0
    """The key or index of the value that was read last."""

    @property
    def wants_key(self) -> bool:
        return self.is_object and self.key is None

    def next_step(self) -> str | int:
        """Return the key or index of the next value."""
        self.last_step = (self.key or "") if self.is_object else len(self.node.members)
        self.key = None
        return self.last_step


def _as_key(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except json.JSONDecodeError:
        return token


class LineStarts:
    """Line and column of an offset in a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return line and column, both counted from 1. offset: in characters, from 0."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _child(node: JsonNode, value: object, step: str | int) -> JsonNode | None:
    if isinstance(value, dict) and isinstance(step, str):
        if step not in value:
            return None
        if len(value) == len(node.members):
            return list(node.members.values())[list(value).index(step)]
    return node.members.get(step)


def _member(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None

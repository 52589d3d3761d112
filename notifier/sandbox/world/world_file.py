"""Reads a world from YAML or JSON, with one sentence for each wrong line, and writes it as YAML."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from notifier.sandbox.world.model import Fault, Location, WorldEntry, describe_error, find_broken_references
from notifier.sandbox.world.world import BadWorldError

_M = TypeVar("_M", bound=BaseModel)
HEAD = "# The world of a Feishu sandbox: read it with `feishu-sandbox --world FILE`.\n"


def read_world_file(path: Path) -> WorldEntry:
    """Reads a file. Raises BadWorldError with file, line and what is allowed, for all wrong lines at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadWorldError(f"{path}: the file cannot be read ({error}).") from error
    return read_world_text(text, str(path))


def read_world_text(text: str, name: str) -> WorldEntry:
    """Reads the text of a file. name: of the file, for errors. Raises BadWorldError."""
    try:
        data = YAML(typ="rt", pure=True).load(text)
    except YAMLError as error:
        raise BadWorldError(_describe_yaml_error(name, error)) from error

    def name_place(place: Location) -> str:
        return f"{name}, line {_line_of(data, place)}: {format_place(place)}"

    return parse_world(_plain(data), name_place)


def parse_world(data: object, name_place: Callable[[Location], str] | None = None) -> WorldEntry:
    """Checks plain data. name_place: the beginning of the sentence about a place. Raises BadWorldError."""
    world = parse_entry(WorldEntry, data, name_place)
    faults = find_broken_references(world)
    if faults:
        raise BadWorldError(_sentences(faults, name_place or format_place))
    return world


def parse_entry(model: type[_M], data: object, name_place: Callable[[Location], str] | None = None) -> _M:
    """Checks the keys and types of plain data. Raises BadWorldError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise describe_errors(model, error, name_place) from error


def describe_errors(
    model: type[BaseModel], error: ValidationError, name_place: Callable[[Location], str] | None = None
) -> BadWorldError:
    """The error with one sentence for each fault that pydantic found."""
    errors = error.errors(include_url=False)
    faults: list[Fault] = [(_readable(each["loc"]), describe_error(model, each)) for each in errors]
    return BadWorldError(_sentences(faults, name_place or format_place))


def dump_world(world: WorldEntry) -> str:
    """The world as the text of a file, without what has its default."""
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_unicode = True
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    yaml.dump(world.model_dump(exclude_defaults=True), text)
    return HEAD + text.getvalue()


def format_place(place: Location) -> str:
    """A place such as `tenants[0].people[1].name`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the world"


def _readable(place: Location) -> Location:
    """Without the mark of pydantic for a wrong key."""
    return tuple(part for part in place if part != "[key]")


def _sentences(faults: list[Fault], name_place: Callable[[Location], str]) -> str:
    return "\n".join(f"{name_place(place)}: {text}." for place, text in faults)


def _describe_yaml_error(name: str, error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    line = f", line {mark.line + 1}" if mark is not None else ""
    problem = error.problem if isinstance(error, MarkedYAMLError) else str(error)
    return f"{name}{line}: this is not YAML: {str(problem).splitlines()[0]}."


def _line_of(data: object, place: Location) -> int:
    """The line of a value, from 1: that of the nearest thing around it which is in the file."""
    line = 0
    for part in place:
        if isinstance(data, CommentedMap) and part in data:
            line = data.lc.key(part)[0]
        elif isinstance(data, CommentedSeq) and isinstance(part, int) and part < len(data):
            line = data.lc.item(part)[0]
        else:
            break
        data = data[part]
    return int(line) + 1


def _plain(data: object) -> object:
    """The data in the types of JSON, without those of the YAML library."""
    return json.loads(json.dumps(data, default=str))

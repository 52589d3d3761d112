"""Builds a configuration from the valid parts of a document, so that checks across sections find what they can."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from notifier.config.fields import Section
from notifier.config.settings import Config, ReferenceFinding

_INVALID_SECRET = SecretStr("invalid")
"""Stands for a secret that is set but not valid, so that no check says that it is missing."""


def find_reference_faults(document: Mapping[str, Any]) -> list[ReferenceFinding]:
    """Return the findings of Config that concern several sections, for a document with other faults.

    A faulty value counts as not set. Without readable groups there are none, because every name would be unknown.
    """
    if not isinstance(document.get("groups", {}), Mapping | None):
        return []
    return list(_build_section(Config, document).reference_findings())


def _build_section(section: type[Section], values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of that section
    fields = section.model_fields.items()
    return section.model_construct(**{name: _build_field(info, values.get(name)) for name, info in fields})


def _build_field(info: FieldInfo, value: object) -> Any:  # noqa: ANN401 - the value of any setting
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    if value is None:
        return default
    built = _build(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation, value)
    return default if built is None else built


def _build(annotation: Any, value: object) -> Any:  # noqa: ANN401 - the type and the value of any setting
    """Return the value, or its valid parts. None: nothing of it is valid."""
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        pass
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kind = get_origin(annotation) or annotation
    if kind is SecretStr:
        return _INVALID_SECRET
    if kind is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(built for item in items if (built := _build(get_args(annotation)[0], item)) is not None)
    if isinstance(kind, type) and isinstance(value, Mapping):
        if issubclass(kind, Section):
            return _build_section(kind, value)
        if issubclass(kind, Mapping):
            names = [key for key in value if isinstance(key, str)]
            return {name: _build(get_args(annotation)[1], value[name]) for name in names}
    return None

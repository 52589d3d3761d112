"""What a preview shows: the chosen card, its data, its findings, or the error of its template."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from notifier.errors import NotifierError

AUDIENCES = ("referrer", "group")
_PLACE = re.compile(r"(?P<file>[^,:\s]+)(?:, line (?P<line>\d+))?: ", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewChoice:
    """What to show. An empty value stands for the default."""

    template: str = ""
    """Name of the template."""
    sample: str = ""
    """Name of the sample; "": the data file if there is one, else the first sample that fits."""
    audience: str = ""
    """`referrer` or `group`; "": that of the data."""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "PreviewChoice":
        """Return the choice in the query of an address. Unknown audiences are ignored."""
        audience = values.get("audience", "")
        return cls(
            template=values.get("template", ""),
            sample=values.get("sample", ""),
            audience=audience if audience in AUDIENCES else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewError:
    """Why there is no card."""

    message: str
    """What is wrong."""
    message_zh: str
    """The same in Chinese."""
    file: str = ""
    """The file with the error; "": not known."""
    line: int | None = None
    """The line, counted from 1; None: not known."""
    text: str = ""
    """The text of the line."""

    def as_json(self) -> dict[str, object]:
        """Return the error for the page."""
        return {
            "message": self.message,
            "message_zh": self.message_zh,
            "file": self.file,
            "line": self.line,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPreview:
    """One rendered choice. If `error` is set, the card is the last good one of the same choice, or None."""

    title: str
    """Title of the page."""
    choice: PreviewChoice
    """What was rendered, with the defaults filled in."""
    card: Mapping[str, Any] | None = None
    """The card as JSON."""
    data: Any = None
    """The variables of the template as JSON; None: not known."""
    people: Sequence[Mapping[str, str]] = ()
    """open_id, name and en_name of the people on the card."""
    findings: Sequence[Mapping[str, Any]] = ()
    """What the linter found: rule, severity, path, message, remedy and place."""
    audiences: Sequence[str] = ()
    """The audiences to choose from; empty: the data has one only."""
    error: PreviewError | None = None
    """Why this render failed; None: it did not."""

    def keep(self, former: "RenderedPreview") -> "RenderedPreview":
        """Return this failed preview with the card of a former one."""
        return replace(
            self,
            card=former.card,
            data=former.data,
            people=former.people,
            findings=former.findings,
            audiences=former.audiences,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the preview for the page."""
        return {
            "title": self.title,
            "template": self.choice.template,
            "sample": self.choice.sample,
            "audience": self.choice.audience,
            "audiences": list(self.audiences),
            "card": self.card,
            "data": self.data,
            "people": list(self.people),
            "findings": list(self.findings),
            "error": self.error.as_json() if self.error else None,
        }


class PreviewSource(Protocol):
    """Renders what a preview page shows."""

    def list_choices(self) -> list[dict[str, Any]]:
        """List the templates with their samples; empty: there is nothing to choose."""

    def render(self, choice: PreviewChoice) -> RenderedPreview:
        """Render a choice. A broken template is part of the result; an unknown name raises ConfigError."""

    def list_watched_files(self) -> list[Path]:
        """List the files whose change needs another render."""


def explain_error(error: NotifierError, find_file: Callable[[str], Path | None]) -> PreviewError:
    """Return an error such as `name.j2, line 3: why` with the text of its line. find_file: by name, or None."""
    message = str(error)
    place = _PLACE.match(message)
    path = find_file(place["file"]) if place else None
    if place is None or path is None:
        return PreviewError(message=message, message_zh=error.zh)
    line = int(place["line"]) if place["line"] else None
    is_placed = error.zh.startswith(place["file"])
    return PreviewError(
        message=message[place.end() :],
        message_zh=error.zh.partition("：")[2] if is_placed and "：" in error.zh else error.zh,
        file=place["file"],
        line=line,
        text=read_line(path, line),
    )


def read_line(path: Path, line: int | None) -> str:
    """Return one line of a file, without spaces around it; "" if there is none."""
    try:
        rows = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return rows[line - 1].strip()[:300] if line and line <= len(rows) else ""

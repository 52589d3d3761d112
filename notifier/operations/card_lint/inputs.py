"""What `notifier lint` checks: card JSON files, standard input, and templates with every sample."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from notifier.cards.lint_findings import LintFinding, LintPlace, Severity
from notifier.cards.linter import lint, lint_template, merge_findings
from notifier.cards.templates import OUR_TEMPLATES, CardTemplates, shipped_templates
from notifier.cards.templating.builder import CARD_FILE, VALUES_FILE
from notifier.config.settings import Config
from notifier.errors import ConfigError, NotifierError
from notifier.operations.card_lint.builder_places import place_in_builder_file
from notifier.operations.language import localized
from notifier.operations.sample_cards import list_samples, make_sample
from notifier.operations.templates.own_files import (
    describe_unused,
    find_own_file_faults,
    find_text_faults,
    list_unused_files,
)
from notifier.operations.templates.own_templates import TEXT_FILES, list_own_texts

MAX_BYTES = 1_000_000
"""Of one input. A card has 30 KB at most."""
STDIN = "-"
STDIN_NAME = "<stdin>"
_TEXT_FILE = re.compile(r"texts\..*\.?ya?ml")
"""Names of files of texts, right and wrong ones."""


class UnusableInputError(NotifierError):
    """An input cannot be checked at all. The message names the file, and the position if there is one."""

    def __init__(self, file: str, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        """file: the name of the input. line, column: counted from 1; None: not known."""
        place = file if line is None else f"{file}:{line}:{column}"
        super().__init__(f"{place}: {reason}")
        self.file, self.reason = file, reason
        self.line, self.column = line, column


@dataclass(slots=True, kw_only=True)
class LintReport:
    """The result of one run."""

    findings: list[LintFinding] = field(default_factory=list)
    """All findings, by file and position."""
    unusable: list[UnusableInputError] = field(default_factory=list)
    """One error for each input that could not be checked."""
    checked: int = 0
    """Number of files and templates that were checked."""

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(each.severity is severity for each in self.findings)

    def exit_code(self, *, strict: bool) -> int:
        """Return 2 for unusable input, 1 for errors (strict: also for warnings), else 0."""
        if self.unusable:
            return 2
        return 1 if self.count(Severity.ERROR) or (strict and self.findings) else 0


def lint_inputs(
    names: Sequence[str], load: Callable[[], Config], *, ignored: Iterable[str] = ()
) -> LintReport:
    """Lint files, standard input (`-`) and templates. No names: all templates of the configuration.

    load: loads the configuration, which only templates need. ignored: ids of rules whose findings are left out.
    """
    report = LintReport()
    found: list[LintFinding] = []
    ignored = frozenset(ignored)
    if not names:
        config = load()
        templates = CardTemplates(config.cards.template_dir)
        listed = templates.names()
        found += _lint_templates(templates, listed, config)
        found += find_own_file_faults(config.cards.template_dir)
        report.checked = len(listed) + len(list_own_texts(config))
    for name in names:
        try:
            found += _lint_input(name, load)
        except UnusableInputError as error:
            report.unusable.append(error)
        else:
            report.checked += 1
    report.findings = [_with_short_paths(each) for each in merge_findings(found) if each.rule not in ignored]
    return report


def _lint_input(name: str, load: Callable[[], Config]) -> list[LintFinding]:
    if name.endswith(".j2"):
        return _lint_template_file(Path(name), load)
    if _TEXT_FILE.fullmatch(Path(name).name):
        return _lint_text_file(Path(name))
    if name.endswith((CARD_FILE, VALUES_FILE)):
        return _lint_builder_file(Path(name), load)
    return _lint_json_input(name)


def _lint_builder_file(path: Path, load: Callable[[], Config]) -> list[LintFinding]:
    """Lint a file of the card builder as JSON. If it takes the place of a template, also with every sample.

    path: the card, or the values of its variables.
    """
    if path.name.endswith(VALUES_FILE):
        path = path.with_name(path.name.removesuffix(VALUES_FILE) + CARD_FILE)
    found = _lint_json_input(str(path))
    config = load()
    own, folder = config.cards.template_dir, path.resolve().parent
    template = path.name.removesuffix(CARD_FILE) + ".json.j2"
    if own is not None and folder == own.resolve() and path.name in list_unused_files(own):
        found.append(describe_unused(own, path.name))
    if template not in OUR_TEMPLATES:
        return found
    text = _read_text(str(path), str(path))
    known = {each.rule for each in found}  # these have their lines already
    rendered = _lint_templates(CardTemplates(folder), [template], config)
    return [*found, *(place_in_builder_file(each, text) for each in rendered if each.rule not in known)]


def _lint_text_file(path: Path) -> list[LintFinding]:
    """Lint a file of texts beside the other files of its folder."""
    _read_text(str(path), str(path))
    folder, name = path.resolve().parent, path.name
    if name not in TEXT_FILES:
        return [describe_unused(folder, name)]
    return [each for each in find_text_faults(folder) if each.place and Path(each.place.file).name == name]


def _lint_json_input(name: str) -> list[LintFinding]:
    shown = STDIN_NAME if name == STDIN else name
    text = _read_text(name, shown)
    try:
        return lint(text, file=shown)
    except json.JSONDecodeError as error:
        if error.doc != text:
            reason = localized(
                f"the JSON in its string is not valid: {error}", f"字符串中的 JSON 无效：{error}"
            )
            raise UnusableInputError(shown, reason) from error
        reason = localized(f"not JSON: {error.msg}", f"不是 JSON：{error.msg}")
        raise UnusableInputError(shown, reason, line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        reason = localized("the JSON is nested too deep", "JSON 嵌套过深")
        raise UnusableInputError(shown, reason) from error
    except ValueError as error:
        reason = localized(f"not JSON: {error}", f"不是 JSON：{error}")
        raise UnusableInputError(shown, reason) from error


def _read_text(name: str, shown: str) -> str:
    """Return the text of an input. Raises UnusableInputError for what is no text, or no file, or too large."""
    if name != STDIN and Path(name).is_dir():
        reason = localized("is a folder; name the files in it", "是文件夹，请指定其中的文件")
        raise UnusableInputError(shown, reason)
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UnusableInputError(shown, localized("there is no such file", "没有这个文件")) from error
    except OSError as error:
        reason = localized(f"cannot be read: {error.strerror}", f"无法读取：{error.strerror}")
        raise UnusableInputError(shown, reason) from error
    if len(content) > MAX_BYTES:
        reason = localized(
            f"is larger than {MAX_BYTES:,} bytes, so it is no card", f"超过 {MAX_BYTES:,} 字节，不是卡片"
        )
        raise UnusableInputError(shown, reason)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = localized(
            f"is not UTF-8 text (byte {error.start})", f"不是 UTF-8 文本（第 {error.start} 字节）"
        )
        raise UnusableInputError(shown, reason) from error
    if "\0" in text:
        raise UnusableInputError(shown, localized("is a binary file", "是二进制文件"))
    if not text.strip():
        raise UnusableInputError(shown, localized("is empty", "是空的"))
    return text


def _lint_template_file(path: Path, load: Callable[[], Config]) -> list[LintFinding]:
    """Lint one template. A file outside the folders of the configuration is linted with its own folder."""
    _read_text(str(path), str(path))
    config = load()
    folder = config.cards.template_dir
    real = path.resolve()
    for known in (folder, shipped_templates()):
        if known is not None and real.is_relative_to(known.resolve()):
            name = real.relative_to(known.resolve()).as_posix()
            if known is not folder and folder is not None and (folder / name).is_file():
                folder = None  # the shipped file that a file of the operator replaces
            break
    else:
        folder, name = real.parent, real.name
    templates = CardTemplates(folder)
    own = config.cards.template_dir
    if own is not None and folder == own and name in list_unused_files(own):
        unused = [describe_unused(own, name)]
    else:
        unused = []
    if not real.name.startswith("_"):
        return [*unused, *_lint_templates(templates, [name], config)]
    found = _lint_templates(templates, templates.names(), config)  # macros have no card of their own
    in_file = [each for each in found if each.place is not None and Path(each.place.file).resolve() == real]
    return [*unused, *in_file]


def _lint_templates(templates: CardTemplates, names: Sequence[str], config: Config) -> list[LintFinding]:
    """Lint templates with every sample that fits them."""
    found: list[LintFinding] = []
    for name in names:
        for sample in list_samples(name):
            try:
                context = {"card": make_sample(sample, config)}
            except ConfigError as error:
                raise UnusableInputError(name, str(error)) from error
            found += [replace(each, sample=sample) for each in lint_template(templates, name, context)]
    return found


def _with_short_paths(finding: LintFinding) -> LintFinding:
    return replace(
        finding,
        place=None if finding.place is None else _short(finding.place),
        called_from=tuple(_short(each) for each in finding.called_from),
    )


def _short(place: LintPlace) -> LintPlace:
    """The place with a path relative to the current folder, if the file is below it."""
    file = place.file
    if Path(file).is_absolute():
        with suppress(ValueError):
            file = Path(file).relative_to(Path.cwd()).as_posix()
    return replace(place, file=file)

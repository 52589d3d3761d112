"""Lists the shipped templates and those of the company, and copies shipped ones into the company's folder."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from notifier.cards.templates import CardTemplates, shipped_templates
from notifier.config.settings import Config, suggest_name
from notifier.errors import ConfigError, TemplateBroken
from notifier.operations.language import localized

TEXT_FILES = ("texts.zh.yaml", "texts.en.yaml")
SHARED_FILES = ("_parts.j2", "_digest.j2")
"""Shared macros of the shipped templates, which a file of the company with the same name replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTemplate:
    """A template, as `notifier templates list` shows it."""

    name: str
    """The file name."""
    source: str
    """`own` or `shipped`."""
    file: str
    """The file that is used: the template, or one of the card builder in its place."""
    replaces_shipped: bool
    """Whether it is an own file in place of a shipped one."""
    extends: str | None
    """The template that it extends; None: none."""
    blocks: tuple[str, ...]
    """The blocks that a file may replace."""
    changed_blocks: tuple[str, ...]
    """Of an own file that extends another one: the blocks that it replaces."""
    problem: str
    """Why it cannot be read; empty: it can."""


def list_templates(config: Config) -> list[ListedTemplate]:
    """List every card template, shipped and own, with its blocks."""
    templates = CardTemplates(config.cards.template_dir)
    return [_listed(templates, name) for name in templates.names()]


def _listed(templates: CardTemplates, name: str) -> ListedTemplate:
    source = templates.source_of(name)
    extends: str | None = None
    changed: list[str] = []
    blocks: list[str] = []
    problem = ""
    builder_file = templates.builder_file(name)
    try:
        if builder_file is None:
            extends, changed = templates.changed_blocks(name)
            blocks = templates.blocks(name)
    except TemplateBroken as error:
        problem = str(error)
    return ListedTemplate(
        name=name,
        source=source,
        file=builder_file or name,
        replaces_shipped=source == "own" and (shipped_templates() / name).is_file(),
        extends=extends,
        blocks=tuple(blocks),
        changed_blocks=tuple(changed) if extends else (),
        problem=problem,
    )


def list_own_texts(config: Config) -> list[str]:
    """Return the company's files of texts."""
    folder = config.cards.template_dir
    return [name for name in TEXT_FILES if folder is not None and (folder / name).is_file()]


def as_document(config: Config) -> dict[str, object]:
    """Return the list for `--json`."""
    folder = config.cards.template_dir
    faults = CardTemplates(folder).texts.faults
    return {
        "template_dir": str(folder) if folder else None,
        "templates": [asdict(each) for each in list_templates(config)],
        "texts": {"files": list_own_texts(config), "problems": [str(fault) for fault in faults]},
    }


def format_list(config: Config) -> str:
    """Return the list for people."""
    folder = config.cards.template_dir
    lines = [
        localized(f"Own templates: {folder}", f"自定义模板目录：{folder}")
        if folder
        else localized(
            "There are no own templates: cards.template_dir is empty.",
            "没有自定义模板：未设置 cards.template_dir。",
        )
    ]
    for each in list_templates(config):
        lines += ["", f"{each.name}  {_describe(each)}"]
        if each.problem:
            lines.append(localized(f"  problem: {each.problem}", f"  问题：{each.problem}"))
        if each.changed_blocks:
            changed = localized(", ", "、").join(each.changed_blocks)
            lines.append(localized(f"  changes: {changed}", f"  改动的块：{changed}"))
        if each.blocks:
            blocks = localized(", ", "、").join(each.blocks)
            lines.append(localized(f"  blocks: {blocks}", f"  块：{blocks}"))
    for name in list_own_texts(config):
        lines += ["", localized(f"{name}  own texts", f"{name}  自定义文字")]
    lines += [
        localized(f"  problem: {fault}", f"  问题：{fault}") for fault in CardTemplates(folder).texts.faults
    ]
    return "\n".join(lines)


def _describe(each: ListedTemplate) -> str:
    if each.source == "shipped":
        return localized("shipped", "自带")
    shown = [localized("own", "自定义")]
    if each.file != each.name:
        shown.append(localized(f"{each.file} of the card builder", f"卡片搭建工具的 {each.file}"))
    if each.replaces_shipped:
        shown.append(localized("replaces the shipped one", "替换自带模板"))
    if each.extends:
        shown.append(localized(f"extends {each.extends}", f"继承 {each.extends}"))
    return localized(", ", "，").join(shown)


def eject(config: Config, names: Sequence[str], *, to: Path | None, is_forced: bool) -> list[Path]:
    """Copy shipped files into the company's folder. Return the copies.

    to: another folder, which is created; None: `cards.template_dir`. is_forced: whether existing files are replaced.
    Raises ConfigError; then nothing was copied.
    """
    folder = to or config.cards.template_dir
    if folder is None:
        raise ConfigError(
            localized(
                "cards.template_dir: is empty. Set it to a folder, or name one with --to.",
                "cards.template_dir：没有设置。请设置目录，或用 --to 指定。",
            )
        )
    known = sorted(path.name for path in shipped_templates().iterdir() if path.is_file())
    for name in names:
        if name not in known:
            raise ConfigError(
                localized(
                    f"there is no shipped template {name}{suggest_name(name, known).en}",
                    f"没有自带模板 {name}{suggest_name(name, known).zh}",
                )
            )
        if (folder / name).exists() and not is_forced:
            raise ConfigError(
                localized(
                    f"{folder / name} exists; --force replaces it.",
                    f"{folder / name} 已存在；用 --force 覆盖。",
                )
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(shipped_templates() / name, folder / name)
    except OSError as error:
        raise ConfigError(
            localized(
                f"{folder}: cannot be written: {error.strerror}.", f"{folder}：无法写入：{error.strerror}。"
            )
        ) from error
    return [folder / name for name in names]

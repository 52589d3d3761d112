"""The commands that the pages show: in shell blocks, and `notifier ...` inside of sentences."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from notifier.cli.main import cli

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
PAGES = [*(ROOT / name for name in READMES), *sorted((ROOT / "docs").glob("*.md"))]
SHELL_BLOCK = re.compile(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
ANY_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ShownCommand:
    """One command of a page. words: without redirection and comment."""

    page: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command as one line."""
        return " ".join(self.words)

    @property
    def arguments(self) -> tuple[str, ...] | None:
        """The arguments of `notifier`, also of one that runs in a container or as a unit; None for other programs."""
        places = [number for number, word in enumerate(self.words) if word.split("/")[-1] == "notifier"]
        if places and places[0] == 0:
            return self.words[1:]
        is_wrapped = "exec" in self.words or "systemd-run" in self.words
        return (self.words[places[-1] + 1 :] or None) if places and is_wrapped else None


def list_block_commands(page: Path) -> list[ShownCommand]:
    """The commands of the shell blocks of a page."""
    found = []
    for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in _join_lines(block):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            found += [ShownCommand(page.name, tuple(command)) for command in _split(words)]
    return found


def list_commented_commands(page: Path) -> list[ShownCommand]:
    """The commands that a comment behind a command adds: `notifier events list  # also: show ID, drop ID`.

    A part that begins with an option belongs to the command before the comment.
    """
    found = []
    for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in _join_lines(block):
            command, _, comment = line.removeprefix("$ ").partition(" #")
            words = command.split()
            added = re.fullmatch(r" *(?:also|or|另有|或)[:：]? (.*)", comment)
            if not added or words[0] != "notifier" or not isinstance(cli.commands[words[1]], click.Group):
                continue
            for part in re.split(r"[,，、] *", added[1]):
                if part.startswith(("for ", "用于")):
                    break
                start = words if part.startswith("-") else words[:2]
                found.append(ShownCommand(page.name, (*start, *shlex.split(part))))
    return found


def _join_lines(block: str) -> list[str]:
    """Complete lines: after a backslash, and inside of quotation marks, the command goes on."""
    lines = [""]
    for line in block.replace("\\\n", " ").splitlines():
        lines[-1] += line.strip()
        try:
            shlex.split(lines[-1], comments=True)
        except ValueError:  # an open quotation mark
            lines[-1] += "\n"
        else:
            lines.append("")
    assert not lines[-1], f"an open quotation mark in: {block}"
    return [line for line in lines if line]


def _split(words: list[str]) -> list[list[str]]:
    """The commands of a line, without the file of a redirection."""
    commands: list[list[str]] = [[]]
    is_file = False
    for word in words:
        if word in ("&&", "||", "|", ";"):
            commands.append([])
        elif not is_file and word != ">":
            commands[-1].append(word)
        is_file = word == ">"
    return [command for command in commands if command]


def list_inline_commands(page: Path) -> list[ShownCommand]:
    """Each `notifier ...` in the sentences and tables of a page; `list|show` is two commands."""
    text = ANY_BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = []
    for shown in re.findall(r"`(notifier\s[^`]*)`", text):
        variants: list[tuple[str, ...]] = [()]
        for word in shlex.split(shown.replace("\\|", "|")):
            variants = [(*variant, one) for variant in variants for one in word.split("|")]
        found += [ShownCommand(page.name, variant) for variant in variants]
    return found


def find_fault(words: tuple[str, ...]) -> str | None:
    """What is wrong with the arguments of `notifier`: an unknown command, option or choice. None if nothing is."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"no command {name!r}"
        command = found
    context = click.Context(command, info_name="notifier")
    options = {name: each for each in command.get_params(context) for name in each.opts if name[0] == "-"}
    for position, word in enumerate(rest):
        name, _, value = word.partition("=")
        if word.startswith("-") and name not in options:
            return f"no option {name}"
        kind = options[name].type if name in options else None
        value = value or next(iter(rest[position + 1 :]), "")
        if isinstance(kind, click.Choice) and value not in kind.choices:
            return f"{name} cannot be {value}"
    return None


def find_usage_error(words: tuple[str, ...]) -> str | None:
    """What click itself refuses, with arguments that are missing or too many. Nothing runs."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0]) if rest else None
        if found is None:
            return f"no command {rest[:1]}"
        command = found
        rest.pop(0)
    try:
        command.make_context("notifier", rest).close()
    except click.exceptions.Exit:  # --help and --version
        return None
    except click.ClickException as error:
        return error.format_message()
    return None

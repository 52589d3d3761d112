"""Shows the help, and what click itself prints, in the language of the locale."""

import gettext
import importlib
from collections.abc import Mapping

import click

from notifier.cli.texts.help_texts import HELP_ZH
from notifier.operations.language import Language, get_language

CLICK_ZH: Mapping[str, str] = {
    "Usage:": "用法：",
    "Options": "选项",
    "Commands": "命令",
    "default: {default}": "默认 {default}",
    "required": "必填",
    "Show this message and exit.": "显示帮助。",
    "Error: {message}": "错误：{message}",
    "Error: invalid input": "错误：输入无效",
    "Try '{command} {option}' for help.": "帮助：{command} {option}",
    "Aborted!": "已中止。",
    "No such command {name!r}.": "没有命令 {name!r}。",
    "No such option {name!r}.": "没有选项 {name!r}。",
    "Did you mean {possibility}?": "是否要用 {possibility}？",
    "(Did you mean one of: {possibilities}?)": "（是否要用：{possibilities}？）",
    "Missing command.": "缺少命令。",
    "Missing option": "缺少选项",
    "Missing argument": "缺少参数",
    "Missing parameter": "缺少参数",
    "Missing {param_type}": "缺少 {param_type}",
    "Choose from:\n\t{choices}": "可选：\n\t{choices}",
    "Invalid value: {message}": "值无效：{message}",
    "Invalid value for {param_hint}: {message}": "{param_hint} 的值无效：{message}",
    "{value!r} is not {choice}.": "{value!r} 不是 {choice}。",
    "{value!r} is not one of {choices}.": "{value!r} 不在 {choices} 之中。",
    "{value!r} is not a valid {number_type}.": "{value!r} 不是有效的 {number_type}。",
    "{value} is not in the range {range}.": "{value} 不在范围 {range} 内。",
    "{name} {filename!r} does not exist.": "{name} {filename!r} 不存在。",
    "{name} {filename!r} is a directory.": "{name} {filename!r} 是目录。",
    "{name} {filename!r} is a file.": "{name} {filename!r} 是文件。",
    "{name} {filename!r} is not readable.": "{name} {filename!r} 不可读。",
    "{name} {filename!r} is not writable.": "{name} {filename!r} 不可写。",
    "Got unexpected extra argument ({args})": "多余的参数（{args}）",
    "Got unexpected extra arguments ({args})": "多余的参数（{args}）",
    "Option {name!r} requires an argument.": "选项 {name!r} 需要一个值。",
    "Option {name!r} requires {nargs} arguments.": "选项 {name!r} 需要 {nargs} 个值。",
    "Option {name!r} does not take a value.": "选项 {name!r} 不带值。",
    "%(prog)s, version %(version)s": "%(prog)s，版本 %(version)s",
}
_CLICK_MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types")


HELP_OPTION_NAMES = ["-h", "--help"]


def translate_click() -> None:
    """Let click look its texts up here. It has no other way than gettext catalogues, which are compiled files."""
    for name in _CLICK_MODULES:
        module = importlib.import_module(f"click.{name}")
        for attribute, function in (("_", _translate), ("ngettext", _translate_plural)):
            if hasattr(module, attribute):
                setattr(module, attribute, function)


def _translate(message: str) -> str:
    translated = CLICK_ZH.get(message) if get_language() is Language.ZH else None
    return translated or gettext.gettext(message)


def _translate_plural(one: str, many: str, count: int) -> str:
    message = one if count == 1 else many
    translated = CLICK_ZH.get(message) if get_language() is Language.ZH else None
    return translated or gettext.ngettext(one, many, count)


def translate_help(command: click.Command) -> None:
    """Set the help of a command, its options and its subcommands to the language of the locale."""
    table = HELP_ZH if get_language() is Language.ZH else _ENGLISH
    if command.help:
        first, separator, rest = command.help.partition("\n")
        command.help = table.get(first, first) + separator + rest
    # click keeps the option for help apart from the others, and makes it once per process
    context = click.Context(command, help_option_names=HELP_OPTION_NAMES)
    for option in (*command.params, command.get_help_option(context)):
        if isinstance(option, click.Option) and option.help:
            option.help = table.get(option.help, option.help)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            translate_help(each)


_ENGLISH = {chinese: english for english, chinese in HELP_ZH.items()}

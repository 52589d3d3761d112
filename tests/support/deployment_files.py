"""The files under deploy/, and what the program says of the settings in them."""

import copy
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from notifier.cli.main import cli
from notifier.config import loader
from support.running import clean_environment

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CREDENTIALS = {"FEISHU_APP_ID": "cli_an_example", "FEISHU_APP_SECRET": "an-example-secret"}
OTHERS = {"PGPASSWORD"}
"""Variables of the PostgreSQL client."""
STOP_SECONDS = 10
"""The time that docs/operations.md promises for a stop."""


def read(name: str) -> str:
    """The text of a file under deploy/."""
    return (DEPLOY / name).read_text(encoding="utf-8")


def read_yaml(text: str) -> list[Any]:
    """All documents of the text."""
    return copy.deepcopy(_parse_yaml(text))


@functools.cache
def _parse_yaml(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def find_unknown_variables(names: Iterable[str]) -> set[str]:
    """The environment variables that the notifier does not use."""
    well_known = {name for names in loader.WELL_KNOWN_VARIABLES.values() for name in names}
    return set(names) - loader._variables() - well_known - OTHERS


def read_environment_file(text: str) -> dict[str, str]:
    """NAME=value of each line, also of those that are commented out."""
    lines = (line.removeprefix("# ").partition("=") for line in text.splitlines())
    return {name: value.strip("'") for name, equals, value in lines if equals and name.isupper()}


def check(config: str, environment: Mapping[str, str], *, command: str = "check") -> Result:
    """Runs a command of the notifier with this configuration file of deploy/ and this environment alone."""
    removed = dict.fromkeys(set(os.environ) - set(clean_environment()))
    return CliRunner().invoke(
        cli, [command, "--config", str(DEPLOY / config)], env=removed | CREDENTIALS | dict(environment)
    )


def walk(node: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Each value in YAML with its path."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(node, list):
        for inner in node:
            yield from walk(inner, f"{path}[]")
    else:
        yield path, node

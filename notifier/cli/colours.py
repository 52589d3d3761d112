"""Colours of the command line: only on a terminal, and not if NO_COLOR is set."""

import os
import sys
from typing import TextIO

import click

GOOD, WARNING, BAD = "green", "yellow", "red"


def has_colours(stream: TextIO | None = None) -> bool:
    """Whether the stream shows colours. None: standard output. See https://no-color.org for NO_COLOR."""
    stream = sys.stdout if stream is None else stream
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, colour: str, *, stream: TextIO | None = None) -> str:
    """Returns the text in a colour, or as it is where colours are not shown. stream: where it is printed."""
    return click.style(text, fg=colour) if has_colours(stream) else text

"""Where templates come from: the company's folder, then the shipped ones. `shipped/NAME` is always the shipped one."""

import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes

from notifier.cards.templating.faults import name_nearest
from notifier.cards.templating.shipped import shipped_templates as shipped_templates  # noqa: PLC0414 - others import it from here

SHIPPED_PREFIX = "shipped/"


class _Replaceable(jinja2.BaseLoader):
    """The shipped templates. One is loaded again once the company's folder has a file of its name."""

    def __init__(self, shipped: jinja2.FileSystemLoader, own: Path) -> None:
        self._shipped = shipped
        self._own = own

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, is_current = self._shipped.get_source(environment, template)
        own = str(self._own / template)
        return source, file, lambda: not os.path.exists(own) and is_current()  # noqa: PTH110 - before every card

    def list_templates(self) -> list[str]:
        return self._shipped.list_templates()


class CardLoader(jinja2.ChoiceLoader):
    """Loads templates, and rejects one that extends itself or names a block which its parent lacks."""

    def __init__(self, own: Path | None) -> None:
        """own: the folder of the company; None: there are only shipped templates."""
        shipped = jinja2.FileSystemLoader(str(shipped_templates()))
        always = jinja2.PrefixLoader({SHIPPED_PREFIX.rstrip("/"): shipped})
        if own is None:
            super().__init__([always, shipped])
        else:
            super().__init__([always, jinja2.FileSystemLoader(str(own)), _Replaceable(shipped, own)])

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's name for it
    ) -> jinja2.Template:
        """Load a template. Raises TemplateSyntaxError for a fault in it, TemplateNotFound."""
        template = super().load(environment, name, globals)
        if name.startswith(SHIPPED_PREFIX):
            return template
        tree = _parse(environment, name)
        extended = _find_parent(tree)
        if extended is not None:
            parent, line = extended
            if parent == name:
                reason = (
                    f"{name} extends itself; to extend the shipped template, write {SHIPPED_PREFIX}{name}"
                )
                raise jinja2.TemplateSyntaxError(reason, line, name)
            known = list_blocks(environment, parent)
            for block in tree.body:
                if isinstance(block, nodes.Block) and block.name not in known:
                    reason = (
                        f"{parent} has no block {block.name}{name_nearest(block.name, known, noun='blocks')}"
                    )
                    raise jinja2.TemplateSyntaxError(reason, block.lineno, name)
        return template


def list_blocks(environment: jinja2.Environment, name: str) -> list[str]:
    """Return the names of the blocks that a template has or inherits, those of its parents first.

    Raises TemplateSyntaxError, TemplateNotFound.
    """
    tree = _parse(environment, name)
    own = [block.name for block in tree.find_all(nodes.Block)]
    extended = _find_parent(tree)
    inherited = list_blocks(environment, extended[0]) if extended and extended[0] != name else []
    return list(dict.fromkeys([*inherited, *_in_order(tree, own)]))


def list_changed_blocks(environment: jinja2.Environment, name: str) -> list[str]:
    """Return the blocks that a template itself contains."""
    return [block.name for block in _parse(environment, name).find_all(nodes.Block)]


def find_parent(environment: jinja2.Environment, name: str) -> str | None:
    """Return the template that a template extends; None: none."""
    extended = _find_parent(_parse(environment, name))
    return extended[0] if extended else None


def _in_order(tree: nodes.Template, names: list[str]) -> Iterator[str]:
    """Jinja lists the outer blocks first; the page and the command show them as they stand in the file."""
    lines = {block.name: block.lineno for block in tree.find_all(nodes.Block)}
    return iter(sorted(names, key=lambda each: lines[each]))


def _find_parent(tree: nodes.Template) -> tuple[str, int] | None:
    extends = next(tree.find_all(nodes.Extends), None)
    if extends is None or not isinstance(extends.template, nodes.Const):
        return None
    return str(extends.template.value), extends.lineno


def _parse(environment: jinja2.Environment, name: str) -> nodes.Template:
    if environment.loader is None:  # only for the type checker
        raise jinja2.TemplateNotFound(name)
    return environment.parse(environment.loader.get_source(environment, name)[0], name)

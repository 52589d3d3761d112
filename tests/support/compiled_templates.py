"""Keeps the compiled form of card templates. Without it, each new environment compiles all of them again."""

import io
from typing import Any

from jinja2.bccache import Bucket, BytecodeCache

from notifier.cards.templates import OUR_TEMPLATES, CardTemplates
from notifier.cards.templating.environment import CardEnvironment


class _CompiledTemplates(BytecodeCache):
    """In memory, for this process and its forks. Jinja checks that the source is the same."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        code = self._code.get((bucket.key, bucket.checksum))
        if code is not None and not bucket.environment.extensions:  # they change the code
            bucket.load_bytecode(io.BytesIO(code))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not bucket.environment.extensions:
            self._code[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def keep_compiled_templates() -> None:
    """From now on each environment of this process compiles only what no other one has compiled."""
    cache, create = _CompiledTemplates(), CardEnvironment.__init__

    def create_with_cache(environment: CardEnvironment, *args: Any, **named: Any) -> None:
        create(environment, *args, **named)
        environment.bytecode_cache = cache

    CardEnvironment.__init__ = create_with_cache  # type: ignore[method-assign, assignment]


def compile_shipped_templates() -> None:
    """Compiles the templates that the package contains."""
    templates = CardTemplates()
    for name in OUR_TEMPLATES:
        templates.blocks(name)
        templates._environment.get_template(name)

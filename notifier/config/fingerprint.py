"""The fingerprint of a configuration: processes on one database must have the same one."""

import hashlib
import hmac
import json
import socket
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from notifier.config.settings import Config

_OWN: dict[str, Any] = {
    "cards": {"template_dir"},
    "replica": True,
    "store": True,
    "health": True,
    "log": True,
    "tracing": True,
    "webhook": {"listen"},
    "payouts": {"listen"},
}
"""Settings in which the processes may differ."""


def compute_fingerprint(config: Config) -> str:
    """Sixteen hexadecimal digits, which differ if a setting differs that all processes must share.

    The app's secret is the key, so that the digits tell nothing about other secrets.
    """
    document = config.model_dump(mode="python", exclude=_OWN)
    text = json.dumps([document, _templates(config.cards.template_dir)], sort_keys=True, default=_to_text)
    key = config.feishu.app_secret.get_secret_value().encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]


def get_replica_name(config: Config) -> str:
    """replica.name, or the name of the machine."""
    return config.replica.name or socket.gethostname()


def _templates(folder: Path | None) -> list[tuple[str, str]]:
    """The names of the company's own templates, with hashes of their contents."""
    if folder is None:
        return []
    kinds = ("*.j2", "texts.*.yaml", "*.card.json", "*.card.yaml")
    files = sorted(file for kind in kinds for file in folder.rglob(kind))
    return [(str(each.relative_to(folder)), _hash(each)) for each in files]


def _hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _to_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(sorted(map(str, value))) if isinstance(value, frozenset | set) else str(value)

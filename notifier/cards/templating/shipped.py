"""Where the shipped templates are. Without Jinja, which many commands do not need."""

from pathlib import Path

_INSTALLED = Path(__file__).resolve().parents[2] / "templates"
"""The templates of an installed package. In a source checkout they are beside the package."""


def shipped_templates() -> Path:
    """Return the folder of the shipped templates."""
    return _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parents[1] / "templates"

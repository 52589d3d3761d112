"""Where the shipped templates and texts are. Without Jinja, so that commands which render nothing start quickly."""

from pathlib import Path

SHIPPED_HERE = Path(__file__).resolve().parents[2] / "templates"
"""The templates of an installed package. In a source checkout they are beside the package."""


def shipped_templates() -> Path:
    """Return the folder of the shipped templates."""
    return SHIPPED_HERE if SHIPPED_HERE.is_dir() else SHIPPED_HERE.parents[1] / "templates"

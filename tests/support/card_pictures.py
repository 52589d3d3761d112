"""Draws the pictures of docs/templates.md, each from a sample by `notifier preview --png`.

`make pictures` runs it. `tests/cards/test_templates_page.py` fails for a template without a picture.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "images" / "cards"
SAMPLES = {
    "balance_change.json.j2": "withdraw",
    "balance_change_compact.json.j2": "withdraw",
    "withdrawal.json.j2": "paid",
    "withdrawal_compact.json.j2": "paid",
    "digest.json.j2": "daily",
    "digest_compact.json.j2": "daily",
    "personal_digest.json.j2": "my-week",
    "settings.json.j2": "settings-chosen",
    "answer.json.j2": "answer-balance",
    "answer_compact.json.j2": "answer-balance",
}
"""The sample on the picture of each template."""


def find_picture(template: str) -> Path:
    """Return the file of the picture of a template."""
    return FOLDER / template.replace(".json.j2", ".png")


def draw_pictures() -> None:
    """Draw all pictures, with the default configuration."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for template, sample in SAMPLES.items():
        words = [
            template,
            "--sample",
            sample,
            "--language",
            "en",
            "--phone",
            "--png",
            str(find_picture(template)),
        ]
        subprocess.run([sys.executable, "-m", "notifier", "preview", *words], cwd=FOLDER, check=True)


if __name__ == "__main__":
    draw_pictures()

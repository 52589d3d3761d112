"""The built wheel, unpacked as an installation."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def install_wheel(folder: Path) -> Path:
    """Builds the wheel and unpacks it. Returns a folder for Python's path. The dependencies are not in it."""
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run([*build, "-w", folder, ROOT], check=True, timeout=100)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    for path in (folder / "site", *(folder / "site").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # as pip does: the service has another user
    return folder / "site"

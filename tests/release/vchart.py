"""VChart, the chart library of the pages: writes the committed copy from the npm package, at a pinned version.

To change the version, change VERSION, INTEGRITY and SHA256. `npm view @visactor/vchart@VERSION dist.integrity` prints
the second one. Then run `make vchart`.
"""

import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@visactor/vchart"
VERSION = "1.12.13"
"""Feishu's clients from 7.27 use 1.12.3, which is not published on npm. This is the last release of the same line."""
INTEGRITY = "sha512-kF9bxLU0VZcGLVHVWknuU6j2nVW5tw3HM2t+GM8CD3F0tKET6jWkEgmATbtZD17pYEVArYo6o7d9DKLD3o54Rg=="
"""Of the npm package."""
MEMBER = "package/build/index.min.js"
"""The only minified build without the detours for old browsers. It has every chart type of Feishu."""
SHA256 = "dadfc2d60046bcf18bec84e14ebf77b111a22c078826e4d24b99108cc6c33cf0"
"""Of the committed file."""
FILE = Path(__file__).parents[2] / "notifier" / "sandbox" / "page" / "vchart" / "vchart.min.js"


def download() -> bytes:
    """Return the script from the npm package. Raises ValueError if its hash is not the pinned one."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--json", "--loglevel=error", f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        (packed,) = json.loads(done.stdout)
        content = (Path(folder) / packed["filename"]).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"{PACKAGE}@{VERSION} has the hash {found}, not {INTEGRITY}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        script = archive.extractfile(MEMBER)
        if script is None:
            raise ValueError(f"{PACKAGE}@{VERSION} has no {MEMBER}")
        return script.read()


if __name__ == "__main__":
    FILE.write_bytes(download())
    print(f"{FILE.name}: sha256 {hashlib.sha256(FILE.read_bytes()).hexdigest()}")  # noqa: T201

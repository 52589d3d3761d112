"""Shims: small C libraries that stand between a program and its disk, loaded with LD_PRELOAD."""

import shutil
import subprocess
from pathlib import Path

from support.requirements import skip_or_fail


def build_library(name: str, folder: Path) -> Path:
    """The library made from tests/support/<name>.c. Skips the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        skip_or_fail("cc", "there is no C compiler")
    library = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl", "-lpthread"],
        check=True,
    )
    return library

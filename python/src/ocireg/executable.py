"""Where the executable is."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from .errors import ExecutableNotFoundError

#: Names an executable to use instead of the wheel's own.
VARIABLE = "OCIREG_EXECUTABLE"

_BUNDLED = Path(__file__).parent / "bin" / "ocireg"


def find_executable() -> str:
    """The path of the executable: ``$OCIREG_EXECUTABLE``, else the wheel's, else one on PATH.

    :raises ExecutableNotFoundError: where there is none
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise ExecutableNotFoundError(f"{VARIABLE} is {named!r}, which isn't an executable")
        return os.path.abspath(found)
    if _BUNDLED.is_file():
        return str(_BUNDLED)
    for candidate in _on_path():
        return candidate
    raise ExecutableNotFoundError(
        f"there is no ocireg executable for {sys.platform} {platform.machine()} in this "
        f"installation and none on PATH: install a wheel for this platform, or name one "
        f"with {VARIABLE}"
    )


def cannot_start(path: str, error: OSError) -> ExecutableNotFoundError:
    """What it means that the system doesn't start the executable at ``path``."""
    if isinstance(error, FileNotFoundError) and os.path.exists(path):
        # The kernel says that of an ELF file whose interpreter is missing: glibc's on Alpine.
        reason = "its C library isn't here"
    else:
        reason = error.strerror or str(error)
    return ExecutableNotFoundError(
        f"{path!r} doesn't run on {sys.platform} {platform.machine()}: {reason}: install the wheel "
        f"for this platform, or name an executable with {VARIABLE}"
    )


def _on_path() -> Iterator[str]:
    for directory in os.get_exec_path():
        found: Optional[str] = shutil.which("ocireg", path=directory or os.curdir)
        if found is not None and not _is_script(found):
            yield os.path.abspath(found)


def _is_script(path: str) -> bool:
    """Whether it is our own console script, which would look for itself for ever."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True

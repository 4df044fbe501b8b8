"""The console script: becomes the executable, so that signals and exit codes are its own."""

import os
import sys

from .errors import ExecutableNotFoundError
from .executable import cannot_start, find_executable


def main() -> None:
    try:
        path = find_executable()
        try:
            os.execv(path, ["ocireg", *sys.argv[1:]])
        except OSError as error:
            raise cannot_start(path, error) from error
    except ExecutableNotFoundError as error:
        print(f"ocireg: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

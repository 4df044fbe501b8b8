"""Pushes files and directories with ORAS's Python client: oras-push.py REFERENCE PATH...

Paths are relative to the working directory.
"""

import sys

from oras.client import OrasClient

target, *paths = sys.argv[1:]
OrasClient(insecure=True).push(target=target, files=paths, quiet=True)

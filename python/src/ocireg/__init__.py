"""Models from any OCI registry: a client around the ``ocireg`` executable.

::

    import ocireg

    path = ocireg.pull("username/model:tag")
"""

from .client import Client, OciGoClient, Resolved, inspect, pull, resolve
from .errors import (
    ContentError,
    DiskError,
    ExecutableNotFoundError,
    InterruptedPullError,
    NetworkError,
    NotCachedError,
    NotFoundError,
    OciregError,
    UnauthorizedError,
    UsageError,
)
from .events import BlobProgress, Event
from .progress import progress_bar

__version__ = "0.1.0"

__all__ = [
    "BlobProgress",
    "Client",
    "ContentError",
    "DiskError",
    "Event",
    "ExecutableNotFoundError",
    "InterruptedPullError",
    "NetworkError",
    "NotCachedError",
    "NotFoundError",
    "OciGoClient",
    "OciregError",
    "Resolved",
    "UnauthorizedError",
    "UsageError",
    "inspect",
    "progress_bar",
    "pull",
    "resolve",
]

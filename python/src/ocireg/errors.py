"""What can go wrong: an exception for each exit code of the executable.

The message is the executable's own line: what failed, on which side, and what to do.
"""

from typing import Optional


class OciregError(RuntimeError):
    """The executable failed; of this class itself, in a way that nobody reckoned with."""

    #: The exit code of the executable; negative when a signal ended it, None when it never ran.
    exit_code: Optional[int]

    def __init__(self, message: str, exit_code: Optional[int] = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> "tuple[type, tuple[str, Optional[int]]]":
        # Exceptions cross processes: without this the exit code would stay behind.
        return type(self), (str(self), self.exit_code)


class UsageError(OciregError):
    """A reference or a setting that means nothing, or a request that the registry refuses (2)."""


class NotFoundError(OciregError):
    """There is no such manifest, blob, repository, or platform in the index (3)."""


class UnauthorizedError(OciregError):
    """The registry wants other credentials (4)."""


class NetworkError(OciregError):
    """The registry couldn't be reached, or broke off, after retries (5)."""


class ContentError(OciregError):
    """Content doesn't match its digest, or is hostile; nothing of it was kept (6)."""


class DiskError(OciregError):
    """The local disk is full, or refuses (7)."""


class NotCachedError(OciregError):
    """Offline, and not in the cache (8)."""


class InterruptedPullError(OciregError):
    """The executable was interrupted or terminated (130, 143), or the call was cancelled."""


class ExecutableNotFoundError(OciregError):
    """There is no executable that runs on this machine."""


_BY_EXIT_CODE: dict[int, type[OciregError]] = {
    2: UsageError,
    3: NotFoundError,
    4: UnauthorizedError,
    5: NetworkError,
    6: ContentError,
    7: DiskError,
    8: NotCachedError,
    130: InterruptedPullError,
    143: InterruptedPullError,
}


def error_for(exit_code: int, message: str) -> OciregError:
    """The exception for an exit code."""
    return _BY_EXIT_CODE.get(exit_code, OciregError)(message, exit_code)

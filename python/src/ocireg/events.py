"""What a pull tells while it runs: the objects of ``ocireg pull --progress json``."""

from typing import Callable, TypedDict


class BlobProgress(TypedDict, total=False):
    """A blob that is on its way, or one of several that an event stands for."""

    digest: str
    #: The file that it becomes; absent where only its header tells, and for archives.
    path: str
    #: "archive" or "shard", where there is no path.
    kind: str
    #: Bytes of the whole blob.
    size: int
    #: Bytes that are here.
    completed: int
    #: Bytes a second.
    rate: int


class Event(TypedDict, total=False):
    """One event. ``type`` is always there, the rest where it makes sense."""

    #: "start", "progress", "waiting", "verified", "retry", "warning", "done" or "error".
    type: str
    #: Bytes of the whole transfer.
    completed: int
    #: Bytes of the whole transfer.
    total: int
    #: Bytes a second.
    rate: int
    digest: str
    path: str
    kind: str
    #: Bytes of the blob that the event is about.
    size: int
    #: Those in flight; of "verified" and "waiting", all that the event stands for.
    blobs: list[BlobProgress]
    #: Of "retry": the attempt that failed, counted from 1.
    attempt: int
    #: Of "retry": milliseconds until the next one.
    delay: int
    #: Of "retry": how many attempts the event stands for.
    count: int
    #: Of "retry".
    reason: str
    #: Of "warning" and "error".
    message: str


ProgressCallback = Callable[[Event], None]

"""The shards of a model while they arrive."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from ..client import Client
from ..errors import ContentError
from ..events import Event
from . import logger
from .artifact import INDEX

#: Seconds between two looks, should an event be missed.
_PATIENCE = 0.5


class Arrival:
    """A pull that runs; leaving the context before its end ends it.

    A blob lies at ``blobs/sha256/<hex>`` of the cache only when its digest matched, whichever
    process fetched it, so whatever is there may be read. The view itself becomes complete only at
    the end.

    :param directory: of a view, which may lack shards, or all on a node that never pulled it
    :param pinned: the reference of the view, by digest
    """

    def __init__(self, directory: Path, pinned: str) -> None:
        self._directory = directory
        self._cache = directory.parents[2]
        self._pinned = pinned
        self._news = threading.Event()
        self._cancel = threading.Event()
        if not directory.is_dir():
            # This isn't the node that configured the engine, nor does it share its disk.
            Client(cache_dir=self._cache).pull(pinned)
        # In this order, before our pull: another process may be completing the view.
        self._missing = self._missing_shards()
        self._names = self._shard_names()
        self._here = sorted(path for path in map(directory.joinpath, self._names) if path.is_file())

    def __enter__(self) -> "Arrival":
        if self._missing:
            logger.info("Fetching the weights of %s", self._pinned)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ocireg")
        self._pull: Future[Path] = self._pool.submit(self._run)
        self._pull.add_done_callback(lambda _: self._news.set())
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._cancel.set()
        self._pool.shutdown()

    @property
    def can_stream(self) -> bool:
        """Whether some shards are still to come, and it is certain which ones."""
        return 0 < len(self._missing) == len(self._names) - len(self._here)

    def shards(self) -> Iterator[Path]:
        """All shards: first what is here, then each as soon as it is verified.

        :raises OciregError: when the pull fails; of the shards before that, all were right
        """
        yield from self._here
        waiting = dict(self._missing)
        while waiting:
            self._news.clear()
            ended = self._pull.done()
            if ended:
                self._pull.result()
            here = [path for path in waiting if path.is_file()]
            for path in here:
                logger.info("%s of %s is verified", waiting.pop(path), self._pinned)
                yield path
            if not here and ended:
                gone = ", ".join(waiting.values())
                raise ContentError(f"{gone} of {self._pinned} went from the cache: pull again")
            if not here:
                self._news.wait(_PATIENCE)
        self.complete()

    def complete(self) -> None:
        """Waits until the view is complete.

        :raises OciregError: when the pull fails
        """
        self._pull.result()

    def _run(self) -> Path:
        client = Client(cache_dir=self._cache)
        return client.pull(self._pinned, progress=self._told, cancel=self._cancel)

    def _told(self, event: Event) -> None:
        if event.get("type") == "verified":
            self._news.set()

    def _shard_names(self) -> "set[str]":
        try:
            index = json.loads((self._directory / f"model.{INDEX}").read_bytes())
        except FileNotFoundError:
            return set()
        return set(index["weight_map"].values())

    def _missing_shards(self) -> "dict[Path, str]":
        """The paths of the layers that the view lacks, each with its digest."""
        view = self._directory.parent
        record: dict[str, Any] = json.loads((view / "oci_metadata.json").read_bytes())
        manifest: dict[str, Any] = json.loads((view / "manifest.json").read_bytes())
        digests = {layer["digest"] for layer in manifest.get("layers", ())} - set(record["layers"])
        return {self._cache.joinpath("blobs", *digest.split(":", 1)): digest for digest in digests}

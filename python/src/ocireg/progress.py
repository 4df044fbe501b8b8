"""A progress bar, where tqdm is installed."""

from types import TracebackType
from typing import Any, Optional

from .events import Event


class progress_bar:
    """Shows a pull with tqdm: ``with progress_bar() as bar: client.pull(ref, progress=bar)``.

    :param options: for :class:`tqdm.auto.tqdm`, ``desc`` and ``disable`` for example
    :raises ImportError: where tqdm isn't installed
    """

    def __init__(self, **options: Any) -> None:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

        defaults = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        self._bar = tqdm(total=0, **{**defaults, **options})

    def __call__(self, event: Event) -> None:
        if "total" in event:
            self._bar.total = event["total"]
            # What is lost is fetched again, and counted back.
            self._bar.update(event["completed"] - self._bar.n)
            self._bar.refresh()

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()

    def __enter__(self) -> "progress_bar":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

"""Runs the executable: to its end, or until somebody has had enough of it."""

import contextlib
import json
import logging
import os
import selectors
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Optional, cast

from .errors import InterruptedPullError, OciregError, error_for
from .events import Event, ProgressCallback
from .executable import cannot_start

logger = logging.getLogger("ocireg")

#: Seconds between two looks at whether the call was cancelled.
_PATIENCE = 0.1
#: Seconds that the executable has to end by itself when it is told to.
_GRACE = 5.0
#: Bytes of what isn't an event that are kept of the executable's stderr.
_MAX_SAID = 64 * 1024


def run(
    executable: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    on_event: Optional[ProgressCallback] = None,
    cancel: Optional[threading.Event] = None,
) -> bytes:
    """Runs the executable and returns its stdout.

    Whatever ends this function early, an exception of ``on_event`` or Ctrl-C among them, ends the
    process first, and no zombie stays.

    :param on_event: is called, in this thread, for each event
    :param cancel: ends the process when it is set
    :raises OciregError: of the class that belongs to the exit code
    """
    environment = {
        **environment,
        # Ends the executable when this process is killed, so that nobody downloads for nobody.
        "BUN_FEATURE_FLAG_NO_ORPHANS": "1",
    }
    try:
        process = subprocess.Popen(
            [executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
        )
    except OSError as error:
        raise cannot_start(executable, error) from error
    lines = _Lines(on_event)
    try:
        stdout = _follow(process, lines, cancel)
        code = process.wait()
    finally:
        _end(process)
    lines.close()
    if code != 0:
        raise _failure(code, lines)
    return stdout


def _follow(
    process: "subprocess.Popen[bytes]", lines: "_Lines", cancel: Optional[threading.Event]
) -> bytes:
    """Reads both streams until they end."""
    stdout, stderr = cast(IO[bytes], process.stdout), cast(IO[bytes], process.stderr)
    result: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        selector.register(stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(None if cancel is None else _PATIENCE)
            if cancel is not None and cancel.is_set():
                raise InterruptedPullError("cancelled")
            for key, _ in ready:
                chunk = os.read(key.fd, 64 * 1024)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is stdout:
                    result.append(chunk)
                else:
                    lines.feed(chunk)
    return b"".join(result)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process if it runs, and waits for it."""
    try:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
    finally:
        # Also where a second Ctrl-C cut the waiting short.
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


class _Lines:
    """The lines of stderr: events are passed on, the rest is kept."""

    def __init__(self, on_event: Optional[ProgressCallback]) -> None:
        self._on_event = on_event
        self._unfinished = b""
        self._said: list[str] = []
        self._size = 0
        #: Of the event ``error``.
        self.error: Optional[str] = None

    def feed(self, chunk: bytes) -> None:
        *whole, self._unfinished = (self._unfinished + chunk).split(b"\n")
        for line in whole:
            self._take(line.decode("utf-8", "replace"))

    def close(self) -> None:
        if self._unfinished:
            self._take(self._unfinished.decode("utf-8", "replace"))
            self._unfinished = b""

    def _take(self, line: str) -> None:
        event = _parse(line)
        if event is None:
            self._keep(line)
            return
        kind = event.get("type")
        if kind == "error":
            self.error = event.get("message")
        elif kind == "warning":
            logger.warning("%s", event.get("message"))
        if self._on_event is not None:
            self._on_event(event)

    def _keep(self, line: str) -> None:
        self._size += len(line)
        if self._size <= _MAX_SAID:
            self._said.append(line)

    @property
    def message(self) -> str:
        """Why it failed, in the executable's words."""
        if self.error is not None:
            return self.error
        for line in self._said:
            if line.startswith("ocireg: "):
                return line[len("ocireg: ") :]
        return " ".join(line.strip() for line in self._said[-5:]).strip()


def _parse(line: str) -> Optional[Event]:
    if not line.startswith('{"type":'):
        return None
    try:
        value: dict[str, object] = json.loads(line)
    except ValueError:
        return None
    return cast(Event, value)


def _failure(code: int, lines: _Lines) -> OciregError:
    if code < 0:
        return error_for(code, lines.message or f"the executable was ended by signal {-code}")
    if code == 127 and "shared librar" in lines.message:
        # The musl build finds no libstdc++.
        return error_for(code, f"{lines.message}: on Alpine, apk add libstdc++")
    return error_for(code, lines.message or f"the executable ended with exit code {code}")

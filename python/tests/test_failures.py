"""What goes wrong is an exception with the executable's own line, and leaves nothing behind."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from conftest import PASSWORD, Pushed, Registry, content_of, heed_ctrl_c, make_model, push

import ocireg
from ocireg.executable import find_executable
from ocireg.process import run

SLOW = "1MiB"


def children() -> list[int]:
    """Processes whose parent this one is, zombies too."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,comm="], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [int(pid) for pid, parent, name in rows if int(parent) == os.getpid() and name != "ps"]


@pytest.fixture(scope="module")
def damaged(serve: Callable[..., Registry], tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry whose files a test changes."""
    return serve(tmp_path_factory.mktemp("damaged"), "--log-level", "error")


@pytest.fixture(autouse=True)
def no_zombies(registry: Registry, protected: Registry, damaged: Registry) -> Iterator[None]:
    """No test leaves a process behind, not even a dead one."""
    before = children()
    yield
    assert children() == before


def views(cache: Path) -> list[str]:
    directory = cache / "views"
    return sorted(os.listdir(directory)) if directory.exists() else []


def test_a_reference_that_isnt_there(client: ocireg.Client, registry: Registry) -> None:
    with pytest.raises(ocireg.NotFoundError) as caught:
        client.pull(registry.reference("user/tiny:nope"))
    assert caught.value.exit_code == 3
    assert "answered 404" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reference_that_means_nothing(client: ocireg.Client) -> None:
    for reference in ("UPPER/Case", "", "--help", "a b"):
        with pytest.raises(ocireg.UsageError):
            client.pull(reference)


def test_refused_credentials(protected: Registry, tmp_path: Path) -> None:
    reference = protected.reference("user/private:v1")
    push(make_model(tmp_path / "model"), reference, PASSWORD)
    with pytest.raises(ocireg.UnauthorizedError) as caught:
        ocireg.Client(username="alice", password="wrong").pull(reference)
    assert caught.value.exit_code == 4
    assert "wrong" not in str(caught.value)


def test_nobody_listens(client: ocireg.Client) -> None:
    with pytest.raises(ocireg.NetworkError, match="refused"):
        ocireg.Client(connect_timeout="1s").resolve("127.0.0.1:9/user/model:v1")


def test_content_that_isnt_what_its_digest_says(
    client: ocireg.Client, damaged: Registry, tmp_path: Path, cache: Path
) -> None:
    pushed = push(make_model(tmp_path / "model"), damaged.reference("user/tiny:v1"))
    layer = client.pull_manifest(pushed.reference)["layers"][0]
    (stored,) = damaged.root.glob(f"**/{layer['digest'].split(':')[1]}/data")
    stored.write_bytes(b"\0" * layer["size"])
    with pytest.raises(ocireg.ContentError) as caught:
        client.pull(pushed.reference)
    assert caught.value.exit_code == 6
    assert views(cache) == []
    target = tmp_path / "blob"
    with pytest.raises(ocireg.ContentError):
        client.pull_blob(pushed.reference, layer["digest"], target)
    assert not target.exists()


def test_a_disk_that_refuses(model: Pushed, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a directory")
    with pytest.raises(ocireg.DiskError) as caught:
        ocireg.Client(cache_dir=in_the_way / "cache").pull(model.reference)
    assert caught.value.exit_code == 7
    assert "cache-dir" in str(caught.value)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small file system"
)
def test_a_full_disk(large_model: Pushed, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)])
    if mounted.returncode != 0:
        pytest.skip("mounting isn't allowed here")
    try:
        with pytest.raises(ocireg.DiskError, match="free"):
            ocireg.Client(cache_dir=small / "cache").pull(large_model.reference)
        assert views(small / "cache") == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_offline_and_not_cached(client: ocireg.Client, model: Pushed) -> None:
    with pytest.raises(ocireg.NotCachedError) as caught:
        client.pull(model.reference, offline=True)
    assert caught.value.exit_code == 8


def test_a_callback_that_fails_ends_the_pull(large_model: Pushed, cache: Path) -> None:
    class Enough(Exception):
        pass

    def fail(event: ocireg.Event) -> None:
        raise Enough

    with pytest.raises(Enough):
        ocireg.Client(limit_rate=SLOW).pull(large_model.reference, progress=fail)
    assert views(cache) == []


def test_another_thread_cancels(large_model: Pushed, cache: Path) -> None:
    cancel = threading.Event()

    def watch(event: ocireg.Event) -> None:
        if event["type"] == "progress":
            threading.Timer(0.05, cancel.set).start()

    with pytest.raises(ocireg.InterruptedPullError):
        ocireg.Client(limit_rate=SLOW).pull(large_model.reference, progress=watch, cancel=cancel)
    assert views(cache) == []


def test_a_pull_goes_on_after_it_was_cancelled(large_model: Pushed) -> None:
    cancel = threading.Event()

    def watch(event: ocireg.Event) -> None:
        if event.get("completed", 0) > 2 << 20:
            cancel.set()

    with pytest.raises(ocireg.InterruptedPullError):
        ocireg.Client(limit_rate="8MiB").pull(large_model.reference, progress=watch, cancel=cancel)
    totals: list[int] = []
    path = ocireg.Client().pull(
        large_model.reference,
        progress=lambda event: totals.append(event["total"]) if event["type"] == "done" else None,
    )
    assert totals[0] < 16 << 20
    assert content_of(path) == content_of(large_model.directory)


PULL = """
import sys, ocireg
def told(event):
    if event["type"] == "progress":
        print("moving", flush=True)
try:
    ocireg.Client(limit_rate="1MiB").pull(sys.argv[1], progress=told)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def start_pull(reference: str) -> "subprocess.Popen[str]":
    """A Python that pulls slowly, in a session of its own; returns when bytes move."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PULL), reference],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "moving\n"
    return process


def members(session: int) -> list[str]:
    """The processes of a session that live."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "sid=,stat=,args="], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [args for sid, stat, args in rows if int(sid) == session and stat[0] != "Z"]


@pytest.mark.parametrize("whom", ["the terminal's processes", "Python alone"])
def test_ctrl_c_ends_both(large_model: Pushed, cache: Path, whom: str) -> None:
    process = start_pull(large_model.reference)
    assert len(members(process.pid)) >= 2
    if whom == "Python alone":
        os.kill(process.pid, signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert output.endswith("interrupted\n")
    assert members(process.pid) == []
    assert views(cache) == []


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_nobody_downloads_for_a_python_that_was_killed(
    large_model: Pushed, cache: Path, by: signal.Signals
) -> None:
    process = start_pull(large_model.reference)
    os.kill(process.pid, by)
    process.communicate()
    deadline = time.monotonic() + 20
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(process.pid) == []
    assert views(cache) == []


def test_an_executable_that_was_killed(large_model: Pushed) -> None:
    def kill(event: ocireg.Event) -> None:
        if event["type"] == "progress":
            for child in children():
                command = Path(f"/proc/{child}/cmdline")
                if command.exists() and b"pull" in command.read_bytes():
                    os.kill(child, signal.SIGKILL)

    with pytest.raises(ocireg.OciregError, match="signal 9") as caught:
        ocireg.Client(limit_rate=SLOW).pull(large_model.reference, progress=kill)
    assert caught.value.exit_code == -signal.SIGKILL


def test_an_executable_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text(
        "#!/bin/sh\ntrap '' TERM\nprintf '{\"type\":\"start\"}\\n' >&2\nsleep 60 &\nwait\nwait\n"
    )
    stubborn.chmod(0o755)
    monkeypatch.setattr("ocireg.process._GRACE", 0.2)

    def fail(event: ocireg.Event) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        run(str(stubborn), [], dict(os.environ), fail)


def test_every_exit_code_has_its_exception() -> None:
    expected = {
        1: ocireg.OciregError,
        2: ocireg.UsageError,
        3: ocireg.NotFoundError,
        4: ocireg.UnauthorizedError,
        5: ocireg.NetworkError,
        6: ocireg.ContentError,
        7: ocireg.DiskError,
        8: ocireg.NotCachedError,
        130: ocireg.InterruptedPullError,
        143: ocireg.InterruptedPullError,
    }
    for code, kind in expected.items():
        with pytest.raises(ocireg.OciregError) as caught:
            run("/bin/sh", ["-c", f"echo 'ocireg: the reason' >&2; exit {code}"], dict(os.environ))
        assert type(caught.value) is kind
        assert (str(caught.value), caught.value.exit_code) == ("the reason", code)


def test_exceptions_cross_processes() -> None:
    copy = pickle.loads(pickle.dumps(ocireg.NotFoundError("no such thing", 3)))
    assert type(copy) is ocireg.NotFoundError
    assert (str(copy), copy.exit_code) == ("no such thing", 3)


def test_it_is_a_runtime_error() -> None:
    assert issubclass(ocireg.OciregError, RuntimeError)


def test_a_lot_on_both_streams_doesnt_block() -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' a; head -c 1000000 /dev/zero | tr '\\0' b >&2"
    assert run("/bin/sh", ["-c", script], dict(os.environ)) == b"a" * 1000000


def test_the_version_of_the_package_is_the_executables() -> None:
    said = subprocess.run([find_executable(), "version"], stdout=subprocess.PIPE, text=True).stdout
    assert said.split()[1] == ocireg.__version__

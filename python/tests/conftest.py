"""What the tests stand on: the real executable, its own registry, models made of bytes."""

import json
import os
import re
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import pytest

import ocireg
from ocireg.executable import find_executable

PASSWORD = "correct horse"
#: ``htpasswd -nbB alice "correct horse"``, with the lowest cost.
HTPASSWD = "alice:$2y$04$RvPghOPeYpO1hX/g0BrT7ekKQpLnQA9xI15EZInH.vtnAcchlLGti\n"


def heed_ctrl_c() -> None:
    """For a child: what a shell runs in the background ignores SIGINT, and its children do too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Registry(NamedTuple):
    """``ocireg serve``, running."""

    host: str
    root: Path

    def reference(self, rest: str) -> str:
        return f"{self.host}/{rest}"


class Pushed(NamedTuple):
    """A model and where it was pushed to."""

    directory: Path
    reference: str
    digest: str


def make_model(directory: Path, shards: int = 2, size: int = 64 * 1024) -> Path:
    """A directory as Hugging Face has them.

    :param size: bytes of the tensors of each shard
    """
    directory.mkdir(parents=True)
    weight_map: dict[str, str] = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        tensor = f"layer.{number}.weight"
        weight_map[tensor] = name
        header = json.dumps(
            {tensor: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
        ).encode()
        content = struct.pack("<Q", len(header)) + header + bytes([number]) * size
        (directory / name).write_bytes(content)
    total = {"metadata": {"total_size": shards * size}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(total))
    (directory / "config.json").write_text(json.dumps({"architectures": ["TestModel"]}))
    (directory / "tokenizer.json").write_text("{}")
    return directory


def content_of(directory: Path) -> dict[str, bytes]:
    """The files of a directory by name, hidden ones left out."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.relative_to(directory).parts[0].startswith(".")
    }


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, credentials or caches of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("OCIREG_") and name != "OCIREG_EXECUTABLE":
            monkeypatch.delenv(name)
    monkeypatch.delenv("BUN_FEATURE_FLAG_NO_ORPHANS", raising=False)
    for name in ("VLLM_CACHE_ROOT", "XDG_CACHE_HOME", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("OCIREG_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., Registry]]:
    """Starts registries that run until the tests end: ``serve(root, *flags)``."""
    running: list[subprocess.Popen[str]] = []

    def start(root: Path, *flags: str) -> Registry:
        process = subprocess.Popen(
            [find_executable(), "serve", "--root", str(root), "--addr", "127.0.0.1:0", *flags],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        said = ""
        for line in process.stderr or ():
            said += line
            match = re.search(r"serving .* on https?://(\S+)", line)
            if match:
                return Registry(match.group(1), root)
        raise RuntimeError(f"serve ended early: {said}")

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait()
        if process.stderr:
            process.stderr.close()


@pytest.fixture(scope="session")
def registry(serve: Callable[..., Registry], tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Open to everybody."""
    return serve(tmp_path_factory.mktemp("registry"), "--log-level", "error")


@pytest.fixture(scope="session")
def protected(serve: Callable[..., Registry], tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Wants user ``alice`` with ``PASSWORD``."""
    directory = tmp_path_factory.mktemp("protected")
    (directory / "htpasswd").write_text(HTPASSWD)
    flags = ("--htpasswd", str(directory / "htpasswd"), "--log-level", "error")
    return serve(directory / "data", *flags)


def push(
    directory: Path, reference: str, password: Optional[str] = None, artifact: str = "docker"
) -> Pushed:
    """Pushes a model with the executable itself.

    :param artifact: its format; by default the one of the documents that the client comes from
    """
    credentials = {}
    if password is not None:
        credentials = {"OCIREG_USERNAME": "alice", "OCIREG_PASSWORD": password}
    result = subprocess.run(
        [
            *(find_executable(), "push", "--progress", "none", "--format", artifact),
            *(str(directory), reference),
        ],
        env={**os.environ, **credentials},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Pushed(directory, reference, result.stdout.strip().split("@")[1])


@pytest.fixture(scope="session")
def model(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    """A model in the open registry."""
    directory = make_model(tmp_path_factory.mktemp("model") / "tiny")
    return push(directory, registry.reference("user/tiny:v1"))


@pytest.fixture(scope="session")
def large_model(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    """One that takes a while at a limited rate: 16 MiB."""
    directory = make_model(tmp_path_factory.mktemp("model") / "large", shards=2, size=8 << 20)
    return push(directory, registry.reference("user/large:v1"))


@pytest.fixture
def client() -> ocireg.Client:
    return ocireg.Client()


#: Tests that need vLLM, which the everyday run doesn't have.
collect_ignore = [] if os.environ.get("OCIREG_VLLM_PYTHON") else ["vllm_engine"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if collect_ignore:
        terminalreporter.write_line("not run: tests/vllm_engine, which scripts/test --vllm runs")

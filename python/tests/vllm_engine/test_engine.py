"""The real engine, on CPU, against our own registry with authentication on.

Only ``scripts/test --vllm`` runs this: vLLM takes gigabytes and minutes.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

import pytest
from conftest import PASSWORD, Pushed, Registry, heed_ctrl_c, push

from ocireg.executable import find_executable

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PYTHON = os.environ.get("OCIREG_VLLM_PYTHON", "")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed beside vLLM: its entry point is what vLLM finds."""
    bun = os.environ.get("OCIREG_TEST_BUN") or shutil.which("bun") or "bun"
    command = [bun, "build/wheel.ts", "--binary", find_executable()]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    directory = tmp_path_factory.mktemp("site")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory)]
    subprocess.run([*pip, str(ROOT / said.split()[0])], check=True)
    return directory


@pytest.fixture(scope="session")
def llama(protected: Registry, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    """A random Llama: 2 layers, hidden size 128, 4 shards or more, a BPE tokenizer."""
    directory = tmp_path_factory.mktemp("llama") / "tiny"
    command = [PYTHON, str(HERE / "make_llama.py"), str(directory), "128", "400KB"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert len(list(directory.glob("*.safetensors"))) >= 4
    return push(directory, protected.reference("user/tiny:v1"), PASSWORD)


class Engine:
    """Starts vLLM in a process of its own."""

    def __init__(self, site: Path) -> None:
        hidden = ("OCIREG_EXECUTABLE",)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "PYTHONPATH": str(site),
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "OCIREG_USERNAME": "alice",
            "OCIREG_PASSWORD": PASSWORD,
        }

    def start(
        self,
        model: str,
        environment: Optional["dict[str, str]"] = None,
        *,
        script: str = "engine.py",
        **options: Any,
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [PYTHON, str(HERE / script), model, json.dumps(options)],
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )

    def run(
        self, model: str, environment: Optional["dict[str, str]"] = None, **options: Any
    ) -> "dict[str, Any]":
        """What the script printed, and all that was said as ``log``."""
        log, _ = self.start(model, environment, **options).communicate()
        found = re.search(r"^RESULT (.*)$", log, re.MULTILINE)
        assert found, log
        return {"log": log, **json.loads(found[1])}


@pytest.fixture
def engine(site: Path) -> Engine:
    return Engine(site)


@pytest.fixture(scope="session")
def expected(site: Path, llama: Pushed) -> "list[int]":
    """The tokens that the original directory gives."""
    result = Engine(site).run(str(llama.directory))
    return list(result["tokens"])


def test_load_format_oci_gives_the_same_tokens(
    engine: Engine, llama: Pushed, expected: "list[int]", cache: Path
) -> None:
    result = engine.run(llama.reference, load_format="oci")
    assert result["tokens"] == expected
    assert result["name"] == llama.reference
    assert cache in Path(result["model"]).parents
    # Five shards, each when it was verified.
    assert result["log"].count(" is verified") >= 4


def test_a_digest_with_oci_in_front_and_a_download_directory(
    engine: Engine, llama: Pushed, expected: "list[int]", tmp_path: Path
) -> None:
    repository = llama.reference.rsplit(":", 1)[0]
    # Nor is a model of Hugging Face looked for, where that has to do without the network.
    offline = {"HF_HUB_OFFLINE": "1"}
    reference = f"oci://{repository}@{llama.digest}"
    result = engine.run(reference, offline, download_dir=str(tmp_path / "dir"))
    assert result["tokens"] == expected
    assert tmp_path / "dir" / "oci" in Path(result["model"]).parents


def test_two_workers_share_one_download(
    engine: Engine, llama: Pushed, expected: "list[int]"
) -> None:
    # Else the CPU build wants a NUMA node for each worker.
    binding = {"VLLM_CPU_OMP_THREADS_BIND": "0|1"}
    result = engine.run(llama.reference, binding, load_format="oci", tensor_parallel_size=2)
    assert result["tokens"] == expected


def test_transformers_load_a_pulled_model(
    engine: Engine, llama: Pushed, expected: "list[int]"
) -> None:
    assert engine.run(llama.reference, script="generate.py")["tokens"] == expected


def test_a_plugin_that_isnt_wanted_isnt_loaded(engine: Engine, llama: Pushed) -> None:
    result = engine.run(llama.reference, {"VLLM_PLUGINS": "another"}, load_format="oci")
    assert "error" in result
    assert "Fetching" not in result["log"]


def test_a_reference_that_isnt_there(engine: Engine, llama: Pushed, cache: Path) -> None:
    result = engine.run(f"{llama.reference}-nope", load_format="oci")
    assert result["error"] == "NotFoundError"
    assert "answered 404" in result["message"] and "\n" not in result["message"]


def test_refused_credentials(engine: Engine, llama: Pushed) -> None:
    result = engine.run(llama.reference, {"OCIREG_PASSWORD": "wrong"}, load_format="oci")
    assert result["error"] == "UnauthorizedError"


def test_ctrl_c_while_weights_arrive_leaves_nothing(
    engine: Engine, llama: Pushed, cache: Path
) -> None:
    process = engine.start(llama.reference, {"OCIREG_LIMIT_RATE": "20kB"}, load_format="oci")
    assert process.stdout is not None
    log = ""
    for line in process.stdout:
        log += line
        if "Fetching the weights" in line:
            break
    else:
        pytest.fail(log)
    while not list((cache / "partial").glob("*")):
        time.sleep(0.1)
    # While its engine starts, vLLM's first process may take one for an engine that isn't ready yet.
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=15)
    deadline = time.monotonic() + 30
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert members(process.pid) == []
    (view,) = (cache / "views").iterdir()
    assert list((view / "model").glob("*.safetensors")) == []


def members(session: int) -> "list[str]":
    """The processes of a session that live."""
    command = ["ps", "-A", "-o", "sid=,stat=,args="]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [args for sid, stat, args in rows if int(sid) == session and stat[0] != "Z"]

"""The wheel: made by build/wheel.ts, installed by pip into an environment where nothing else is."""

import hashlib
import os
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import Pushed

from ocireg.executable import find_executable

ROOT = Path(__file__).resolve().parents[2]

bun = os.environ.get("OCIREG_TEST_BUN") or shutil.which("bun")
pytestmark = pytest.mark.skipif(bun is None, reason="needs bun, which makes the wheel")


def make_wheel() -> Path:
    assert bun is not None
    command = [bun, "build/wheel.ts", "--binary", find_executable()]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return ROOT / said.split()[0]


@pytest.fixture(scope="module")
def wheel() -> Path:
    return make_wheel()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with nothing but the wheel."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--no-index", "--quiet"]
    subprocess.run([*pip, str(wheel)], check=True)
    return directory / "bin"


def clean_environment() -> dict[str, str]:
    hidden = ("OCIREG_EXECUTABLE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def test_the_same_content_makes_the_same_wheel(wheel: Path) -> None:
    before = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert hashlib.sha256(make_wheel().read_bytes()).hexdigest() == before


def test_it_holds_the_executable_and_says_for_what(wheel: Path) -> None:
    platform = wheel.stem.split("-")[-1]
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        described = archive.read(f"{info}/WHEEL").decode()
        metadata = archive.read(f"{info}/METADATA").decode()
        executable = archive.getinfo("ocireg/bin/ocireg")
    assert executable.external_attr >> 16 == 0o100755
    for tag in platform.split("."):
        assert f"Tag: py3-none-{tag}\n" in described
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert all("extra ==" in line for line in required)
    assert "ocireg/py.typed" in names
    assert not any("__pycache__" in name for name in names)


def test_an_empty_environment_runs_the_command(installed: Path) -> None:
    said = subprocess.run(
        [str(installed / "ocireg"), "version"],
        env=clean_environment(),
        check=True,
        stdout=subprocess.PIPE,
    )
    assert said.stdout.startswith(b"ocireg ")


def test_an_empty_environment_runs_the_snippet(
    installed: Path, model: Pushed, tmp_path: Path
) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        f"""
from ocireg import OciGoClient

client = OciGoClient()

# Pull manifest
manifest = client.pull_manifest({model.reference!r})

# Download blob
client.pull_blob({model.reference!r}, manifest["layers"][0]["digest"], {str(tmp_path / "blob")!r})

# Test authentication
error = client.test_authentication({model.reference!r})

import ocireg

print(ocireg.pull({model.reference!r}))
"""
    )
    command = [str(installed / "python"), str(snippet)]
    said = subprocess.run(
        command, env=clean_environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    assert (tmp_path / "blob").exists()
    assert (Path(said.stdout.strip()) / "config.json").exists()


def test_pip_removes_all_of_it(installed: Path) -> None:
    package = subprocess.run(
        [str(installed / "python"), "-c", "import ocireg; print(ocireg.__path__[0])"],
        env=clean_environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    pip = [str(installed / "python"), "-m", "pip", "uninstall", "--yes", "--quiet", "ocireg"]
    subprocess.run(pip, check=True)
    assert not Path(package).exists()

"""Which executable is used, and what is said where none can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ocireg
from ocireg import executable


@pytest.fixture
def real() -> str:
    return executable.find_executable()


@pytest.fixture
def nothing_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "_BUNDLED", tmp_path / "nothing")
    monkeypatch.delenv(executable.VARIABLE, raising=False)


def test_a_variable_names_it(real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "other"
    link.symlink_to(real)
    monkeypatch.setenv(executable.VARIABLE, str(link))
    assert executable.find_executable() == str(link)


def test_a_variable_that_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(executable.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(ocireg.ExecutableNotFoundError, match="gone"):
        ocireg.Client()


def test_the_first_on_path_that_isnt_a_script(
    real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_bundled: None
) -> None:
    for name in ("scripts", "programs"):
        (tmp_path / name).mkdir()
    script = tmp_path / "scripts" / "ocireg"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    (tmp_path / "programs" / "ocireg").symlink_to(real)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / d) for d in ("scripts", "programs")))
    assert executable.find_executable() == str(tmp_path / "programs" / "ocireg")


def test_none_for_this_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_bundled: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ocireg.ExecutableNotFoundError, match="wheel for this platform"):
        ocireg.Client()


def test_one_that_doesnt_run_here(tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.write_bytes(b"\x7fELF but not really")
    strange.chmod(0o755)
    with pytest.raises(ocireg.ExecutableNotFoundError, match="Exec format error"):
        ocireg.Client(executable=strange).resolve("user/model")


def test_one_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ocireg.ExecutableNotFoundError, match="No such file"):
        ocireg.Client(executable=tmp_path / "gone").resolve("user/model")


def test_the_module_runs_as_the_command(real: str) -> None:
    environment = {**os.environ, executable.VARIABLE: real}
    command = [sys.executable, "-m", "ocireg"]
    version = subprocess.run([*command, "version"], env=environment, stdout=subprocess.PIPE)
    assert version.stdout.startswith(b"ocireg ")
    wrong = subprocess.run([*command, "pull"], env=environment, stderr=subprocess.PIPE)
    assert (wrong.returncode, wrong.stderr.startswith(b"ocireg: ")) == (2, True)


def test_the_module_says_that_there_is_none(tmp_path: Path) -> None:
    environment = {**os.environ, executable.VARIABLE: str(tmp_path / "gone")}
    result = subprocess.run(
        [sys.executable, "-m", "ocireg"], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("ocireg: ") and result.stderr.count("\n") == 1

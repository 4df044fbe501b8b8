"""The progress bar."""

import io

import pytest
from conftest import Pushed

import ocireg

pytest.importorskip("tqdm", reason="tqdm isn't installed")


def test_a_bar_shows_a_pull(client: ocireg.Client, model: Pushed) -> None:
    shown = io.StringIO()
    with ocireg.progress_bar(desc="tiny", file=shown) as bar:
        client.pull(model.reference, progress=bar)
    assert "tiny: 100%" in shown.getvalue().split("\r")[-1]


def test_a_bar_that_was_left_early_is_closed(client: ocireg.Client, model: Pushed) -> None:
    shown = io.StringIO()
    with pytest.raises(ocireg.NotFoundError):
        with ocireg.progress_bar(file=shown) as bar:
            client.pull(f"{model.reference}-nope", progress=bar)
    assert shown.getvalue().endswith("\n")

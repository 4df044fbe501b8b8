"""The plugin where vLLM isn't, or isn't as it was."""

import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from conftest import Pushed, content_of

from ocireg import vllm as plugin
from ocireg.vllm import hooks


@pytest.fixture
def unregistered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_registered", False)
    # Nothing of a vLLM that may be installed here.
    monkeypatch.setitem(sys.modules, "vllm", None)


def test_what_has_gone_is_named(unregistered: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "vllm.ocireg"):
        plugin.register()
    (record,) = caplog.records
    message = record.getMessage()
    assert "vllm.engine.arg_utils.EngineArgs.create_engine_config" in message
    assert "vllm.config.model.ModelConfig.maybe_pull_model_tokenizer_for_runai" in message
    assert plugin.TESTED[0] in message
    assert "ocireg pull" in message


def test_it_registers_once(unregistered: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "vllm.ocireg"):
        plugin.register()
        plugin.register()
    assert len(caplog.records) == 1


def test_hooks_go_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("a_place")

    def place(value: int) -> int:
        return value

    vars(module)["place"] = place
    monkeypatch.setitem(sys.modules, "a_place", module)
    calls = []

    def wrap(original: Any) -> Any:
        def hook(value: int) -> Any:
            calls.append(value)
            return original(value)

        return hook

    monkeypatch.setattr(
        hooks, "_PLACES", (("a_place", None, "place", wrap), ("a_place", "Gone", "place", wrap))
    )
    assert hooks.install() == hooks.install() == ["a_place.Gone.place"]
    assert vars(module)["place"](3) == 3
    assert calls == [3]


class Arguments:
    """What vLLM's engine arguments have, as far as the hooks look at it."""

    def __init__(
        self, model: str, load_format: str = "auto", tokenizer: "str | None" = None
    ) -> None:
        self.model = model
        self.load_format = load_format
        self.tokenizer = tokenizer
        self.download_dir = None
        self.served_model_name = None
        self.hf_config_path = None
        self.model_weights = ""


def test_what_isnt_an_artifact_stays_as_it_is(tmp_path: Any) -> None:
    for arguments in (
        Arguments("facebook/opt-125m"),
        Arguments(str(tmp_path), "oci"),
        Arguments("user/model:tag", "safetensors", "user/tokenizer"),
    ):
        before = dict(vars(arguments))
        hooks.fetch_for(arguments)
        assert vars(arguments) == before


def test_an_artifact_becomes_a_directory(model: Pushed) -> None:
    for ref, load_format in ((model.reference, "oci"), (f"oci://{model.reference}", "auto")):
        arguments = Arguments(ref, load_format)
        hooks.fetch_for(arguments)
        assert (Path(arguments.model) / "config.json").exists()
        assert arguments.tokenizer == arguments.model
        assert arguments.load_format == "oci"
        assert arguments.served_model_name == ref
        assert arguments.model_weights == f"oci://{model.reference}@{model.digest}"
        done = dict(vars(arguments))
        hooks.fetch_for(arguments)
        assert vars(arguments) == done


def test_other_loaders_get_all_of_it(model: Pushed) -> None:
    arguments = Arguments(f"oci://{model.reference}", "sharded_state", "user/tokenizer")
    hooks.fetch_for(arguments)
    assert content_of(Path(arguments.model)) == content_of(model.directory)
    assert (arguments.load_format, arguments.model_weights) == ("sharded_state", "")
    assert arguments.tokenizer == "user/tokenizer"

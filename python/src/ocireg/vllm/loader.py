"""The loader ``oci``: vLLM's default loader, over the shards of an artifact as they arrive."""

import copy
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from vllm.config import ModelConfig
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from .arrival import Arrival
from .artifact import SCHEME, is_uri


class OciModelLoader(DefaultModelLoader):  # type: ignore[misc, unused-ignore]
    """Loads a model that the hooks made a directory of, and whose weights may not be there yet.

    Without such a model it is the default loader: a draft model may come from elsewhere.
    """

    def __init__(self, load_config: LoadConfig) -> None:
        # The directory holds what Hugging Face's would.
        plain = copy.copy(load_config)
        plain.load_format = "auto"
        super().__init__(plain)
        self._artifact: Optional[ModelConfig] = None

    def download_model(self, model_config: ModelConfig) -> None:
        """Waits until all of the model is here."""
        if not _is_ours(model_config):
            super().download_model(model_config)
            return
        with _arrival(model_config) as arrival:
            arrival.complete()

    def get_all_weights(self, model_config: ModelConfig, model: Any) -> "Iterator[Any]":
        """The tensors, in the order in which their shards arrive."""
        self._artifact = model_config if _is_ours(model_config) else None
        yield from super().get_all_weights(model_config, model)

    def _get_weights_iterator(self, source: Any) -> "Iterator[Any]":
        config = self._artifact
        if config is None or source.model_or_path != config.model:
            yield from super()._get_weights_iterator(source)
            return
        with _arrival(config) as arrival:
            if arrival.can_stream and self._takes_all_shards(source):
                yield from self._as_they_arrive(source, arrival)
                return
            arrival.complete()
        yield from super()._get_weights_iterator(source)

    def _takes_all_shards(self, source: Any) -> bool:
        """Whether nothing chooses among files by their names."""
        return (
            source.subfolder is None
            and source.allow_patterns_overrides is None
            and getattr(self, "_encoder_only_lm_prefixes", None) is None
        )

    def _as_they_arrive(self, source: Any, arrival: Arrival) -> "Iterator[Any]":
        bars = self.load_config.use_tqdm_on_load
        # One for each shard would say nothing.
        self.load_config.use_tqdm_on_load = False
        try:
            for shard in arrival.shards():
                # A directory in which the default loader finds this shard alone.
                with tempfile.TemporaryDirectory(prefix="ocireg-") as directory:
                    Path(directory, "model.safetensors").symlink_to(shard)
                    alone = dataclasses.replace(source, model_or_path=directory)
                    yield from super()._get_weights_iterator(alone)
        finally:
            self.load_config.use_tqdm_on_load = bars


def _is_ours(model_config: ModelConfig) -> bool:
    return is_uri(getattr(model_config, "model_weights", None))


def _arrival(model_config: ModelConfig) -> Arrival:
    return Arrival(Path(model_config.model), model_config.model_weights[len(SCHEME) :])

"""Where vLLM reads a model's configuration, before any loader runs: there it is fetched."""

import functools
import os
from typing import Any, Callable

from . import logger
from .artifact import fetch, is_uri

_MARK = "_ocireg_hook"


def install() -> "list[str]":
    """Puts the hooks in; returns the names of those places that this vLLM doesn't have."""
    missing = []
    for module, owner, name, wrap in _PLACES:
        try:
            place: Any = __import__(module, fromlist=["*"])
            if owner is not None:
                place = getattr(place, owner)
            original = getattr(place, name)
        except (ImportError, AttributeError):
            missing.append(".".join(part for part in (module, owner, name) if part))
            continue
        if not hasattr(original, _MARK):
            hook = functools.wraps(original)(wrap(original))
            setattr(hook, _MARK, True)
            setattr(place, name, hook)
    return missing


def _before_config(original: Callable[..., Any]) -> Callable[..., Any]:
    """``EngineArgs.create_…_config``: knows the load format and the download directory."""

    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:
        fetch_for(self)
        return original(self, *args, **kwargs)

    return hook


def fetch_for(args: Any) -> None:
    """Lets the arguments of an engine mean a directory where they mean an artifact."""
    load_format = str(args.load_format).lower()
    ref = args.model
    if is_uri(ref) or (load_format == "oci" and not os.path.exists(ref)):
        if load_format == "auto":
            args.load_format = load_format = "oci"
        logger.info("Fetching %s", ref)
        # Other loaders, "sharded_state" for example, open the directory by themselves.
        artifact = fetch(ref, args.download_dir, weights=load_format not in ("oci", "dummy"))
        if args.served_model_name is None:
            args.served_model_name = ref
        if args.tokenizer in (None, ref):
            args.tokenizer = artifact.directory
        if args.hf_config_path == ref:
            args.hf_config_path = artifact.directory
        args.model = artifact.directory
        if load_format == "oci":
            # What the loader asks for, in every process.
            args.model_weights = artifact.pinned
    if is_uri(args.tokenizer):
        args.tokenizer = fetch(args.tokenizer, args.download_dir, weights=False).directory


def _in_config(original: Callable[..., Any]) -> Callable[..., Any]:
    """``ModelConfig.maybe_pull_model_tokenizer_for_runai``: for draft models, and for callers of
    their own. They get all of it, because other loaders than ours may load it."""

    def hook(self: Any, model: str, tokenizer: str) -> Any:
        if is_uri(model):
            directory = fetch(model, None).directory
            self.model = directory
            if tokenizer == model:
                self.tokenizer = tokenizer = directory
            model = directory
        if is_uri(tokenizer):
            self.tokenizer = tokenizer = fetch(tokenizer, None, weights=False).directory
        return original(self, model, tokenizer)

    return hook


def _offline_path(original: Callable[..., Any]) -> Callable[..., Any]:
    """With ``HF_HUB_OFFLINE`` vLLM looks for every model in the cache of Hugging Face first. What
    can't be a name there is left as it is."""

    def hook(model: Any, *args: Any, **kwargs: Any) -> Any:
        text = str(model)
        foreign = ":" in text or "@" in text or text.count("/") > 1
        if foreign and not os.path.exists(text):
            return model
        return original(model, *args, **kwargs)

    return hook


_PLACES: "tuple[tuple[str, str | None, str, Callable[..., Any]], ...]" = (
    ("vllm.engine.arg_utils", "EngineArgs", "create_engine_config", _before_config),
    ("vllm.engine.arg_utils", "EngineArgs", "create_model_config", _before_config),
    ("vllm.engine.arg_utils", None, "get_model_path", _offline_path),
    ("vllm.config.model", "ModelConfig", "maybe_pull_model_tokenizer_for_runai", _in_config),
)

"""Getting an artifact for vLLM: first what its configuration needs, then the weights."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple, Optional

from ..client import Client
from ..errors import NotCachedError

SCHEME = "oci://"
INDEX = "safetensors.index.json"

#: A file at the top whose name is no glob.
_SHARD = re.compile(r"[A-Za-z0-9._-]+\.safetensors")


class Artifact(NamedTuple):
    """A model in the cache."""

    #: The directory that vLLM opens.
    directory: str
    #: ``oci://`` and the reference by digest.
    pinned: str


def is_uri(text: Optional[str]) -> bool:
    """Whether it is an OCI reference for certain."""
    return text is not None and text.lower().startswith(SCHEME)


def cache_in(download_dir: Optional[str]) -> Optional[str]:
    """The cache for vLLM's ``download_dir``; None for the usual one."""
    return None if download_dir is None else os.path.join(download_dir, "oci")


def fetch(ref: str, download_dir: Optional[str], *, weights: bool = True) -> Artifact:
    """Gets an artifact.

    :param weights: False leaves those weights out that vLLM doesn't look at before it loads them
    :raises OciregError: in the executable's words
    """
    client = Client(cache_dir=cache_in(download_dir))
    directory = None if weights else _without_weights(client, ref)
    if directory is None:
        directory = client.pull(ref)
    return Artifact(str(directory), f"{SCHEME}{_repository(ref)}@{_digest(directory)}")


def _without_weights(client: Client, ref: str) -> Optional[Path]:
    """The view without its shards, or with them if it has them; None where it needs all of it."""
    if os.environ.get("OCIREG_OFFLINE"):
        return None
    if "@" in ref:
        try:
            return client.pull(ref, offline=True)
        except NotCachedError:
            pass
    found = client.inspect(ref)
    shards = _shards(found["files"])
    # One file can't be read while another one comes.
    if len(shards) < 2:
        return None
    directory = client.pull(ref, exclude=sorted(shards))
    if _digest(directory) == found["digest"] and can_wait(directory, shards):
        return directory
    # The tag may mean something else by now: what was pulled is what counts.
    return client.pull(f"{_repository(ref)}@{_digest(directory)}")


def _shards(files: "list[dict[str, Any]]") -> "set[str]":
    """The names of the shards, if all weights are such files; else nothing."""
    shards = set()
    for file in files:
        path = file.get("path")
        if path is None:
            if file["kind"] == "shard":
                return set()
        elif _SHARD.fullmatch(path):
            shards.add(path)
        elif path.endswith(".safetensors"):
            return set()
    return shards


def can_wait(directory: Path, shards: "set[str]") -> bool:
    """Whether vLLM configures the same engine without the shards as with them.

    It looks into their headers for a type that the configuration doesn't state, for an output
    embedding that the configuration calls tied, and for what is quantized.
    """
    names = {path.name: path for path in directory.iterdir()}
    index = names.get(f"model.{INDEX}")
    config = names.get("config.json")
    if index is None or config is None or "params.json" in names:
        return False
    if any("quant" in name and name.endswith(".json") for name in names):
        return False
    stated = _read(config)
    weight_map = _read(index).get("weight_map")
    if not isinstance(weight_map, dict) or set(weight_map.values()) != shards:
        return False
    if any("quantization" in key or "compression" in key or key == "auto_map" for key in stated):
        return False
    has_type = isinstance(stated.get("dtype", stated.get("torch_dtype")), str)
    is_untied = stated.get("tie_word_embeddings") is False
    return has_type and (is_untied or not any("lm_head" in name for name in weight_map))


def _read(path: Path) -> "dict[str, Any]":
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _digest(directory: Path) -> str:
    """Of the manifest that a view shows: it is the view's name."""
    return directory.parent.name.replace("-", ":", 1)


def _repository(ref: str) -> str:
    plain = ref[len(SCHEME) :] if is_uri(ref) else ref
    return plain.split("@")[0]

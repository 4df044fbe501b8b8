"""What the vLLM plugin does by itself: which files come first, and shards while they arrive.

vLLM isn't needed here; tests/vllm_engine drives it.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Pushed, Registry, content_of, make_model, push

import ocireg
from ocireg.vllm.arrival import Arrival
from ocireg.vllm.artifact import Artifact, can_wait, fetch

MIB = 1 << 20


def llama(directory: Path, **config: Any) -> Path:
    """A model whose configuration says all that vLLM would look for in the weights."""
    make_model(directory, shards=4, size=2 * MIB)
    stated = {"architectures": ["LlamaForCausalLM"], "dtype": "float32", **config}
    stated.setdefault("tie_word_embeddings", False)
    (directory / "config.json").write_text(json.dumps(stated))
    return directory


@pytest.fixture(scope="module", params=["docker", "modelpack"])
def sharded(
    request: pytest.FixtureRequest, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Pushed:
    artifact: str = request.param
    directory = llama(tmp_path_factory.mktemp("sharded") / "llama")
    return push(directory, registry.reference(f"user/sharded:{artifact}"), artifact=artifact)


def shards_in(directory: str) -> "set[str]":
    return {path.name for path in Path(directory).glob("*.safetensors")}


def complete(artifact: Artifact) -> bool:
    record = Path(artifact.directory).parent / "oci_metadata.json"
    return bool(json.loads(record.read_bytes())["complete"])


def arrival_of(artifact: Artifact) -> Arrival:
    return Arrival(Path(artifact.directory), artifact.pinned[len("oci://") :])


def test_small_files_come_first(sharded: Pushed) -> None:
    artifact = fetch(sharded.reference, None, weights=False)
    assert artifact.pinned == f"oci://{sharded.reference}@{sharded.digest}"
    assert shards_in(artifact.directory) == set()
    assert (Path(artifact.directory) / "config.json").exists()


def test_the_download_directory_holds_the_cache(sharded: Pushed, tmp_path: Path) -> None:
    artifact = fetch(f"oci://{sharded.reference}", str(tmp_path / "dir"))
    assert tmp_path / "dir" / "oci" in Path(artifact.directory).parents
    assert content_of(Path(artifact.directory)) == content_of(sharded.directory)


def test_vllms_cache_root_holds_the_cache(
    sharded: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OCIREG_CACHE_DIR")
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(tmp_path / "root"))
    artifact = fetch(sharded.reference, None)
    assert tmp_path / "root" / "oci" in Path(artifact.directory).parents


def test_what_is_cached_by_digest_asks_nobody(sharded: Pushed) -> None:
    whole = fetch(sharded.reference, None)
    nobody = sharded.reference.rsplit(":", 1)[0]
    assert fetch(f"{nobody}@{sharded.digest}", None, weights=False).directory == whole.directory


def test_offline_takes_what_is_cached(sharded: Pushed, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fetch(sharded.reference, None)
    monkeypatch.setenv("OCIREG_OFFLINE", "true")
    assert fetch(sharded.reference, None, weights=False) == whole


@pytest.mark.parametrize(
    "config",
    [
        {"dtype": None},
        {"tie_word_embeddings": True},
        {"quantization_config": {"quant_method": "awq"}},
        {"auto_map": {"AutoModel": "modeling.Model"}},
    ],
)
def test_what_vllm_looks_for_in_weights_brings_them(
    registry: Registry, tmp_path: Path, config: "dict[str, Any]"
) -> None:
    directory = llama(tmp_path / "model", **config)
    index = directory / "model.safetensors.index.json"
    content = json.loads(index.read_bytes())
    # So that a configuration that ties it contradicts.
    content["weight_map"]["lm_head.weight"] = "model-00001-of-00004.safetensors"
    index.write_text(json.dumps(content))
    shards = {path.name for path in directory.glob("*.safetensors")}
    assert not can_wait(directory, shards)


def test_a_tied_embedding_without_another_can_wait(tmp_path: Path) -> None:
    directory = llama(tmp_path / "model", tie_word_embeddings=True)
    assert can_wait(directory, {path.name for path in directory.glob("*.safetensors")})


def test_an_index_that_knows_other_files_brings_them(tmp_path: Path) -> None:
    directory = llama(tmp_path / "model")
    assert not can_wait(directory, {"model-00001-of-00004.safetensors", "other.safetensors"})


def test_one_file_comes_at_once(registry: Registry, tmp_path: Path) -> None:
    directory = make_model(tmp_path / "model", shards=1)
    pushed = push(directory, registry.reference("user/single:v1"))
    artifact = fetch(pushed.reference, None, weights=False)
    assert complete(artifact)


def test_shards_are_read_while_others_arrive(
    sharded: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = fetch(sharded.reference, None, weights=False)
    monkeypatch.setenv("OCIREG_LIMIT_RATE", "4MiB")
    with arrival_of(artifact) as arrival:
        assert arrival.can_stream
        shards = arrival.shards()
        contents = [next(shards).read_bytes()]
        assert not complete(artifact)
        contents += [path.read_bytes() for path in shards]
    expected = [path.read_bytes() for path in sharded.directory.glob("*.safetensors")]
    assert sorted(contents) == sorted(expected)
    assert complete(artifact)


def test_what_is_here_already_comes_first(sharded: Pushed) -> None:
    artifact = fetch(sharded.reference, None, weights=False)
    ocireg.pull(sharded.reference, exclude="model-0000[12]-*")
    with arrival_of(artifact) as arrival:
        assert arrival.can_stream
        shards = list(arrival.shards())
    assert [path.name[:11] for path in shards[:2]] == ["model-00003", "model-00004"]
    assert len(shards) == len({path.read_bytes() for path in shards}) == 4


def test_where_all_is_here_nothing_arrives(sharded: Pushed) -> None:
    artifact = fetch(sharded.reference, None)
    with arrival_of(artifact) as arrival:
        assert not arrival.can_stream
        arrival.complete()


def test_a_node_that_has_nothing_pulls(sharded: Pushed, cache: Path) -> None:
    artifact = fetch(sharded.reference, None, weights=False)
    shutil.rmtree(cache)
    with arrival_of(artifact) as arrival:
        arrival.complete()
    assert content_of(Path(artifact.directory)) == content_of(sharded.directory)


def test_who_leaves_early_ends_the_pull(sharded: Pushed, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = fetch(sharded.reference, None, weights=False)
    monkeypatch.setenv("OCIREG_LIMIT_RATE", "1MiB")
    with pytest.raises(KeyboardInterrupt):
        with arrival_of(artifact):
            raise KeyboardInterrupt
    assert not complete(artifact)


def test_a_pull_that_fails_ends_the_shards(
    registry: Registry, sharded: Pushed, tmp_path: Path
) -> None:
    directory = llama(tmp_path / "model", hidden_act="other")
    (directory / "model-00004-of-00004.safetensors").write_bytes(
        (directory / "model-00004-of-00004.safetensors").read_bytes()[:-4] + b"else"
    )
    pushed = push(directory, registry.reference("user/broken:v1"))
    artifact = fetch(pushed.reference, None, weights=False)
    layers = ocireg.Client().pull_manifest(pushed.reference)["layers"]
    (digest,) = {layer["digest"] for layer in layers if layer["size"] > MIB} - {
        layer["digest"] for layer in ocireg.Client().pull_manifest(sharded.reference)["layers"]
    }
    (stored,) = registry.root.glob(f"**/{digest.split(':')[1]}/data")
    stored.write_bytes(os.urandom(stored.stat().st_size))
    with pytest.raises(ocireg.ContentError), arrival_of(artifact) as arrival:
        for path in arrival.shards():
            assert path.name != digest.split(":")[1]
    assert not complete(artifact)

"""The client, method by method, against a registry that runs."""

import hashlib
import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import PASSWORD, Pushed, Registry, content_of, make_model, push

import ocireg
from ocireg.executable import find_executable


def test_a_pulled_model_is_what_was_pushed(
    client: ocireg.Client, model: Pushed, cache: Path
) -> None:
    path = client.pull(model.reference)
    assert path.is_absolute()
    assert path == cache / "views" / model.digest.replace(":", "-") / "model"
    assert content_of(path) == content_of(model.directory)


def test_the_module_pulls_without_a_client(model: Pushed) -> None:
    assert content_of(ocireg.pull(model.reference)) == content_of(model.directory)
    assert ocireg.resolve(model.reference).digest == model.digest
    assert ocireg.inspect(model.reference)["digest"] == model.digest


def test_output_takes_the_files(client: ocireg.Client, model: Pushed, tmp_path: Path) -> None:
    output = tmp_path / "here"
    assert client.pull(model.reference, output) == output
    assert content_of(output) == content_of(model.directory)


def test_a_digest_pins_what_is_pulled(client: ocireg.Client, model: Pushed) -> None:
    repository = model.reference.rsplit(":", 1)[0]
    path = client.pull(f"oci://{repository}@{model.digest}")
    assert content_of(path) == content_of(model.directory)


def test_exclude_leaves_files_out(
    client: ocireg.Client, registry: Registry, tmp_path: Path
) -> None:
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/x-test",
        "config": put_blob(registry, b"{}", "application/vnd.oci.empty.v1+json", tmp_path),
        "layers": [
            {
                **put_blob(registry, name.encode(), "application/octet-stream", tmp_path),
                "annotations": {"org.opencontainers.image.title": name},
            }
            for name in ("config.json", "model.safetensors")
        ],
    }
    reference = registry.reference("user/files:v1")
    put_manifest(reference, manifest, tmp_path)
    path = client.pull(reference, exclude="*.safetensors")
    assert set(content_of(path)) == {"config.json"}
    assert client.pull(reference, include=["*.safetensors", "*.json"]) == path
    assert set(content_of(path)) == {"config.json", "model.safetensors"}


def test_a_pull_tells_how_far_it_is(client: ocireg.Client, model: Pushed) -> None:
    events: list[ocireg.Event] = []
    threads = set()

    def listen(event: ocireg.Event) -> None:
        events.append(event)
        threads.add(threading.current_thread())

    client.pull(model.reference, progress=listen)
    kinds = [event["type"] for event in events]
    assert kinds.index("start") < kinds.index("verified") < kinds.index("done")
    assert kinds[-1] == "done"
    assert events[-1]["completed"] == events[-1]["total"] > 0
    assert threads == {threading.current_thread()}


def test_offline_needs_no_registry(client: ocireg.Client, model: Pushed) -> None:
    path = client.pull(model.reference)
    assert client.pull(model.reference, offline=True) == path


def test_resolve_says_what_a_reference_means(client: ocireg.Client, model: Pushed) -> None:
    resolved = client.resolve(model.reference)
    assert resolved.reference == model.reference
    assert resolved.digest == model.digest
    assert resolved.path is None
    assert resolved.pinned == f"{model.reference}@{model.digest}"
    path = client.resolve(model.reference, pull=True).path
    assert path is not None and content_of(path) == content_of(model.directory)


def test_inspect_lists_files(client: ocireg.Client, model: Pushed) -> None:
    found = client.inspect(model.reference)
    assert found["digest"] == model.digest
    sizes = sorted(path.stat().st_size for path in model.directory.glob("*.safetensors"))
    weights = [file for file in found["files"] if "safetensors" in file["mediaType"]]
    assert sorted(file["size"] for file in weights) == sizes


def test_a_manifest_and_its_blobs(client: ocireg.Client, model: Pushed, tmp_path: Path) -> None:
    manifest = client.pull_manifest(model.reference)
    assert manifest["schemaVersion"] == 2
    for layer in manifest["layers"]:
        path = tmp_path / "blob"
        client.pull_blob(model.reference, layer["digest"], str(path))
        assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == layer["digest"]
    pinned = client.resolve(model.reference).pinned
    assert client.pull_manifest(pinned) == manifest
    client.pull_blob(pinned, manifest["config"]["digest"], tmp_path / "config")


def test_of_an_index_the_platforms_manifest(
    client: ocireg.Client, registry: Registry, tmp_path: Path
) -> None:
    listed = []
    for architecture in ("amd64", "arm64"):
        directory = make_model(
            tmp_path / architecture, size=1024 if architecture == "amd64" else 2048
        )
        pushed = push(directory, registry.reference(f"user/index:{architecture}"))
        head = run("manifest", "head", pushed.reference).split("\t")
        platform = {"os": "linux", "architecture": architecture}
        listed.append(
            {"mediaType": head[1], "digest": head[0], "size": int(head[2]), "platform": platform}
        )
    reference = registry.reference("user/index:v1")
    media_type = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
    put_manifest(reference, index, tmp_path)
    for entry in listed:
        platform = f"linux/{entry['platform']['architecture']}"
        assert client.resolve(reference, platform=platform).digest == entry["digest"]
        chosen = client.pull_manifest(reference, platform=platform)
        pinned = f"{registry.reference('user/index')}@{entry['digest']}"
        assert chosen == client.pull_manifest(pinned)


def test_credentials_of_the_client(protected: Registry, tmp_path: Path) -> None:
    reference = protected.reference("user/private:v1")
    pushed = push(make_model(tmp_path / "private"), reference, PASSWORD)
    client = ocireg.Client(username="alice", password=PASSWORD)
    assert client.test_authentication(reference) is None
    assert content_of(client.pull(reference)) == content_of(pushed.directory)
    refused = ocireg.Client(username="alice", password="wrong").test_authentication(reference)
    assert refused is not None and "401" in refused


def test_credentials_of_docker_login(
    protected: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = protected.reference("user/login:v1")
    push(make_model(tmp_path / "private"), reference, PASSWORD)
    client = ocireg.Client()
    assert client.test_authentication(reference) is not None
    subprocess.run(
        [find_executable(), "login", protected.host, "-u", "alice", "--password-stdin"],
        input=PASSWORD.encode(),
        stderr=subprocess.DEVNULL,
        check=True,
    )
    assert (tmp_path / "docker" / "config.json").exists()
    assert client.test_authentication(reference) is None


def test_settings_of_the_client(model: Pushed, tmp_path: Path) -> None:
    client = ocireg.Client(
        cache_dir=tmp_path / "elsewhere",
        plain_http=["registry.invalid:5000"],
        max_connections=2,
        limit_rate="1GB",
        connect_timeout=1.5,
        stall_timeout="1m",
    )
    assert tmp_path / "elsewhere" in client.pull(model.reference).parents


def test_variables_of_a_call_dont_change_another(
    client: ocireg.Client, model: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCIREG_OUTPUT", str(tmp_path / "strange"))
    monkeypatch.setenv("OCIREG_LOG_FORMAT", "json")
    assert client.pull_manifest(model.reference)["schemaVersion"] == 2
    with pytest.raises(ocireg.NotFoundError, match="answered 404"):
        client.pull_manifest(model.reference.replace(":v1", ":v2"))
    assert not (tmp_path / "strange").exists()


def test_threads_share_a_client(client: ocireg.Client, model: Pushed) -> None:
    def work(number: int) -> object:
        kind = number % 3
        if kind == 0:
            return client.pull(model.reference).name
        return (
            client.resolve(model.reference).digest
            if kind == 1
            else client.inspect(model.reference)["digest"]
        )

    with ThreadPoolExecutor(6) as pool:
        results = set(pool.map(work, range(12)))
    assert results == {"model", model.digest}


def put_blob(
    registry: Registry, content: bytes, media_type: str, directory: Path
) -> "dict[str, object]":
    path = directory / "blob"
    path.write_bytes(content)
    digest = run("blob", "put", registry.reference("user/files"), str(path)).split("@")[1]
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def put_manifest(reference: str, manifest: "dict[str, object]", directory: Path) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(manifest))
    run("manifest", "put", reference, str(path))


def run(*arguments: str) -> str:
    command = [find_executable(), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

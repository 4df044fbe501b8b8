"""The snippets of the documents that this client comes from."""

from pathlib import Path

import pytest
from conftest import Pushed

from ocireg import OciGoClient


def test_the_client_of_vllms_oci_loader(model: Pushed, tmp_path: Path) -> None:
    client = OciGoClient()

    # Pull manifest
    manifest = client.pull_manifest(model.reference)
    assert [layer["mediaType"] for layer in manifest["layers"]].count(
        "application/vnd.docker.ai.safetensors"
    ) == 2

    # Download blob
    digest = manifest["layers"][0]["digest"]
    client.pull_blob(model.reference, digest, str(tmp_path / "output"))
    assert (tmp_path / "output").stat().st_size == manifest["layers"][0]["size"]

    # Test authentication
    error = client.test_authentication(model.reference)
    assert error is None


def test_its_parameters_have_their_names(model: Pushed, tmp_path: Path) -> None:
    client = OciGoClient()
    manifest = client.pull_manifest(image_ref=model.reference)
    client.pull_blob(
        image_ref=model.reference,
        digest=manifest["config"]["digest"],
        output_path=str(tmp_path / "config"),
    )
    missing = model.reference.replace("tiny", "missing")
    assert "404" in (client.test_authentication(image_ref=missing) or "")


def test_it_raises_what_it_raised(model: Pushed) -> None:
    with pytest.raises(RuntimeError):
        OciGoClient().pull_manifest(model.reference.replace("tiny", "missing"))

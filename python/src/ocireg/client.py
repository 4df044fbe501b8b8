"""The client: each method is one call of the executable."""

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union, cast

from .errors import OciregError
from .events import ProgressCallback
from .executable import find_executable
from .process import run
from .settings import Setting, duration, environment_for

PathLike = Union[str, "os.PathLike[str]"]
Globs = Union[str, Iterable[str]]


@dataclass(frozen=True)
class Resolved:
    """What a reference means now."""

    #: Canonical: with registry and tag.
    reference: str
    #: Of the manifest; for an index, of the one that was chosen.
    digest: str
    #: Where the model is; None unless it was pulled.
    path: Optional[Path]
    #: Of the artifact, ``docker`` for example.
    format: Optional[str]

    @property
    def pinned(self) -> str:
        """The reference by digest: it means the same tomorrow."""
        return f"{self.reference.split('@')[0]}@{self.digest}"


class Client:
    """Gets models, manifests and blobs from any OCI registry.

    A client holds settings alone, so one may be used by many threads at once. What isn't given
    comes from the environment (``OCIREG_…``) and from the executable's defaults; credentials are
    those of ``docker login``.

    Every method raises an :class:`OciregError`, by the exit code one of its classes.

    :param executable: instead of the wheel's own
    :param cache_dir: where pulled models are kept
    :param username: for the registry of the reference; with ``password``
    :param plain_http: True, or the ``HOST[:PORT]`` to which plain HTTP is spoken
    :param insecure_skip_tls_verify: True, or the hosts whose certificates aren't verified
    :param ca: a file of further certificate authorities (PEM)
    :param max_connections: of a pull, at most
    :param limit_rate: bytes a second, or a text such as ``"50MB"``
    :param connect_timeout: seconds, or a text such as ``"30s"``
    :param stall_timeout: seconds, or a text such as ``"5m"``
    :raises ExecutableNotFoundError: where there is no executable for this machine
    """

    def __init__(
        self,
        *,
        executable: Optional[PathLike] = None,
        cache_dir: Optional[PathLike] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        plain_http: Union[None, bool, Iterable[str]] = None,
        insecure_skip_tls_verify: Union[None, bool, Iterable[str]] = None,
        ca: Optional[PathLike] = None,
        max_connections: Optional[int] = None,
        limit_rate: Union[None, int, str] = None,
        connect_timeout: Union[None, float, str] = None,
        stall_timeout: Union[None, float, str] = None,
    ) -> None:
        self.executable = find_executable() if executable is None else os.fspath(executable)
        self._settings: dict[str, Setting] = {
            "cache_dir": cache_dir,
            "username": username,
            "password": password,
            "plain_http": plain_http,
            "insecure_skip_tls_verify": insecure_skip_tls_verify,
            "ca": ca,
            "max_connections": max_connections,
            "limit_rate": limit_rate,
            "connect_timeout": duration(connect_timeout),
            "stall_timeout": duration(stall_timeout),
        }

    def pull(
        self,
        ref: str,
        output: Optional[PathLike] = None,
        *,
        include: Globs = (),
        exclude: Globs = (),
        platform: Optional[str] = None,
        offline: bool = False,
        verify: bool = False,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[threading.Event] = None,
    ) -> Path:
        """Gets a model, verified, and returns the directory that an inference engine opens.

        What is in the cache isn't fetched again. An exception of ``progress`` ends the pull, as
        Ctrl-C does; what has come stays, and the next pull goes on there.

        :param output: a directory to put the files into, instead of the cache
        :param include: globs of the files to take
        :param exclude: globs of the files to leave out
        :param platform: ``OS/ARCH`` to take from an index; default: this machine's
        :param offline: use the cache alone
        :param verify: hash what is in the cache again
        :param progress: called with each event, in this thread
        :param cancel: ends the pull when it is set, from whatever thread
        """
        arguments = ["pull", "--json", "--progress", "json"]
        if output is not None:
            arguments.append(f"--output={os.fspath(output)}")
        arguments += _repeated("include", include) + _repeated("exclude", exclude)
        arguments += _platform(platform)
        if offline:
            arguments.append("--offline")
        if verify:
            arguments.append("--verify")
        result = self._json([*arguments, "--", ref], progress, cancel)
        return Path(result["path"])

    def resolve(
        self, ref: str, *, pull: bool = False, platform: Optional[str] = None, offline: bool = False
    ) -> Resolved:
        """What a reference means now. Its model is fetched only with ``pull``.

        :param pull: get what is missing of the model, and say where it is
        :param platform: ``OS/ARCH`` to take from an index; default: this machine's
        :param offline: ask the cache alone
        """
        arguments = ["resolve", "--progress", "json", *_platform(platform)]
        if not pull:
            arguments.append("--no-pull")
        if offline:
            arguments.append("--offline")
        result = self._json([*arguments, "--", ref])
        path = result["path"]
        return Resolved(
            reference=result["reference"],
            digest=result["digest"],
            path=None if path is None else Path(path),
            format=result["format"],
        )

    def inspect(self, ref: str, *, platform: Optional[str] = None) -> dict[str, Any]:
        """What is in an artifact: the object of ``ocireg inspect --json``; weights stay there."""
        return self._json(["inspect", "--json", *_platform(platform), "--", ref])

    def pull_manifest(self, ref: str, *, platform: Optional[str] = None) -> dict[str, Any]:
        """The manifest, verified and parsed; of an index, that of this machine's platform.

        :param platform: ``OS/ARCH`` to take from an index
        """
        manifest = self._json(["manifest", "get", "--", ref])
        if isinstance(manifest.get("manifests"), list):
            chosen = self.resolve(ref, platform=platform)
            manifest = self._json(["manifest", "get", "--", chosen.pinned])
        return manifest

    def pull_blob(self, ref: str, digest: str, path: PathLike) -> None:
        """Writes a blob to a file, which is there only when all of it was verified.

        :param ref: of the repository, or of an artifact in it
        """
        # Another digest in it would be that of a manifest.
        repository = ref.split("@")[0]
        arguments = ["blob", "get", f"--output={os.fspath(path)}", "--", repository, digest]
        self._run(arguments)

    def test_authentication(self, ref: str) -> Optional[str]:
        """None where the registry lets us pull ``ref``, else why it doesn't."""
        try:
            self._run(["auth", "check", "--", ref])
        except OciregError as error:
            return str(error)
        return None

    def _json(
        self,
        arguments: list[str],
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[threading.Event] = None,
    ) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self._run(arguments, progress, cancel)))

    def _run(
        self,
        arguments: list[str],
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[threading.Event] = None,
    ) -> bytes:
        environment = environment_for(self._settings)
        return run(self.executable, arguments, environment, progress, cancel)


class OciGoClient(Client):
    """The client under the name and with the parameters that vLLM's OCI loader knew."""

    def pull_manifest(self, image_ref: str, *, platform: Optional[str] = None) -> dict[str, Any]:
        """See :meth:`Client.pull_manifest`."""
        return super().pull_manifest(image_ref, platform=platform)

    def pull_blob(self, image_ref: str, digest: str, output_path: PathLike) -> None:
        """See :meth:`Client.pull_blob`."""
        super().pull_blob(image_ref, digest, output_path)

    def test_authentication(self, image_ref: str) -> Optional[str]:
        """See :meth:`Client.test_authentication`."""
        return super().test_authentication(image_ref)


def pull(
    ref: str,
    output: Optional[PathLike] = None,
    *,
    include: Globs = (),
    exclude: Globs = (),
    platform: Optional[str] = None,
    offline: bool = False,
    verify: bool = False,
    progress: Optional[ProgressCallback] = None,
    cancel: Optional[threading.Event] = None,
) -> Path:
    """:meth:`Client.pull` of a client without settings of its own."""
    return Client().pull(
        ref,
        output,
        include=include,
        exclude=exclude,
        platform=platform,
        offline=offline,
        verify=verify,
        progress=progress,
        cancel=cancel,
    )


def resolve(
    ref: str, *, pull: bool = False, platform: Optional[str] = None, offline: bool = False
) -> Resolved:
    """:meth:`Client.resolve` of a client without settings of its own."""
    return Client().resolve(ref, pull=pull, platform=platform, offline=offline)


def inspect(ref: str, *, platform: Optional[str] = None) -> dict[str, Any]:
    """:meth:`Client.inspect` of a client without settings of its own."""
    return Client().inspect(ref, platform=platform)


def _repeated(flag: str, globs: Globs) -> list[str]:
    return [f"--{flag}={glob}" for glob in ([globs] if isinstance(globs, str) else globs)]


def _platform(platform: Optional[str]) -> list[str]:
    return [] if platform is None else [f"--platform={platform}"]

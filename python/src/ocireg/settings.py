"""Settings of a client, as environment variables of the executable."""

import os
from collections.abc import Iterable, Mapping
from typing import Union

Setting = Union[None, bool, int, float, str, "os.PathLike[str]", Iterable[str]]

#: Variables that belong to one call: what its arguments say must not be changed from outside.
_OF_A_CALL = (
    "OCIREG_EXCLUDE",
    "OCIREG_INCLUDE",
    "OCIREG_JSON",
    "OCIREG_LAYOUT",
    "OCIREG_LOG_FORMAT",
    "OCIREG_NO_PULL",
    "OCIREG_OUTPUT",
    "OCIREG_PASSWORD_STDIN",
    "OCIREG_PROGRESS",
    "OCIREG_VERIFY",
)


def environment_for(settings: Mapping[str, Setting]) -> dict[str, str]:
    """This process's environment with the settings in it; None leaves one as it is there."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_CALL}
    for name, value in settings.items():
        if value is not None:
            environment[f"OCIREG_{name.upper()}"] = _write(value)
    return environment


def _write(value: Setting) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, str)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return ",".join(value or ())


def duration(seconds: Union[None, int, float, str]) -> Union[None, str]:
    """Seconds as the executable reads them; text is passed on as it is."""
    if seconds is None or isinstance(seconds, str):
        return seconds
    return f"{round(seconds * 1000)}ms"

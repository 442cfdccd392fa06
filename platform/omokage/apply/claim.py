"""Whose a tree of altered copies is: of one set of faces and one set of settings, for ever."""

import json
from collections.abc import Mapping
from typing import Any, Final

from omokage.errors import ConfigError
from omokage.storage import Folder

CLAIM: Final = "omokage-augment.json"
FORMAT: Final = "omokage augment 1"

PLACES: Final = ("dataset", "version")
"""What may differ where the faces are the same: a dataset may be moved, a version frozen meanwhile."""


def claim(out: Folder, said: Mapping[str, Any]) -> None:
    """Make a folder that of some faces and settings, or check that it is.

    Args:
        out: The folder.
        said: What it is made of and how; plain values, among them dataset, version and settings.

    Raises:
        ConfigError: It holds something else.
    """
    if not out.exists(CLAIM):
        if not out.empty():
            raise ConfigError(f"{out.url} holds other files: give a new or empty folder")
        text = json.dumps({"format": FORMAT, **said}, ensure_ascii=False, indent=1)
        out.write(CLAIM, text.encode("utf-8", "surrogateescape"))
        return
    have = _claimed(out)
    different = [key for key in said if have.get(key) != said[key] and key not in PLACES]
    if different:
        raise ConfigError(
            f"{out.url} holds copies of other {' and '.join(different)}: give another folder, or remove it. "
            f"It was made from {have.get('dataset')} with {json.dumps(have.get('settings'))}"
        )


def _claimed(out: Folder) -> dict[str, Any]:
    try:
        found = json.loads(out.read(CLAIM))
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ConfigError(f"{out.place(CLAIM)} is not ours: give a new or empty folder")
    return found

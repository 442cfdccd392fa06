"""npKnown.npz, the file of FACE01: a folder's vectors, by the names of its pictures.

    name                     (N,)          <U       file names with extension, without their folder
    efficientnetv2_arcface   (N, 1, 512)   float32  of any length; or instead of it
    dlib                     (N, 128)      float64

A folder without a usable face has both as (0,) float64. Whose faces they are, the folder's name says. FACE01 itself
would load pickles; we refuse them.

Shape key: N pictures of a folder, D numbers of a vector.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError

FILE: Final = "npKnown.npz"

Member = Literal["efficientnetv2_arcface", "dlib"]

DIMS: Final[dict[Member, int]] = {"efficientnetv2_arcface": 512, "dlib": 128}

PICTURES: Final = (".png", ".jpeg", ".jpg", ".webp")
"""How the names of files end that FACE01 takes for pictures of a folder."""

SIDE_FOLDERS: Final = frozenset(
    {"not_me", "multipleFaces", "noFace", "same_default_files", "same_face", "目視_not_me", "modified_faice"}
)
"""Folders that FACE01's tools make inside a person's folder, for what does not belong there; they skip them, too."""

BROKEN: Final = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError)
"""What numpy raises on a file that is damaged, pickled, or something else."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one file says."""

    member: Member | None
    """None: it knows no face."""
    names: tuple[str, ...]
    vectors_ND: NDArray[np.float64]
    """As they are, not brought to length 1."""


def read(data: bytes) -> Known:
    """Return what the bytes of an npKnown.npz say.

    Raises:
        DatasetError: They are damaged, pickled, or of another shape than FACE01's.
    """
    if not data.startswith(b"PK"):
        raise DatasetError("it is no .npz file")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {key: file[key] for key in file.files}
    except BROKEN as error:
        raise DatasetError(f"it is damaged or holds pickled objects, which are never loaded ({error})") from error
    members = [member for member in get_args(Member) if member in arrays]
    if "name" not in arrays or len(members) != 1:
        raise DatasetError(f"it must have name and one of {', '.join(DIMS)}; it has {', '.join(arrays) or 'nothing'}")
    return _known(members[0], arrays["name"], arrays[members[0]])


def _known(member: Member, names: NDArray[Any], vectors: NDArray[Any]) -> Known:
    dim = DIMS[member]
    if vectors.size == 0:
        return Known(None, (), np.zeros((0, dim)))
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DatasetError(f"name must be a list of texts, and it is {names.dtype} of shape {names.shape}")
    if vectors.dtype.kind != "f" or vectors.shape not in ((len(vectors), 1, dim), (len(vectors), dim)):
        raise DatasetError(f"{member} must be floats of shape (N, 1, {dim}), and it is {vectors.shape}")
    if len(names) != len(vectors):
        raise DatasetError(f"it has {len(names)} names and {len(vectors)} vectors")
    return Known(member, tuple(names.tolist()), vectors.reshape(-1, dim).astype(np.float64))


def member_of(dim: int) -> Member:
    """Return the member whose vectors have ``dim`` numbers.

    Raises:
        ConfigError: There is none.
    """
    for member, length in DIMS.items():
        if length == dim:
            return member
    lengths = " or ".join(str(length) for length in DIMS.values())
    raise ConfigError(f"FACE01 knows vectors of {lengths} numbers, and these have {dim}")


def write(member: Member, names: list[str], vectors_ND: NDArray[np.float32]) -> bytes:
    """Return the bytes of an npKnown.npz that FACE01 reads; the same faces give the same bytes.

    Raises:
        ConfigError: There is no face; FACE01 cannot read the file that it writes itself then.
    """
    if not names:
        raise ConfigError(f"an {FILE} without faces is one that FACE01 cannot read")
    if member == "dlib":
        vectors: NDArray[Any] = vectors_ND.astype(np.float64)
    else:
        vectors = vectors_ND.astype(np.float32)[:, None, :]
    out = io.BytesIO()
    np.savez(out, name=np.array(names), **{member: vectors})  # type: ignore[arg-type]  # numpy's own signature
    return out.getvalue()

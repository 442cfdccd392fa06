"""FACE01's npKnown.npz, written and read as FACE01 does it."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from omokage import schema
from omokage.bridge import npknown
from omokage.bridge.npknown_in import NpKnownConfig, import_npknown
from omokage.bridge.npknown_out import NpKnownOutConfig, export_npknown
from omokage.curate.decided import Decided
from omokage.errors import ConfigError, DatasetError, SourceError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.store import Dataset

HOSTILE = ["<script>", "a\nb", "\"'&", "人物 😀", ".hidden", "file:x", "two  spaces"]


def as_face01(folder: Path, names: list[str], dim: int = 512, seed: int = 0) -> np.ndarray:
    """Write an npz in the way that FACE01 does: np.savez of names and stacked vectors, lengths as they come."""
    vectors = 50 * np.random.default_rng([seed, len(names)]).standard_normal((len(names), 1, dim)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(f"picture {folder.name} {name}".encode("utf-8", "surrogateescape"))
    if dim == 512:
        np.savez(folder / "npKnown", name=names, efficientnetv2_arcface=vectors if names else [])
    else:
        np.savez(folder / "npKnown", name=names, dlib=vectors[:, 0].astype(np.float64) if names else [])
    return vectors[:, 0]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def faces_of(data: Dataset) -> dict[str, tuple]:
    columns = ["uri", "identity", "embedding"]
    table = pa.concat_tables([schema.face(data.dim).empty_table(), *data.faces()]).select(columns)
    return {row["uri"]: (row["identity"], row["embedding"]) for row in table.to_pylist()}


@pytest.mark.parametrize("dim", [512, 128])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_there_and_back(tmp_path, count, dim):
    root = tmp_path / "root"
    names = ["山田 花子_0.png", "b.jpg"][:count]
    given = as_face01(root / "人物", names, dim)
    other = as_face01(root / "other", ["x.webp"], dim, seed=1)
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    member = "dlib" if dim == 128 else "efficientnetv2_arcface"
    assert (report.encoder, report.dim, report.faces) == (f"foreign:npknown-{member}", dim, count + 1)
    held = faces_of(Dataset.open(report.dataset))
    assert set(held) == {f"人物/{name}" for name in names} | {"other/x.webp"}
    for name, vector in zip(names, unit(given), strict=True):
        assert held[f"人物/{name}"][0] == "人物"
        np.testing.assert_allclose(held[f"人物/{name}"][1], vector, atol=1e-6)

    for file in root.rglob("npKnown.npz"):
        file.unlink()
    faces, version = Decided.at(report.dataset)
    out = export_npknown(faces, version, str(root), NpKnownOutConfig())
    assert (out.files, out.faces) == (1 + (count > 0), count + 1)
    assert (root / "人物/npKnown.npz").exists() == (count > 0)
    with np.load(root / "other/npKnown.npz", allow_pickle=False) as file:
        assert file.files == ["name", member]
        assert file["name"].tolist() == ["x.webp"] and file["name"].dtype.kind == "U"
        assert file[member].shape == ((1, 1, 512) if dim == 512 else (1, 128))
        assert file[member].dtype == (np.float32 if dim == 512 else np.float64)
        np.testing.assert_allclose(file[member].reshape(1, dim), unit(other), atol=1e-6)
    if count:
        with np.load(root / "人物/npKnown.npz", allow_pickle=False) as file:
            assert file["name"].tolist() == sorted(names)


def test_every_picture_is_accounted_for(tmp_path):
    root = tmp_path / "root"
    as_face01(root / "a", ["0.png", "1.png", "gone.png", "2.png"])
    (root / "a/gone.png").unlink()
    (root / "a/new.png").write_bytes(b"new")
    as_face01(root / "a/not_me", ["9.png"])
    (root / "b").mkdir()
    (root / "b/alone.jpg").write_bytes(b"x")
    (root / "loose.jpg").write_bytes(b"y")
    (root / "b/link.jpg").symlink_to("nowhere")
    zero = as_face01(root / "c", ["0.png", "1.png"])
    zero[0], zero[1, 3] = 0, np.nan
    np.savez(root / "c/npKnown", name=["0.png", "1.png"], efficientnetv2_arcface=zero[:, None])
    as_face01(root / "d", ["0.png"], dim=128)
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    manifest = Dataset.open(report.dataset).manifest()
    found = {row["uri"]: (row["identity"], row["status"], row["reason"]) for row in manifest.to_pylist()}
    ok, no = ("ok", None), ("failed", "not_encoded")
    assert found == {
        "a/0.png": ("a", *ok), "a/1.png": ("a", *ok), "a/2.png": ("a", *ok), "a/new.png": ("a", *no),
        "a/gone.png": ("a", "failed", "unreadable"),
        "b/alone.jpg": ("b", *no), "b/link.jpg": ("b", "failed", "broken_link"),
        "c/0.png": ("c", *no), "c/1.png": ("c", *no), "d/0.png": ("d", *no), "loose.jpg": ("root", *no),
    }  # fmt: skip
    assert report.left_out == {"zero, or not a number": 2, "no such file": 1}
    assert list(report.refused) == ["d/npKnown.npz"]
    assert "2 files in FACE01's side folders" in report.warnings[0]


def test_pictures_become_chips(tmp_path):
    root = tmp_path / "root"
    as_face01(root / "a", ["big.png", "small.png", "text.png"])
    rng = np.random.default_rng(0)
    big = Image.fromarray(rng.integers(0, 256, (5, 4, 3), np.uint8)).resize((800, 1000))
    big.save(root / "a/big.png")
    big.resize((80, 100)).save(root / "a/small.png")
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    table = pa.concat_tables(Dataset.open(report.dataset).faces(["uri", "chip"])).sort_by("uri")
    large, small, text = table["chip"].to_pylist()
    assert text == b""  # it has a vector, so it stays; whether it is a picture is not asked
    large, small = (Image.open(io.BytesIO(chip)) for chip in (large, small))
    assert (large.size, small.size) == ((179, 224), (80, 100))
    wanted = np.asarray(big.resize((179, 224), Image.Resampling.BOX), float)
    assert np.abs(np.asarray(large, float) - wanted).mean() < 3
    bare = import_npknown(str(root), str(tmp_path / "bare"), NpKnownConfig(chips=False))
    assert not any(pa.concat_tables(Dataset.open(bare.dataset).faces(["chip"]))["chip"].to_pylist())


def test_a_folder_of_one_person(tmp_path):
    as_face01(tmp_path / "Jane", ["0.png", "1.png"])
    report = import_npknown(str(tmp_path / "Jane"), str(tmp_path / "data"), NpKnownConfig())
    assert {identity for identity, _ in faces_of(Dataset.open(report.dataset)).values()} == {"Jane"}


def test_names_that_lead_elsewhere_are_no_files(tmp_path):
    root = tmp_path / "root"
    (tmp_path / "secret.png").write_bytes(b"secret")
    vectors = as_face01(root / "a", ["0.png"])
    names = ["../../secret.png", str(tmp_path / "secret.png"), "..", "0.png", "0.png"]
    np.savez(root / "a/npKnown", name=names, efficientnetv2_arcface=np.repeat(vectors[:, None], 5, 0))
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    assert list(faces_of(Dataset.open(report.dataset))) == ["a/0.png"]
    assert report.left_out == {"no file's name": 3, "repeated": 1}


def test_hostile_and_undecodable_names(tmp_path):
    root = tmp_path / "root"
    names = [f"{name}.png" for name in HOSTILE] + [os.fsdecode(b"\xff\xfe.jpg")]
    for person in [*HOSTILE, os.fsdecode(b"p\xff")]:
        as_face01(root / person, names)
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    assert (report.faces, report.identities, report.refused) == (64, 8, {})
    faces, _ = Decided.at(report.dataset)
    for file in root.rglob("npKnown.npz"):
        file.unlink()
    out = export_npknown(faces, None, str(root), NpKnownOutConfig())
    assert (out.files, out.faces, out.left_out.get("pictures without a kept face")) == (8, 64, 0)
    assert "deletes the file" not in " ".join(out.warnings)
    again = import_npknown(str(root), str(tmp_path / "again"), NpKnownConfig())
    assert (again.faces, again.left_out) == (64, {})


class Opened:
    """Pickling it would leave a file behind."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self):
        return (open, (self.file, "w"))


def broken(tmp_path: Path) -> dict[str, bytes]:
    def saved(**arrays: object) -> bytes:
        out = io.BytesIO()
        np.savez(out, **arrays)
        return out.getvalue()

    evil = np.array([Opened(str(tmp_path / "opened"))], object)
    good = saved(name=["0.png"], efficientnetv2_arcface=np.ones((1, 1, 512), np.float32))
    plain = io.BytesIO()
    np.save(plain, np.ones(3))
    return {
        "pickled names": saved(name=evil, efficientnetv2_arcface=np.ones((1, 1, 512), np.float32)),
        "pickled vectors": saved(name=["0.png"], efficientnetv2_arcface=evil),
        "a pickle": pickle.dumps(Opened(str(tmp_path / "opened"))),
        "cut": good[:-30],
        "flipped": good[:200] + bytes([good[200] ^ 255]) + good[201:],
        "empty": b"",
        "text": b"hello",
        "npy": plain.getvalue(),
        "no names": saved(efficientnetv2_arcface=np.ones((1, 1, 512), np.float32)),
        "no vectors": saved(name=["0.png"]),
        "both": saved(name=["0.png"], dlib=np.ones((1, 128)), efficientnetv2_arcface=np.ones((1, 1, 512))),
        "count": saved(name=["0.png"], efficientnetv2_arcface=np.ones((2, 1, 512), np.float32)),
        "shape": saved(name=["0.png"], efficientnetv2_arcface=np.ones((1, 2, 256), np.float32)),
        "width": saved(name=["0.png"], efficientnetv2_arcface=np.ones((1, 1, 128), np.float32)),
        "numbers": saved(name=[1], efficientnetv2_arcface=np.ones((1, 1, 512), np.float32)),
        "texts": saved(name=["0.png"], efficientnetv2_arcface=np.full((1, 1, 512), "x")),
    }


def test_what_is_damaged_pickled_or_another_file_is_refused(tmp_path):
    cases = broken(tmp_path)
    for data in cases.values():
        with pytest.raises(DatasetError):
            npknown.read(data)
    root = tmp_path / "root"
    for name, data in cases.items():
        as_face01(root / name, ["0.png"])
        (root / name / "npKnown.npz").write_bytes(data)
    with pytest.raises(DatasetError, match="that can be read"):
        import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    assert not (tmp_path / "data").exists()
    as_face01(root / "good", ["0.png"])
    report = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    assert (report.faces, len(report.refused), report.reasons) == (1, len(cases), {"not_encoded": len(cases)})
    assert not (tmp_path / "opened").exists()


def test_a_file_lists_what_is_kept_and_says_what_face01_will_do(tmp_path):
    root = tmp_path / "root"
    for person in ("a", "b"):
        as_face01(root / person, ["0.png", "1.png", "2.png"])
    import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    faces, _ = Decided.at(str(tmp_path / "data"))
    gone = next(row["face_id"] for row in faces.version.to_pylist() if row["uri"] == "a/1.png")
    Ledger.of(faces.data.folder).append([Decision(do="drop_face", faces=(gone,))], "me")
    faces, _ = Decided.at(str(tmp_path / "data"))
    kept = export_npknown(faces, None, str(root), NpKnownOutConfig())
    assert list(kept.refused) == ["a/npKnown.npz", "b/npKnown.npz"]  # of FACE01: lengths are not 1
    (root / "a/moved.png").write_bytes((root / "b/2.png").read_bytes())  # a picture is told by its bytes
    done = export_npknown(faces, None, str(root), NpKnownOutConfig(overwrite=True))
    assert (done.files, done.faces, done.refused) == (2, 6, {})
    assert "1 folders hold pictures" in done.warnings[-1] and done.warnings[-1].endswith(": a")
    with np.load(root / "a/npKnown.npz") as file:
        assert file["name"].tolist() == ["0.png", "2.png", "moved.png"]
    before = (root / "a/npKnown.npz").read_bytes()
    export_npknown(faces, None, str(root), NpKnownOutConfig())
    assert (root / "a/npKnown.npz").read_bytes() == before


def test_what_cannot_be_asked(tmp_path):
    root = tmp_path / "root"
    as_face01(root / "a", ["0.png"])
    with pytest.raises(SourceError, match="apart"):
        import_npknown(str(root), str(root / "data"), NpKnownConfig())
    with pytest.raises(ConfigError, match="512 or 128"):
        npknown.member_of(64)
    with pytest.raises(ConfigError, match="without faces"):
        npknown.write("dlib", [], np.zeros((0, 128), np.float32))
    import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    faces, _ = Decided.at(str(tmp_path / "data"))
    (tmp_path / "other/a").mkdir(parents=True)
    (tmp_path / "other/a/0.png").write_bytes(b"another")
    with pytest.raises(ConfigError, match="no picture below"):
        export_npknown(faces, None, str(tmp_path / "other"), NpKnownOutConfig())
    (tmp_path / "none").mkdir()
    (tmp_path / "none/x.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="has no npKnown"):
        import_npknown(str(tmp_path / "none"), str(tmp_path / "data2"), NpKnownConfig())
    with pytest.raises(DatasetError, match="was made from"):
        as_face01(tmp_path / "root2/a", ["0.png"])
        import_npknown(str(tmp_path / "root2"), str(tmp_path / "data"), NpKnownConfig())

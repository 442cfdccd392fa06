"""What can be done with vectors that another program made, and what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crowd import Crowd
from omokage import schema
from omokage.bridge.parquet_in import ParquetConfig, import_parquet
from omokage.bridge.parquet_out import ParquetOutConfig, export_parquet
from omokage.card.sample import CardConfig
from omokage.card.write import write as write_card
from omokage.curate import proposals
from omokage.curate.decided import Decided
from omokage.errors import DatasetError
from omokage.flows.find import find
from omokage.flows.find_config import FindConfig
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.sheet.choose import SheetConfig
from omokage.sheet.write import write as write_sheet
from omokage.store import Dataset

BY_URI = {
    "collisions": ["uri_a", "uri_b", "identity_a", "identity_b", "similarity"],
    "collision_pairs": ["identity_a", "identity_b", "verdict", "hits", "best", "mean", "score"],
    "same_face": ["uri", "identity", "kind", "keep"],
    "outliers": ["uri", "identity", "kind", "score", "other_identity"],
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A crowd as an ingest leaves it, and the same crowd exported and imported; find has run on both."""
    root = tmp_path_factory.mktemp("foreign")
    native = Crowd(folders=40, faces=10, dim=24).write(str(root / "native"))
    export_parquet(Decided.at(native.folder.url)[0], None, str(root / "out.parquet"), ParquetOutConfig())
    import_parquet(str(root / "out.parquet"), str(root / "foreign"), ParquetConfig())
    for name in ("native", "foreign"):
        find(str(root / name), FindConfig())
    return native, Dataset.open(str(root / "foreign"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A crowd of which nothing is known but names and vectors, in any order."""
    root = tmp_path_factory.mktemp("bare")
    native = Crowd(folders=40, faces=10, dim=24).write(str(root / "native"))
    columns = {"uri": pa.string(), "identity": pa.string(), "embedding": pa.list_(pa.float32())}
    rows = pa.concat_tables(native.faces(list(columns))).cast(pa.schema(columns))
    pq.write_table(rows.take(np.random.default_rng(0).permutation(rows.num_rows)), root / "bare.parquet")
    return Dataset.open(import_parquet(str(root / "bare.parquet"), str(root / "data"), ParquetConfig()).dataset)


@pytest.mark.parametrize("name", BY_URI)
def test_find_finds_in_them_what_it_finds_in_our_own(both, name):
    one, two = (
        sorted(tuple(row.values()) for row in proposals.read(data.folder, name).select(BY_URI[name]).to_pylist())
        for data in both
    )
    assert len(one) == len(two) > 0
    for a, b in zip(one, two, strict=True):
        for x, y in zip(a, b, strict=True):
            # what ranks rests on samples of faces by their ids, which are others after an import
            assert x == (pytest.approx(y, rel=0.05) if isinstance(x, float) else y)


def test_without_chips_nothing_is_called_the_same_shot(both):
    kinds = proposals.read(both[1].folder, "same_face")["kind"].to_pylist()
    assert set(kinds) == {"best", "unknown"}
    assert all(proposals.read(both[1].folder, "same_face")["keep"].to_pylist())


def test_they_are_never_compared_with_our_own(both, tmp_path):
    native, foreign = both
    other = tmp_path / "other.parquet"
    export_parquet(Decided.at(native.folder.url)[0], None, str(other), ParquetOutConfig())
    for number, name in enumerate((None, "crowd-0.35")):
        back = import_parquet(str(other), str(tmp_path / f"{number}"), ParquetConfig(encoder_name=name))
        for here, there in ((native.folder.url, back.dataset), (back.dataset, foreign.folder.url)):
            with pytest.raises(DatasetError, match="cannot be compared"):
                find(here, FindConfig(what="leaks", against=there))
    named = import_parquet(str(other), str(tmp_path / "named"), ParquetConfig(encoder_name="crowd-0.35"))
    found = find(named.dataset, FindConfig(what="leaks", against=str(tmp_path / "1")))
    assert found.leak_kinds["same_file"] == 400  # the sha256 came with them


def test_pages_show_them_without_pictures(bare, tmp_path):
    url = bare.folder.url
    assert write_sheet(url, str(tmp_path / "sheet.html"), SheetConfig()).faces_shown == 400
    write_card(url, str(tmp_path / "card.html"), CardConfig())
    for name in ("sheet.html", "card.html"):
        text = (tmp_path / name).read_text()
        assert "no picture" in text and "image/jpeg" not in text
        assert "foreign:unnamed" in text


def test_decisions_and_versions_hold_for_them(both):
    data = both[1]
    pair = proposals.read(data.folder, "collision_pairs").to_pylist()[0]
    merge = Decision(do="merge", person=pair["identity_b"], into=pair["identity_a"])
    Ledger.of(data.folder).append([merge], "me")
    assert freeze(data, "v1", "me").people == 39
    assert Decided.at(f"{data.folder.url}@v1")[0].kept == 400


def test_what_is_not_known_is_said_to_be(bare):
    faces = pa.concat_tables(bare.faces())
    assert all(sha.startswith("unknown:") for sha in faces["sha256"].to_pylist())
    assert len(set(faces["sha256"].to_pylist())) == 400
    assert bare.manifest()["sha256"].null_count == 400
    assert bare.head.recipe["encoder"]["sha256"].startswith("unknown:")
    for name in ("score", *schema.QUALITY_NAMES):
        assert not np.any(faces[name].to_numpy())

import numpy as np
import pyarrow as pa
import pytest
from galleries import Cast, people

from crowd import Crowd, gallery
from omokage import schema
from omokage.curate.gallery import NOBODY
from omokage.curate.outliers import OutlierConfig, outliers
from omokage.curate.weigh import weighed
from omokage.errors import ConfigError


def found(tmp_path, crowd):
    """Return the findings and, by uri, who is a stranger in its folder."""
    data = gallery(crowd.write(str(tmp_path / "data")))
    whole = crowd.whole()
    stranger = {
        f"{crowd.name(folder)}/{number:05d}.jpg": person != crowd.person_F[folder]
        for folder, number, person in zip(whole.folder_N, whole.number_N, whole.person_N, strict=True)
    }
    table, mixed = outliers(data, OutlierConfig())
    assert table.schema == schema.OUTLIERS
    assert mixed.schema == schema.MIXED
    return table, mixed, stranger


@pytest.mark.parametrize("decay", [0.0, 0.35, 0.6])
@pytest.mark.parametrize("hard", [0.0, 0.2])
def test_finds_planted_strangers(tmp_path, decay, hard):
    crowd = Crowd(folders=150, faces=15, strangers=0.05, hard=hard, decay=decay, seed=int(10 * decay))
    table, _, stranger = found(tmp_path, crowd)
    told = set(table["uri"].to_pylist())
    planted = {uri for uri, bad in stranger.items() if bad}
    assert len(planted) > 80
    assert len(told & planted) >= 0.99 * len(planted)
    assert len(told & planted) >= 0.99 * len(told)


@pytest.mark.parametrize("key", ["certainty", "part"])
def test_bad_settings_are_named(key):
    with pytest.raises(ConfigError, match=key):
        OutlierConfig(**{key: 1.0})


def find(cast, shown, labels, **settings):
    """Return the findings of faces that show these people in these folders: {face: (kind, other identity)}."""
    table, mixed = outliers(people(cast.shots(shown), labels), OutlierConfig(**settings))
    rows = table.to_pylist()
    assert mixed.num_rows == 0
    assert [r["score"] for r in rows] == sorted((r["score"] for r in rows), reverse=True)
    return {int(r["face_id"]): (r["kind"], r["other_identity"]) for r in rows}


def ordinary(first, folders=20, faces=6, label=1):
    """Return folders in which nothing is wrong: whom they show, and their labels."""
    shown = np.repeat(np.arange(first, first + folders), faces)
    return shown.tolist(), (shown - first + label).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_of_two_unlike_faces_nobody_can_say_which_is_wrong(seed):
    more, labels = ordinary(10)
    found = find(Cast(seed), [0, -1, *more], [0, 0, *labels])
    assert {face: kind for face, (kind, _) in found.items()} == {0: "undecided", 1: "undecided"}


@pytest.mark.parametrize("seed", range(3))
def test_of_two_unlike_faces_one_that_clearly_belongs_elsewhere_is_the_wrong_one(seed):
    more, labels = ordinary(10)
    assert find(Cast(seed), [0, 14, *more], [0, 0, *labels]) == {1: ("belongs_elsewhere", "p0005")}


def test_of_two_faces_that_both_belong_elsewhere_none_is_right():
    more, labels = ordinary(10)
    found = find(Cast(1), [13, 14, *more], [0, 0, *labels])
    assert found == {0: ("undecided", "p0004"), 1: ("undecided", "p0005")}


def test_the_majority_of_three_is_right():
    more, labels = ordinary(10)
    found = find(Cast(2), [0, -1, 0, *more], [0, 0, 0, *labels])
    assert {face: kind for face, (kind, _) in found.items()} == {1: "stranger"}


def test_nothing_is_said_of_a_single_face():
    more, labels = ordinary(10)
    assert find(Cast(3), [0, 12, -1, *more], [25, 26, 27, *labels]) == {}


@pytest.mark.parametrize("faces", [1, 2, 3, 12])
def test_a_person_in_two_folders_is_no_outlier(faces):
    """Every face of both has a better or as good match in the other folder, and belongs to its own."""
    more, labels = ordinary(10, faces=8)
    shown = [0] * 8 + [0] * faces + [1] * faces
    twin = [0] * 8 + [30] * faces + [31] * faces
    assert find(Cast(4), shown + [1] * 8 + more, twin + [32] * 8 + labels) == {}


def test_a_stranger_who_has_a_folder_belongs_there_and_one_who_has_none_nowhere():
    more, labels = ordinary(10)
    found = find(Cast(5), [0] * 7 + [14, -1, *more], [0] * 9 + labels)
    assert found[7] == ("belongs_elsewhere", "p0005")
    assert found[8][0] == "stranger"
    assert set(found) == {7, 8}


def test_with_one_person_only_strangers_are_still_found():
    found = find(Cast(6), [0] * 15 + [-1] * 2, [0] * 17)
    assert found == {15: ("stranger", None), 16: ("stranger", None)}


def test_the_order_of_rows_does_not_matter():
    cast = Cast(7)
    more, labels = ordinary(10)
    shown = [0] * 7 + [14, -1] + [1] * 6 + [2] * 5 + [-1, 3] + more
    labels = [0] * 9 + [40] * 11 + [41] * 2 + labels
    vectors = cast.shots(shown)
    shuffled = np.random.default_rng(0).permutation(len(labels))
    first = outliers(people(vectors, labels), OutlierConfig())
    second = outliers(people(vectors[shuffled], np.array(labels)[shuffled], ids=shuffled), OutlierConfig())
    for one, other in zip(first, second, strict=True):
        assert one.num_rows > 0
        for name in one.column_names:
            values = other[name].to_pylist()
            close = one.schema.field(name).type == pa.float32()  # products of other shapes end on other last bits
            assert one[name].to_pylist() == (pytest.approx(values, abs=1e-4) if close else values)


def test_similarities_and_nearest_others_are_those_of_weighed_vectors():
    more, labels = ordinary(10)
    cast = Cast(8)
    shown, labels = [0] * 7 + [14, -1, *more], [0] * 9 + labels
    gallery = people(cast.shots(shown), labels)
    table, _ = outliers(gallery, OutlierConfig())
    x = weighed(gallery).vectors
    centre = x[:7].sum(axis=0)
    for row in table.to_pylist():
        face = int(row["face_id"])
        assert row["own"] == pytest.approx(float(x[face] @ centre / np.linalg.norm(centre)), abs=1e-4)
        sums = np.array([x[np.array(labels) == p].sum(axis=0) for p in range(1, 21)])
        near = sums @ x[face] / np.linalg.norm(sums, axis=1)
        assert row["other"] == pytest.approx(near.max(), abs=1e-4)
        assert row["other_identity"] == f"p{1 + near.argmax():04d}"
        assert row["lof"] > 1.3


@pytest.mark.parametrize(
    ("vectors", "labels", "names"),
    [
        (np.zeros((0, 8)), [], []),
        (np.eye(4, 8), [NOBODY] * 4, ["a"]),
        (np.eye(8), range(8), None),
        (np.ones((30, 8)), np.repeat(np.arange(6), 5), None),
        (np.ones((1, 8)), [0], None),
        (np.eye(4, 8), [0, 0, 3, 3], ["a", "b", "c", "d"]),
    ],
    ids=["empty", "nobody", "one face each", "all the same", "one face", "names without faces"],
)
def test_where_there_is_nothing_to_tell_nothing_is_told(vectors, labels, names):
    table, mixed = outliers(people(vectors, labels, names=names), OutlierConfig())
    assert set(table["kind"].to_pylist()) <= {"undecided"}
    assert mixed.num_rows == 0
    assert table.schema == schema.OUTLIERS


def test_the_more_certain_the_fewer():
    shown, labels = ordinary(0, folders=40, faces=8, label=0)
    rng = np.random.default_rng(0)
    shown = np.where(rng.random(len(shown)) < 0.06, -1, shown)
    vectors = Cast(9, dim=12).shots(shown)  # in so few dimensions many strangers look alike

    def told(certainty):
        table, _ = outliers(people(vectors, labels), OutlierConfig(certainty=certainty))
        return set(table["face_id"].to_pylist())

    assert told(0.99) < told(0.5) < told(0.05)

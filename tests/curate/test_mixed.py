import numpy as np
import pytest
from galleries import Cast, people

from omokage import schema
from omokage.curate.outliers import OutlierConfig, outliers
from omokage.curate.weigh import weighed


def find(cast, shown, labels):
    """Return outliers and mixed folders of faces that show these people in these folders."""
    return outliers(people(cast.shots(shown), labels), OutlierConfig())


def others(faces=8, folders=20, first=10):
    """Return ordinary folders."""
    shown = np.repeat(np.arange(first, first + folders), faces)
    return shown.tolist(), (shown - first + 1).tolist()


@pytest.mark.parametrize(
    "shown",
    [
        [0] * 10 + [1] * 10,
        [0] * 7 + [1] * 7 + [2] * 7,
        [0] * 30 + [1] * 12,
        [0] * 2 + [1] * 2,
        [0, 1] * 6,
        [0] * 40 + [1] * 30 + [2] * 28,
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_folder_of_several_people_is_parted_into_them(shown, seed):
    more, labels = others()
    table, mixed = find(Cast(seed), shown + more, [0] * len(shown) + labels)
    assert table.num_rows == 0
    assert mixed.schema == schema.MIXED
    assert set(mixed["identity"].to_pylist()) == {"p0000"}
    who = {int(f): p for f, p in zip(mixed["face_id"].to_pylist(), mixed["part"].to_pylist(), strict=True)}
    assert sorted(who) == list(range(len(shown)))
    pairs = {(shown[f], p) for f, p in who.items()}
    assert len(pairs) == len(set(shown))
    count = {p: list(who.values()).count(p) for p in set(who.values())}
    assert [count[p] for p in sorted(count)] == sorted(count.values(), reverse=True)


def test_strangers_in_a_folder_of_two_people_are_outliers_of_it():
    more, labels = others()
    shown = [0] * 9 + [1] * 6 + [-1, 12]
    table, mixed = find(Cast(3), shown + more, [0] * len(shown) + labels)
    assert sorted(map(int, table["face_id"].to_pylist())) == [15, 16]
    kinds = dict(zip(table["face_id"].to_pylist(), table["kind"].to_pylist(), strict=True))
    assert kinds == {"000015": "stranger", "000016": "belongs_elsewhere"}
    assert mixed.num_rows == 15


def test_two_faces_of_one_stranger_in_a_big_folder_are_outliers_and_no_person():
    more, labels = others()
    shown = [0] * 14 + [1] * 2
    table, mixed = find(Cast(4), shown + more, [0] * len(shown) + labels)
    assert sorted(map(int, table["face_id"].to_pylist())) == [14, 15]
    assert mixed.num_rows == 0


def test_likeness_within_and_between_parts_is_that_of_all_pairs():
    more, labels = others()
    shown = [0] * 6 + [1] * 5 + [2] * 4
    gallery = people(Cast(5).shots(shown + more), [0] * 15 + labels)
    _, mixed = outliers(gallery, OutlierConfig())
    x = weighed(gallery).vectors[:15]
    near, part = x @ x.T, np.repeat([1, 2, 3], [6, 5, 4])
    told = {int(r["face_id"]): r for r in mixed.to_pylist()}
    for row, number in enumerate(part):
        mine = part == number
        inside = near[np.ix_(mine, mine)]
        assert told[row]["part"] == number
        assert told[row]["within"] == pytest.approx(inside[~np.eye(len(inside), dtype=bool)].mean(), abs=1e-5)
        assert told[row]["between"] == pytest.approx(near[np.ix_(mine, ~mine)].mean(), abs=1e-5)


def test_a_folder_of_more_faces_than_are_compared_pair_by_pair():
    more, labels = others()
    shown = [0] * 1800 + [1] * 900 + [-1] * 5
    _, mixed = find(Cast(6), shown + more, [0] * len(shown) + labels)
    who = dict(zip(map(int, mixed["face_id"].to_pylist()), mixed["part"].to_pylist(), strict=True))
    assert {who.get(f) for f in range(1800)} == {1}
    assert {who.get(f) for f in range(1800, 2700)} == {2}

"""Splits: nothing that belongs together is ever in two parts, and shares are what was asked for."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from albums import Face, album, people, turned

from crowd import Crowd
from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.store import Dataset
from omokage.train import alike
from omokage.train.batches import BatchConfig, Batches
from omokage.train.split import Split, SplitConfig, assert_disjoint, labels, split
from omokage.train.split import counts as counted

PEOPLE = SplitConfig(val_share=0.2, test_share=0.1)
PICTURES = dataclasses.replace(PEOPLE, split_by="pictures")


def who(found: Split, part: str) -> set[str]:
    """Return the people of a part."""
    return set(found.table["identity"].filter(pc.equal(found.table["part"], part)).to_pylist())


def parts(found: Split) -> dict[str, str]:
    """Return the part of each face."""
    return dict(zip(found.table["face_id"].to_pylist(), found.table["part"].to_pylist(), strict=True))


def counts(found: Split, of: str) -> list[int]:
    people, faces = counted(found.table)
    return [{"people": people, "faces": faces}[of][part] for part in ("train", "val", "test")]


def ledger(data: Dataset, *decisions: Decision) -> None:
    Ledger.of(data.folder).append(decisions)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """50 people of 8 faces; shots that occur twice within people, and, here and there, in two people's folders."""
    faces = people({f"人 {number:03d}": 8 for number in range(50)})
    rng = np.random.default_rng(5)
    for _ in range(40):
        mine, other = rng.integers(0, len(faces), 2).tolist()
        near = turned(faces[other].look(), rng.uniform(0.951, 0.999), int(rng.integers(1 << 30)))
        if other // 8 == mine // 8 or rng.random() < 0.2:
            faces[mine] = dataclasses.replace(faces[mine], vector=near)
    faces[17] = dataclasses.replace(faces[17], file="the same")
    faces[99] = dataclasses.replace(faces[99], file="the same")
    for person in range(20):
        original = faces[8 * person]
        faces[8 * person + 3] = dataclasses.replace(faces[8 * person + 3], vector=turned(original.look(), 0.97, person))
    return album(tmp_path_factory.mktemp("mixed") / "data", faces, shards=3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("config", [PEOPLE, PICTURES], ids=["people", "pictures"])
def test_no_person_file_or_near_duplicate_is_in_two_parts(mixed: Dataset, config: SplitConfig, seed: int) -> None:
    """face01.md 4.8, by looking at every pair of faces."""
    found = split(mixed, None, config, seed)
    part = parts(found)
    table = pa.concat_tables(mixed.faces()).combine_chunks()
    vectors_ND = schema.vectors(schema.whole(table["embedding"]), mixed.dim)
    part_N = np.array([part[face] for face in table["face_id"].to_pylist()])
    person_N, file_N = (np.array(table[name].to_pylist()) for name in ("identity", "sha256"))
    apart_NN = part_N[:, None] != part_N
    same_NN = person_N[:, None] == person_N
    near_NN = vectors_ND @ vectors_ND.T >= 0.95
    assert not (apart_NN & (file_N[:, None] == file_N)).any()
    if config.split_by == "people":
        assert not (apart_NN & same_NN).any()
        assert not (apart_NN & near_NN).any()
    else:
        assert not (apart_NN & near_NN & same_NN).any()
        assert who(found, "val") <= who(found, "train") >= who(found, "test")
    assert (near_NN & ~same_NN).sum() > 4, "nothing was planted"


@pytest.mark.parametrize("config", [PEOPLE, PICTURES], ids=["people", "pictures"])
def test_every_face_is_in_one_part_once(mixed: Dataset, config: SplitConfig) -> None:
    table = split(mixed, None, config, 0).table
    assert table.schema == schema.SPLIT
    assert sorted(pa.concat_tables(mixed.faces(["face_id"]))["face_id"].to_pylist()) == table["face_id"].to_pylist()
    assert set(table["part"].to_pylist()) == {"train", "val", "test"}


@pytest.mark.parametrize(("val", "test"), [(0.2, 0.1), (0.1, 0.2), (0.05, 0.0), (0.0, 0.3), (0.2, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("number", [40, 97])
def test_shares_are_met_to_a_person_and_the_rest_trains(tmp_path: Path, val: float, test: float, number: int) -> None:
    """20 % to validate and the rest to test left nothing to train with (face01.md 3 #2)."""
    data = album(tmp_path / "data", people({f"p{name}": 3 for name in range(number)}))
    config = SplitConfig(val_share=val, test_share=test)
    train, val_people, test_people = counts(split(data, None, config, 3), "people")
    assert abs(val_people - val * number) <= 1
    assert abs(test_people - test * number) <= 1
    assert train == number - val_people - test_people


def test_what_trains_is_in_no_batch_of_another_part(mixed: Dataset) -> None:
    """Sampler and loader of all faces, whatever the split, was the leak (face01.md 3 #1)."""
    table = split(mixed, None, PEOPLE, 1).table
    train_N, names = labels(table, "train")
    seen = {row for rows in Batches(train_N, BatchConfig(people=8, pictures=4), 0).epoch(0) for row in rows.tolist()}
    assert {table["part"][row].as_py() for row in seen} == {"train"}
    assert all(names[train_N[row]] == table["identity"][row].as_py() for row in seen)
    assert names == sorted(names)
    assert set(train_N.tolist()) == {-1, *range(len(names))}


def test_faces_that_were_decided_against_are_in_no_part(tmp_path: Path) -> None:
    faces = [*people({f"p{number}": 4 for number in range(12)}), Face(None, "somebody")]
    data = album(tmp_path / "data", faces)
    ledger(
        data,
        Decision(do="drop_face", faces=(faces[0].face_id,)),
        Decision(do="drop_duplicate", faces=(faces[5].face_id,), into=faces[4].face_id),
        Decision(do="relabel", faces=(faces[9].face_id,), into="somebody new"),
        Decision(do="merge", person="p3", into="p4"),
    )
    config = SplitConfig(val_share=0.2, test_share=0.2)
    found = split(data, None, config, 0)
    identity = dict(zip(found.table["face_id"].to_pylist(), found.table["identity"].to_pylist(), strict=True))
    assert set(identity) == {face.face_id for face in faces} - {faces[n].face_id for n in (0, 5, 48)}
    assert identity[faces[9].face_id] == "somebody new"
    assert {identity[face.face_id] for face in faces[12:16]} == {"p4"}
    freeze(data, "v1", who="me")
    ledger(data, Decision(do="drop_face", faces=(faces[1].face_id,)))
    assert split(data, "v1", config, 0).table == found.table
    assert faces[1].face_id not in parts(split(data, None, config, 0))


@pytest.mark.parametrize("config", [PEOPLE, PICTURES], ids=["people", "pictures"])
def test_the_seed_decides_and_not_how_faces_are_stored(tmp_path: Path, config: SplitConfig) -> None:
    faces = [*people({f"p{number}": 5 for number in range(30)})]
    faces[7] = dataclasses.replace(faces[7], vector=turned(faces[90].look(), 0.98))
    one = split(album(tmp_path / "one", faces), None, config, 4)
    mixed = [faces[place] for place in np.random.default_rng(0).permutation(len(faces)).tolist()]
    other = split(album(tmp_path / "other", mixed, shards=7), None, config, 4)
    assert one.table == other.table
    assert one.notes == other.notes
    assert split(Dataset.open(str(tmp_path / "one")), None, config, 5).table != one.table


def test_who_joins_moves_few_others(tmp_path: Path) -> None:
    counts = {f"p{number}": 2 for number in range(200)}
    before = parts(split(album(tmp_path / "before", people(counts)), None, PEOPLE, 0))
    after = parts(split(album(tmp_path / "after", people(counts | {f"new{n}": 2 for n in range(20)})), None, PEOPLE, 0))
    moved = sum(after[face] != part for face, part in before.items())
    assert moved <= 0.05 * len(before)


def test_people_hang_together_by_way_of_third_people(tmp_path: Path) -> None:
    """p0 and p1 share a file, p1 and p2 a look; nobody of p0 is like p2."""
    faces = people({f"p{number}": 3 for number in range(40)})
    faces[0], faces[3] = (dataclasses.replace(face, file="x") for face in (faces[0], faces[3]))
    faces[4] = dataclasses.replace(faces[4], vector=turned(faces[6].look(), 0.96))
    data = album(tmp_path / "data", faces)
    found = [split(data, None, SplitConfig(val_share=0.3, test_share=0.3), seed) for seed in range(8)]
    where = [{part for part in ("train", "val", "test") if {"p0", "p1", "p2"} & who(each, part)} for each in found]
    assert all(len(part) == 1 for part in where)
    assert len({part for each in where for part in each}) > 1, "never but in one part: nothing was shown"
    assert "3 of 40 people share a file or a near-duplicate face" in found[0].notes[0]


def test_just_below_the_threshold_is_another_face(tmp_path: Path) -> None:
    faces = people({f"p{number}": 2 for number in range(20)})
    faces[0] = dataclasses.replace(faces[0], vector=turned(faces[9].look(), 0.949))
    assert not split(album(tmp_path / "data", faces), None, PEOPLE, 0).notes


def test_an_encoder_that_sees_no_difference_is_told_and_not_split_by(tmp_path: Path) -> None:
    faces = [dataclasses.replace(face, vector=(1.0,) * 16) for face in people({f"p{n}": 3 for n in range(20)})]
    data = album(tmp_path / "data", faces)
    with pytest.raises(DatasetError, match=r"too many hang together.*20 of 20 people.*encoder sees no difference"):
        split(data, None, PEOPLE, 0)
    with pytest.raises(ConfigError, match="leaves val pictures of 0 people"):
        split(data, None, PICTURES, 0)


def test_a_large_group_trains_and_is_told(tmp_path: Path) -> None:
    faces = people({f"p{number:02d}": 3 for number in range(40)})
    for person in range(25):
        faces[3 * person] = dataclasses.replace(faces[3 * person], file="a group photo")
    found = split(album(tmp_path / "data", faces), None, PEOPLE, 0)
    assert {f"p{number:02d}" for number in range(25)} <= who(found, "train")
    assert counts(found, "people") == [28, 8, 4]
    assert "1 group, the largest of 25 people: 'p00', 'p01', 'p02', …. That is many" in " ".join(found.notes)


def test_shares_that_groups_do_not_fit_are_told(tmp_path: Path) -> None:
    faces = people({f"p{number:02d}": 2 for number in range(30)})
    for person in range(30):
        faces[2 * person] = dataclasses.replace(faces[2 * person], file=f"of {person // 5}")
    found = split(album(tmp_path / "data", faces), None, SplitConfig(val_share=0.2, test_share=0), 0)
    assert counts(found, "people") == [25, 5, 0]
    assert "val has 5 people in place of 6, since groups stay together" in found.notes


def test_by_pictures_everybody_gives_their_share(tmp_path: Path) -> None:
    have = {"a": 10, "b": 40, "c": 1, "d": 2, "e": 7, "f": 20, **{f"x{number}": 5 for number in range(20)}}
    found = split(album(tmp_path / "data", people(have)), None, PICTURES, 0)
    seen = {
        part: dict(
            zip(
                *(found.table.filter(pc.equal(found.table["part"], part))["identity"].value_counts().flatten()),
                strict=True,
            )
        )
        for part in ("train", "val", "test")
    }
    given = {part: {who.as_py(): count.as_py() for who, count in each.items()} for part, each in seen.items()}
    for name, count in have.items():
        assert given["train"].get(name, 0) >= 1
        for part, share in (("val", 0.2), ("test", 0.1)):
            assert abs(given[part].get(name, 0) - share * count) < 1.01
            if count > 1 and share * count >= 1:
                assert given[part][name] >= 1
    total = sum(have.values())
    assert abs(sum(given["val"].values()) - 0.2 * total) <= 1
    assert abs(sum(given["test"].values()) - 0.1 * total) <= 1


def test_by_pictures_near_duplicates_of_a_person_stay_together(tmp_path: Path) -> None:
    """Each shot is there three times: a split that does not know gives a third of val to train."""
    faces: list[Face] = []
    for face in people({f"p{number}": 10 for number in range(10)}):
        copies = [turned(face.look(), 0.97, copy) for copy in range(2)]
        faces += [face, *(dataclasses.replace(face, name=f"{face.name}-{n}", vector=v) for n, v in enumerate(copies))]
    found = split(album(tmp_path / "data", faces), None, PICTURES, 0)
    part = parts(found)
    for start in range(0, len(faces), 3):
        assert len({part[face.face_id] for face in faces[start : start + 3]}) == 1
    assert abs(counts(found, "faces")[1] - 60) <= 3


def test_by_pictures_a_file_of_two_people_trains(tmp_path: Path) -> None:
    faces = people({f"p{number}": 6 for number in range(10)})
    pairs = [(0, 6), (13, 20), (26, 31)]
    for pair in pairs:
        for place in pair:
            faces[place] = dataclasses.replace(faces[place], file=str(pair))
    for seed in range(3):
        found = split(album(tmp_path / f"data{seed}", faces), None, PICTURES, seed)
        assert {parts(found)[faces[place].face_id] for pair in pairs for place in pair} == {"train"}
        assert "3 files are of several people: they train" in found.notes


def test_disjoint_is_really_checked(mixed: Dataset) -> None:
    table = split(mixed, None, PEOPLE, 0).table
    person_N = pc.rank(table["identity"], tiebreaker="dense").to_numpy()
    assert_disjoint(table, {"people": person_N})
    one = table["part"].to_pylist()
    one[one.index("val")] = "train"
    moved = table.set_column(2, "part", pa.array(one))
    with pytest.raises(DatasetError, match=r"the split parts people: of face .* and face .*"):
        assert_disjoint(moved, {"people": person_N})
    assert_disjoint(moved, {"files": np.arange(len(one))})
    with pytest.raises(DatasetError, match="a face twice"):
        assert_disjoint(pa.concat_tables([table, table.slice(0, 1)]), {})
    with pytest.raises(DatasetError, match="parts other than train, val, test"):
        assert_disjoint(table.set_column(2, "part", pa.array(["Train"] * len(one))), {})


@pytest.mark.parametrize(
    ("have", "config", "error", "said"),
    [
        ({"a": 9}, PEOPLE, DatasetError, "all faces that are left .* are 'a': nobody to be told from"),
        ({}, PEOPLE, DatasetError, "no face to train with: of 1 faces 1 kept, 1 of nobody"),
        ({"a": 3, "b": 3}, SplitConfig(val_share=0.5, test_share=0), ConfigError, "leaves fewer than 2 to train with"),
        ({c: 3 for c in "abcdef"}, SplitConfig(), ConfigError, "val_share 0.1 of 6 people .*give --val-share 0.33"),
        ({c: 3 for c in "abcdef"}, SplitConfig(val_share=0.5, test_share=0.05), ConfigError, "--test-share 0.33 or"),
        (
            {c: 3 for c in "abc"},
            SplitConfig(split_by="pictures", test_share=0),
            ConfigError,
            "val pictures of 1 people",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(
    tmp_path: Path, have: dict[str, int], config: SplitConfig, error: type[Exception], said: str
) -> None:
    data = album(tmp_path / "data", [*people(have), Face(None, "nobody")])
    with pytest.raises(error, match=said):
        split(data, None, config, 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"val_share": 1.0}, "split.val_share must lie in 0 to 1"),
        ({"test_share": -0.1}, "split.test_share must lie in 0 to 1"),
        ({"val_share": float("nan")}, "split.val_share must lie in 0 to 1"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave nothing to train with"),
        ({"split_by": "person"}, "must be people or pictures, got 'person'"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SplitConfig(**wrong)  # type: ignore[arg-type]


def test_a_version_that_is_not_there_is_told(mixed: Dataset) -> None:
    with pytest.raises(DatasetError, match="has no version v9; there are: none"):
        split(mixed, "v9", PEOPLE, 0)


def test_everything_dropped_is_told(tmp_path: Path) -> None:
    faces = people({"a": 2, "b": 2})
    data = album(tmp_path / "data", faces)
    ledger(data, Decision(do="drop_face", faces=tuple(face.face_id for face in faces)))
    with pytest.raises(DatasetError, match="no face to train with: of 4 faces 4 dropped"):
        split(data, None, PEOPLE, 0)


def test_faces_that_a_version_has_and_the_dataset_no_longer_are_left_out_and_told(tmp_path: Path) -> None:
    data = album(tmp_path / "data", people({f"p{number}": 4 for number in range(12)}), shards=4)
    freeze(data, "v1", who="me")
    manifest = data.manifest()
    fewer = data.commit(manifest.filter(pc.not_equal(manifest["identity"], "p3")), data.head.shards)
    found = split(fewer, "v1", SplitConfig(val_share=0.2, test_share=0.2), 0)
    assert "4 faces of v1 are left out: the dataset no longer has them" in found.notes
    assert found.table.num_rows == 44


def test_who_has_one_picture_is_told(tmp_path: Path) -> None:
    data = album(tmp_path / "data", people({f"p{number}": 1 + number % 2 for number in range(30)}))
    found = split(data, None, PEOPLE, 0)
    alone = sum(int(name[1:]) % 2 == 0 for name in who(found, "train"))
    assert found.notes[-1].startswith(f"{alone} people have one picture in train")


@pytest.mark.parametrize("config", [PEOPLE, PICTURES], ids=["people", "pictures"])
def test_too_many_faces_to_compare_go_by_findings_or_it_is_told(
    tmp_path: Path, config: SplitConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(folders=40, faces=10, splits=0.2, strangers=0.05, repeats=0.2)
    data = crowd.write(str(tmp_path / "data"))
    exact = split(data, None, config, 0)
    monkeypatch.setattr(alike, "PAIRS", 10.0)
    without = split(data, None, config, 0)
    assert any("were not looked for" in note and "omokage find" in note for note in without.notes)
    (tmp_path / "data/findings").mkdir()
    write_findings(data, tmp_path / "data/findings")
    found = split(data, None, config, 0)
    assert found.table == exact.table
    assert any("near-duplicates are those that omokage find found" in note for note in found.notes)
    assert (without.table != exact.table) == (config is PICTURES)  # no two people of the crowd are so much alike


def write_findings(data: Dataset, folder: Path) -> None:
    """Write what ``find`` would: pairs of two people, and clusters of a person's faces (with more columns)."""
    table = pa.concat_tables(data.faces()).combine_chunks()
    vectors_ND = schema.vectors(schema.whole(table["embedding"]), data.dim)
    person_N, ids = np.array(table["identity"].to_pylist()), table["face_id"].to_pylist()
    near_NN = np.triu(vectors_ND @ vectors_ND.T >= 0.6, 1) & (person_N[:, None] != person_N)
    a, b = np.nonzero(near_NN)
    rows = {
        "face_a": [ids[place] for place in a.tolist()],
        "face_b": [ids[place] for place in b.tolist()],
        "similarity": np.einsum("nd,nd->n", vectors_ND[a], vectors_ND[b]),
    }
    pq.write_table(filled(rows, len(a), schema.COLLISIONS), folder / "collisions.parquet")
    links = (vectors_ND @ vectors_ND.T >= 0.95) & (person_N[:, None] == person_N)
    cluster_N = np.arange(len(ids))
    for _ in range(10):
        cluster_N = np.array([cluster_N[row].min() for row in links])
    big = [place for place in range(len(ids)) if (cluster_N == cluster_N[place]).sum() > 1]
    clusters = {"face_id": [ids[place] for place in big], "cluster": cluster_N[big]}
    pq.write_table(filled(clusters, len(big), schema.SAME_FACE), folder / "same_face.parquet")


def filled(columns: dict[str, Sequence[object]], rows: int, like: pa.Schema) -> pa.Table:
    """Return a table of these columns, and nulls in the others."""
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(rows, f.type) for f in like]
    return pa.table(arrays, schema=like)


def test_people_who_are_likely_one_are_told_unless_decided(tmp_path: Path) -> None:
    data = album(tmp_path / "data", people({f"p{number:02d}": 3 for number in range(20)}))
    part = {name: part for part in ("train", "val", "test") for name in who(split(data, None, PEOPLE, 0), part)}
    train, val = (sorted(name for name in part if part[name] == each) for each in ("train", "val"))
    rows = [
        (train[0], val[0], "same_person"),
        (train[1], val[0], "same_person"),
        (val[1], train[4], "same_person"),
        (train[2], train[3], "same_person"),
        (train[5], val[2], "unclear"),
        ("nobody here", val[2], "same_person"),
    ]
    columns = dict(zip(("identity_a", "identity_b", "verdict"), zip(*rows, strict=True), strict=True))
    (tmp_path / "data/findings").mkdir()
    pq.write_table(
        filled(columns, len(rows), schema.COLLISION_PAIRS), tmp_path / "data/findings/collision_pairs.parquet"
    )
    assert any(note.startswith("3 pairs of people in different parts are one person") for note in told(data))
    ledger(data, Decision(do="different", person=val[0], into=train[0]))
    assert any(note.startswith("2 pairs of people in different parts") for note in told(data))
    ledger(data, Decision(do="different", person=val[0], into=train[1]))
    ledger(data, Decision(do="different", person=train[4], into=val[1]))
    assert not told(data)


def told(data: Dataset) -> tuple[str, ...]:
    return split(data, None, PEOPLE, 0).notes

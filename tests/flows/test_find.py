"""omokage find, against planted truth: what it finds, how it goes on, and what it refuses."""

import csv
import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import s3_server
from bench import watch
from conftest import command, finish, run, start, wait_until
from crowd import Crowd, gallery
from omokage import config as settings
from omokage import schema
from omokage.errors import ConfigError, DatasetError, OmokageError, WorkError
from omokage.flows.centres import Told
from omokage.flows.find import find
from omokage.flows.find_config import FindConfig
from omokage.flows.find_plan import planned
from omokage.flows.index import index, up_to_date
from omokage.index.plan import Speed
from omokage.shards import write_shard
from omokage.storage import Folder
from omokage.store import Dataset, Head

CROWD = Crowd(folders=80, faces=16, dim=512, splits=0.1, strangers=0.02, repeats=0.05, chips=True, seed=11)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    place = tmp_path_factory.mktemp("crowd") / "data"
    CROWD.write(str(place))
    return place


def copied(dataset: Path, to: Path) -> str:
    shutil.copytree(dataset, to, ignore=shutil.ignore_patterns("index", "findings"))
    return str(to)


def table(dataset, name):
    return pq.read_table(Path(dataset) / "findings" / f"{name}.parquet")


def uri(folder, number):
    return f"{CROWD.name(folder)}/{number:05d}.jpg"


def true_pairs(dataset, threshold):
    """Return (uri, uri): similarity of all pairs of different folders at or above a threshold, the slow way."""
    faces = gallery(Dataset.open(str(dataset)))
    alike = np.asarray(faces.vectors, np.float64) @ np.asarray(faces.vectors, np.float64).T
    a, b = np.nonzero(np.triu(alike.astype(np.float32) >= np.float32(threshold), 1))
    names = faces.faces["uri"].to_pylist()
    differ = faces.label_N[a] != faces.label_N[b]
    return {tuple(sorted((names[i], names[j]))): alike[i, j] for i, j in zip(a[differ], b[differ], strict=True)}


def found_pairs(dataset):
    rows = table(dataset, "collisions").to_pylist()
    pairs = {(row["uri_a"], row["uri_b"]): row["similarity"] for row in rows}
    assert len(pairs) == len(rows)
    return pairs


def test_everything_that_was_planted_is_found(dataset, tmp_path):
    data = copied(dataset, tmp_path / "data")
    ran = run("find", data, "--csv", tmp_path / "pairs.csv", "--json")
    assert ran.status == 0, ran.err
    assert ran.err.startswith("Plan: 1,280 faces of 80 people, 818,560 pairs; all pairs are compared")
    report = ran.report

    truth = true_pairs(dataset, report["collisions"]["threshold"])
    found = found_pairs(data)
    assert found.keys() == truth.keys()
    assert all(abs(found[pair] - truth[pair]) < 1e-6 for pair in truth)

    people = table(data, "collision_pairs").to_pylist()
    same = {(p["identity_a"], p["identity_b"]) for p in people if p["verdict"] == "same_person"}
    assert same == {(CROWD.name(a), CROWD.name(b)) for a, b in CROWD.split_pairs}
    assert [p["rank"] for p in people] == list(range(1, len(people) + 1))

    block = CROWD.whole()
    again = {uri(block.folder_N[row], block.number_N[row]) for row in np.flatnonzero(block.original_N >= 0)}
    originals = {uri(block.folder_N[row], block.number_N[row]) for row in block.original_N[block.original_N >= 0]}
    shots = table(data, "same_face").to_pylist()
    assert {s["uri"] for s in shots if s["kind"] in ("same_shot", "best")} == again | originals
    assert sum(not s["keep"] for s in shots) == len(again)

    strange = {
        uri(block.folder_N[row], block.number_N[row])
        for row in np.flatnonzero(block.person_N != CROWD.person_F[block.folder_N])
    }
    outliers = {row["uri"] for row in table(data, "outliers").to_pylist()}
    assert len(outliers & strange) >= 0.97 * len(strange)
    assert len(outliers & strange) >= 0.97 * len(outliers)

    lines = list(csv.reader((tmp_path / "pairs.csv").open(encoding="utf-8")))
    assert lines[0] == ["path_a", "path_b", "similarity"]
    assert {(a, b) for a, b, _ in lines[1:]} == {(f"/crowd/{a}", f"/crowd/{b}") for a, b in truth}
    assert (Path(data) / "findings" / "histogram.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((Path(data) / "findings" / "report.json").read_text())["collisions"]["pairs"] == len(truth)


def test_findings_do_not_depend_on_shards(dataset, tmp_path):
    """One dataset in two shards, and in forty: the same findings, byte for byte."""
    data, other = Dataset.open(str(dataset)), tmp_path / "other"
    again = Dataset.open_or_create(Folder.at(str(other)), Head(source="/crowd", recipe=data.head.recipe))
    faces = pa.concat_tables(data.faces()).sort_by([("sharpness", "ascending")])
    manifest = data.manifest().drop_columns("shard")
    pieces, shards = [], []
    for first in range(0, faces.num_rows, 61):
        some = faces.slice(first, 61)
        pictures = manifest.filter(pa.compute.is_in(manifest["uri"], value_set=some["uri"].combine_chunks()))
        shard = write_shard(again.folder, pictures, some, {}, 0.0)
        shards.append(shard)
        pieces.append(pictures.append_column(schema.SHARD, pa.array([shard.name] * pictures.num_rows)))
    again.commit(pa.concat_tables(pieces), shards)
    one = copied(dataset, tmp_path / "one")
    for place in (one, str(other)):
        find(place, FindConfig())
    for name in ("collisions", "collision_pairs", "same_face", "outliers", "mixed"):
        assert table(one, name).equals(table(other, name)), name


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to a core")
def test_findings_do_not_depend_on_how_many_cores_there_are(dataset, tmp_path):
    all_of_them = os.sched_getaffinity(0)
    if len(all_of_them) < 2:
        pytest.skip("there is one core only")
    many, one = copied(dataset, tmp_path / "many"), copied(dataset, tmp_path / "one")
    config = FindConfig(threshold=0.45, recall=0.99)
    for place in (many, one):
        up_to_date(Dataset.open(place), Speed("int8", 1e9), lists=60)
    find(many, config)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        find(one, config)
    finally:
        os.sched_setaffinity(0, all_of_them)
    for name in ("collisions", "same_face", "outliers", "mixed"):
        assert table(one, name).equals(table(many, name)), name
    one, many = table(one, "collision_pairs"), table(many, "collision_pairs")
    np.testing.assert_allclose(
        one["score"], many["score"], atol=1e-3
    )  # sums of other threads differ in the last digits
    assert one.drop_columns("score").equals(many.drop_columns("score"))


def test_lists_give_a_subset_of_all_pairs_and_say_how_many_they_miss(dataset, tmp_path):
    data = copied(dataset, tmp_path / "data")
    up_to_date(Dataset.open(data), Speed("int8", 1e9), lists=100)
    report = find(data, FindConfig(what="collisions", recall=0.99))
    assert report.collisions is not None and report.collisions.lists == 100
    truth, found = true_pairs(dataset, report.collisions.threshold), found_pairs(data)
    assert found.items() <= {
        pair: pytest.approx(similarity, abs=1e-6) for pair, similarity in truth.items()
    }.items() or (found.keys() <= truth.keys())
    recall = report.collisions.recall
    reached = len(found) / len(truth)
    assert reached >= 0.99
    assert recall.low - 0.005 <= reached <= recall.high + 0.005
    assert report.collisions.compared < 0.5 * report.plan.pairs


def test_the_faces_of_a_new_index_are_told_as_the_index_has_them_before_there_are_lists(dataset, tmp_path):
    seen, data = [], Dataset.open(copied(dataset, tmp_path / "data"))

    def note(gallery):
        assert not (tmp_path / "data" / "index" / "index.json").exists()
        seen.append(gallery)

    made = up_to_date(data, Speed("int8", 1e9), lists=20, told=Told(on_faces=note))
    (early,) = seen
    one, other = (
        {
            face: (names[label], vector)
            for face, label, vector in zip(
                gallery.faces["face_id"].to_pylist(), gallery.label_N.tolist(), gallery.vectors[:].tolist(), strict=True
            )
        }
        for gallery, names in ((early, early.names), (made.gallery, made.gallery.names))
    )
    assert one == other
    up_to_date(data, Speed("int8", 1e9), told=Told(on_faces=note))
    assert len(seen) == 1  # nothing is new


def test_only_new_faces_are_joined_and_gone_ones_drop_out(dataset, tmp_path):
    data = Dataset.open(copied(dataset, tmp_path / "data"))
    shards, manifest = data.head.shards, data.manifest()
    assert len(shards) == 2
    first = manifest.filter(pa.compute.equal(manifest["shard"], shards[0].name))
    whole = tmp_path / "data" / "shards"
    shutil.copytree(whole, tmp_path / "kept")
    data = data.commit(first, [shards[0]])
    one = find(data.folder.url, FindConfig(what="collisions", threshold=0.45))

    shutil.copytree(tmp_path / "kept", whole, dirs_exist_ok=True)
    Dataset.open(data.folder.url).commit(manifest, shards)
    two = find(data.folder.url, FindConfig(what="collisions", threshold=0.45))
    assert two.added == shards[1].faces and one.added == shards[0].faces
    assert found_pairs(data.folder.url).keys() == true_pairs(dataset, 0.45).keys()
    n, m = shards[0].faces, shards[1].faces
    assert two.collisions.compared == pytest.approx(m * m / 2 + n * m)

    three = find(data.folder.url, FindConfig(what="collisions", threshold=0.5))
    assert three.collisions.compared == 0  # a higher threshold needs no new work
    assert found_pairs(data.folder.url).keys() == true_pairs(dataset, 0.5).keys()

    second = manifest.filter(pa.compute.equal(manifest["shard"], shards[1].name))
    Dataset.open(data.folder.url).commit(second, [shards[1]])
    four = find(data.folder.url, FindConfig(what="collisions", threshold=0.45))
    live = set(second["uri"].to_pylist())
    want = {pair for pair in true_pairs(dataset, 0.45) if live >= set(pair)}
    assert found_pairs(data.folder.url).keys() == want
    assert four.plan.faces == m


@pytest.mark.long
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    crowd = Crowd(folders=600, faces=20, dim=512, seed=5)
    data = tmp_path / "data"
    crowd.write(str(data))
    process = start("find", data, "--what", "collisions", "--json")
    pairs = data / "index" / "pairs"
    wait_until(lambda: len(list(pairs.glob("*/0*.npy"))) >= 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = {file: file.stat().st_mtime_ns for file in pairs.glob("*/0*.npy")}
    assert len(done) >= 3
    ran = finish(start("find", data, "--what", "collisions", "--json"))
    assert ran.status == 0, ran.err
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in done.items())
    assert found_pairs(data).keys() == true_pairs(data, ran.report["collisions"]["threshold"]).keys()


def test_faces_and_people_of_an_evaluation_set_are_found(tmp_path):
    here = Crowd(folders=40, faces=12, dim=512, splits=0, seed=21)
    block = here.whole()
    here.write(str(tmp_path / "here"))
    there = Dataset.open(str(tmp_path / "here"))
    faces = pa.concat_tables(there.faces())
    leaked = [here.name(folder) for folder in (3, 17)]
    names = pa.chunked_array([pa.array([f"eval {n}" for n in faces["identity"].to_pylist()])])
    mine = faces.set_column(faces.column_names.index("identity"), "identity", names)
    chosen = mine.filter(pa.compute.is_in(faces["identity"], value_set=pa.array(leaked)))
    fresh = Crowd(folders=20, faces=12, dim=512, splits=0, seed=22)
    fresh.write(str(tmp_path / "fresh"))
    strangers = pa.concat_tables(Dataset.open(str(tmp_path / "fresh")).faces())
    head = Head(source="/eval", recipe=there.head.recipe)
    other = Dataset.open_or_create(Folder.at(str(tmp_path / "eval")), head)
    both = pa.concat_tables([chosen.slice(0, 18), strangers]).cast(schema.face(512))
    manifest = there.manifest().drop_columns("shard").slice(0, 1)
    shard = write_shard(other.folder, manifest, both, {}, 0.0)
    other.commit(manifest.append_column(schema.SHARD, pa.array([shard.name])), [shard])

    report = find(str(tmp_path / "here"), FindConfig(what="leaks", against=str(tmp_path / "eval")))
    rows = table(tmp_path / "here", "leaks").to_pylist()
    assert {(r["uri_a"], r["uri_b"]) for r in rows if r["kind"] == "same_file"} == {
        (u, u) for u in chosen.slice(0, 18)["uri"].to_pylist()
    }
    assert report.leak_kinds["same_file"] == 18
    people = table(tmp_path / "here", "leak_people").to_pylist()
    same = {(p["identity_a"], p["identity_b"]) for p in people if p["verdict"] == "same_person"}
    assert same == {(name, f"eval {name}") for name in leaked}
    assert block.vectors_ND.shape[0] == report.plan.faces


def test_a_threshold_that_matches_everything_is_stopped_before_anything_is_written(dataset, tmp_path):
    data = copied(dataset, tmp_path / "data")
    with pytest.raises(WorkError, match=r"about [\d,]+ pairs are at or above -0.9000"):
        find(data, FindConfig(what="collisions", threshold=-0.9, most_pairs=100_000))
    assert not (Path(data) / "findings").exists()
    assert not list((Path(data) / "index" / "pairs").glob("*/*.npy"))


def changed(data, vectors_ND):
    """Make a dataset's faces have other vectors."""
    faces, manifest = pa.concat_tables(data.faces()), data.manifest()
    place = faces.column_names.index("embedding")
    field = schema.face(vectors_ND.shape[1]).field("embedding")
    other = faces.set_column(place, field, schema.fixed(vectors_ND))
    shard = write_shard(data.folder, manifest.drop_columns("shard"), other, {}, 0.0)
    shards = pa.array([shard.name] * manifest.num_rows)
    data.commit(manifest.set_column(manifest.column_names.index("shard"), schema.SHARD, shards), [shard])


def test_vectors_that_are_none_are_counted_and_left_out(tmp_path):
    crowd = Crowd(folders=30, faces=10, dim=64, seed=2)
    data = crowd.write(str(tmp_path / "data"))
    faces = pa.concat_tables(data.faces())
    vectors = schema.vectors(faces["embedding"].combine_chunks(), 64).copy()
    vectors[3] = np.nan
    vectors[77] = 0
    vectors[100] *= 3  # a direction all the same
    changed(data, vectors)
    report = find(str(tmp_path / "data"), FindConfig())
    assert report.unusable == 2
    assert any("2 faces" in warning for warning in report.warnings)
    lost = {faces["uri"][row].as_py() for row in (3, 77)}
    for name in ("collisions", "same_face", "outliers"):
        rows = table(tmp_path / "data", name).to_pylist()
        assert not lost & {row[key] for row in rows for key in row if key.startswith("uri")}


def test_nine_faces_of_ten_that_are_the_same_vector_are_found_or_refused_by_an_estimate(tmp_path):
    """A broken encoder gives the same for everything: no list may grow until memory or the disk is full."""
    crowd = Crowd(folders=100, faces=10, dim=64, splits=0, strangers=0, repeats=0, seed=8)
    data = crowd.write(str(tmp_path / "data"))
    vectors_ND = gallery(data).vectors[:].copy()
    same = np.random.default_rng(0).permutation(1000)[:900]
    vectors_ND[same] = vectors_ND[same[0]]
    changed(data, vectors_ND)
    up_to_date(Dataset.open(data.folder.url), Speed("int8", 1e9), lists=50)
    with pytest.raises(WorkError, match=r"about [34]\d\d,\d\d\d pairs"):
        find(data.folder.url, FindConfig(what="collisions", threshold=0.9, most_pairs=100_000))
    report = find(data.folder.url, FindConfig(threshold=0.9, recall=0.99))
    folder = np.sort(same) // 10
    want = 900 * 899 // 2 - sum(n * (n - 1) // 2 for n in np.bincount(folder))
    assert report.collisions.pairs >= 0.99 * want


def test_memory_that_does_not_suffice_is_refused_at_the_plan_with_what_would_do(tmp_path):
    data = Crowd(folders=3, faces=3, dim=128).write(str(tmp_path / "data"))
    data.head = replace(data.head, shards=(replace(data.head.shards[0], faces=10_000_000),))
    with pytest.raises(ConfigError, match=r"10,000,000 faces take at least (\d\.\d)GB.*take --memory \1GB") as said:
        planned(data, None, FindConfig(memory="2GB"), Speed("int8", 1e9))
    enough = re.findall(r"--memory (\S+),", str(said.value))[0]
    asked = FindConfig(memory=enough)
    for config in (asked, FindConfig()):  # where nothing is said, they get what they take
        assert 4e9 < planned(data, None, config, Speed("int8", 1e9)).memory <= settings.size(enough, "memory")
    with pytest.raises(ConfigError, match="20,000,000 faces"):  # another dataset's faces count too
        planned(data, data, asked, Speed("int8", 1e9))


@pytest.mark.long
def test_memory_that_is_given_is_kept(tmp_path):
    """Of all processes, by what each has in memory itself and its share of what they have together."""
    Crowd(folders=2000, faces=100, dim=256, splits=0.04, strangers=0, repeats=0).write(str(tmp_path / "data"))
    most = "1.6GB"
    seen = watch.run(command("find", tmp_path / "data", "--threshold", 0.6, "--memory", most), memory=True, every=0.1)
    assert 300 < seen.peak_mb < settings.size(most, "memory") / 2**20, seen.peak_by_kind


@pytest.mark.parametrize(
    ("folders", "faces"),
    [(1, 30), (1, 1), (40, 1), (2, 2)],
    ids=["one person", "one face", "one face each", "two of two"],
)
def test_small_datasets_have_an_answer(folders, faces, tmp_path):
    Crowd(folders=folders, faces=faces, dim=64, splits=0, strangers=0, repeats=0).write(str(tmp_path / "data"))
    report = find(str(tmp_path / "data"), FindConfig())
    assert report.plan.faces == folders * faces
    if folders == 1:
        assert report.collisions is None and any("--threshold" in warning for warning in report.warnings)


def test_what_cannot_be_done_is_said(dataset, tmp_path):
    other = Crowd(folders=3, faces=3, dim=512, decay=0.2)
    other.write(str(tmp_path / "other"))
    with pytest.raises(DatasetError, match="their vectors cannot be compared"):
        find(str(dataset), FindConfig(against=str(tmp_path / "other")))
    head = Head(source="/crowd", recipe=Dataset.open(str(dataset)).head.recipe)
    empty = Dataset.open_or_create(Folder.at(str(tmp_path / "empty")), head)
    with pytest.raises(DatasetError, match="has no faces"):
        find(empty.folder.url, FindConfig())
    wrong = [{"threshold": value} for value in (-1.0, 1.01, float("nan"), float("inf"))]
    for words in (*wrong, {"what": "colisions"}, {"fmr": 0.0}, {"recall": 1.0}, {"memory": "1GB"}):
        with pytest.raises(ConfigError):
            FindConfig(**words)
    with pytest.raises(ConfigError, match="--against"):
        FindConfig(what="leaks")


def test_a_damaged_shard_or_index_is_named(dataset, tmp_path):
    data = copied(dataset, tmp_path / "data")
    shard = next((tmp_path / "data" / "shards").glob("*.faces.arrow"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OmokageError, match=shard.name.split(".")[0]):
        find(data, FindConfig())
    shard.unlink()
    with pytest.raises(OmokageError, match=shard.name.split(".")[0]):
        find(data, FindConfig())
    shard.write_bytes(whole)
    index(data)
    vectors = next((tmp_path / "data" / "index" / "segments").glob("*/vectors.npy"))
    vectors.write_bytes(vectors.read_bytes()[:1000])
    with pytest.raises(DatasetError, match="--rebuild"):
        find(data, FindConfig())
    index(data, rebuild=True)
    assert find(data, FindConfig(what="collisions")).collisions.pairs


def test_on_s3_the_findings_are_those_of_a_disk(dataset, server, address, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = s3_server.client(server)
    files.mkdir("crowds")
    for file in dataset.rglob("*"):
        if file.is_file() and not {"index", "findings"} & set(file.parts) and file.name != ".lock":
            files.put_file(str(file), f"crowds/data/{file.relative_to(dataset)}")
    find("s3://crowds/data", FindConfig(what="collisions,same-face"))
    local = copied(dataset, tmp_path / "local")
    find(local, FindConfig(what="collisions,same-face"))
    for name in ("collisions", "collision_pairs", "same_face"):
        with files.open(f"crowds/data/findings/{name}.parquet") as remote:
            assert pq.read_table(remote).equals(table(local, name)), name
    shutil.rmtree(tmp_path / "cache")  # another machine finds the index where it was left
    assert find("s3://crowds/data", FindConfig(what="collisions")).added == 0

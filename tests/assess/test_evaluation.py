"""An evaluation's figures are those of slow obvious versions, and bad input gives honest figures or a clear refusal."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from album import Album, Face, crowd
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluation import Evaluation
from omokage.assess.judge import evaluation
from omokage.assess.searches import enrolled
from omokage.assess.subject import Subject, subject
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig, paired
from omokage.evaluate.enrolment import EnrolmentConfig

QUICK = BootstrapConfig(replicates=100)
CONFIG = EvaluateConfig(bootstrap=QUICK, fmrs=(0.1, 0.01, 1e-6), fpirs=(0.3, 0.001), folds=3)


def judged(album: Album, place: Path, config: EvaluateConfig = CONFIG) -> tuple[Subject, Evaluation]:
    """Return the faces of an album, and their evaluation."""
    faces = subject(album.write(str(place)).folder.url)
    return faces, evaluation(faces, config, threads=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Evaluation]:
    """Fourteen people who are not all told apart, with pictures that failed, one of them of nobody else."""
    album = crowd(people=14, faces=5, noise=1.6)
    album.failed = [(f"person {n:02d}", f"person {n:02d}/failed.jpg", "none_found") for n in range(0, 14, 2)]
    album.failed.append(("zoe", "zoe/1.jpg", "too_small"))
    return judged(album, tmp_path_factory.mktemp("whole") / "data")


def similarity(faces: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Return how alike each unordered pair is, and whether it is of one person."""
    a, b = np.triu_indices(len(faces.label_N), 1)
    return (faces.vector_NE @ faces.vector_NE.T)[a, b], faces.label_N[a] == faces.label_N[b]


def test_every_unordered_pair_of_all_people_is_counted_once(whole: tuple[Subject, Evaluation]) -> None:
    """Not one person's pairs, not ordered pairs, not a face with itself."""
    faces, found = whole
    score, same = similarity(faces)
    assert (found.verification.genuine, found.verification.impostor) == (14 * 10, 70 * 69 // 2 - 140)
    assert (found.verification.genuine, found.verification.impostor) == (same.sum(), (~same).sum())
    slow = np.mean([(g > score[~same]).mean() + (g == score[~same]).mean() / 2 for g in score[same]])
    assert found.verification.auc == pytest.approx(slow, abs=1e-6)
    for point in found.verification.points[:2]:
        assert point.threshold is not None and point.tar is not None
        assert (score[~same] >= point.threshold).mean() <= point.fmr
        assert (score[same] >= point.threshold).mean() == pytest.approx(point.tar, abs=1e-9)


def test_a_rate_that_the_data_cannot_show_is_not_told(whole: tuple[Subject, Evaluation]) -> None:
    _, found = whole
    assert found.verification.points[-1].tar is None and "tar_at_fmr_1e-6" not in found.metrics()
    assert "too few impostor pairs" in found.text() and "too few strangers" in found.text()
    assert "%" not in found.verification.text()


def test_failures_are_told_both_ways(whole: tuple[Subject, Evaluation]) -> None:
    faces, found = whole
    assert found.failed == len(faces.failed_label_F) == 8 and found.failures.failed == 8
    score, same = similarity(faces)
    genuine = int(same.sum()) + 7 * 5  # each failed picture of a person with five faces; nobody else's of zoe
    assert found.failures.genuine == genuine
    for point, told in zip(found.verification.points, found.failures.points, strict=False):
        assert point.threshold is not None
        matched = int((score[same] >= point.threshold).sum())
        assert told.frr == pytest.approx(1 - matched / genuine) and told.frr > told.fnmr
        assert told.far < point.counted_fmr
    for with_, without in zip(found.identification, found.without_failures, strict=True):
        assert with_.failed > 0 == without.failed and with_.mated == without.mated + with_.failed
        assert with_.rank_one.value * with_.mated == pytest.approx(without.rank_one.value * without.mated)


def test_people_are_searched_for_in_a_gallery_that_is_not_their_probes(whole: tuple[Subject, Evaluation]) -> None:
    """1:N has a gallery, ranks and strangers; it is not the table of all pairs."""
    faces, found = whole
    largest = found.identification[-1]
    assert [each.size for each in found.identification] == [10, 11] and largest.faces == 11
    assert largest.strangers == 3 * 5 and largest.stranger_people == 3 and largest.mated_people == 11
    first = {}
    for row, label in enumerate(faces.label_N):
        first.setdefault(int(label), row)
    rng = np.random.default_rng(0)
    strange = set(rng.permutation(14)[:3].tolist())
    gallery = [row for label, row in first.items() if label not in strange]
    probes = [r for r, label in enumerate(faces.label_N) if r not in gallery and int(label) not in strange]
    hits = sum(
        faces.label_N[gallery[int(np.argmax(faces.vector_NE[gallery] @ faces.vector_NE[row]))]] == faces.label_N[row]
        for row in probes
    )
    mine = found.without_failures[-1]
    assert mine.mated == len(probes) == 44 and mine.rank_one.value == pytest.approx(hits / 44)


def test_worst_people_are_named_and_everybody_has_a_curve(whole: tuple[Subject, Evaluation]) -> None:
    faces, found = whole
    assert found.people is not None and found.curves is not None
    score = faces.vector_NE @ faces.vector_NE.T
    own = {}
    for label, name in enumerate(faces.people[: faces.named]):
        mine, others = np.flatnonzero(faces.label_N == label), np.flatnonzero(faces.label_N != label)
        genuine = score[np.ix_(mine, mine)][np.triu_indices(len(mine), 1)]
        impostor = score[np.ix_(mine, others)].ravel()
        own[name] = np.mean([(g > impostor).mean() for g in genuine])
    assert found.people.worst[0].label == min(own, key=own.__getitem__)
    assert found.people.worst_auc == pytest.approx(min(own.values()), abs=found.people.auc_error + 1e-6)
    assert found.people.macro_auc == pytest.approx(np.mean(list(own.values())), abs=found.people.auc_error + 1e-6)
    assert found.curves.label_P.tolist() == list(faces.people[:14]) and found.curves.tar_PT.shape[0] == 14


def test_json_gives_the_evaluation_back(whole: tuple[Subject, Evaluation]) -> None:
    _, found = whole
    text = found.json()
    again = Evaluation.from_plain(json.loads(text), found.draws())
    assert again.json() == text and again.verification == found.verification and again.folds == found.folds
    assert again.people == found.people and again.identification == found.identification
    assert again.draws().keys() == found.draws().keys()
    assert paired(again.intervals, found.intervals)["auc"].value == 0
    assert again.text() == found.text() and "Infinity" not in text and "NaN" not in text


def test_the_same_faces_and_settings_give_the_same_evaluation(whole: tuple[Subject, Evaluation]) -> None:
    faces, found = whole
    again = evaluation(faces, CONFIG, threads=2)
    assert dataclasses.replace(again, seconds={}).json() == dataclasses.replace(found, seconds={}).json()


def test_draws_of_other_people_are_not_paired_though_as_many(tmp_path: Path) -> None:
    a, b = crowd(people=6), crowd(people=6)
    b.faces = [dataclasses.replace(f, identity=f"{f.identity}'") for f in b.faces]
    one, other = (judged(album, tmp_path / name)[1] for name, album in (("a", a), ("b", b)))
    with pytest.raises(DatasetError, match="different people"):
        paired(one.intervals, other.intervals)
    assert one.same["people"] != other.same["people"]


def test_one_picture_each_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="everybody has one"):
        judged(crowd(people=6, faces=1), tmp_path / "data")


@pytest.mark.parametrize("people", [2, 5])
def test_equal_vectors_have_honest_figures(tmp_path: Path, people: int) -> None:
    album = crowd(people=people, faces=4)
    album.faces = [dataclasses.replace(face, vector=[1.0, 0, 0]) for face in album.faces]
    _, found = judged(album, tmp_path / "data")
    assert found.verification.auc == 0.5 and found.verification.eer == pytest.approx(0.5)
    assert all(point.tar in (0.0, None) for point in found.verification.points)
    assert any("all vectors are the same" in text for text in found.warnings)
    told = found.intervals.figures["auc"]
    assert (told.value, told.low, told.high) == (0.5, 0.5, 0.5)
    for each in found.identification:
        assert each.rank_one is None or each.rank_one.value in (0.0, 1.0)  # alone in the gallery, one is found
        assert each.size == 1 or each.rank_one is None or each.rank_one.value == 0
    assert found.text() and json.loads(found.json())


def test_two_people_are_judged_as_far_as_that_goes(tmp_path: Path) -> None:
    _, found = judged(crowd(people=2, faces=3), tmp_path / "data")
    assert found.folds is None and "4 people" in found.folds_withheld and "no cross-validation" in found.text()
    assert found.verification.impostor == 9 and found.verification.points[-1].tar is None
    assert json.loads(found.json())["folds"] is None


def test_intervals_of_few_people_are_said_to_be_too_narrow(tmp_path: Path) -> None:
    album = crowd(people=34, faces=1)
    album.faces += [dataclasses.replace(f, uri=f"{f.uri}b", file=f"{f.uri}b") for f in album.faces[:29]]
    _, few = judged(album, tmp_path / "few")
    assert any(text.startswith("only 29 people have pairs of their own") for text in few.warnings)
    album.faces += [dataclasses.replace(f, uri=f"{f.uri}b", file=f"{f.uri}b") for f in album.faces[29:30]]
    _, enough = judged(album, tmp_path / "enough")
    assert not any("too narrow" in text for text in enough.warnings)


def test_a_vector_of_nan_is_left_out_and_counted(tmp_path: Path) -> None:
    album = crowd(people=6, faces=4)
    album.faces[5] = dataclasses.replace(album.faces[5], vector=[math.nan] * 16)
    faces, found = judged(album, tmp_path / "data")
    assert found.faces == 23 and found.failed == 1 and found.failures.failed == 1
    assert any("count as failures" in text for text in found.warnings) and np.isfinite(faces.vector_NE).all()


def test_a_file_that_is_enrolled_and_searched_for_is_said(tmp_path: Path) -> None:
    album = crowd(people=6, faces=4)
    first, last = album.faces[0], album.faces[3]
    album.faces[3] = dataclasses.replace(first, uri=last.uri, file=first.uri)
    config = dataclasses.replace(CONFIG, enrolment=EnrolmentConfig(strangers=0.0))
    _, found = judged(album, tmp_path / "data", config)
    (said,) = [text for text in found.warnings if "that is enrolled" in text]
    assert said.startswith("1 of 18 searches")
    assert any("more than once under one person" in text for text in found.warnings)


def test_who_is_enrolled_can_be_given(tmp_path: Path) -> None:
    faces = subject(crowd(people=6, faces=4).write(str(tmp_path / "data")).folder.url)
    uris = faces.faces["uri"].to_pylist()
    (tmp_path / "gallery").write_text("\n".join(uris[:8]))  # the first two people's
    (tmp_path / "probes").write_text("\n".join(uris[8:12]))
    given = dataclasses.replace(CONFIG, gallery=str(tmp_path / "gallery"))
    with pytest.raises(DatasetError, match="both enrolled and searched"):
        evaluation(faces, dataclasses.replace(given, probes=str(tmp_path / "gallery")), threads=1)
    all_others = evaluation(faces, given, threads=1).identification[-1]
    assert (all_others.size, all_others.faces, all_others.mated, all_others.strangers) == (2, 8, 0, 16)
    assert all_others.rank_one is None and all_others.cmc == ()
    some = evaluation(faces, dataclasses.replace(given, probes=str(tmp_path / "probes")), threads=1)
    assert some.identification[-1].strangers == 4


def test_only_pictures_that_are_listed_are_missed(tmp_path: Path) -> None:
    album = crowd(people=6, faces=4)
    album.failed = [("person 00", f"person 00/f{n}.jpg", "none_found") for n in range(3)]
    faces = subject(album.write(str(tmp_path / "data")).folder.url)
    uris = faces.faces["uri"].to_pylist()
    (tmp_path / "gallery").write_text("\n".join(uris[:6]))
    given = dataclasses.replace(CONFIG, gallery=str(tmp_path / "gallery"))
    assert evaluation(faces, given, threads=1).identification[-1].failed == 3
    for listed, failed in ((["person 00/f1.jpg\r"], 1), ([], 0)):
        (tmp_path / "probes").write_bytes("\n".join([*uris[6:12], *listed]).encode())
        told = evaluation(faces, dataclasses.replace(given, probes=str(tmp_path / "probes")), threads=1)
        (found,) = told.identification
        assert (found.failed, found.mated, bool(told.without_failures)) == (failed, 2 + failed, bool(failed))


def test_the_best_faces_are_enrolled(tmp_path: Path) -> None:
    album = crowd(people=6, faces=4)
    for n in range(2, len(album.faces), 4):  # the third of each person is the sharpest
        album.faces[n] = dataclasses.replace(album.faces[n], side=900.0)
    faces = subject(album.write(str(tmp_path / "data")).folder.url)
    for rule, picture in (("first", 0), ("best", 2)):
        enrolment = EnrolmentConfig(enrol=rule, strangers=0.0)
        chosen = enrolled(faces, dataclasses.replace(CONFIG, enrolment=enrolment))
        assert chosen.gallery_G.tolist() == list(range(picture, 24, 4)) and len(chosen.probe_Q) == 18


def test_faces_that_a_template_was_made_of_are_enrolled(tmp_path: Path) -> None:
    enrolment = EnrolmentConfig(enrol_pictures=3, strangers=0.0)
    config = dataclasses.replace(CONFIG, enrolment=enrolment, templates=True, sizes=(2,))
    faces, found = judged(crowd(people=6, faces=4, noise=1.5), tmp_path / "data", config)
    assert [(each.size, each.faces) for each in found.identification] == [(2, 6), (6, 18)]
    mean_PE = faces.vector_NE.reshape(6, 4, -1)[:, :3].mean(1)
    mean_PE /= np.linalg.norm(mean_PE, axis=1, keepdims=True)
    hits = (faces.vector_NE.reshape(6, 4, -1)[:, 3] @ mean_PE.T).argmax(1) == np.arange(6)
    assert found.identification[-1].rank_one.value == pytest.approx(hits.mean())


def test_listed_pairs_are_the_only_ones_of_1_to_1(tmp_path: Path) -> None:
    faces = subject(crowd(people=6, faces=4, noise=1.0).write(str(tmp_path / "data")).folder.url)
    uris = faces.faces["uri"].to_pylist()
    rows = [(0, 1, 1, "x"), (4, 5, 1, "y"), (0, 4, 0, "x"), (8, 12, 0, "y"), (9, 10, 1, "x"), (1, 16, 0, "x")]
    text = "a,b,same,fold\n" + "".join(f"{uris[a]},{uris[b]},{same},{fold}\n" for a, b, same, fold in rows)
    (tmp_path / "pairs.csv").write_text(text)
    config = dataclasses.replace(CONFIG, pairs_file=str(tmp_path / "pairs.csv"), identify=False)
    found = evaluation(faces, config, threads=1)
    assert (found.verification.genuine, found.verification.impostor) == (3, 3) and found.people is None
    assert found.folds is not None and found.folds.genuine == (2, 1) and found.folds.impostor == (2, 1)
    assert found.identification == () and found.identification_withheld == "it was not asked for"
    assert "6 pairs of" in found.text() and Evaluation.from_plain(json.loads(found.json())).people is None


def test_progress_ends_where_it_said_and_never_goes_back(tmp_path: Path) -> None:
    faces = subject(crowd(people=6).write(str(tmp_path / "data")).folder.url)
    told: list[tuple[int, int]] = []
    evaluation(faces, CONFIG, lambda done, of, what="": told.append((done, of)), threads=1)
    assert told[0][0] == 0 and told[-1][0] == told[-1][1] and [d for d, _ in told] == sorted(d for d, _ in told)
    assert len({of for _, of in told}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"fmrs": (0.0,)},
        {"fmrs": ()},
        {"fmrs": (0.1, 0.1)},
        {"fpirs": (1.5,)},
        {"prevalence": 0.0},
        {"folds": 1},
        {"within": 0},
        {"sizes": (0,)},
        {"probes": "x"},
        {"gallery": "x", "identify": False},
    ],
)
def test_settings_that_say_nothing_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        EvaluateConfig(**wrong)


def test_more_people_or_ranks_than_there_are_are_refused(tmp_path: Path) -> None:
    faces = subject(crowd(people=6).write(str(tmp_path / "data")).folder.url)
    with pytest.raises(ConfigError, match="5 at most"):
        evaluation(faces, dataclasses.replace(CONFIG, sizes=(6,)), threads=1)
    with pytest.raises(ConfigError, match="within"):
        evaluation(faces, dataclasses.replace(CONFIG, within=6), threads=1)


def test_a_face_of_nobody_in_a_list_is_not_there(tmp_path: Path) -> None:
    album = crowd(people=4)
    album.faces.append(Face(None, "loose.jpg", np.eye(16)[0]))
    faces = subject(album.write(str(tmp_path / "data")).folder.url)
    (tmp_path / "gallery").write_text("loose.jpg\n")
    with pytest.raises(DatasetError, match=r"loose\.jpg"):
        evaluation(faces, dataclasses.replace(CONFIG, gallery=str(tmp_path / "gallery")), threads=1)

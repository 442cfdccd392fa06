"""Drawn people are told apart by a face encoder that never saw them."""

import cv2
import numpy as np
import pytest

from omokage import weights
from omokage.errors import ConfigError
from omokage.synth import head, people, portrait


def test_sface_tells_people_apart():
    encoder = cv2.FaceRecognizerSF.create(str(weights.path("sface")), "")
    label, vectors = [], []
    for number in range(10):
        for shot in range(2):
            drawn = portrait.portrait(0, number, shot, 200)
            x, y = drawn.landmarks.min(0)
            face = np.array([[x, y, 1, 1, *drawn.landmarks.ravel(), 1]], np.float32)
            chip = encoder.alignCrop(np.ascontiguousarray(drawn.picture[:, :, ::-1]), face)
            vector = encoder.feature(chip)[0]
            vectors.append(vector / np.linalg.norm(vector))
            label.append(number)
    cosine = np.array(vectors) @ np.array(vectors).T
    pair = np.triu_indices(len(label), 1)
    same = np.equal.outer(label, label)[pair]
    assert np.median(cosine[pair][same]) > 0.72
    assert np.median(cosine[pair][~same]) < 0.52


def test_a_person_is_the_same_whoever_was_drawn_before():
    people.person.cache_clear()
    alone = people.person(5, 3)
    people.person.cache_clear()
    crowd = [people.person(5, number) for number in (9, 0, 3)]
    assert np.array_equal(alone.shape, crowd[2].shape)
    assert (alone.skin, alone.hair, alone.iris) == (crowd[2].skin, crowd[2].hair, crowd[2].iris)
    assert not np.array_equal(crowd[0].shape, crowd[1].shape)


def test_people_differ_in_more_than_shape():
    crowd = [people.person(0, number) for number in range(24)]
    assert {one.sex for one in crowd} == set(people.SEXES)
    assert {one.ancestry for one in crowd} == set(people.ANCESTRIES)
    assert len({one.hair.style for one in crowd}) >= 4
    assert len({one.skin for one in crowd}) == 24


def test_head_is_a_head():
    mesh = head.load()
    assert mesh.triangles.max() < len(mesh.rest)
    left, right = mesh.mouth_corners
    assert mesh.rest[left, 0] < 0 < mesh.rest[right, 0]
    assert np.allclose(mesh.rest[left] * [-1, 1, 1], mesh.rest[right])  # the undeformed head is symmetrical
    assert mesh.rest[mesh.nose_tip, 2] == pytest.approx(mesh.rest[mesh.face, 2].max(), abs=0.01)
    assert all(len(eye) == 72 for eye in mesh.eyes)


def test_target_moves_what_its_name_says():
    mesh = head.load()
    moved, by = mesh.target("mpfb2/targets/nose/nose-trans-up")
    assert (by[:, 1] > 0).mean() > 0.9
    assert np.abs(mesh.rest[moved, 0]).max() < 0.5  # the nose is in the middle
    with pytest.raises(ConfigError, match="no shape target"):
        mesh.target("mpfb2/targets/nose/nose-of-cleopatra")

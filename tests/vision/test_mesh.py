import numpy as np

from omokage.vision import mesh


def test_box_leaves_out_the_irises():
    points = np.zeros((478, 2), np.float32)
    points[:468] = np.random.default_rng(0).uniform(10, 20, (468, 2))
    points[7], points[9] = (8, 15), (15, 25)
    points[470] = (99, -99)
    x0, y0, x1, y1 = mesh.box(points)
    assert (x0, y1) == (8, 25)
    assert 10 <= y0 < 11 and 19 < x1 <= 20


def test_an_eye_is_in_the_middle_of_its_rim():
    # On a circle the mean of the rim is the centre, and each eye has its own.
    points = np.zeros((478, 2), np.float32)
    angle = np.arange(16) * np.pi / 8
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rims = [
        (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
        (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
    ]
    points[list(rims[0])] = circle + np.array([30, 40])
    points[list(rims[1])] = circle + np.array([70, 40])
    points[[1, 61, 291]] = [(50, 60), (38, 80), (62, 80)]
    expected = [(30, 40), (70, 40), (50, 60), (38, 80), (62, 80)]
    np.testing.assert_allclose(mesh.landmarks(points), expected, atol=1e-5)

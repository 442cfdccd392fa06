import dataclasses
import re

import pytest

import finished
from omokage.evaluate.verification import Verification
from omokage.train import model_card, trained
from omokage.train.model import ModelConfig
from omokage.train.trained import Trained
from omokage.train.validate import INTERVALS
from omokage.vision.crop import Crop
from omokage.vision.geometry import Template

CROP = Crop(template=Template(name="dlib", size=224, padding=0.1), size=64)


@pytest.fixture(scope="module")
def net():
    return finished.network()


def made(folder, net, **how) -> Trained:
    data = finished.dataset(str(folder / "data <b> | x"))
    finished.training(str(folder / "run *1*"), data, net, **how)
    return trained.load(str(folder / "run *1*"))


def card(found: Trained) -> str:
    return model_card.markdown(found, CROP, model_card.licence(found), "a" * 64)


def test_every_fact_is_there(net, tmp_path):
    text = card(made(tmp_path, net))
    judged = finished.judged().sure(1)
    figures, drawn = Verification.from_plain(finished.judged().figures), judged[INTERVALS]["figures"]
    for fact in (
        "aligned faces of 64 x 64 px, RGB, (value / 255 - (0.5, 0.5, 0.5)) / (0.5, 0.5, 0.5)",
        "dlib-1, padding 0.1, cut at 224 px and brought to 64 px",
        "16 numbers a face",
        "a" * 64,
        f"Version: v1, SHA-256 {finished.VERSION_SHA256}; generation 3",
        "Split: by people, seed 0, SHA-256 ",
        "Part train: 6 faces of 3 people",
        "Part val: 4 faces of 2 people",
        "Part test: 2 faces of 2 people",
        r"Backbone: test\_resnet, from random numbers",
        "the best on the people of the part val (epoch 7)",
        "omokage 0.1.0, commit c0ffee",
        f"60 faces of 20 people, 60 genuine and {20 * 19 // 2 * 9:,} impostor pairs",
        "Intervals of 95%, of 1,000 draws of these people",
        f"| AUC | {figures.auc:.5f} | {drawn['auc']['low']:.4f} to {drawn['auc']['high']:.4f} |  |",
        f"| EER | {figures.eer:.4f} | {drawn['eer']['low']:.4f} to {drawn['eer']['high']:.4f} | "
        f"{figures.eer_threshold:.4f} |",
        f"| TAR at FMR 0.1 | {figures.tar_at(0.1):.4f} | {drawn['tar_at_fmr_1e-1']['low']:.4f} to ",
        "| TAR at FMR 1e-06 | too few pairs to tell |  |  |",
        "Training pictures: unknown",
    ):
        assert fact in text, fact


def test_a_run_of_before_there_were_intervals_has_a_card_too(net, tmp_path):
    found = made(tmp_path, net)
    text = card(dataclasses.replace(found, figures=finished.judged().figures))
    assert "Intervals are not known" in text and "| EER |" in text


def test_names_cannot_become_markup(net, tmp_path):
    text = card(made(tmp_path, net))
    assert text.startswith("# run \\*1\\*\n")
    assert r"data \<b\> \| x" in text
    assert r"Note: a note \| of the \<split\>" in text
    assert "<" not in re.sub(r"\\<", "", text)


def test_use_and_limits_are_two_sentences():
    assert len(re.findall(r"\.(?= |$)", model_card.USE)) == 2


def test_a_model_that_nobody_judged_says_so(net, tmp_path):
    text = card(made(tmp_path, net, best=False, ended=False))
    assert "None: there were no people to judge it on." in text
    assert "that of the last epoch; the training had not ended" in text
    assert "AUC" not in text


@pytest.mark.parametrize(
    ("model", "licence", "start"),
    [
        ({"from_scratch": True}, "none: trained from random numbers", "from random numbers"),
        ({"backbone": "resnet18"}, "apache-2.0", "from its published pretrained weights"),
        ({"weights": "/x/y.pth"}, "unknown", "from the weights /x/y.pth"),
        (
            {"backbone": "tf_efficientnet_lite0", "weights": "efficientnet-lite0"},
            "Apache-2.0 (Google, EfficientNet-Lite; trained on ImageNet-1k)",
            "from the weights efficientnet-lite0",
        ),
    ],
)
def test_the_licence_is_what_is_known_of_the_first_weights_and_no_more(model, licence, start, net, tmp_path):
    found = made(tmp_path, net, from_scratch=False)
    config = ModelConfig(**model)
    found = type(found)(
        **{name: getattr(found, name) for name in found.__dataclass_fields__}
        | {"recipe": type(found.recipe)(model=config)}
    )
    text = card(found)
    assert f"Weights that the training started from: {licence}" in text
    assert start in text
    assert model_card.licence(found) == f"starting weights: {licence}; training pictures: unknown"

"""Losses by name: what they refuse, that none is content with a collapsed model, and that each teaches."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from offered import OFFERED, name
from pytorch_metric_learning.losses import ArcFaceLoss
from torch.nn import functional

from omokage import config as settings
from omokage.errors import ConfigError
from omokage.train.kinds import CLASSIFY, SETTINGS
from omokage.train.losses import LossConfig, Objective
from omokage.train.miners import MINERS, SemiHardMiner
from omokage.train.partial import PartialFC

PEOPLE, PICTURES, DIM = 8, 3, 16
LABEL = torch.arange(PEOPLE).repeat_interleave(PICTURES)


def objective_of(config: LossConfig) -> Objective:
    """Return an objective; people's weights, where it has them, stand at right angles."""
    objective = Objective(config, DIM, PEOPLE)
    if isinstance(objective.loss, PartialFC):
        objective.loss.weight_LKE[:] = torch.eye(DIM)[:PEOPLE, None]
    elif config.loss in CLASSIFY:
        centres = objective.loss.W.shape[1] // PEOPLE
        objective.loss.W.data = torch.eye(DIM)[:PEOPLE].repeat_interleave(centres, 0).T.contiguous()
    return objective


@pytest.mark.parametrize("config", OFFERED, ids=name)
def test_a_collapsed_model_has_a_loss_and_a_separating_one_less(config: LossConfig) -> None:
    collapsed = functional.normalize(torch.ones(len(LABEL), DIM), dim=1)
    apart = torch.eye(DIM)[LABEL]
    mixed = torch.eye(DIM)[(LABEL + torch.arange(len(LABEL)) % PICTURES) % PEOPLE]
    loss = {
        each: float(objective_of(config)(embedding, LABEL).detach())
        for each, embedding in (("collapsed", collapsed), ("apart", apart), ("mixed", mixed))
    }
    assert loss["collapsed"] > 0.1
    assert loss["apart"] < 0.7 * loss["collapsed"], "supcon never falls below the log of a face's genuine pairs"
    assert loss["apart"] < loss["mixed"]


@pytest.mark.parametrize(
    ("loss", "setting", "sampled"),
    [
        (loss, setting, sampled)
        for loss, known in SETTINGS.items()
        for setting in known
        for sampled in ((0.0, 1.0) if loss in CLASSIFY else (0.0,))
    ],
)
def test_every_setting_of_a_loss_moves_it(loss: Any, setting: str, sampled: float) -> None:
    generator = torch.Generator().manual_seed(1)  # with 0, the embeddings would be the very weights of some people
    embedding = functional.normalize(torch.randn(len(LABEL), DIM, generator=generator), dim=1)
    given = {setting: 2 if setting == "sub_centres" else 0.7 * SETTINGS[loss][setting]}
    one, other = LossConfig(loss=loss, sampled=sampled), LossConfig(loss=loss, sampled=sampled, **given)
    before, after = (float(Objective(each, DIM, PEOPLE)(embedding, LABEL).detach()) for each in (one, other))
    assert abs(after - before) > 1e-3 * abs(before)


@pytest.mark.parametrize("loss", sorted(set(SETTINGS) - set(CLASSIFY)))
@pytest.mark.parametrize("miner", MINERS)
def test_every_miner_changes_what_every_loss_learns_from(loss: Any, miner: Any) -> None:
    grads = []
    for each in ("none", miner):
        noise = torch.randn(len(LABEL), DIM, generator=torch.Generator().manual_seed(1))
        embedding = functional.normalize(torch.eye(DIM)[LABEL] + 0.2 * noise, dim=1)
        embedding.requires_grad_()
        Objective(LossConfig(loss=loss, miner=each), DIM, PEOPLE)(embedding, LABEL).backward()
        grads.append(embedding.grad)
    assert not torch.allclose(*grads, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("config", OFFERED, ids=name)
def test_what_is_not_a_number_gives_no_number(config: LossConfig) -> None:
    """Although the other faces have a loss that is one."""
    for bad in (math.nan, math.inf):
        embedding = torch.eye(DIM)[(LABEL + torch.arange(len(LABEL)) % PICTURES) % PEOPLE]
        embedding[5, 2] = bad
        assert math.isnan(float(objective_of(config)(embedding, LABEL).detach()))


@pytest.mark.parametrize("config", OFFERED, ids=name)
def test_it_teaches(config: LossConfig) -> None:
    """Free embeddings and the objective's own weights, moved down the gradient, come to part the people."""
    objective = Objective(config, DIM, PEOPLE)
    raw = torch.randn(len(LABEL), DIM, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimiser = torch.optim.Adam([raw, *objective.parameters()], lr=0.15)
    for _ in range(20):
        optimiser.zero_grad()
        objective(functional.normalize(raw, dim=1), LABEL).backward()
        objective.average_gradients()
        optimiser.step()
        objective.step(0.15)
    unit = functional.normalize(raw.detach(), dim=1)
    cosine = unit @ unit.T
    genuine = cosine[LABEL[:, None] == LABEL].mean()
    impostor = cosine[LABEL[:, None] != LABEL].mean()
    assert float(genuine - impostor) > 0.4


@pytest.mark.parametrize("config", [each for each in OFFERED if each.miner == "none"], ids=name)
def test_saved_and_loaded_it_goes_on_bit_by_bit(config: LossConfig, tmp_path: Path) -> None:
    def steps(objective: Objective, numbers: range) -> list[float]:
        losses = []
        for number in numbers:
            drawn = torch.randn(len(LABEL), DIM, generator=torch.Generator().manual_seed(number))
            embedding = functional.normalize(drawn, dim=1).requires_grad_()
            objective.zero_grad()
            loss = objective(embedding, LABEL)
            loss.backward()
            for weight in objective.parameters():
                weight.data -= 0.01 * weight.grad
            objective.step(0.01)
            losses.append(float(loss.detach()))
        return losses

    first = Objective(config, DIM, PEOPLE)  # after 5 batches of 24 a memory of 30 is full, and back at its beginning
    steps(first, range(5))
    torch.save((first.state_dict(), [first.shard_state()]), tmp_path / "saved.pt")
    state, shards = torch.load(tmp_path / "saved.pt", weights_only=True)
    second = Objective(config, DIM, PEOPLE)
    for weight in (*second.parameters(), *second.buffers()):
        weight.data.zero_()
    second.load_state_dict(state)
    second.load_shards(shards)
    assert steps(second, range(5, 8)) == steps(first, range(5, 8))


def test_a_batch_without_a_pair_has_no_loss_and_still_a_gradient() -> None:
    for config in OFFERED:
        if config.loss in ("contrastive", "triplet", "multi-similarity", "supcon") and not config.memory_size:
            embedding = functional.normalize(torch.ones(1, DIM), dim=1).requires_grad_()
            loss = Objective(config, DIM, PEOPLE)(embedding, LABEL[:1])
            loss.backward()
            assert embedding.grad is not None
            assert embedding.grad.eq(0).all()


def test_a_margin_is_an_angle_in_radians() -> None:
    torch.manual_seed(0)
    embedding = functional.normalize(torch.randn(len(LABEL), DIM), dim=1)
    ours = Objective(LossConfig(loss="arcface", margin_rad=0.3, scale=20), DIM, PEOPLE)
    theirs = ArcFaceLoss(PEOPLE, DIM, margin=0.3 * 180 / math.pi, scale=20)
    theirs.W.data = ours.loss.W.data
    assert float(ours(embedding, LABEL).detach()) == pytest.approx(float(theirs(embedding, LABEL).detach()), rel=1e-5)


@pytest.mark.parametrize("loss", CLASSIFY)
@pytest.mark.parametrize("sampled", [0.0, 1.0])
def test_a_face_exactly_on_its_persons_weights_has_a_finite_gradient(loss: Any, sampled: float) -> None:
    objective = objective_of(LossConfig(loss=loss, sampled=sampled))
    embedding = torch.eye(DIM)[LABEL].clone().requires_grad_()
    objective(embedding, LABEL).backward()
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


def test_half_precision_outside_changes_nothing() -> None:
    embedding = functional.normalize(torch.randn(len(LABEL), DIM), dim=1)
    for config in OFFERED:
        plain = Objective(config, DIM, PEOPLE)(embedding, LABEL)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(Objective(config, DIM, PEOPLE)(embedding, LABEL), plain)


def test_the_first_weights_depend_on_the_seed_alone() -> None:
    for sampled in (0.0, 0.5):
        config = LossConfig(loss="arcface", sampled=sampled)
        torch.manual_seed(0)
        one = Objective(config, DIM, PEOPLE, seed=4)
        before = torch.get_rng_state()
        torch.manual_seed(77)
        other, third = Objective(config, DIM, PEOPLE, seed=4), Objective(config, DIM, PEOPLE, seed=5)
        weights = [
            each.loss.weight_LKE if isinstance(each.loss, PartialFC) else each.loss.W for each in (one, other, third)
        ]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
        torch.manual_seed(0)
        assert torch.equal(before, torch.get_rng_state()), "building draws from nobody else's random numbers"


def test_active_is_the_share_of_triplets_within_the_margin() -> None:
    torch.manual_seed(3)
    embedding = functional.normalize(torch.randn(len(LABEL), DIM), dim=1)
    objective = Objective(LossConfig(loss="triplet", margin_cos=0.1), DIM, PEOPLE)
    loss = float(objective(embedding, LABEL))
    cosine, over, total = embedding @ embedding.T, [], 0
    for a in range(len(LABEL)):
        for p in range(len(LABEL)):
            for n in range(len(LABEL)):
                if a != p and LABEL[a] == LABEL[p] and LABEL[a] != LABEL[n]:
                    total += 1
                    violation = float(cosine[a, n] - cosine[a, p]) + 0.1
                    over += [violation] if violation > 0 else []
    assert objective.active == pytest.approx(len(over) / total)
    assert loss == pytest.approx(sum(over) / len(over), rel=1e-4)
    assert Objective(LossConfig(loss="cosface"), DIM, PEOPLE).active is None


def test_a_memory_holds_the_last_embeddings_and_no_face_is_compared_with_itself() -> None:
    """Batches of 4 go round a memory of 10, by an obvious list."""
    objective = Objective(
        LossConfig(loss="contrastive", memory_size=10, genuine_cos=0.9, impostor_cos=0.2), DIM, PEOPLE
    )
    memory: list[tuple[torch.Tensor, int, int]] = []
    for step in range(6):
        drawn = torch.randn(4, DIM, generator=torch.Generator().manual_seed(step)).abs()
        embedding, label = functional.normalize(drawn, dim=1), [step % 3, step % 3, 5, (step + 1) % 3]
        batch = [(embedding[n], label[n], 4 * step + n) for n in range(4)]
        memory = (memory + batch)[-10:]
        genuine, impostor = [], []
        for face, person, number in batch:
            for other, who, which in memory:
                cosine = float((face * other).sum())
                if which != number:
                    (genuine if who == person else impostor).append(0.9 - cosine if who == person else cosine - 0.2)
        slow = sum(sum(wrong) / len(wrong) for wrong in ([x for x in kind if x > 0] for kind in (genuine, impostor)))
        assert float(objective(embedding, torch.tensor(label))) == pytest.approx(slow, rel=1e-4)


def slow_semihard(cosine: torch.Tensor, label: torch.Tensor) -> list[tuple[int, int, int]]:
    found = []
    for a in range(len(label)):
        for p in range(len(label)):
            if a == p or label[a] != label[p]:
                continue
            impostors = [n for n in range(len(label)) if label[n] != label[a]]
            farther = [n for n in impostors if cosine[a, n] < cosine[a, p]]
            pool = farther or impostors
            best = max if farther else min
            found.append((a, p, best(pool, key=lambda n, a=a: float(cosine[a, n]))))
    return found


def test_semihard_impostors_are_the_nearest_beyond_the_genuine_face() -> None:
    torch.manual_seed(5)
    embedding = functional.normalize(torch.randn(len(LABEL), 4), dim=1)
    found = SemiHardMiner()(embedding, LABEL)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == slow_semihard(embedding @ embedding.T, LABEL)
    alone = SemiHardMiner()(embedding[:3], torch.zeros(3, dtype=torch.int64))
    assert all(len(each) == 0 for each in alone), "nobody else is there"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": "arcfase"}, "none is called 'arcfase'; did you mean 'arcface'?"),
        ({"loss": "triplet", "miner": "semi-hard"}, "did you mean 'semihard'?"),
        ({"loss": "triplet", "margin_rad": 0.5}, "margin_rad belongs to arcface, sub-arcface"),
        ({"loss": "arcface", "margin_cos": 0.3}, "it has margin_rad, scale"),
        ({"loss": "multi-similarity", "scale": 3.0}, "no settings of its own"),
        ({"loss": "contrastive", "margin_cos": 0.3}, "it has genuine_cos, impostor_cos"),
        ({"loss": "cosface", "sub_centres": 2}, "sub_centres belongs to sub-arcface"),
        ({"loss": "arcface", "miner": "hard"}, "miners fit contrastive, triplet"),
        ({"loss": "pairs", "memory_size": 100}, "pairs has no memory; contrastive"),
        ({"loss": "cosface", "memory_size": 100}, "no memory"),
        ({"loss": "supcon", "sampled": 0.1}, "arcface, cosface, sub-arcface have"),
        ({"loss": "arcface", "sampled": 1.5}, "0 to 1"),
        ({"loss": "triplet", "memory_size": -1}, "0 or more"),
        ({"loss": "arcface", "margin_rad": 28.6}, "loss.margin_rad must be above 0 and at most"),
        ({"loss": "supcon", "temperature": 0.0}, "must be above 0"),
        ({"loss": "sub-arcface", "sub_centres": 0}, "must be above 0"),
        ({"loss": "contrastive", "genuine_cos": 0.1}, "genuine_cos must be above loss.impostor_cos"),
        ({"loss": "triplet", "margin_cos": math.nan}, "must be above 0"),
    ],
)
def test_what_a_loss_does_not_have_is_refused(given: dict[str, Any], words: str) -> None:
    given = {"miner": "none"} | given
    with pytest.raises(ConfigError, match=words):
        LossConfig(**given)


def test_one_person_is_nobody_to_tell_apart() -> None:
    with pytest.raises(ConfigError, match="at least 2 people"):
        Objective(LossConfig(), DIM, 1)


def test_a_memory_smaller_than_the_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least the batch of all ranks, 24, got 10"):
        Objective(LossConfig(loss="supcon", miner="none", memory_size=10), DIM, PEOPLE)(torch.eye(DIM)[LABEL], LABEL)


@pytest.mark.parametrize("sampled", [0.0, 1.0])
@pytest.mark.parametrize("bad", [-1, PEOPLE])
def test_a_label_of_nobody_is_refused(sampled: float, bad: int) -> None:
    label = LABEL.clone()
    label[3] = bad
    with pytest.raises(ValueError, match="labels must lie in 0 to 7"):
        Objective(LossConfig(loss="cosface", miner="none", sampled=sampled), DIM, PEOPLE)(torch.eye(DIM)[LABEL], label)


def test_settings_of_every_loss_can_be_written_in_a_file(tmp_path: Path) -> None:
    for loss, known in SETTINGS.items():
        lines = [f'loss = "{loss}"', *(f"{key} = {value}" for key, value in known.items())]
        (tmp_path / "loss.toml").write_text("\n".join(lines))
        config = settings.from_toml(LossConfig, tmp_path / "loss.toml")
        assert {key: config.value(key) for key in known} == known
        assert copy.copy(config) == config

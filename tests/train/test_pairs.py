"""The pair head, its loss, and the network of two towers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from omokage.train.pairs import BOUNDARY, PairHead, PairLoss, SiameseNetwork


class Tower(nn.Module):
    """A network with a batch norm, to unit embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 8), nn.BatchNorm1d(8), nn.Linear(8, 5))

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.layers(pixels_BCHW), dim=1)


def slow_loss(loss: PairLoss, embedding: torch.Tensor, label: list[int]) -> float:
    """Return the mean over genuine pairs plus the mean over impostor pairs, pair by pair."""
    scale, bias = float(loss.head.log_scale.detach().exp()), float(loss.head.bias.detach())
    genuine, impostor = [], []
    for i in range(len(label)):
        for j in range(len(label)):
            if i != j:
                cosine = float(functional.cosine_similarity(embedding[i], embedding[j], dim=0))
                chance = 1 / (1 + math.exp(-(scale * cosine + bias)))
                (genuine if label[i] == label[j] else impostor).append((chance, cosine))
    return -sum(math.log(p) for p, _ in genuine) / len(genuine) - sum(math.log(1 - p) for p, _ in impostor) / len(
        impostor
    )


def test_the_loss_is_that_of_pair_by_pair() -> None:
    torch.manual_seed(0)
    embedding, label = torch.randn(9, 6), [0, 0, 0, 1, 1, 2, 2, 2, 2]
    loss = PairLoss(scale=7)
    found = loss(embedding, torch.tensor(label)).detach()
    assert float(found) == pytest.approx(slow_loss(loss, embedding, label), rel=1e-5)


def test_one_kind_of_pair_alone_has_a_loss() -> None:
    torch.manual_seed(0)
    embedding = torch.randn(4, 6)
    assert float(PairLoss()(embedding, torch.zeros(4, dtype=torch.int64)).detach()) > 0
    assert float(PairLoss()(embedding, torch.arange(4)).detach()) > 0


def test_a_fresh_head_is_undecided_at_its_boundary_and_its_slope_cannot_turn() -> None:
    head = PairHead(scale=12)
    assert float(head(torch.tensor(BOUNDARY)).detach()) == pytest.approx(0, abs=1e-5)
    head.log_scale.data -= 100
    assert float(head(torch.tensor(1.0)) - head(torch.tensor(-1.0))) >= 0


def test_the_towers_are_one_and_sides_do_not_matter() -> None:
    torch.manual_seed(1)
    network = SiameseNetwork(Tower())
    left, right = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    assert len(list(network.parameters())) == len(list(network.embedder.parameters())) + 2
    torch.testing.assert_close(network(left, right), network(right, left))
    network.eval()
    both = network(left, right)
    cosine = functional.cosine_similarity(network.embedder(left), network.embedder(right))
    torch.testing.assert_close(both, network.head(cosine))


def test_given_pairs_teach_it() -> None:
    torch.manual_seed(2)
    look = torch.randn(8, 3, 4, 4)
    network = SiameseNetwork(Tower())
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    same = torch.arange(64) % 2 == 0
    losses = []
    for _ in range(120):
        person = torch.randint(8, (64,))
        other = torch.where(same, person, (person + torch.randint(1, 8, (64,))) % 8)
        pictures = [look[people] + 0.5 * torch.randn(64, 3, 4, 4) for people in (person, other)]
        loss = network.loss(pictures[0], pictures[1], same)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 < losses[0]

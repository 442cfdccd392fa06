"""What the ranks of one training agree on, without gradients. With one rank, each has the answer already.

Shape key: B rows of this rank, N rows of all ranks in the order of ranks, W ranks.
"""

from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor


def count() -> int:
    """Return the number of processes that train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if count() > 1 else 0


def barrier() -> None:
    """Wait until every rank is here."""
    if count() > 1:
        dist.barrier()


def told(text: str, device: torch.device) -> str:
    """Return the text that rank 0 has."""
    if count() == 1:
        return text
    data = text.encode()
    length = torch.tensor([len(data)], device=device)
    dist.broadcast(length, src=0)
    letters = torch.zeros(int(length.item()), dtype=torch.uint8, device=device)
    if rank() == 0:
        letters.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else letters)
    dist.broadcast(letters, src=0)
    return bytes(letters.cpu().tolist()).decode()


def each_told(text: str, device: torch.device) -> list[str]:
    """Return what every rank has to say, by rank."""
    if count() == 1:
        return [text]
    data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    counts = row_counts(data)
    letters = joined(data, counts)
    return [bytes(each.cpu().tolist()).decode() for each in torch.split(letters, counts)]


def most(value: float, device: torch.device) -> float:
    """Return the greatest of all ranks' values."""
    if count() == 1:
        return value
    held = torch.tensor([value], dtype=torch.float64, device=device)
    dist.all_reduce(held, dist.ReduceOp.MAX)
    return float(held.item())


def total(value: Tensor) -> Tensor:
    """Return the sum of all ranks' values, which takes the place of this one's."""
    if count() > 1:
        dist.all_reduce(value)
    return value


def row_counts(rows_BE: Tensor) -> list[int]:
    """Return how many rows each rank has."""
    mine = torch.tensor([len(rows_BE)], dtype=torch.int64, device=rows_BE.device)
    count_W = mine.new_empty(count())
    dist.all_gather_into_tensor(count_W, mine)
    return cast(list[int], count_W.tolist())


def joined(rows_BE: Tensor, counts: list[int] | None = None) -> Tensor:
    """Return the rows of all ranks, ``(N, …)``, those of rank 0 first; ranks may have different numbers of them.

    Args:
        rows_BE: This rank's; without further axes too.
        counts: How many each rank has, where that is known.
    """
    if count() == 1:
        return rows_BE
    counts = row_counts(rows_BE) if counts is None else counts
    most_rows = max(counts)  # collectives want equal shapes, so the shorter ones are filled up on the way
    filled = rows_BE.new_zeros((most_rows, *rows_BE.shape[1:]))
    filled[: len(rows_BE)] = rows_BE
    all_N = rows_BE.new_empty((len(counts) * most_rows, *rows_BE.shape[1:]))
    dist.all_gather_into_tensor(all_N, filled)
    if min(counts) == most_rows:
        return all_N
    return torch.cat([part[:number] for part, number in zip(torch.split(all_N, most_rows), counts, strict=True)])

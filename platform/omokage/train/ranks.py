"""What the ranks of one training tell each other. With one rank, each has the answer already."""

import torch
import torch.distributed as dist

from omokage.train.gather import gather_counts, gather_labels, rank, ranks


def barrier() -> None:
    """Wait until every rank is here."""
    if ranks() > 1:
        dist.barrier()


def told(text: str, device: torch.device) -> str:
    """Return the text that rank 0 has."""
    if ranks() == 1:
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
    if ranks() == 1:
        return [text]
    data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    counts = gather_counts(data)
    letters = gather_labels(data)
    return [bytes(each.cpu().tolist()).decode() for each in torch.split(letters, counts)]


def most(value: float, device: torch.device) -> float:
    """Return the greatest of all ranks' values."""
    if ranks() == 1:
        return value
    held = torch.tensor([value], dtype=torch.float64, device=device)
    dist.all_reduce(held, dist.ReduceOp.MAX)
    return float(held.item())

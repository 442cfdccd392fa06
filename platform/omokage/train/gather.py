"""One batch over all ranks: embeddings gathered with their gradient, and what makes ranks one network.

Each rank embeds its own pictures, and every rank judges all of them: two pictures of a batch are compared whichever
ranks hold them. The gradient of a row is the sum of what all ranks say of it. As every rank computes the same loss,
that is the gradient times the number of ranks, and the mean over ranks that DistributedDataParallel takes makes it
exactly what one rank with the whole batch would have found.

Shape key: B rows of this rank, N rows of all ranks in the order of ranks, E numbers of an embedding.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from omokage.train import ranks


def gather(rows_BE: Tensor, *, split_loss: bool = False) -> Tensor:
    """Return the rows of all ranks, ``(N, E)``, those of rank 0 first; every rank must call it.

    Ranks may have different numbers of rows: a batch that lost an undecodable chip is no trouble. The backward pass
    sums over the ranks the gradients of each row.

    Args:
        rows_BE: This rank's.
        split_loss: Each rank finds only its own part of the gradient, not all of it. Then the sum is multiplied with
            the number of ranks, so that the mean over ranks that follows is right all the same.
    """
    if ranks.count() == 1:
        return rows_BE
    times = ranks.count() if split_loss else 1
    return cast(Tensor, _Gather.apply(rows_BE, ranks.row_counts(rows_BE), times))


def average_gradients(module: nn.Module) -> None:
    """Replace the gradients of weights that every rank holds by their mean over the ranks.

    Every rank computes the same gradient of them, from the same gathered rows, so this changes nothing but the last
    bit: it keeps copies of a weight from ever parting, on ranks whose processors round differently.
    """
    grads = [weight.grad for weight in module.parameters() if weight.grad is not None]
    if ranks.count() == 1 or not grads:
        return
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    dist.all_reduce(flat)
    parts = torch.split(flat / ranks.count(), [grad.numel() for grad in grads])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view_as(grad))


def share_norms(module: nn.Module) -> nn.Module:
    """Return ``module`` with batch norms that take their statistics over all ranks, where that can be done.

    A plain batch norm normalises by the pictures of its own rank, so that 2 ranks of B differ from 1 rank of 2B. Torch
    has shared statistics for CUDA only: on CPUs, and with one rank, the module comes back as it was. Call it after the
    module is on its device and before it is wrapped for several ranks.
    """
    if ranks.count() == 1 or any(weight.device.type != "cuda" for weight in module.parameters()):
        return module
    from timm.layers.norm_act import convert_sync_batchnorm  # here, since timm takes seconds to come

    return cast(nn.Module, convert_sync_batchnorm(module))  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """All rows forward; the sum of all ranks' gradients backward."""

    @staticmethod
    def forward(ctx: Any, rows_BE: Tensor, counts: list[int], times: int) -> Tensor:
        """Return the rows of all ranks."""
        ctx.times = times
        first = sum(counts[: ranks.rank()])
        ctx.mine = slice(first, first + len(rows_BE))
        return ranks.joined(rows_BE, counts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return what all ranks together say of this rank's rows."""
        total_NE = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total_NE)
        return total_NE[ctx.mine] * ctx.times, None, None

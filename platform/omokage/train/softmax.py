"""Cross-entropy over classes whose logits are spread over the ranks.

Shape key: N faces of all ranks, S classes that this rank looks at, H faces whose own person is among them.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from omokage.train import ranks


def cross_entropy(logit_NS: Tensor, face_H: Tensor, column_H: Tensor) -> Tensor:
    """Return the mean cross-entropy of all faces, the same scalar on every rank; every rank must call it.

    No rank sees another's logits: the ranks agree on each face's greatest logit, and add up the exponentials and the
    logits of the own person. Backward, each gets the gradient of its own logits, which is exact.

    Args:
        logit_NS: This rank's classes; every class is at one rank. S may be 0.
        face_H: Which faces have their own person here; each face has at exactly one rank.
        column_H: That person's column.
    """
    loss_N = cast(Tensor, _CrossEntropy.apply(logit_NS, face_H, column_H))
    return loss_N.mean()


class _CrossEntropy(torch.autograd.Function):
    """``log(sum(exp(logit))) - logit of the own person``, over the classes of all ranks."""

    @staticmethod
    def forward(ctx: Any, logit_NS: Tensor, face_H: Tensor, column_H: Tensor) -> Tensor:
        """Return the loss of each face, ``(N,)``."""
        count, classes = logit_NS.shape
        top_N = logit_NS.amax(1) if classes else logit_NS.new_full((count,), -torch.inf)
        if ranks.count() > 1:
            dist.all_reduce(top_N, dist.ReduceOp.MAX)
        share_NS = (logit_NS - top_N[:, None]).exp_()
        sums_2N = logit_NS.new_zeros((2, count))
        sums_2N[0] = share_NS.sum(1)
        sums_2N[1, face_H] = logit_NS[face_H, column_H]
        if ranks.count() > 1:
            dist.all_reduce(sums_2N)
        ctx.save_for_backward(share_NS.div_(sums_2N[0, :, None]), face_H, column_H)
        return sums_2N[0].log() + top_N - sums_2N[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return probability less 1 at the own person, times the gradient of each face's loss."""
        share_NS, face_H, column_H = ctx.saved_tensors
        grad_NS = share_NS.clone()
        grad_NS[face_H, column_H] -= 1
        return grad_NS.mul_(grads[0][:, None]), None, None

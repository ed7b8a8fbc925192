"""The losses of a generator, each a function of its own that changes nothing it is given.

Unless it says otherwise a loss answers (B,), one number a sample, so that samples with and without truth can share a
batch: `mean_over` then averages over those it is meant for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    """(B,) values, (B,) weights of 0 or more -> their weighted mean; zero, with a gradient of zero, if all are 0."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1e-6)


def identity_loss(made: Tensor, source: Tensor) -> Tensor:
    """(B,D) vectors of the made and of the source face, of any length -> one minus their cosine."""
    return 1 - F.cosine_similarity(made, source, dim=1)


lower_face_loss = identity_loss
"""The same on FixerNet's vectors."""


def l1_loss(made: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the weighted mean distance of the pixels."""
    return ((made - truth).abs() * weight).mean((1, 2, 3))


def gradient_loss(made: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the distance of the differences between neighbours: edges, not levels."""
    across = (made.diff(dim=3) - truth.diff(dim=3)).abs() * weight[..., 1:]
    down = (made.diff(dim=2) - truth.diff(dim=2)).abs() * weight[..., 1:, :]
    return across.mean((1, 2, 3)) + down.mean((1, 2, 3))


def colour_loss(made: Tensor, target: Tensor, weight: Tensor, size: int = 8) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the distance of colours averaged over a grid of size x size cells.

    For samples without truth: the light is the target's, whoever the face is.
    """
    share = F.adaptive_avg_pool2d(weight, size)

    def cells(picture: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(picture * weight, size) / share.clamp(min=0.05)

    return ((cells(made) - cells(target)).abs() * share).mean((1, 2, 3))


def chroma_loss(made: Tensor, target: Tensor, weight: Tensor, size: int = 32) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> colour_loss on a fine grid, of what differs from grey.

    Encoders tell people by stains of colour too, and a generator finds that out where no truth forbids it.
    """

    def without_grey(picture: Tensor) -> Tensor:
        luma = picture[:, :1] * 0.299 + picture[:, 1:2] * 0.587 + picture[:, 2:] * 0.114
        return picture - luma

    return colour_loss(without_grey(made), without_grey(target), weight, size)


def perceptual_loss(made: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Maps (B,C,h,w) of a frozen network for the made and the true picture -> their distance.

    Each map is set against its own size in the truth, so that every level counts alike. The made side keeps its
    gradient: detaching it, as a well-known implementation does, silences the loss.
    """
    total = torch.zeros(made[0].shape[0], device=made[0].device)
    for ours, theirs in zip(made, truth, strict=True):
        ours, theirs = ours.float(), theirs.detach().float()
        scale = theirs.abs().mean((1, 2, 3)).clamp(min=1e-4)
        total = total + (ours - theirs).abs().mean((1, 2, 3)) / scale
    return total / len(made)


def attribute_loss(made: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """AEI-Net's attribute maps of the made picture and of the target -> half the mean square, summed over levels."""
    total = torch.zeros(made[0].shape[0], device=made[0].device)
    for ours, theirs in zip(made, target, strict=True):
        total = total + 0.5 * (ours.float() - theirs.float()).square().mean((1, 2, 3))
    return total


def feature_matching_loss(
    made: Sequence[Sequence[Tensor]], target: Sequence[Sequence[Tensor]], last: int
) -> Tensor:
    """Weak feature matching: the discriminator's last maps of the made picture and of the target, all scales."""
    total = torch.zeros(made[0][0].shape[0], device=made[0][0].device)
    for ours, theirs in zip(made, target, strict=True):
        for a, b in zip(ours[-last:], theirs[-last:], strict=True):
            total = total + (a.float() - b.detach().float()).abs().mean((1, 2, 3)) / last
    return total / len(made)


def adversarial_loss(logits: Sequence[Tensor]) -> Tensor:
    """The generator's side of the hinge: what the discriminator says of the made picture, scales averaged."""
    each = [-scale.float().mean((1, 2, 3)) for scale in logits]
    return torch.stack(each).mean(0)


def hinge_loss(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """The discriminator's side of the hinge: real patches above 1, made ones below -1."""
    each = [
        F.relu(1 - r.float()).mean((1, 2, 3)) + F.relu(1 + m.float()).mean((1, 2, 3))
        for r, m in zip(real, made, strict=True)
    ]
    return torch.stack(each).mean(0)


def gradient_penalty(logits: Sequence[Tensor], pictures: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): the squared gradient of the logits at the real pictures, which need a gradient."""
    total = torch.stack([scale.float().mean((1, 2, 3)).sum() for scale in logits]).sum()
    (gradient,) = torch.autograd.grad(total, pictures, create_graph=True)
    return gradient.float().square().sum((1, 2, 3))


def cycle_loss(back: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(B,3,H,W) the made face swapped back to the target's identity -> its distance to the target."""
    return l1_loss(back, target, weight)


def mask_loss(logits: Tensor, face: Tensor) -> Tensor:
    """(B,1,H,W) the mask before its sigmoid, and where the face is -> binary cross-entropy."""
    return F.binary_cross_entropy_with_logits(logits.float(), face, reduction="none").mean((1, 2, 3))


def mesh_loss(made: Tensor, target: Tensor) -> Tensor:
    """(B,K) openings of eyes and mouth and the like (probe.openings) of both -> their mean distance."""
    return (made - target).abs().mean(1)


def expression_loss(difference: Tensor) -> Tensor:
    """(B,N,3) by how much lips, lids and brows are off (probe.Likeness) -> their mean distance."""
    return difference.square().sum(2).add(1e-8).sqrt().mean(1)


def pose_loss(turn: Tensor) -> Tensor:
    """(B,3) by how much the head is turned (probe.Likeness), in radians -> the angle."""
    return turn.square().sum(1).add(1e-6).sqrt()


def gaze_loss(made: Tensor, target: Tensor) -> Tensor:
    """(B,N,h,w) grey patches of the eyes -> one minus their correlation: where the iris is, not what colour it has."""

    def standard(patches: Tensor) -> Tensor:
        flat = patches.flatten(2).float()
        flat = flat - flat.mean(2, keepdim=True)
        return flat / (flat.square().mean(2, keepdim=True) + 1e-3).sqrt()

    return 1 - (standard(made) * standard(target)).mean((1, 2))

"""The generator's losses as pure functions.

Unless stated otherwise a loss returns (B,), one value per sample, so that samples with and without truth can share a
batch; `mean_over` then averages over the samples that the loss applies to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_over(values: Tensor, weights: Tensor) -> Tensor:
    """(B,) values, (B,) weights of 0 or more -> the weighted mean; zero, with zero gradient, if all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def identity_loss(output: Tensor, source: Tensor, margin: float = 0.0) -> Tensor:
    """(B,D) vectors of the output and of the source face, of any length -> one minus their cosine, less the margin.

    A face within the margin is similar enough: its loss and its gradient are 0.
    """
    away = 1 - F.cosine_similarity(output, source, dim=1)
    return F.relu(away - margin) if margin else away


def proxy_fit(source: Tensor, truth: Tensor, has_truth: Tensor, beta: float) -> Tensor:
    """(B,D) twice, (B,) -> cos(source, truth)^beta where there is a truth, else 1; a constant.

    A surrogate source resembles the person of its truth only roughly; the less it does, the less the sample counts.
    """
    if not beta:
        return torch.ones_like(has_truth)
    alike = F.cosine_similarity(source, truth, dim=1).clamp(min=0).detach() ** beta
    return torch.where(has_truth > 0, alike, torch.ones_like(alike))


def l1_loss(output: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the weighted mean absolute difference."""
    return ((output - truth).abs() * weight).mean((1, 2, 3))


def gradient_loss(output: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the absolute difference of horizontal and vertical image gradients."""
    across = (output.diff(dim=3) - truth.diff(dim=3)).abs() * weight[..., 1:]
    down = (output.diff(dim=2) - truth.diff(dim=2)).abs() * weight[..., 1:, :]
    return across.mean((1, 2, 3)) + down.mean((1, 2, 3))


def colour_loss(output: Tensor, target: Tensor, weight: Tensor, size: int = 8) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> the difference of colours averaged over a grid of size x size cells.

    For samples without truth: whoever's face it is, it is lit as in the target.
    """
    share = F.adaptive_avg_pool2d(weight, size)

    def cells(picture: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(picture * weight, size) / share.clamp(min=0.05)

    return ((cells(output) - cells(target)).abs() * share).mean((1, 2, 3))


def chroma_loss(output: Tensor, target: Tensor, weight: Tensor, size: int = 32) -> Tensor:
    """(B,3,H,W) twice, (B,1,H,W) -> colour_loss on a fine grid, of the pictures without their lightness.

    Identity encoders also respond to coloured stains, which a generator learns to draw where no truth forbids it.
    """

    def chroma(picture: Tensor) -> Tensor:
        luma = picture[:, :1] * 0.299 + picture[:, 1:2] * 0.587 + picture[:, 2:] * 0.114
        return picture - luma

    return colour_loss(chroma(output), chroma(target), weight, size)


def perceptual_loss(output: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Feature maps (B,C,h,w) of the output and of the truth -> their absolute difference.

    Each level is divided by its mean magnitude in the truth, so that all levels weigh alike. The output's maps keep
    their gradient: detaching them, as a well-known implementation does, turns the loss off.
    """
    total = torch.zeros(output[0].shape[0], device=output[0].device)
    for ours, theirs in zip(output, truth, strict=True):
        ours, theirs = ours.float(), theirs.detach().float()
        scale = theirs.abs().mean((1, 2, 3)).clamp(min=1e-4)
        total = total + (ours - theirs).abs().mean((1, 2, 3)) / scale
    return total / len(output)


def attribute_loss(output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """AEI-Net's attribute maps of the output and of the target -> half the mean square, summed over levels."""
    total = torch.zeros(output[0].shape[0], device=output[0].device)
    for ours, theirs in zip(output, target, strict=True):
        total = total + 0.5 * (ours.float() - theirs.float()).square().mean((1, 2, 3))
    return total


def feature_matching_loss(
    output: Sequence[Sequence[Tensor]], target: Sequence[Sequence[Tensor]], last: int
) -> Tensor:
    """Weak feature matching: the difference in the discriminator's `last` deepest maps, averaged over scales."""
    total = torch.zeros(output[0][0].shape[0], device=output[0][0].device)
    for ours, theirs in zip(output, target, strict=True):
        for a, b in zip(ours[-last:], theirs[-last:], strict=True):
            total = total + (a.float() - b.detach().float()).abs().mean((1, 2, 3)) / last
    return total / len(output)


def adversarial_loss(logits: Sequence[Tensor]) -> Tensor:
    """The generator's hinge loss of the discriminator's logits (B,1,h,w) for the output, averaged over scales."""
    each = [-scale.float().mean((1, 2, 3)) for scale in logits]
    return torch.stack(each).mean(0)


def hinge_loss(real: Sequence[Tensor], output: Sequence[Tensor]) -> Tensor:
    """The discriminator's hinge loss: real patches above 1, generated ones below -1."""
    each = [
        F.relu(1 - r.float()).mean((1, 2, 3)) + F.relu(1 + o.float()).mean((1, 2, 3))
        for r, o in zip(real, output, strict=True)
    ]
    return torch.stack(each).mean(0)


def gradient_penalty(logits: Sequence[Tensor], pictures: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): the squared gradient of the logits at real pictures that require a gradient."""
    total = torch.stack([scale.float().mean((1, 2, 3)).sum() for scale in logits]).sum()
    (gradient,) = torch.autograd.grad(total, pictures, create_graph=True)
    return gradient.float().square().sum((1, 2, 3))


def mask_loss(logits: Tensor, face: Tensor) -> Tensor:
    """(B,1,H,W) logits of the mask, (B,1,H,W) the face's area -> binary cross-entropy."""
    return F.binary_cross_entropy_with_logits(logits.float(), face, reduction="none").mean((1, 2, 3))


def mesh_loss(output: Tensor, target: Tensor) -> Tensor:
    """(B,K) twice, of `measures_torch.openings` -> the mean absolute difference."""
    return (output - target).abs().mean(1)


def expression_loss(difference: Tensor) -> Tensor:
    """(B,N,3) of `MeshDifference.expression` -> the mean distance."""
    return difference.square().sum(2).add(1e-8).sqrt().mean(1)


def pose_loss(rotation: Tensor) -> Tensor:
    """(B,3) of `MeshDifference.rotation` -> the angle in radians."""
    return rotation.square().sum(1).add(1e-6).sqrt()


def gaze_loss(output: Tensor, target: Tensor) -> Tensor:
    """(B,N,h,w) grey eye patches -> one minus their correlation: the place of the iris matters, its colour does not."""

    def standard(patches: Tensor) -> Tensor:
        flat = patches.flatten(2).float()
        flat = flat - flat.mean(2, keepdim=True)
        return flat / (flat.square().mean(2, keepdim=True) + 1e-3).sqrt()

    return 1 - (standard(output) * standard(target)).mean((1, 2))

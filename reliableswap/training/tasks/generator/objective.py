"""Which loss compares what: every sample gets the losses that its kind has a reference for.

A truth supervises all pixels. Without one, the face is judged by its identity and by what the target prescribes
(colours, mesh, gaze), and the target supervises the pixels outside the face.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from reliableswap.data.complete import truth_is_photo
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.measures_torch import eye_patches, openings
from reliableswap.models import FaceShifterGenerator
from reliableswap.models.layers import reduced

from . import losses as loss
from .frozen import FrozenNetworks
from .running import enlarged, generate, in_own_range, unwrapped
from .settings import GeneratorSettings
from .views import identity_window, jitter

Batch = dict[str, Tensor]


class Step:
    """A batch's pass through the generator, with what several losses need of it.

    discriminator: None while it takes no part.
    """

    def __init__(
        self,
        settings: GeneratorSettings,
        frozen: FrozenNetworks,
        network: nn.Module,
        discriminator: nn.Module | None,
        batch: Batch,
    ) -> None:
        self.settings, self.frozen, self.batch = settings, frozen, batch
        self.network, self.discriminator = network, discriminator
        self.target, self.source, self.truth = batch["target"], batch["source"], batch["truth"]
        self.plain = batch["plain"]  # the target without painted glasses, which losses must not ask for
        self.face = batch["face_mask"]
        self.has_truth = batch["has_truth"]
        self.no_truth = 1 - self.has_truth
        judged = bool(settings.identity_weight or (settings.lower_face_weight and frozen.fixer is not None))
        # Both in one pass: a GPU often finishes a small batch before the next operation is launched.
        asked = torch.cat([self.source, batch["identity_face"]]) if judged else self.source
        vectors = frozen.vectors(asked).split(len(self.source))
        source_vector, self.wanted_vector = vectors[0], vectors[-1]
        self.output = generate(network, self.target, source_vector, batch["guidance"], self.source)
        size = frozen.identity.embedding_size
        self.fit = loss.proxy_fit(
            source_vector[:, :size], self.wanted_vector[:, :size], self.has_truth, settings.proxy_beta
        )
        self.image = self.output.image.float()
        coarse = self.output.coarse or ()
        self.pictures = [self.image, *(enlarged(one.float(), self.image) for one in coarse)]
        self.seen = [self._as_encoders_see_it(one) for one in self.pictures] if judged else []
        self.vectors = [frozen.embed(one) for one in self.seen]

    def _as_encoders_see_it(self, picture: Tensor) -> Tensor:
        """(B,3,S,S) the output, or a coarser one, with the target's and the source's glasses put on, and jittered.

        In a swap the target's glasses stay on, so the rest of the face has to show the identity. The source's are put
        on so that the generator gains nothing by drawing them.
        """
        seen = picture
        if self.settings.glasses:
            worn, opacity = self.batch["glasses"].split([3, 1], 1)
            seen = picture + (worn - picture) * (self.settings.glasses * opacity)
        return jitter(seen, self.settings.identity_jitter) if self.settings.identity_jitter else seen

    @cached_property
    def pixel_weight(self) -> Tensor:
        """(B,1,S,S) the weight of each pixel: more on the face and on what was pasted in front of it."""
        s = self.settings
        counted = torch.maximum(self.face, self.batch["front"])
        return s.background_weight + (s.face_weight - s.background_weight) * counted

    @cached_property
    def reference(self) -> Tensor:
        """(B,3,S,S) what pixel losses compare with: the truth or, without one, the target."""
        return torch.where(self._known > 0, self.truth, self.target)

    @cached_property
    def reference_weight(self) -> Tensor:
        """(B,1,S,S) the weight of each pixel: zero on faces without truth, except on what was pasted over them."""
        beside = self.settings.background_weight * (1 - self.face)
        beside = torch.maximum(beside, self.settings.face_weight * self.batch["front"])
        return torch.where(self._known > 0, self.pixel_weight, beside)

    @cached_property
    def photo(self) -> Tensor:
        """(B,3,S,S) the face whose mesh the output should have: the truth, else the target without painted glasses."""
        return torch.where(self._known > 0, self.truth, self.plain)

    @cached_property
    def laid_over(self) -> Tensor:
        """(B,3,S,S) the source's texture laid over the target."""
        texture, valid = self.batch["guidance"].split([3, 1], 1)
        return self.plain + valid * (texture - self.plain)

    @cached_property
    def meshes(self) -> tuple[Tensor, Tensor]:
        """(B,468,3) twice: of the photo and of the output."""
        assert self.frozen.mesh_reader is not None
        with torch.no_grad():
            wanted = self.frozen.mesh_reader(self.photo)
        return wanted, self.frozen.mesh_reader(self.image)

    @cached_property
    def judgement(self) -> Any:
        """The discriminator's logits and features for the output."""
        assert self.discriminator is not None
        return self.discriminator(self.image)

    @cached_property
    def _known(self) -> Tensor:
        return self.has_truth[:, None, None, None]


Term = Callable[[Step], "tuple[Tensor, Tensor | None] | None"]
"""Values (B,) with weights (B,) of the samples, or None if all count; or None alone if the loss does not apply."""


def generator_losses(step: Step) -> dict[str, Tensor]:
    """Return the weighted losses by name, without those of weight 0."""
    result = {}
    for name, term in TERMS.items():
        weight = getattr(step.settings, f"{name}_weight")
        found = term(step) if weight else None
        if found is None:
            continue
        values, chosen = found
        result[name] = weight * (values.mean() if chosen is None else loss.mean_over(values, chosen))
    if not result:
        raise ReliableSwapError(
            "no loss is active: every loss weight is 0 or needs a network that was not given"
        )
    return result


def _l1(step: Step) -> tuple[Tensor, Tensor | None]:
    each = [loss.l1_loss(one, step.reference, step.reference_weight) for one in step.pictures]
    return torch.stack(each).mean(0), None


def _identity(step: Step) -> tuple[Tensor, Tensor | None]:
    """The mean over all encoders and, with coarse heads, over all sizes."""
    size = step.frozen.identity.embedding_size
    wanted = identity_window(step.batch["identity_face"])
    asked: list[tuple[nn.Module | None, Tensor]] = [(None, step.wanted_vector[:, :size])]
    for further in step.frozen.more_identities:
        with torch.no_grad():
            asked.append((further, further(wanted).float()))
    each = []
    for seen, vector in zip(step.seen, step.vectors, strict=True):
        for encoder, person in asked:
            found = vector[:, :size] if encoder is None else encoder(identity_window(seen)).float()
            each.append(loss.identity_loss(found, person, step.settings.identity_margin))
    return step.fit * torch.stack(each).mean(0), None


def _lower_face(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.frozen.fixer is None:
        return None
    size = step.frozen.identity.embedding_size
    return loss.identity_loss(step.vectors[0][:, size:], step.wanted_vector[:, size:]), None


def _gradient(step: Step) -> tuple[Tensor, Tensor | None]:
    return loss.gradient_loss(step.image, step.reference, step.reference_weight), None


def _perceptual(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.frozen.features is None:
        return None
    rows = _rows_with_truth(step)
    with torch.no_grad():
        wanted = step.frozen.features(step.truth[rows])
    return loss.perceptual_loss(step.frozen.features(step.image[rows]), wanted), step.has_truth[rows]


def _rows_with_truth(step: Step) -> Tensor:
    """The samples for the perceptual network: those with a truth or, if there is none, one of them.

    On an accelerator all of them, because cuDNN prepares its kernels anew for every batch size.
    """
    rows = step.batch["truth_rows"]  # listed by the workers: finding them here would wait for the device
    if step.image.device.type == "cpu":
        return rows if len(rows) else rows.new_zeros(1)
    return torch.arange(len(step.image), device=step.image.device)


def _colour(step: Step) -> tuple[Tensor, Tensor | None]:
    if step.output.layers is None:
        return loss.colour_loss(step.image, step.plain, step.face), step.no_truth
    # With layers the texture's own colours show; the loss has to prevent stains at temples and jaws.
    return loss.colour_loss(step.image, step.laid_over, step.face, size=16), step.no_truth


def _chroma(step: Step) -> tuple[Tensor, Tensor | None]:
    return loss.chroma_loss(step.image, step.plain, step.face), step.no_truth


def _mask(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.output.mask_logits is None:
        return None
    return loss.mask_loss(step.output.mask_logits, step.face), None


def _drawn(step: Step) -> tuple[Tensor, Tensor | None] | None:
    """Hold the drawn layer back, most where the source's texture is valid: drawn pixels are softer than a photo's."""
    if step.output.layers is None:
        return None
    share = step.output.layers[:, 2:] * (0.3 + 0.7 * step.batch["guidance"][:, 3:]) * step.face
    return share.flatten(1).mean(1), None


def _drawn_truth(step: Step) -> tuple[Tensor, Tensor | None] | None:
    """Compare the drawn layer by itself with the truth: where it shows only in part, no other loss determines it.

    Without a truth, it is compared with the texture laid over the target: left free, a generator darkens temples and
    jaws, which encoders take for another face.
    """
    drawn = step.output.drawn
    if drawn is None:
        return None
    wanted = torch.where(step.has_truth[:, None, None, None] > 0, step.truth, step.laid_over)
    return loss.l1_loss(drawn.float(), reduced(wanted), reduced(step.pixel_weight)), None


def _mesh(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.frozen.mesh_reader is None:
        return None
    wanted, mesh = step.meshes
    return loss.mesh_loss(openings(mesh), openings(wanted)), None


def _expression(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.frozen.mesh_reader is None:
        return None
    wanted, mesh = step.meshes
    return loss.expression_loss(step.frozen.mesh_difference.expression(mesh, wanted)), None


def _pose(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.frozen.mesh_reader is None:
        return None
    wanted, mesh = step.meshes
    return loss.pose_loss(step.frozen.mesh_difference.rotation(mesh, wanted)), None


def _gaze(step: Step) -> tuple[Tensor, Tensor | None]:
    mesh = step.batch["mesh"]
    return loss.gaze_loss(eye_patches(step.image, mesh), eye_patches(step.plain, mesh)), step.no_truth


def _attribute(step: Step) -> tuple[Tensor, Tensor | None]:
    inner = unwrapped(step.network)
    if not isinstance(inner, FaceShifterGenerator):
        raise ReliableSwapError("--attribute_weight needs --base faceshifter: only it has attribute maps")
    ours, theirs = (inner.attributes(in_own_range(inner, one)) for one in (step.image, step.plain))
    return loss.attribute_loss(ours, theirs), None


def _cycle(step: Step) -> tuple[Tensor, Tensor | None]:
    """Swap the output back to the target's identity, without guidance, and compare it with the target."""
    vectors = step.frozen.vectors(step.plain)
    back = generate(step.network, step.image, vectors, None, step.plain).image.float()
    return loss.l1_loss(back, step.plain, step.pixel_weight), step.no_truth


def _adversarial(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.discriminator is None:
        return None
    return loss.adversarial_loss(step.judgement.logits), None


def _feature_matching(step: Step) -> tuple[Tensor, Tensor | None] | None:
    if step.discriminator is None:
        return None
    ours = step.judgement.features
    with torch.no_grad():
        wanted = step.discriminator(step.photo).features
    return loss.feature_matching_loss(ours, wanted, last=2), None


TERMS: dict[str, Term] = {
    "l1": _l1,
    "identity": _identity,
    "lower_face": _lower_face,
    "gradient": _gradient,
    "perceptual": _perceptual,
    "colour": _colour,
    "chroma": _chroma,
    "mask": _mask,
    "drawn": _drawn,
    "drawn_truth": _drawn_truth,
    "mesh": _mesh,
    "expression": _expression,
    "pose": _pose,
    "gaze": _gaze,
    "attribute": _attribute,
    "cycle": _cycle,
    "adversarial": _adversarial,
    "feature_matching": _feature_matching,
}


def discriminator_losses(
    discriminator: nn.Module, batch: Batch, image: Tensor, penalty_weight: float
) -> dict[str, Tensor]:
    """The discriminator's hinge loss and gradient penalty; image (B,3,S,S) is the generator's output, detached."""
    # Real: the truth where it is a photo, else the unpainted target, which is a photo for all other kinds.
    real = torch.where(truth_is_photo(batch["kind"])[:, None, None, None], batch["truth"], batch["plain"])
    real = real.detach().requires_grad_(penalty_weight > 0)
    judgement = discriminator(torch.cat([real, image]))
    ours = [scale[: len(real)] for scale in judgement.logits]
    theirs = [scale[len(real) :] for scale in judgement.logits]
    result = {"discriminator": loss.hinge_loss(ours, theirs).mean()}
    if penalty_weight > 0:
        result["penalty"] = penalty_weight * loss.gradient_penalty(ours, real).mean()
    return result

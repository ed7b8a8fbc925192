"""Settings of a generator's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from reliableswap.data.mix import KINDS, Mix
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import AdversarialSettings, setting

from .presets import PRESETS
from .samples import SUPERVISION


@dataclass
class GeneratorSettings(AdversarialSettings):
    """Settings of a generator's training; the defaults are the `light` preset.

    They were found in trials on two CPU cores. Pixel and edge losses dominate. The identity loss is strong enough that
    a truth that is another photo of the person does not lead to a compromise. An adversarial loss only sharpens.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    train_batch_size: int = setting(16, "samples per batch and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    adam_beta1: float = setting(0.5, "AdamW's first beta")
    adam_beta2: float = setting(0.99, "AdamW's second beta")
    triplets: str = setting(
        "triplets", "comma-separated folders of triplets; their crop sizes may differ", on_resume="any"
    )
    triplet_shares: str = setting(
        "", "comma-separated shares of the batches that come from each folder; empty: equal shares"
    )
    base: Literal["light", "simswap", "faceshifter"] = setting("light", "the generator's class")
    guidance: bool = setting(True, "give the light generator the source's warped texture")
    target_colours: int = setting(
        64,
        "cells per side of the grid of mean colours of guidance and target that a light generator gets; 0: none",
    )
    layers: bool = setting(
        False, "let a light generator output layers, at any size; may be added to an --initial without them"
    )
    adapter: Literal["none", "add", "concat", "replace"] = setting(
        "none",
        "how a trainable encoder joins the frozen identity encoder (light generator only); may be added to --initial",
    )
    channels: int | None = setting(
        None,
        "width of SimSwap's first feature maps, or of the widest ones of FaceShifter or a light generator; None: as "
        "published, or 192 (light)",
    )
    coarse_heads: int = setting(
        0,
        "coarser pictures, each half as large as the one before, that SimSwap or FaceShifter also outputs in training; "
        "the pixel and identity losses are means over all sizes",
    )
    initial: Path | None = setting(
        None,
        "folder of a generator to start from: an earlier training's, or one that `reliableswap convert` wrote",
    )
    supervision: Literal["vanilla", "naive", "cycle", "real_source", "surrogate_source"] = setting(
        "real_source", "mix of sample kinds, named after the kind of truth"
    )
    cycle_share: float | None = setting(None, "share of cycle triplets; None: as in the mix")
    naive_share: float | None = setting(None, "share of naive triplets; None: as in the mix")
    real_source_share: float | None = setting(
        None, "share of triplets with a real source; None: as in the mix"
    )
    reconstruction_share: float | None = setting(
        None, "share of reconstruction samples (source and target are the same person); None: as in the mix"
    )
    vanilla_share: float | None = setting(None, "share of pairs without a truth; None: as in the mix")
    surrogate_source_share: float | None = setting(
        None, "share of triplets whose source was made from their truth; None: as in the mix"
    )
    alternate: bool = setting(
        False,
        "alternate between batches without and with a truth, instead of mixing them (CSCS's normal and proxy steps)",
    )
    strangers: float = setting(
        0.5,
        "share of pairs without a truth whose source comes from another pair, so that pose and light differ",
    )
    identity: Path | None = setting(None, "folder of the identity encoder; None: the bundled one")
    more_identities: str = setting(
        "", "comma-separated folders of further encoders for the identity loss", on_resume="any"
    )
    fixer: Path | None = setting(None, "folder of a FixerNet; its vector is appended to the identity vector")
    guidance_corruption: float = setting(1.0, "factor on the rates of guidance corruption; 0: none")
    light: float = setting(0.0, "share of targets and of sources that are relit with uneven, coloured light")
    occluded: float = setting(
        0.0,
        "share of targets and of sources with an object pasted in front; the result keeps the target's object and "
        "drops the source's",
    )
    occluders: Path | None = setting(
        None,
        "folder of cut-outs with alpha for --occluded; None: generated shapes and strands of hair",
        on_resume="any",
    )
    identity_weight: float = setting(8.0, "weight of the identity loss")
    identity_margin: float = setting(0.0, "distance (1 - cosine) below which the identity loss is 0")
    proxy_beta: float = setting(
        0.0,
        "exponent of cos(source, truth), which scales the identity loss of samples with a truth; 0: no scaling",
    )
    identity_jitter: float = setting(1.0, "strength of the random crop before the identity loss; 0: none")
    glasses: float = setting(
        1.0,
        "opacity of the target's and the source's glasses, and of --target_covers, which are put over the output for "
        "the identity losses",
    )
    target_covers: bool = setting(
        False,
        "put what hides a target's face, such as a fringe, over the output for the identity losses, if there is no "
        "truth",
    )
    painted_glasses: float = setting(
        0.0, "share of targets without truth and without glasses on which glasses are painted"
    )
    lower_face_weight: float = setting(1.0, "weight of FixerNet's loss; needs --fixer")
    l1_weight: float = setting(10.0, "weight of the L1 pixel difference from the truth")
    gradient_weight: float = setting(5.0, "weight of the difference in image gradients from the truth")
    perceptual_weight: float = setting(1.0, "weight of the difference in EfficientNet-Lite0's features")
    colour_weight: float = setting(
        3.0, "weight of the difference in coarse colours from the target, without truth"
    )
    chroma_weight: float = setting(
        2.0, "weight of the difference in fine chroma from the target, without truth"
    )
    attribute_weight: float = setting(
        0.0, "weight of the difference in AEI-Net's attribute maps (FaceShifter only)"
    )
    feature_matching_weight: float = setting(0.0, "weight of weak feature matching")
    adversarial_weight: float = setting(
        0.0, "weight of the adversarial (hinge) loss; above 0 a discriminator is trained"
    )
    penalty_weight: float = setting(0.0, "weight of the discriminator's gradient penalty")
    cycle_weight: float = setting(
        0.0, "weight of the loss of swapping back to the target's identity, without truth"
    )
    mask_weight: float = setting(1.0, "weight of the mask's difference from the face's area")
    drawn_weight: float = setting(
        1.0, "weight of the drawn layer's share of the face, three times as high where the texture is valid"
    )
    drawn_truth_weight: float = setting(
        3.0,
        "weight of the drawn layer's own difference from the truth, or from the texture laid over the target",
    )
    mesh_weight: float = setting(4.0, "weight of the difference in eye and mouth openings from the target's")
    expression_weight: float = setting(
        4.0, "weight of the difference in lips, lids and brows from the target's"
    )
    pose_weight: float = setting(2.0, "weight of the head's rotation from the target's, in radians")
    gaze_weight: float = setting(
        0.5, "weight of the difference in the eyes' pattern from the target's, without truth"
    )
    face_weight: float = setting(2.0, "weight of a pixel on the face in pixel losses")
    background_weight: float = setting(0.3, "weight of a pixel outside the face in pixel losses")
    discriminator: Literal["patch", "projected"] = setting(
        "patch", "patch judges pixels, projected judges EfficientNet-Lite0's features"
    )
    discriminator_channels: int = setting(32, "width of the discriminator")
    discr_start_step: int = setting(0, "step from which the discriminator takes part")
    validation_pairs: int = setting(
        64, "held-out pairs per validation; 0: train without validation", on_resume="any"
    )

    @classmethod
    def of(cls, preset: str, **values: Any) -> GeneratorSettings:
        """Return the preset's settings with some values replaced."""
        if preset not in PRESETS:
            raise ReliableSwapError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
        return cls(**{**PRESETS[preset], **values})

    @property
    def mix(self) -> Mix:
        """The mix of --supervision, with the shares that were given in place of its own."""
        if self.supervision not in SUPERVISION:
            raise ReliableSwapError(
                f"unknown --supervision {self.supervision!r}; choose one of {', '.join(SUPERVISION)}"
            )
        given = {kind: getattr(self, f"{kind}_share") for kind in KINDS}
        shares = {k: v for k, v in given.items() if v is not None}
        return replace(SUPERVISION[self.supervision], **shares, strangers=self.strangers)

    @property
    def folders(self) -> list[Path]:
        """The folders of triplets."""
        return [Path(name.strip()) for name in self.triplets.split(",") if name.strip()]

    @property
    def further_encoders(self) -> list[Path]:
        """The folders of the further identity encoders."""
        return [Path(name.strip()) for name in self.more_identities.split(",") if name.strip()]

    @property
    def shares(self) -> list[float]:
        """The folders' shares; empty if they are equal."""
        try:
            return [float(one) for one in self.triplet_shares.split(",") if one.strip()]
        except ValueError:
            raise ReliableSwapError(
                f"--triplet_shares is {self.triplet_shares!r}; give comma-separated numbers, as in 4,1"
            ) from None

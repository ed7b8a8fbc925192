"""What a generator's training can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from reliableswap.data.triplet_dataset import KINDS, Mix
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import AdversarialSettings, setting

from .presets import PRESETS
from .samples import SUPERVISION


@dataclass
class GeneratorSettings(AdversarialSettings):
    """Settings of a generator's training; the defaults are the `light` preset.

    They were found in trials on two CPU cores: pixel and edge losses lead, the identity loss is strong enough that a
    truth that is another photo of the person does not end in a compromise, an adversarial loss only sharpens.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    train_batch_size: int = setting(16, "samples a step and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    adam_beta1: float = setting(0.5, "AdamW's first beta")
    adam_beta2: float = setting(0.99, "AdamW's second beta")
    triplets: str = setting(
        "triplets", "folders of triplets, with commas; each may be of another size", on_resume="any"
    )
    triplet_shares: str = setting(
        "", "how often each folder's batches come, with commas (default: all alike)"
    )
    base: Literal["light", "simswap", "faceshifter"] = setting("light", "the generator's class")
    guidance: bool = setting(True, "give the light generator the source's warped texture")
    target_colours: int = setting(
        64, "cells a side whose mean colours a light generator takes from guidance and target; 0: none"
    )
    channels: int | None = setting(
        None, "width of SimSwap's first or FaceShifter's widest maps (default: as published)"
    )
    initial: Path | None = setting(None, "folder of a generator to start from")
    supervision: str = setting(
        "real_source", "vanilla, naive, cycle or real_source: what the truth is made of"
    )
    cycle_share: float | None = setting(None, "how often a cycle triplet comes, instead of --supervision's")
    naive_share: float | None = setting(None, "the same for naive triplets")
    real_source_share: float | None = setting(None, "the same for triplets with a real source")
    reconstruction_share: float | None = setting(None, "the same for faces given their own identity")
    vanilla_share: float | None = setting(None, "the same for pairs without truth")
    strangers: float = setting(
        0.5, "how often the source of a pair without truth is of another pair, so turned and lit otherwise"
    )
    identity: Path | None = setting(None, "folder of the identity encoder (default: the bundled one)")
    more_identities: str = setting(
        "", "folders of further encoders that the identity loss asks too, with commas", on_resume="any"
    )
    fixer: Path | None = setting(None, "folder of the FixerNet whose vector joins the identity's")
    spoiled_guidance: float = setting(1.0, "times how often guidance is spoiled on purpose; 0: never")
    identity_weight: float = setting(8.0, "weight of the identity loss")
    identity_jitter: float = setting(
        1.0, "how far a made face is moved before the identity loss looks; 0: not"
    )
    glasses: float = setting(
        1.0,
        "how much of the glasses worn by target and source lies over a made face as identity losses see it",
    )
    painted_glasses: float = setting(
        0.0,
        "how often a target without truth gets glasses painted on, where nobody wears any; photos have few",
    )
    lower_face_weight: float = setting(1.0, "weight of FixerNet's loss; needs --fixer")
    l1_weight: float = setting(10.0, "weight of the pixels' distance to the truth")
    gradient_weight: float = setting(5.0, "weight of the edges' distance to the truth")
    perceptual_weight: float = setting(1.0, "weight of the distance in EfficientNet-Lite0's features")
    colour_weight: float = setting(3.0, "weight of coarse colours against the target, without truth")
    chroma_weight: float = setting(2.0, "weight of fine colours, without lightness, against the target's")
    attribute_weight: float = setting(0.0, "weight of AEI-Net's attribute maps (FaceShifter only)")
    feature_matching_weight: float = setting(0.0, "weight of weak feature matching")
    adversarial_weight: float = setting(0.0, "weight of the hinge loss; above 0 there is a discriminator")
    penalty_weight: float = setting(0.0, "weight of the discriminator's gradient penalty")
    cycle_weight: float = setting(0.0, "weight of swapping back to the target's identity; without truth only")
    mask_weight: float = setting(1.0, "weight of the mask against the face's area")
    mesh_weight: float = setting(4.0, "weight of eyes' and mouth's opening against the target's")
    expression_weight: float = setting(4.0, "weight of lips, lids and brows against the target's")
    pose_weight: float = setting(2.0, "weight of the head's turn against the target's, in radians")
    gaze_weight: float = setting(0.5, "weight of the eyes' pattern against the target's")
    face_weight: float = setting(2.0, "how much a pixel of the face counts in pixel losses")
    background_weight: float = setting(0.3, "how much a pixel beside the face counts")
    discriminator: str = setting(
        "patch", "patch, which judges pixels, or projected, which judges EfficientNet-Lite0's features"
    )
    discriminator_channels: int = setting(32, "width of the discriminator")
    discr_start_step: int = setting(0, "the discriminator's terms begin at this step")
    validation_pairs: int = setting(64, "held-out pairs a validation", on_resume="any")

    @classmethod
    def of(cls, preset: str, **values: Any) -> GeneratorSettings:
        """The preset's settings with some values replaced."""
        if preset not in PRESETS:
            raise ReliableSwapError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
        return cls(**{**PRESETS[preset], **values})

    @property
    def mix(self) -> Mix:
        if self.supervision not in SUPERVISION:
            raise ReliableSwapError(
                f"unknown --supervision {self.supervision!r}; choose one of {', '.join(SUPERVISION)}"
            )
        given = {kind: getattr(self, f"{kind}_share") for kind in KINDS}
        shares = {k: v for k, v in given.items() if v is not None}
        return replace(SUPERVISION[self.supervision], **shares, strangers=self.strangers)

    @property
    def folders(self) -> list[Path]:
        return [Path(name.strip()) for name in self.triplets.split(",") if name.strip()]

    @property
    def further_encoders(self) -> list[Path]:
        return [Path(name.strip()) for name in self.more_identities.split(",") if name.strip()]

    @property
    def shares(self) -> list[float]:
        try:
            return [float(one) for one in self.triplet_shares.split(",") if one.strip()]
        except ValueError:
            raise ReliableSwapError(
                f"--triplet_shares is {self.triplet_shares!r}; give numbers with commas, as in 4,1"
            ) from None

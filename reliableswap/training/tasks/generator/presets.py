"""What a generator's training starts from: the weights and optimisers of the papers, and of our own light network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Defaults of GeneratorSettings by the same names; a weight of 0 leaves a loss out."""

    base: str
    guidance: bool
    train_batch_size: int
    learning_rate: float
    discr_learning_rate: float
    adam_beta1: float
    adam_beta2: float
    weight_decay: float
    lr_scheduler: str
    identity_weight: float
    l1_weight: float
    identity_jitter: float = 0.0
    lower_face_weight: float = 0.0
    gradient_weight: float = 0.0
    perceptual_weight: float = 0.0
    colour_weight: float = 0.0
    chroma_weight: float = 0.0
    attribute_weight: float = 0.0
    feature_matching_weight: float = 0.0
    adversarial_weight: float = 0.0
    penalty_weight: float = 0.0
    cycle_weight: float = 0.0
    mask_weight: float = 0.0
    mesh_weight: float = 0.0
    expression_weight: float = 0.0
    pose_weight: float = 0.0
    gaze_weight: float = 0.0
    discriminator_channels: int = 64


# Chen et al., SimSwap (ACM MM 2020), section 3: identity 10, reconstruction 10, weak feature matching 10, gradient
# penalty 1e-5; Adam with betas 0 and 0.999 at 4e-4. The reconstruction there is of same-identity pairs; in triplet
# training every truth is one. The perceptual and the lower-face term are those of reliable supervision (Yuan et al.,
# ReliableSwap, 2023); their weights are ours, set to be of the order of the other terms.
SIMSWAP = Preset(
    base="simswap",
    guidance=False,
    train_batch_size=8,
    learning_rate=4e-4,
    discr_learning_rate=4e-4,
    adam_beta1=0.0,
    adam_beta2=0.999,
    weight_decay=0.0,
    lr_scheduler="constant",
    identity_weight=10.0,
    l1_weight=10.0,
    lower_face_weight=5.0,
    perceptual_weight=1.0,
    feature_matching_weight=10.0,
    adversarial_weight=1.0,
    penalty_weight=1e-5,
)

# Li et al., FaceShifter (CVPR 2020), section 3.1: attributes 10, identity 5, reconstruction 10, hinge 1; Adam with
# betas 0 and 0.999 at 4e-4. Perceptual and lower-face terms as above.
FACESHIFTER = Preset(
    base="faceshifter",
    guidance=False,
    train_batch_size=8,
    learning_rate=4e-4,
    discr_learning_rate=4e-4,
    adam_beta1=0.0,
    adam_beta2=0.999,
    weight_decay=0.0,
    lr_scheduler="constant",
    identity_weight=5.0,
    l1_weight=10.0,
    lower_face_weight=2.5,
    perceptual_weight=1.0,
    attribute_weight=10.0,
    adversarial_weight=1.0,
)

# Ours, found in trials on two CPU cores: pixels and edges lead, identity is pulled hard enough that a truth which is
# another photo of the person does not end in a compromise, and the adversarial term only sharpens what is there.
LIGHT = Preset(
    base="light",
    guidance=True,
    train_batch_size=16,
    learning_rate=1e-3,
    discr_learning_rate=4e-4,
    adam_beta1=0.5,
    adam_beta2=0.99,
    weight_decay=1e-4,
    lr_scheduler="cosine",
    identity_weight=8.0,
    l1_weight=10.0,
    identity_jitter=1.0,
    lower_face_weight=1.0,
    gradient_weight=5.0,
    perceptual_weight=1.0,
    colour_weight=3.0,
    chroma_weight=2.0,
    mask_weight=1.0,
    mesh_weight=4.0,
    expression_weight=4.0,
    pose_weight=2.0,
    gaze_weight=0.5,
    discriminator_channels=32,
)

PRESETS = {"light": LIGHT, "simswap": SIMSWAP, "faceshifter": FACESHIFTER}

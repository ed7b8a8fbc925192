"""Training recipes for the generator, as differences from GeneratorSettings' defaults.

The defaults themselves are the light generator's recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Shared by the published recipes. Losses with weight 0 here belong to the light generator's recipe only.
_PUBLISHED: dict[str, Any] = {
    "guidance": False,
    "train_batch_size": 8,
    "learning_rate": 4e-4,
    "discr_learning_rate": 4e-4,
    "adam_beta1": 0.0,
    "adam_beta2": 0.999,
    "weight_decay": 0.0,
    "lr_scheduler": "constant_with_warmup",
    "identity_jitter": 0.0,
    "gradient_weight": 0.0,
    "colour_weight": 0.0,
    "chroma_weight": 0.0,
    "mask_weight": 0.0,
    "mesh_weight": 0.0,
    "expression_weight": 0.0,
    "pose_weight": 0.0,
    "gaze_weight": 0.0,
    "discriminator_channels": 64,
}

# Chen et al., SimSwap (ACM MM 2020), section 3: identity 10, reconstruction 10, weak feature matching 10, gradient
# penalty 1e-5; Adam with betas 0 and 0.999 at 4e-4. There, reconstruction applies to same-identity pairs; in triplet
# training, to every truth. The perceptual and the lower-face term are those of reliable supervision (Yuan et al.,
# ReliableSwap, 2023); their weights are ours, chosen to be of the order of the other terms.
_SIMSWAP: dict[str, Any] = {
    **_PUBLISHED,
    "base": "simswap",
    "identity_weight": 10.0,
    "l1_weight": 10.0,
    "lower_face_weight": 5.0,
    "perceptual_weight": 1.0,
    "feature_matching_weight": 10.0,
    "adversarial_weight": 1.0,
    "penalty_weight": 1e-5,
}

# Li et al., FaceShifter (CVPR 2020), section 3.1: attributes 10, identity 5, reconstruction 10, hinge 1; Adam with
# betas 0 and 0.999 at 4e-4. Perceptual and lower-face terms as above.
_FACESHIFTER: dict[str, Any] = {
    **_PUBLISHED,
    "base": "faceshifter",
    "identity_weight": 5.0,
    "l1_weight": 10.0,
    "lower_face_weight": 2.5,
    "perceptual_weight": 1.0,
    "attribute_weight": 10.0,
    "adversarial_weight": 1.0,
}

# The last training stage of the bundled generator: it starts from a light generator without layers (--initial).
_LAYERED: dict[str, Any] = {
    "layers": True,
    "train_batch_size": 12,
    "learning_rate": 4e-4,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 10,
    "ema_decay": 0.99,
    "supervision": "cycle",
    "cycle_share": 0.3,
    "real_source_share": 0.1,
    "reconstruction_share": 0.1,
    "vanilla_share": 0.5,
    "strangers": 0.6,
    "light": 0.2,
    "occluded": 0.3,
    "painted_glasses": 0.15,
    "identity_weight": 20.0,
    "lower_face_weight": 2.0,
    "colour_weight": 12.0,
    "drawn_weight": 5.0,
    "drawn_truth_weight": 4.0,
    "expression_weight": 8.0,
    "pose_weight": 5.0,
    "discriminator": "projected",
    "discriminator_channels": 64,
    "adversarial_weight": 0.35,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "light": {},
    "layered": _LAYERED,
    "simswap": _SIMSWAP,
    "faceshifter": _FACESHIFTER,
}

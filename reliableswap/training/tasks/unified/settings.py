"""Training settings of the unified face model: its tokeniser, and its transformer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import AdversarialSettings, RunSettings, Schedule, setting


def parse_counts(text: str, name: str, count: int) -> tuple[int, ...]:
    """Parse `count` comma-separated whole numbers above 0, the value of option `name`."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count or min(found, default=0) < 1:
        raise ReliableSwapError(f"--{name} is {text}; give {count} comma-separated whole numbers above 0")
    return found


@dataclass
class TokeniserSettings(AdversarialSettings):
    """Settings of the tokeniser. The default is narrow enough for one CPU core: a step with a batch of 16 takes about a
    second."""

    data: Path = setting(Path("faces"), "folder that `reliableswap describe-data` wrote", on_resume="any")
    initial: Path | None = setting(None, "folder of an earlier tokeniser to start from")
    decoder_only: bool = setting(
        False,
        "train only the decoder of --initial; tokens stay the same, and pictures are only shifted by whole pixels",
    )
    widths: str = setting("64,96,128", "channels of the encoder at 32, 16 and 8 px")
    decoder_widths: str = setting("160,128,96,48", "channels of the decoder at 8, 16, 32 and 64 px")
    last_blocks: int = setting(1, "decoder blocks at 64 px; those that --initial lacks are added")
    codes: int = setting(512, "size of the codebook")
    code_width: int = setting(32, "length of a code vector")
    warm_up_steps: int = setting(300, "initial steps without a codebook, so that the codes start spread out")
    l1_weight: float = setting(1.0, "weight of the L1 pixel difference")
    perceptual_weight: float = setting(0.5, "weight of the difference in EfficientNet-Lite0's features")
    code_noise: float = setting(0.05, "share of the codes that training replaces with another face's")
    jitter: float = setting(
        1.0, "strength of the random shift, rotation, scale and tint of pictures; 0: only mirrored"
    )
    commitment_weight: float = setting(0.25, "weight of the commitment loss")
    adversarial_weight: float = setting(0.05, "weight of the adversarial loss; 0: no discriminator")
    discriminator: Literal["patch", "texture"] = setting(
        "patch", "patch judges pixels, texture also EfficientNet-Lite0's features"
    )
    discr_start_step: int = setting(1500, "step from which the discriminator takes part")
    discr_ramp_steps: int = setting(0, "steps over which the adversarial loss's weight rises")
    discr_channels: int = setting(32, "channels of the discriminator after its first halving")
    train_batch_size: int = setting(16, "samples per batch and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    lr_warmup_steps: int = setting(50, "steps of linear warm-up")
    ema_decay: float = setting(0.995, "decay of the averaged weights")
    dataloader_num_workers: int = setting(0, "processes that load samples; none are needed")
    max_train_steps: int = setting(10_000, "steps of the whole run", on_resume="any")
    validation_pictures: int = setting(128, "held-out faces per validation", on_resume="any")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder_only and self.initial is None:
            raise ReliableSwapError("--decoder_only needs a trained tokeniser; give its folder as --initial")
        if self.last_blocks < 1:
            raise ReliableSwapError(f"--last_blocks is {self.last_blocks}; choose 1 or more")
        if self.discriminator == "texture" and not self.perceptual_weight:
            raise ReliableSwapError(
                "--discriminator texture needs the features loaded for --perceptual_weight; set it above 0"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "widths": parse_counts(self.widths, "widths", 3),
            "decoder_widths": parse_counts(self.decoder_widths, "decoder_widths", 4),
        }


@dataclass
class UnifiedSettings(RunSettings):
    """Settings of the transformer that describes, answers and draws."""

    data: Path = setting(Path("faces"), "folder that `reliableswap describe-data` wrote", on_resume="any")
    tokeniser: Path = setting(Path("runs/tokeniser"), "folder of a trained FaceTokeniser", on_resume="any")
    layers: int = setting(6, "blocks of the transformer")
    width: int = setting(256, "width of the transformer")
    heads: int = setting(4, "attention heads")
    token_experts: int = setting(4, "routed experts per task group, besides a shared one; 0: a plain MLP")
    top_k: int = setting(1, "routed experts per token")
    expert_width: int = setting(256, "hidden width of each expert")
    sequence_experts: bool = setting(True, "use sequence-level experts (copy, zero, noise, identity vector)")
    loss: Literal["d3diff", "mask", "score"] = setting(
        "d3diff", "drawing loss: mask loss plus alpha times score loss (d3diff), or only one of them"
    )
    alpha: float = setting(0.01, "weight of the score loss in d3diff")
    drawing_weight: float = setting(1.0, "weight of the drawing loss")
    text_weight: float = setting(1.0, "weight of the text loss")
    balance_weight: float = setting(0.01, "weight of the load-balancing loss of the routed experts")
    drawing_share: float = setting(0.5, "share of the samples that are drawn; the others are questions")
    described_share: float = setting(0.4, "share of the questions that ask for a whole description")
    no_caption: float = setting(
        0.1, "share of the drawn samples without a caption, for classifier-free guidance"
    )
    no_identity: float = setting(0.2, "share of the questions without the identity vector")
    dropout: float = setting(0.1, "dropout of the blocks")
    mirror: bool = setting(True, "also learn from mirror images, with left and right swapped in the texts")
    views: int = setting(4, "tokenised views per face and mirror image; all but one are jittered")
    train_batch_size: int = setting(32, "samples per batch and process")
    learning_rate: float = setting(6e-4, "peak learning rate")
    lr_scheduler: Schedule = setting(
        "cosine", "one of diffusers' learning rate schedules; `constant` has no warm-up"
    )
    lr_warmup_steps: int = setting(100, "steps of linear warm-up")
    weight_decay: float = setting(0.05, "AdamW's weight decay")
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm")
    ema_decay: float = setting(0.995, "decay of the averaged weights")
    dataloader_num_workers: int = setting(0, "processes that load samples; none are needed")
    max_train_steps: int = setting(10_000, "steps of the whole run", on_resume="any")
    validation_faces: int = setting(128, "held-out faces per validation", on_resume="any")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise ReliableSwapError(f"--width is {self.width}; choose a multiple of --heads ({self.heads})")
        if self.token_experts and not 1 <= self.top_k <= self.token_experts:
            raise ReliableSwapError(
                f"--top_k is {self.top_k}; choose 1 to --token_experts ({self.token_experts})"
            )
        if self.views < 1:
            raise ReliableSwapError(f"--views is {self.views}; choose 1 or more")
        for name in ("drawing_share", "described_share", "no_caption", "no_identity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ReliableSwapError(f"--{name} is {getattr(self, name)}; choose a share from 0 to 1")

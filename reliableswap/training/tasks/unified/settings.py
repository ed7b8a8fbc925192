"""Training settings of the unified face model: its tokeniser, and its transformer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.settings import AdversarialSettings, RunSettings, Schedule, setting


def numbers(text: str, name: str, count: int) -> tuple[int, ...]:
    """Parse `count` comma-separated whole numbers above 0, the value of option `name`."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count or min(found, default=0) < 1:
        raise ReliableSwapError(f"--{name} is {text}; give {count} whole numbers with commas between")
    return found


@dataclass
class TokeniserSettings(AdversarialSettings):
    """Settings of the tokeniser. The default is narrow enough for one CPU core: a step with a batch of 16 takes about a
    second."""

    data: Path = setting(Path("faces"), "folder that `reliableswap describe-data` wrote", on_resume="any")
    initial: Path | None = setting(None, "folder of an earlier tokeniser to start from")
    decoder_only: bool = setting(
        False,
        "train only the decoder of --initial; tokens stay as they are, and pictures are shifted by whole pixels only",
    )
    widths: str = setting("64,96,128", "channels of the encoder at 32, 16 and 8 px")
    decoder_widths: str = setting("160,128,96,48", "channels of the decoder at 8, 16, 32 and 64 px")
    last_blocks: int = setting(1, "blocks of the decoder at 64 px; what --initial lacks is added")
    codes: int = setting(512, "size of the codebook")
    code_width: int = setting(32, "numbers of a code")
    warm_up_steps: int = setting(300, "steps without a codebook at first, so that codes begin apart")
    l1_weight: float = setting(1.0, "weight of the pixels' difference")
    perceptual_weight: float = setting(0.5, "weight of the difference in EfficientNet-Lite0's features")
    code_noise: float = setting(0.05, "share of the codes that training takes from another face")
    jitter: float = setting(
        1.0, "how far pictures are shifted, turned, scaled and coloured; 0: only mirrored"
    )
    commitment_weight: float = setting(0.25, "weight that draws the encoder's vectors to their codes")
    adversarial_weight: float = setting(0.05, "weight of the discriminator's verdict; 0: no discriminator")
    discriminator: Literal["patch", "texture"] = setting(
        "patch", "what judges pictures: their pixels (patch), or also EfficientNet-Lite0's features (texture)"
    )
    discr_start_step: int = setting(1500, "step from which the discriminator takes part")
    discr_ramp_steps: int = setting(0, "steps over which its weight rises")
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
            raise ReliableSwapError(
                "--decoder_only goes on with a trained tokeniser; name its folder with --initial"
            )
        if self.last_blocks < 1:
            raise ReliableSwapError(f"--last_blocks is {self.last_blocks}; choose 1 or more")
        if self.discriminator == "texture" and not self.perceptual_weight:
            raise ReliableSwapError(
                "--discriminator texture looks at the features of --perceptual_weight; set it above 0"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "widths": numbers(self.widths, "widths", 3),
            "decoder_widths": numbers(self.decoder_widths, "decoder_widths", 4),
        }


@dataclass
class UnifiedSettings(RunSettings):
    """Settings of the transformer that describes, answers and draws."""

    data: Path = setting(Path("faces"), "folder that `reliableswap describe-data` wrote", on_resume="any")
    tokeniser: Path = setting(Path("runs/tokeniser"), "folder of a trained FaceTokeniser", on_resume="any")
    layers: int = setting(6, "blocks of the transformer")
    width: int = setting(256, "numbers of a token inside the transformer")
    heads: int = setting(4, "heads of attention")
    token_experts: int = setting(4, "routed experts of each task group beside a shared one; 0: a plain MLP")
    top_k: int = setting(1, "routed experts that a token goes to")
    expert_width: int = setting(256, "hidden width of each expert")
    sequence_experts: bool = setting(
        True, "whole sequences are weighted between copy, zero, noise and the identity vector"
    )
    loss: Literal["d3diff", "mask", "score"] = setting(
        "d3diff", "of drawing: the mask loss and alpha times the score loss, or one of them"
    )
    alpha: float = setting(0.01, "weight of the score loss in d3diff")
    drawing_weight: float = setting(1.0, "weight of the loss of drawing")
    text_weight: float = setting(1.0, "weight of the loss of answers")
    balance_weight: float = setting(0.01, "weight that spreads tokens over the routed experts of a group")
    drawing_share: float = setting(0.5, "share of the samples that are drawn; the others are questions")
    described_share: float = setting(0.4, "share of the questions that ask for a whole description")
    no_caption: float = setting(0.1, "share of the drawn samples without a caption, for guidance")
    no_identity: float = setting(0.2, "share of the questions without the identity vector")
    dropout: float = setting(0.1, "dropout of the blocks")
    mirror: bool = setting(True, "learn from mirror images as well, with left and right changed in the words")
    views: int = setting(
        4, "pictures that tokens are made of for each face and mirror image, all but one jittered"
    )
    train_batch_size: int = setting(32, "samples per batch and process")
    learning_rate: float = setting(6e-4, "peak learning rate")
    lr_scheduler: Schedule = setting(
        "cosine", "learning rate schedule of diffusers; `constant` has no warm-up"
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

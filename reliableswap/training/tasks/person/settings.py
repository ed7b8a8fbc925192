"""Settings for training people's decoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reliableswap.data.storage import work_folder
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import TEMPLATES
from reliableswap.models.comb_decoder import check_name
from reliableswap.models.comb_levels import LARGEST, MAP, Blocks, sides
from reliableswap.training.core.settings import RunSettings, Schedule, setting


@dataclass
class PersonSettings(RunSettings):
    """The defaults train a light network at 128 px from the bundled one; docs/person.md has the paper's settings."""

    people: str = setting(
        "",
        "NAME=SOURCE with commas between: a clip, clip.mp4#2 for its second person, a photo, a folder of photos, or "
        "alone a person's folder of the crops of an earlier run; a name may occur several times",
        on_resume="any",
    )
    crops: Path | None = setting(
        None, "folder that keeps the aligned frames; None: crops in output_dir", on_resume="any"
    )
    frames: int = setting(1000, "frames to keep of a person: the sharpest and the most varied")
    held_out: float = setting(
        0.1, "share of every clip, its end, that is kept for the figures; 0: none, and no figures"
    )
    initial: str = setting(
        "auto",
        "folder of an earlier training of people or of everybody to start from, bundled, or none; auto: bundled, if a "
        "network of everybody is bundled that has the same widths, norm, blocks and template",
    )
    train_encoder: bool = setting(
        True, "train the encoder too; with --no-train-encoder the decoders of --initial go on fitting it"
    )
    size: int = setting(128, f"side of the finished faces, a power of two from {MAP} to {LARGEST}")
    blocks: Blocks = setting("light", "the paper's levels, or light ones, which need a quarter of the time")
    latent: int = setting(256, "numbers between encoder and decoder; the paper's 512")
    base_channels: int = setting(
        1, "channels at 1024 px; twice as many at each smaller level; the paper's 16"
    )
    max_channels: int = setting(160, "channels of a level at most; the paper's 512")
    norm: Literal["none", "batch", "group"] = setting("none", "norm after each convolution")
    template: str = setting("arcface_128", f"how faces are aligned: {', '.join(TEMPLATES)}")
    first_size: int | None = setting(
        None,
        "side of the level to begin with; None: what --initial was trained at, else 4, or 64 with light blocks",
    )
    growth: Literal["steps", "time", "plateau"] = setting(
        "steps",
        "when the next level comes: after level_steps; after level_minutes; or with plateau when the loss hardly falls "
        "any more, after level_steps at the latest",
    )
    level_steps: int = setting(2000, "steps at each level below the last, with plateau at most")
    level_minutes: float = setting(
        60.0, "with --growth time, minutes at each level below the last, counted on when a run is resumed"
    )
    fade_steps: int = setting(500, "steps over which a level fades in")
    plateau_window: int = setting(200, "steps whose mean loss is compared with that of as many before")
    plateau_gain: float = setting(0.01, "share by which the loss has to fall for a level to go on")
    warp: float = setting(0.04, "random warp of the encoder's input, as a share of its side; 0: none")
    warp_until: float = setting(0.7, "share of the steps after which faces are no longer warped")
    jitter: float = setting(1.0, "strength of random turns, sizes and shifts of input and truth; 0: none")
    ssim_weight: float = setting(1.0, "weight of 1 - SSIM inside the mask")
    l1_weight: float = setting(1.0, "weight of the pixels' difference inside the mask")
    mesh_weight: float = setting(0.2, "weight of how open eyes and mouth are, by MeshNet")
    perceptual_weight: float = setting(0.1, "weight of the difference in EfficientNet-Lite0's features")
    detail_size: int = setting(64, "side from which on the mesh and perceptual losses take part")
    detail_every: int = setting(
        4,
        "each person's steps of which one has the mesh and perceptual losses, with so many times their weight",
    )
    rarity: float = setting(
        0.5, "exponent by which a frame weighs more, the seldomer its expression; 0: none"
    )
    estimate_only: bool = setting(
        False, "find the frames, say how long the run would take, and stop", on_resume="any"
    )
    train_batch_size: int = setting(8, "samples per batch; every batch shows one person")
    learning_rate: float = setting(1e-3, "peak learning rate; the paper's 1e-4")
    lr_scheduler: Schedule = setting("constant_with_warmup", "learning rate schedule of diffusers")
    lr_warmup_steps: int = setting(100, "steps of linear warm-up")
    weight_decay: float = setting(0.0, "AdamW's weight decay")
    max_train_steps: int = setting(30_000, "steps of the whole run, of all people together", on_resume="any")
    validation_frames: int = setting(32, "held-out frames of a person per validation", on_resume="any")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.template not in TEMPLATES:
            raise ReliableSwapError(
                f"unknown template {self.template!r}; choose one of {', '.join(TEMPLATES)}"
            )
        known = sides(self.size, self.blocks)
        if self.first_size is not None and self.first_size not in known:
            raise ReliableSwapError(
                f"--first_size is {self.first_size}; choose one of {', '.join(map(str, known))}"
            )
        for name in (
            "frames",
            "detail_every",
            "level_steps",
            "fade_steps",
            "plateau_window",
            "validation_frames",
        ):
            if getattr(self, name) < 1:
                raise ReliableSwapError(f"--{name} is {getattr(self, name)}; choose 1 or more")
        if not self.level_minutes > 0:
            raise ReliableSwapError(f"--level_minutes is {self.level_minutes}; choose more than 0")
        if not 0 <= self.held_out < 1:
            raise ReliableSwapError(f"--held_out is {self.held_out}; choose a share from 0 to below 1")
        if not self.train_encoder and self.initial == "none":
            raise ReliableSwapError("--no-train-encoder needs --initial with a trained encoder")

    @property
    def sources(self) -> dict[str, list[str]]:
        """Each person's clips and folders, by name."""
        found: dict[str, list[str]] = {}
        for pair in filter(None, (one.strip() for one in self.people.split(","))):
            name, _, source = pair.partition("=")
            if not name or not source:
                raise ReliableSwapError(
                    f"--people {pair} is not NAME=SOURCE; write for example --people alice=clip.mp4,bob=photos"
                )
            check_name(name)
            found.setdefault(name, []).append(source)
        if not found:
            raise ReliableSwapError("nobody to train; write for example --people alice=clip.mp4,bob=photos")
        return found

    @property
    def crops_folder(self) -> Path:
        """The folder of the aligned frames."""
        return self.crops or work_folder(self.output_dir) / "crops"

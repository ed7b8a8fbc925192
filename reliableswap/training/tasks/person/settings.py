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
        "comma-separated NAME=SOURCE pairs; SOURCE is a clip, clip.mp4#2 for its second person, a photo, a folder of "
        "photos or, as the only source, a person's folder in an earlier run's crops; a name may occur several times",
        on_resume="any",
    )
    crops: Path | None = setting(
        None, "cache folder for the aligned frames; None: `crops` in output_dir", on_resume="any"
    )
    frames: int = setting(1000, "frames to keep per person: the sharpest and most varied ones")
    held_out: float = setting(
        0.1, "share of each source, at its end, that is held out for the figures; 0: none, and no figures"
    )
    initial: str = setting(
        "auto",
        "network to start from: the folder of an earlier training, of people or of everybody; bundled; or none; auto: "
        "the bundled network of everybody, if its widths, norm, blocks and template are the same",
    )
    train_encoder: bool = setting(
        True, "train the encoder too; with --no-train-encoder the other decoders of --initial still fit it"
    )
    size: int = setting(128, f"side of the finished faces, a power of two from {MAP} to {LARGEST}")
    blocks: Blocks = setting("light", "the paper's levels, or light ones, which need a quarter of the time")
    latent: int = setting(256, "size of the latent; 512 in the paper")
    base_channels: int = setting(1, "channels at 1024 px, doubled at each smaller level; 16 in the paper")
    max_channels: int = setting(160, "most channels that a level has; 512 in the paper")
    norm: Literal["none", "batch", "group"] = setting("none", "norm after each convolution")
    template: str = setting("arcface_128", f"template by which faces are aligned: {', '.join(TEMPLATES)}")
    first_size: int | None = setting(
        None,
        "side of the first level; None: the one that --initial was trained at, else 4, or 64 with light blocks",
    )
    growth: Literal["steps", "time", "plateau"] = setting(
        "steps",
        "when the next level begins: after --level_steps (steps), after --level_minutes (time), or when the loss "
        "hardly falls any more and after --level_steps at the latest (plateau)",
    )
    level_steps: int = setting(
        2000, "steps at each level below the last; with --growth plateau, the most steps"
    )
    level_minutes: float = setting(
        60.0, "with --growth time, minutes at each level below the last; a resumed run goes on counting"
    )
    fade_steps: int = setting(500, "steps over which a level fades in")
    plateau_window: int = setting(
        200, "steps whose mean loss is compared with that of as many steps before them"
    )
    plateau_gain: float = setting(0.01, "share by which the loss has to fall for a level to continue")
    warp: float = setting(0.04, "random warp of the encoder's input, as a share of its side; 0: none")
    warp_until: float = setting(0.7, "share of the steps after which faces are no longer warped")
    jitter: float = setting(1.0, "strength of random rotation, scale and shift of input and truth; 0: none")
    ssim_weight: float = setting(1.0, "weight of 1 - SSIM inside the mask")
    l1_weight: float = setting(1.0, "weight of the L1 pixel difference inside the mask")
    mesh_weight: float = setting(0.2, "weight of the difference in eye and mouth openings, by MeshNet")
    perceptual_weight: float = setting(0.1, "weight of the difference in EfficientNet-Lite0's features")
    detail_size: int = setting(64, "smallest side at which the mesh and perceptual losses are used")
    detail_every: int = setting(
        4,
        "use the mesh and perceptual losses in every N-th step of a person, with N times their weight",
    )
    rarity: float = setting(0.5, "exponent of a frame's weight for rare expressions; 0: equal weights")
    estimate_only: bool = setting(
        False, "find the frames, estimate how long the run would take, and stop", on_resume="any"
    )
    train_batch_size: int = setting(8, "samples per batch; every batch shows one person")
    learning_rate: float = setting(1e-3, "peak learning rate; 1e-4 in the paper")
    lr_scheduler: Schedule = setting("constant_with_warmup", "one of diffusers' learning rate schedules")
    lr_warmup_steps: int = setting(100, "steps of linear warm-up")
    weight_decay: float = setting(0.0, "AdamW's weight decay")
    max_train_steps: int = setting(30_000, "total steps of the run, of all people together", on_resume="any")
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
            raise ReliableSwapError("--people is empty; write for example --people alice=clip.mp4,bob=photos")
        return found

    @property
    def crops_folder(self) -> Path:
        """The folder of the aligned frames."""
        return self.crops or work_folder(self.output_dir) / "crops"

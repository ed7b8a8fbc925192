"""Train the network of everybody, from which people's own ones start: an encoder and one decoder, on photos."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from reliableswap.bundled import bundled
from reliableswap.data.crops import Crops, crops_of_photos
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.splits import Split
from reliableswap.data.storage import work_folder
from reliableswap.faces.align import TEMPLATES, apply, similarity
from reliableswap.faces.face import five_points
from reliableswap.geometry import regions
from reliableswap.geometry.measures_torch import no_autocast
from reliableswap.geometry.topology import topology
from reliableswap.models.base import Network
from reliableswap.models.comb_general import GeneralAutoencoder
from reliableswap.models.comb_levels import Blocks
from reliableswap.training.core.settings import RunSettings, setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.encoders.settings import describe, log_on_main
from reliableswap.training.tasks.encoders.teacher import digest_of_array, teacher_features

from .device_arrays import MAX_BYTES, DeviceArrays
from .losses import l1_loss, masked_ssim, psnr, ssim_loss
from .warp import draw_jitter, draw_warp, resample, sampling_grid, to_pictures

_OUTSIDE_WEIGHT = 0.1  # weight of pixels outside the mean face
_TEMPLATE = "arcface_128"  # of the crops
_COLUMNS = 16  # faces in the grid
_BATCH = 32


@dataclass
class GeneralSettings(RunSettings):
    """Settings of the network of everybody. The default sizes are those of the bundled one, at 64 px."""

    faces: Path = setting(Path("faces"), "folder of photos, one sub-folder per person, or a table of photos")
    flat_folders: str = setting(
        "", "comma-separated names of sub-folders in which every photo shows a different person"
    )
    split: str = setting("90/5/5", "shares of train, validation and test people, as for the triplets")
    crops: Path | None = setting(
        None, "cache folder for the aligned crops and their v_id; None: `crops` in output_dir"
    )
    initial: Path | None = setting(None, "folder of an earlier training to start from")
    size: int = setting(64, "side of the faces")
    latent: int = setting(256, "size of the latent")
    base_channels: int = setting(1, "channels at 1024 px, doubled at each smaller level")
    max_channels: int = setting(160, "most channels that a level has")
    norm: Literal["none", "batch", "group"] = setting("none", "norm after each convolution")
    blocks: Blocks = setting("light", "the paper's levels, or light ones")
    noise: float = setting(0.5, "noise added to the latents, in units of their standard deviation")
    warp: float = setting(0.02, "random warp of the encoder's input, as a share of its side; 0: none")
    jitter: float = setting(1.0, "strength of random rotation, scale and shift of input and truth; 0: none")
    ssim_weight: float = setting(0.5, "weight of 1 - SSIM inside the mean face")
    l1_weight: float = setting(1.0, "weight of the L1 pixel difference, less outside the mean face")
    train_batch_size: int = setting(16, "samples per batch and process")
    learning_rate: float = setting(1e-3, "peak learning rate")
    max_train_steps: int = setting(20_000, "steps of the whole run", on_resume="any")
    validation_photos: int = setting(256, "held-out photos per validation", on_resume="any")

    def load_crops(self) -> Crops:
        """Load or make the crops of the photos, and log how many there are."""
        flat = [name for name in self.flat_folders.split(",") if name]
        folder = self.crops or work_folder(self.output_dir) / "crops"
        workers = max(1, self.dataloader_num_workers)
        crops = crops_of_photos(self.faces, folder, flat, Split.parse(self.split), workers)
        for line in describe(crops):
            log_on_main(line)
        return crops


class GeneralSamples(Dataset[dict[str, Tensor]]):
    """Sample i depends only on the seed and i: place, the index of a photo among those to train on, and identity_row,
    the row of any photo of the person, whose v_id is used. picture (S,S,3) uint8 is added if the photos are too many to
    hold on the device."""

    def __init__(self, settings: GeneralSettings, crops: Crops) -> None:
        self.settings, self.crops = settings, crops
        self.rows = crops.rows(training=True)
        self.reads_pictures = len(self.rows) * settings.size**2 * 3 > MAX_BYTES
        self.others = {row: own for own in crops.people(self.rows).values() for row in own}

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        settings, count = self.settings, len(self.rows)
        epoch, place = divmod(i, count)
        place = int(_order(settings.seed, epoch, count)[place])
        identity_row = row = int(self.rows[place])
        if row in self.others:
            rng = np.random.default_rng([settings.seed, 12, i])
            identity_row = int(rng.choice(self.others[row]))
        sample = {"place": torch.tensor(place), "identity_row": torch.tensor(identity_row)}
        if self.reads_pictures:
            sample["picture"] = torch.from_numpy(picture_at(self.crops, row, settings.size))
        return sample

    def device_arrays(self) -> DeviceArrays:
        """Return the arrays that a batch's places index."""
        if self.reads_pictures:
            return DeviceArrays()
        return DeviceArrays(
            picture=np.stack([picture_at(self.crops, int(row), self.settings.size) for row in self.rows])
        )


class GeneralTask(Task):
    """Rebuild photos of everybody from noisy latents and their v_id; validation does so for held-out people."""

    def __init__(self, settings: GeneralSettings, crops: Crops, vectors: np.ndarray) -> None:
        super().__init__()
        self.settings, self.crops, self.vectors = settings, crops, vectors
        self.dataset = GeneralSamples(settings, crops)
        self.oval = torch.from_numpy(mean_face(settings.size))[None, None]
        self.identities, self.arrays = DeviceArrays(v_id=vectors), self.dataset.device_arrays()
        self.device: torch.device | None = None

    def start(self, step: int, device: torch.device) -> None:
        if device != self.device:
            self.device = device
            self.oval = self.oval.to(device)
            self.identities.to(device)
            self.arrays.to(device)

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Places -> picture (B,S,S,3) uint8, half of them mirrored, v_id (B,128), jitter (B,2,3), warp (B,2,5,5)."""
        settings, count, device = self.settings, len(batch["place"]), batch["place"].device
        picture = {**batch, **self.arrays.rows(batch["place"])}["picture"]
        mirrored = torch.rand(count, 1, 1, 1, device=device) < 0.5
        return {
            "picture": torch.where(mirrored, picture.flip(2), picture),
            "jitter": draw_jitter(count, settings.jitter, device),
            "warp": draw_warp(count, settings.warp, device),
            **self.identities.rows(batch["identity_row"]),
        }

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        settings, side = self.settings, self.settings.size
        with no_autocast(batch["jitter"]):
            pictures = to_pictures(batch["picture"])
            truth = seen = resample(pictures, sampling_grid(batch["jitter"], side))
            if settings.warp:
                seen = resample(pictures, sampling_grid(batch["jitter"], side, batch["warp"]))
        made = network(seen, batch["v_id"], settings.noise).float()
        oval = self.oval.to(made)
        found: dict[str, Tensor] = {}
        with no_autocast(made):
            weight = _OUTSIDE_WEIGHT + (1 - _OUTSIDE_WEIGHT) * oval
            found["l1"] = settings.l1_weight * l1_loss(made, truth, weight).mean()
            if settings.ssim_weight:
                each = ssim_loss(made, truth, oval.expand(len(made), -1, -1, -1))
                found["ssim"] = settings.ssim_weight * each.mean()
        return found

    @cached_property
    def held_out(self) -> tuple[Tensor, Tensor]:
        """(N,3,S,S) photos of held-out people and (N,128) their v_id."""
        rows = self.crops.rows(training=False)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, self.settings.validation_photos).astype(int))]
        pictures = np.stack([picture_at(self.crops, int(row), self.settings.size) for row in rows])
        return to_pictures(torch.from_numpy(pictures)), torch.from_numpy(self.vectors[rows])

    def validate(self, network: Network) -> dict[str, float]:
        """Return PSNR and SSIM of rebuilt photos inside the mean face, and PSNR with another person's v_id."""
        truth, v_id = (part.to(network.device) for part in self.held_out)
        oval = self.oval.to(truth).expand(len(truth), -1, -1, -1)
        own, strange = _made(network, truth, v_id), _made(network, truth, v_id.roll(1, 0))
        return {
            "psnr": float(psnr(own, truth, oval).mean()),
            "ssim": float(masked_ssim(own, truth, oval).mean()),
            "psnr_strange": float(psnr(strange, truth, oval).mean()),
        }

    def grid(self, network: Network) -> np.ndarray | None:
        """Three rows: held-out photos, the photos rebuilt, and drawn with the v_id of their neighbour to the left."""
        truth, v_id = (part[:_COLUMNS].to(network.device) for part in self.held_out)
        rows = [truth, _made(network, truth, v_id), _made(network, truth, v_id.roll(1, 0))]
        seen = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        return np.asarray(((seen + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy())

    def facts(self) -> dict[str, str]:
        return {"photos": "; ".join(describe(self.crops))}

    def fingerprint(self) -> dict[str, str]:
        return {"crops": self.crops.key, "v_id": digest_of_array(self.vectors)}


def picture_at(crops: Crops, row: int, side: int) -> np.ndarray:
    """(side,side,3) uint8 a crop, resized."""
    return np.asarray(cv2.resize(np.asarray(crops.pixels[row]), (side, side), interpolation=cv2.INTER_AREA))


def mean_face(side: int) -> np.ndarray:
    """(side,side) float32 in 0..1 the mask of the mean face, with a soft edge."""
    mesh = topology().canonical
    matrix = similarity(five_points(mesh), TEMPLATES[_TEMPLATE].at(side))
    inside = regions.oval(apply(matrix, mesh), (side, side)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), side / 32))


def _made(network: Network, pictures: Tensor, v_id: Tensor) -> Tensor:
    parts = zip(pictures.split(_BATCH), v_id.split(_BATCH), strict=True)
    return torch.cat([network(a, b).float() for a, b in parts])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, 13, epoch]).permutation(count)


def run(settings: GeneralSettings) -> dict[str, Any]:
    """Train and save; return the figures on held-out people."""
    crops = settings.load_crops()
    choice = EncoderChoice(bundled("identity"), device="cuda" if torch.cuda.is_available() else "cpu")
    vectors = teacher_features(crops, choice, max(1, settings.dataloader_num_workers))
    torch.manual_seed(settings.seed)
    if settings.initial is not None:
        network = GeneralAutoencoder.from_pretrained(settings.initial)
    else:
        names = ("size", "latent", "base_channels", "max_channels", "norm", "blocks")
        network = GeneralAutoencoder(**{name: getattr(settings, name) for name in names}, template=_TEMPLATE)
        network.grow(settings.size)
    return train(network, GeneralTask(settings, crops, vectors), settings)

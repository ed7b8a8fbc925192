"""The settings of a run: all those, and only those, that change the content of its shards."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from reliableswap.data.cells import EXTENSIONS
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError


def setting(default: Any, help: str) -> Any:
    """A field with a help text."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class QualitySettings:
    """Which photos are good enough to be ground truth."""

    max_enlargement: float = setting(1.5, "crop pixels per photo pixel; above this, the face is too small")
    min_sharpness: float = setting(
        0.21,
        "smallest ratio of the finest detail to coarser detail; FFHQ thumbnails have 0.3 to 0.5",
    )
    min_score: float = setting(0.6, "smallest score of the detector")
    max_yaw: float = setting(45.0, "largest yaw of the head, in degrees")
    max_pitch: float = setting(30.0, "largest pitch of the head, in degrees, up or down")
    max_clipped: float = setting(0.15, "largest share of the face that is blown out or fully black")
    # Of 300 sources of LFW, 92 % of those covered less than this made good surrogates, 69 % of the others.
    max_covered: float = setting(0.1, "largest share of the face behind hair, dark glasses or hands")
    duplicate_bits: int = setting(
        12, "duplicates are photos whose 256-bit hashes differ in at most this many bits"
    )


@dataclass(frozen=True)
class PairSettings:
    """Which photos become partners. With a limit of inf, any partner will do."""

    max_turn: float = setting(15.0, "largest angle between the two heads' directions, in degrees")
    max_light: float = setting(12.0, "largest difference of the light's slope across the face, in units of L")
    candidates: int = setting(
        48, "photos considered for each pair; if none is within the limits, the best one is taken"
    )
    tries: int = setting(4, "partners to try for a photo until a pair passes the filter")


@dataclass(frozen=True)
class Variation:
    """Ranges of the blend's settings, drawn anew for each surrogate so that no constant artefact can be learnt."""

    likeness: tuple[float, float] = (0.96, 1.0)
    shape: tuple[float, float] = (0.5, 1.0)
    colour: tuple[float, float] = (0.75, 1.0)
    light: tuple[float, float] = (0.5, 0.9)
    light_reach: tuple[float, float] = (0.12, 0.26)
    detail: tuple[float, float] = (0.6, 1.0)
    band_reach: tuple[float, float] = (0.06, 0.2)
    margin: tuple[float, float] = (0.01, 0.03)
    feather: tuple[float, float] = (0.01, 0.02)
    girth: tuple[float, float] = (0.0, 0.0)  # change of the jaw's width, as a share of it

    def __post_init__(self) -> None:
        for name, (low, high) in dataclasses.asdict(self).items():
            if not low <= high:
                raise ReliableSwapError(f"the range of {name} is {low} to {high}; give the lower end first")


@dataclass(frozen=True)
class SourceVariation:
    """How a source surrogate differs from its photo: ranges, and the share of pictures in which something changes."""

    max_turn: float = 18.0  # degrees; a larger turn would show what the photo does not
    expression: tuple[float, float] = (0.4, 1.0)
    lit: float = 0.6
    recoloured: float = 0.8
    softened: float = 0.3
    background: float = 0.35
    glasses: float = 0.1


@dataclass(frozen=True)
class SurrogateSettings:
    """What makes surrogates, and how often."""

    target_surrogate_share: float = setting(
        0.5,
        "share of the pairs whose C_ab and C_ba are made by the generator of --target-surrogate, if one is given",
    )
    source_surrogate: bool = setting(
        False, "also make another picture of each photo's person from the photo itself, as a source"
    )
    singles: bool = setting(False, "make source surrogates, and treat each photo as its person's only one")
    source_tries: int = setting(3, "attempts at a source surrogate before giving up")
    girth_share: float = setting(0.5, "share of C_ab and C_ba whose jaw is narrowed or widened by --girth")

    def __post_init__(self) -> None:
        for name in ("target_surrogate_share", "girth_share"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ReliableSwapError(f"{name} is {value}; choose a value from 0 to 1")
        if self.source_tries < 1:
            raise ReliableSwapError(f"source_tries is {self.source_tries}; give 1 or more")

    @property
    def makes_sources(self) -> bool:
        return self.source_surrogate or self.singles


@dataclass(frozen=True)
class FilterSettings:
    """Which surrogates are good enough. The limits on identity count only with an encoder."""

    min_to_source: float = setting(0.3, "smallest cosine of a surrogate's identity with its source's")
    max_to_target: float = setting(
        0.5,
        "largest cosine of a surrogate's identity with its target's; it may not exceed the other cosine either",
    )
    min_shown: float = setting(0.6, "smallest share of the face that the source's photo shows")
    min_sharpness_kept: float = setting(0.7, "smallest sharpness, as a share of the real photo's")
    max_folded: float = setting(0.03, "largest share of the mesh's triangles that reshaping may flip")
    min_same: float = setting(0.3, "smallest cosine of two photos of one person")
    min_source_kept: float = setting(0.5, "smallest cosine of a source surrogate's identity with its photo's")


@dataclass(frozen=True)
class TripletSettings:
    """All settings of a run."""

    size: int = setting(128, "side of the aligned crop in pixels, a multiple of 32")
    pairs: int = setting(1000, "pairs to make; each gives two cycle triplets")
    seed: int = setting(0, "random seed; the shards depend only on it, the settings and the photos")
    split: Split = setting(Split(), "shares of the people in train, validation and test")
    shard_pairs: int = setting(256, "pairs per shard")
    format: str = setting("jpeg", "how pictures are stored: jpeg (quality 95, full colour) or png")
    covers: bool = setting(
        True,
        "store what covers each face; training needs it for sources, and it is the slowest part to compute",
    )
    quality: QualitySettings = field(default_factory=QualitySettings)
    pairing: PairSettings = field(default_factory=PairSettings)
    variation: Variation = field(default_factory=Variation)
    surrogates: SurrogateSettings = field(default_factory=SurrogateSettings)
    sources: SourceVariation = field(default_factory=SourceVariation)
    filter: FilterSettings = field(default_factory=FilterSettings)

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 32:
            raise ReliableSwapError(f"size is {self.size}; choose a multiple of 32, at least 64")
        for name in ("pairs", "shard_pairs"):
            if getattr(self, name) < 1:
                raise ReliableSwapError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.pairing.tries < 1 or self.pairing.candidates < 1:
            raise ReliableSwapError(
                f"tries is {self.pairing.tries} and candidates is {self.pairing.candidates}; give at least 1 of each"
            )
        if self.format not in EXTENSIONS:
            raise ReliableSwapError(f"format is {self.format!r}; choose one of {', '.join(EXTENSIONS)}")

    @property
    def pad(self) -> int:
        """Pixels of padding on each side while blending, from which reshaping draws in background."""
        return self.size // 8

    def to_json(self) -> str:
        """Return the settings as shards and run.json store them."""
        values = dataclasses.asdict(self) | {"split": dataclasses.astuple(self.split)}
        return json.dumps(values, sort_keys=True)

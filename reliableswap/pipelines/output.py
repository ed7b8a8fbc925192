"""What a swap returns: pictures, and reports of what was done."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture, check_output
from reliableswap.provenance.credentials import Credentials
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import LAYERS, seal
from reliableswap.safety.consent import Consent
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

if TYPE_CHECKING:  # exported networks swap without torch
    from torch import Tensor

OutputType = Literal["pil", "np", "pt"]
Images: TypeAlias = "list[Image.Image] | np.ndarray | list[np.ndarray] | Tensor | list[Tensor]"


@dataclass
class FaceReport:
    """One face of a target photo. Similarities are cosines, None without an identity encoder.

    attributes: which parts came from whom, where that differs from a plain swap.
    age: years by which the face was made older, or younger if negative. apparent_age: the result's, estimated by the
    age gate's second network, if the age was changed.
    error: why this face could not be swapped, if `faces="all"` went on with the others.
    advice: why another photo of the source would give a better result; of engines that use the source's texture.
    """

    index: int
    box: tuple[float, float, float, float]
    score: float
    swapped: bool = False
    source: str | None = None
    engine: str | None = None
    identity_before: float | None = None  # of the target's face to the source's
    identity_after: float | None = None  # of the result's face to the source's
    attributes: dict[str, str] = field(default_factory=dict)
    age: float = 0.0
    apparent_age: float | None = None
    error: str | None = None
    advice: list[str] = field(default_factory=list)


@dataclass
class SwapReport:
    """The faces found in a target photo, and what was done to them.

    consent: the caller's statement about the consent of the people shown, and its time.
    """

    target: str
    engine: str
    device: str
    analyser: str
    seconds: float = 0.0
    faces: list[FaceReport] = field(default_factory=list)
    consent: Consent | None = None

    @property
    def swapped(self) -> list[int]:
        """The numbers of the swapped faces."""
        return [face.index for face in self.faces if face.swapped]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class SwapOutput:
    """The results of one or several targets, in their order.

    images: as `output_type` asked for. pictures: the same in 8 bits, with alpha and colour profile.
    reports: what was done. records: what `save` states in the file's marks. `images` that Pillow or torch saves are
    not marked.
    """

    images: Images
    pictures: list[Picture]
    reports: list[SwapReport]
    records: list[Record] = field(default_factory=list)

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields in their order."""
        return tuple(getattr(self, one.name) for one in fields(self))

    def __getitem__(self, key: str | int | slice) -> Any:
        """A field by name or position, as in diffusers' outputs."""
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]

    @property
    def report(self) -> SwapReport:
        """The report of the first target."""
        return self.reports[0]

    def save(
        self,
        path: str | os.PathLike[str],
        index: int | None = None,
        *,
        overwrite: bool = False,
        quality: int = 95,
        label: bool = False,
        layers: Collection[str] = LAYERS,
        signer: Credentials | None = None,
    ) -> Path:
        """Write a result, marked as made by AI; the extension sets the format. Return the path.

        index: which of several results; it may be left out if there is only one.

        label, layers, signer: see `provenance.seal.seal`.
        """
        if index is None:
            if len(self.pictures) > 1:
                raise ReliableSwapError(
                    f"there are {len(self.pictures)} results; say which to save with index=0 to "
                    f"{len(self.pictures) - 1}"
                )
            index = 0
        elif not 0 <= index < len(self.pictures):
            raise ReliableSwapError(
                f"there is no result {index}; there are {len(self.pictures)}, numbered from 0"
            )
        output = check_output(path, overwrite=overwrite)
        record = self.records[index].with_new_id() if self.records else Record()
        return seal(
            self.pictures[index],
            output,
            record,
            overwrite=overwrite,
            quality=quality,
            label=label,
            layers=layers,
            signer=signer,
        )


def record_of(
    report: SwapReport,
    settings: SwapSettings,
    target: Picture,
    people: Sequence[Person],
    checksums: Mapping[str, tuple[str, str]],
) -> Record:
    """Return the provenance record: checksums of the inputs and of the networks, never a picture or a vector.

    people: the sources of the swapped faces. checksums: class and checksum of each network by name.
    """
    consent = report.consent
    return Record(
        target=target.known_origin(),
        sources=list({origin.sha256: origin for person in people for origin in person.origins}.values()),
        engine=report.engine,
        settings=asdict(settings),
        networks=checksums,
        faces=[report.faces[index].box for index in report.swapped],
        consent=None if consent is None else asdict(consent),
    )


def as_images(pictures: list[Picture], output_type: OutputType) -> Images:
    """Convert the pictures to PIL images, or to values in [0,1]: (B,H,W,3) arrays or (B,3,H,W) tensors.

    Pictures of different sizes can't be stacked; they come as a list of (H,W,3) or (3,H,W).
    """
    if output_type == "pil":
        return [picture.to_pil() for picture in pictures]
    if output_type not in ("np", "pt"):
        raise ReliableSwapError(f"unknown output_type {output_type!r}; choose pil, np or pt")
    arrays = [picture.pixels.astype(np.float32) / 255 for picture in pictures]
    stackable = len({array.shape for array in arrays}) == 1
    if output_type == "np":
        return np.stack(arrays) if stackable else arrays
    try:
        import torch
    except ImportError as error:
        raise ReliableSwapError("output_type='pt' needs torch; install it, or choose np") from error
    tensors = [torch.from_numpy(array).permute(2, 0, 1).contiguous() for array in arrays]
    return torch.stack(tensors) if stackable else tensors

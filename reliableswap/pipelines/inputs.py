"""What a pipeline takes: pictures of many kinds, one or several, and the choice of faces."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np
from PIL import Image

from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.media import Picture, read_picture
from reliableswap.swap.person import Person

if TYPE_CHECKING:  # exported networks swap without torch
    from torch import Tensor

PictureLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | Tensor | Picture"
)
Source: TypeAlias = "PictureLike | Person"
Photos: TypeAlias = "Source | Sequence[PictureLike]"  # of one person
Faces = Literal["largest", "all"] | int | Sequence[int] | Mapping[int, Photos]


def to_picture(given: PictureLike) -> Picture:
    """Read a file, or convert a picture in memory; a tensor is (3,H,W), uint8 or values in [0,1]."""
    picture: Any = given
    return read_picture(_to_array(picture) if _is_tensor(picture) else picture)


def as_list(given: Any) -> list[Any]:
    """One picture or source as a list of one; a batch (B,3,H,W) or (B,H,W,3) as a list of its pictures."""
    if isinstance(given, (list, tuple)):
        return list(given)
    if (_is_tensor(given) or isinstance(given, np.ndarray)) and given.ndim == 4:
        return list(given)
    return [given]


def pairs(source: Any, target: Any) -> list[tuple[Source | None, PictureLike]]:
    """Pair sources with targets: one source for all targets, or as many sources as targets."""
    sources, targets = as_list(source), as_list(target)
    if not targets or not sources:
        raise ReliableSwapError("an empty list was given; pass at least one source and one target")
    if len(sources) == 1:
        sources = sources * len(targets)
    if len(sources) != len(targets):
        raise ReliableSwapError(
            f"{len(sources)} sources and {len(targets)} targets do not pair up; pass one source, or one for each "
            "target (combine several photos of one person with pipe.prepare)"
        )
    return list(zip(sources, targets, strict=True))


def assign(source: Source | None, faces: Faces, count: int, name: str) -> dict[int, Photos]:
    """Face number -> source. Raise if a number does not exist among the target's `count` faces."""
    if isinstance(faces, Mapping):
        wanted: dict[Any, Any] = dict(faces)
    elif isinstance(faces, str) and faces == "largest":  # an array would be compared element by element
        wanted = {0: source}
    elif isinstance(faces, str) and faces == "all":
        wanted = dict.fromkeys(range(count), source)
    else:
        wanted = dict.fromkeys(faces if isinstance(faces, Iterable) else [faces], source)
    wanted = {_number(face, faces): given for face, given in wanted.items()}
    if not wanted:
        raise ReliableSwapError("no face was chosen; give faces at least one number")
    for index, given in wanted.items():
        if not 0 <= index < count:
            known = "only face 0" if count == 1 else f"faces 0 to {count - 1}"
            raise NoFaceError(f"{name} has no face {index}; it has {known}, see `reliableswap faces {name}`")
        if given is None:
            raise ReliableSwapError(f"no source for face {index}; pass a source or map the face to one")
    return wanted


def source_name(given: Photos) -> str:
    """What reports call a source."""
    if isinstance(given, (list, tuple)):  # photos of one person
        return source_name(given[0])
    if isinstance(given, (str, os.PathLike)):
        return Path(given).name
    return given.name if isinstance(given, (Picture, Person)) else type(given).__name__


def _is_tensor(given: Any) -> bool:
    """Whether this is a torch tensor. Without torch imported, there is none."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def _to_array(tensor: Tensor) -> np.ndarray:
    import torch

    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ReliableSwapError(f"a picture tensor has shape {tuple(tensor.shape)}; pass (3, H, W) RGB")
    if tensor.dtype != torch.uint8:
        values = tensor.detach().float()
        low, high = values.aminmax() if values.numel() else (values.new_zeros(()), values.new_zeros(()))
        if not (torch.isfinite(low) and torch.isfinite(high) and low >= 0 and high <= 1):
            raise ReliableSwapError(
                f"a picture tensor holds values from {float(low):.3g} to {float(high):.3g}; pass floats in [0, 1] or "
                "uint8"
            )
        tensor = (values * 255).round().to(torch.uint8)
    return np.ascontiguousarray(tensor.permute(1, 2, 0).cpu().numpy())


def _number(face: Any, given: Faces) -> int:
    """A face's number, of any integer type."""
    try:
        if isinstance(face, (bool, np.bool_)):
            raise TypeError
        return operator.index(face)
    except TypeError:
        raise ReliableSwapError(
            f"faces={given!r} is not valid; use 'largest', 'all', numbers or a mapping from numbers"
        ) from None

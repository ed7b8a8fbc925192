"""Which parts of the result are the source's or the target's: a choice per attribute, and its area of the face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.geometry import regions

Side = Literal["source", "target"]
Beard = Literal["auto", "source", "target"]


@dataclass(frozen=True)
class Attributes:
    """Whether each attribute of the result is the source's or the target's; the defaults are a plain swap.

    beard: the lower face without the lips. "auto": the source's, unless the target has a full beard and the source has
    none. The target's is then kept: it reaches beyond the face, so removing it would leave its edge.
    brows, lips: just these. skin: the rest of the face except the eyes.
    shape: the outline. glasses: the target's stay on, or the source's are put on.
    """

    beard: Beard = "auto"
    brows: Side = "source"
    glasses: Side = "target"
    lips: Side = "source"
    shape: Side = "source"
    skin: Side = "source"

    def __post_init__(self) -> None:
        for name, side in asdict(self).items():
            sides = get_args(Beard if name == "beard" else Side)
            if side not in sides:
                raise ReliableSwapError(
                    f"attribute {name} is {side!r}; choose {', '.join(sides[:-1])} or {sides[-1]}"
                )

    @classmethod
    def of(cls, given: Mapping[str, str] | Attributes | None) -> Attributes:
        """Build from a mapping of attribute to side; attributes that it omits are as in a plain swap."""
        if isinstance(given, Attributes):
            return given
        known = [one.name for one in fields(cls)]
        unknown = [name for name in given or {} if name not in known]
        if unknown:
            raise ReliableSwapError(f"unknown attribute {', '.join(unknown)}; choose from {', '.join(known)}")
        return cls(**(given or {}))  # type: ignore[arg-type]  # __post_init__ checks the sides

    @property
    def changed(self) -> dict[str, str]:
        """The attributes that differ from a plain swap."""
        plain = asdict(Attributes())
        return {name: side for name, side in asdict(self).items() if side != plain[name]}

    def kept_mask(
        self, mesh: np.ndarray, shape_hw: tuple[int, int], only_bearded: float = 0.0
    ) -> np.ndarray | None:
        """(H,W) in 0..1, where the target's own picture is kept, on the mesh (468,3); None if nowhere.

        only_bearded: confidence, in 0..1, that the target has a full beard and the source has none.
        """
        kept = {name: 1.0 for name in _AREAS if getattr(self, name) == "target"}
        if self.beard == "auto" and only_bearded > 0:
            kept["beard"] = only_bearded
        if not kept:
            return None
        width = regions.face_width(mesh)
        areas = [
            share * regions.feathered(_AREAS[name](mesh, shape_hw), _FEATHER * width)
            for name, share in kept.items()
        ]
        # Brows and lips lie inside skin and beard, whose soft edges must not reach into the source's brows or lips.
        others = [core(mesh, shape_hw) for name, core in _CORES.items() if name not in kept]
        spared = [1 - regions.feathered(one, _FEATHER / 2 * width) for one in others]
        return np.asarray(np.min([np.max(areas, axis=0), *spared], axis=0), np.float32)


_FEATHER = 0.015  # sigma of the soft edges in face widths


def _brows(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    return regions.dilated(regions.brows(mesh, shape_hw), 0.03 * regions.face_width(mesh))


def _lips(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    return regions.dilated(regions.lips(mesh, shape_hw), 0.015 * regions.face_width(mesh))


def _beard(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    area = regions.dilated(regions.lower_face(mesh, shape_hw), 0.03 * regions.face_width(mesh))
    return area * (1 - _lips(mesh, shape_hw))


def _skin(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    others = np.maximum(_brows(mesh, shape_hw), np.maximum(_lips(mesh, shape_hw), _beard(mesh, shape_hw)))
    area = regions.dilated(regions.oval(mesh, shape_hw), 0.03 * regions.face_width(mesh))
    return area * (1 - np.maximum(others, regions.eyes(mesh, shape_hw, 1.5)))


_CORES = {"brows": regions.brows, "lips": regions.lips}
_AREAS = {"beard": _beard, "brows": _brows, "lips": _lips, "skin": _skin}

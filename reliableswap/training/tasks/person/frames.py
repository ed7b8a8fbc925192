"""A person's aligned frames, made once from clips and photos and cached in a folder."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import open_memmap

from reliableswap.bundled import bundled
from reliableswap.data.mapped import MappedRows
from reliableswap.errors import NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.align import align, apply
from reliableswap.faces.face import Face, five_points
from reliableswap.geometry import regions
from reliableswap.geometry.measures import pose_of
from reliableswap.media import Picture, write_picture
from reliableswap.models import load_network
from reliableswap.runtime.arrays import as_array_network
from reliableswap.safety.age import age_nets
from reliableswap.safety.track import AgeTrack
from reliableswap.swap.networks import Networks
from reliableswap.swap.subject import Subject

from .choice import choose, weights_of
from .settings import PersonSettings
from .sightings import Sighting, Source, open_source, person_covers

logger = logging.getLogger(__name__)

_ABOUT = "about.json"
_VERSION = 2  # change it to have all frames made again
_AGE_SAMPLES = 5  # pictures of a source in which the person's age is estimated
_PORTRAIT = 128
_COLOURS = 32  # frames that the mean colour is taken from, roughly
_SHEET = (12, 4, 96)  # columns, rows and side of a contact sheet


@dataclass(frozen=True, eq=False)
class Frames:
    """Frame i of a person: pictures[i] (S,S,3) uint8, masks[i] (S,S) uint8, meshes[i] (468,3) in the crop's pixels.

    masks: 255 where the face is visible, 0 outside it and where something covers it. weights: (N,) with mean 1. rows:
    frames to train on; held_out: frames for the figures. portrait (128,128,3), portrait_mesh (468,3): a sharp frame
    from the front. key: changes with what the frames were made from. width: of the faces in the sources, in pixels.
    """

    person: str
    pictures: MappedRows
    masks: MappedRows
    meshes: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    held_out: np.ndarray
    portrait: np.ndarray
    portrait_mesh: np.ndarray
    key: str
    width: float
    described: str

    @cached_property
    def colour(self) -> np.ndarray:
        """(3,) float32 in [-1,1] the mean colour of the face."""
        rows = self.rows[:: max(1, len(self.rows) // _COLOURS)]
        total, weight = np.zeros(3), 1e-6
        for row in rows:
            mask = self.masks[row].astype(np.float64) / 255
            total += np.einsum("hwc,hw->c", self.pictures[row].astype(np.float64), mask)
            weight += float(mask.sum())
        return np.asarray(total / weight / 127.5 - 1, np.float32)

    @classmethod
    def load(cls, person: str, folder: Path) -> Frames:
        """Read what `make_frames` wrote."""
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        small = {
            name: np.load(folder / f"{name}.npy")
            for name in ("meshes", "weights", "portrait", "portrait_mesh")
        }
        count = len(small["meshes"])
        place = np.column_stack([np.zeros(count, np.int64), np.arange(count)])
        pictures, masks = (MappedRows([folder / f"{name}.npy"], place) for name in ("pictures", "masks"))
        training = np.arange(count) < about["training"]
        return cls(
            person,
            pictures,
            masks,
            rows=np.flatnonzero(training),
            held_out=np.flatnonzero(~training),
            key=about["key"],
            width=about["width"],
            described=about["described"],
            **small,
        )


def frames_of(settings: PersonSettings) -> list[Frames]:
    """Return everybody's frames, made or reused."""
    found = []
    networks: Networks | None = None
    for person, texts in settings.sources.items():
        if any(_holds_frames(Path(text)) for text in texts):
            found.append(_load_existing(person, texts, settings))
            logger.info("%s: %s", person, found[-1].described)
            continue
        sources = [open_source(text) for text in texts]
        folder, key = settings.crops_folder / person, _key(sources, settings)
        about = folder / _ABOUT
        if not (about.is_file() and json.loads(about.read_text(encoding="utf-8"))["key"] == key):
            networks = networks or bundled_networks()
            logger.info("%s: finding faces in %s", person, ", ".join(source.name for source in sources))
            make_frames(person, sources, folder, key, networks, settings)
        found.append(Frames.load(person, folder))
        logger.info("%s: %s", person, found[-1].described)
    return found


def _holds_frames(folder: Path) -> bool:
    """Return whether a source is one person's folder in an earlier run's crops."""
    return (folder / _ABOUT).is_file() and (folder / "pictures.npy").is_file()


def _load_existing(person: str, texts: Sequence[str], settings: PersonSettings) -> Frames:
    """Load the frames of such a folder; raise if the person has other sources, or for another side or template."""
    if len(texts) > 1:
        raise ReliableSwapError(f"{person}: a folder of existing frames can't be combined with other sources")
    folder = Path(texts[0])
    made = Frames.load(person, folder)
    side = len(made.pictures[0])
    template = json.loads((folder / _ABOUT).read_text(encoding="utf-8")).get("template", settings.template)
    if (side, template) != (settings.size, settings.template):
        raise ReliableSwapError(
            f"{folder} holds frames of {side} px in the template {template}; give --size {side} --template {template}, "
            "or the original sources"
        )
    return made


def bundled_networks() -> Networks:
    """Load the bundled networks that find faces, tell them apart, and see what covers them."""
    names = ("detector", "landmarks", "identity", "fixer", "visibility")
    loaded = {name: load_network(bundled(name)) for name in names}
    return Networks(**{name: as_array_network(network) for name, network in loaded.items()})


def make_frames(
    person: str,
    sources: Sequence[Source],
    folder: Path,
    key: str,
    networks: Networks,
    settings: PersonSettings,
) -> None:
    """Find, check, choose, align and mask a person's frames. The folder is complete or does not exist."""
    training: list[tuple[Source, list[Sighting]]] = []
    held_out: list[tuple[Source, list[Sighting]]] = []
    seen = 0
    share = 1 / len(sources)
    for source in sources:
        sightings = source.sightings(networks, max(1, round(settings.frames * share)))
        check_age(source, sightings, networks)
        seen += len(sightings)
        ends = len(sightings) - int(len(sightings) * settings.held_out)
        for chosen, part, amount in (
            (training, sightings[:ends], 1 - settings.held_out),
            (held_out, sightings[ends:], settings.held_out),
        ):
            count = max(1, round(settings.frames * share * amount))
            chosen.append((source, [part[i] for i in choose(part, count)] if part else []))
    part_folder = folder.with_name(folder.name + ".part")
    shutil.rmtree(part_folder, ignore_errors=True)
    part_folder.mkdir(parents=True)
    _write(part_folder, training, held_out, networks, settings)
    kept = [one for _, few in training for one in few]
    ends_kept = sum(len(few) for _, few in held_out)
    width = float(np.median([one.width for one in kept]))
    described = (
        f"{len(kept):,} frames to train on and {ends_kept:,} held out, of {seen:,} measured ones; faces are about "
        f"{width:.0f} px wide"
    )
    if width < 0.6 * settings.size:
        described += f", too small to fill {settings.size} px with detail"
    about = {
        "key": key,
        "training": len(kept),
        "width": width,
        "described": described,
        "template": settings.template,
    }
    (part_folder / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part_folder.rename(folder)


def check_age(source: Source, sightings: Sequence[Sighting], networks: Networks) -> None:
    """Raise RefusedError if the person may be a minor, by the ages estimated in several pictures."""
    samples = min(_AGE_SAMPLES, len(sightings))
    places = {(2 * k + 1) * len(sightings) // (2 * samples) for k in range(samples)}
    chosen = {sightings[i].place: sightings[i] for i in sorted(places)}
    track = AgeTrack()
    for place, picture in source.pictures(list(chosen)):
        face = Face.from_mesh(chosen[place].mesh)
        track.add(age_nets().estimate(Subject.around(picture, face, source.name, networks)))
    if track.may_be_minor:
        raise RefusedError(
            f"the training was refused: the face in {source.name} may be that of a person under 18"
        )


def mask_of(crop: np.ndarray, mesh: np.ndarray, networks: Networks) -> np.ndarray:
    """(S,S) uint8 the face without what covers it."""
    hidden, _ = person_covers(crop, mesh, networks).on(crop.shape[:2])
    return np.rint(255 * regions.oval(mesh, crop.shape[:2]) * (1 - hidden)).astype(np.uint8)


def _write(
    folder: Path,
    training: Sequence[tuple[Source, list[Sighting]]],
    held_out: Sequence[tuple[Source, list[Sighting]]],
    networks: Networks,
    settings: PersonSettings,
) -> None:
    """Write the arrays and a contact sheet."""
    rows = [(source, one) for source, few in (*training, *held_out) for one in few]
    if not any(few for _, few in training):
        raise NoFaceError(f"no frame of {folder.stem} is left to train on; give more pictures of the person")
    size, count = settings.size, len(rows)
    pictures = open_memmap(folder / "pictures.npy", "w+", np.uint8, (count, size, size, 3))
    masks = open_memmap(folder / "masks.npy", "w+", np.uint8, (count, size, size))
    meshes = np.empty((count, 468, 3), np.float32)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    row = 0
    for source, few in (*training, *held_out):
        for (_, picture), one in zip(source.pictures([one.place for one in few]), few, strict=True):
            crop, matrix = align(picture, five_points(one.mesh), size, settings.template)
            pictures[row], meshes[row] = crop, apply(matrix, one.mesh)
            masks[row] = mask_of(crop, meshes[row], networks)
            score = one.sharpness * (1 - one.covered) / (1 + np.abs(pose_of(one.mesh)[:2]).max() / 10)
            if best is None or score > best[0]:
                portrait, to_portrait = align(picture, five_points(one.mesh), _PORTRAIT)
                best = score, portrait, apply(to_portrait, one.mesh)
            row += 1
    assert best is not None
    shares = [
        weights_of([one for _, few in part for one in few], settings.rarity) for part in (training, held_out)
    ]
    small = {
        "meshes": meshes,
        "weights": np.concatenate(shares),
        "portrait": best[1],
        "portrait_mesh": best[2],
    }
    for name, array in small.items():
        np.save(folder / f"{name}.npy", array)
    pictures.flush()
    masks.flush()
    sheet = Picture(_sheet(pictures, masks), name="frames")
    write_picture(sheet, folder / "frames.png", ai_made=False)


def _sheet(pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 a contact sheet of some frames, darkened outside the mask."""
    columns, rows, side = _SHEET
    chosen = np.unique(np.linspace(0, len(pictures) - 1, columns * rows).astype(int))
    tiles = []
    for i in chosen:
        shade = 0.4 + 0.6 * masks[i][..., None].astype(np.float32) / 255
        tiles.append(
            cv2.resize((pictures[i] * shade).astype(np.uint8), (side, side), interpolation=cv2.INTER_AREA)
        )
    columns = min(columns, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)])


def _key(sources: Sequence[Source], settings: PersonSettings) -> str:
    """Return a digest of the files and of the settings that the frames depend on."""
    decides = [_VERSION, *(source.key for source in sources)]
    decides += [settings.frames, settings.held_out, settings.size, settings.template, settings.rarity]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]

"""FaceForensics++: pair lists, folders, ten frames per video.

The layout is that of the authors' download script at compression c23:

    FACES/original_sequences/youtube/c23/videos/000.mp4 … 999.mp4
    FACES/splits/train.json, val.json, test.json            [["071", "054"], …], from the authors' repository
    OUTPUTS/071_054.mp4                                     results: the target's number first

Each pair of the lists is used in both directions. Ten evenly spaced frames of the target are measured, each with its
two neighbours (for flicker); the source's face is taken from the middle one of its own ten frames.
"""

from __future__ import annotations

import json
from pathlib import Path

from reliableswap.errors import ReliableSwapError

from .shots import Pair, Shot
from .video import frame_count, spread_frames

FRAMES = 10
_VIDEOS = Path("original_sequences/youtube/c23/videos")
_SPLITS = ("train", "val", "test")


def ffpp(root: Path, videos: int) -> list[Pair]:
    """Return ten pairs (frames of the target) for each of at most `videos` videos."""
    folder = root / _VIDEOS
    if not folder.is_dir():
        raise ReliableSwapError(
            f"there is no {folder}; download FaceForensics++ with its authors' script "
            "(python download-FaceForensics.py FACES -d original -c c23 -t videos)"
        )
    chosen = official_pairs(root)[:videos]
    numbers: dict[str, list[int]] = {}
    for number in sorted({number for pair in chosen for number in pair}):
        path = folder / f"{number}.mp4"
        if not path.is_file():
            raise ReliableSwapError(
                f"the pair list names {path}, which is missing; download it, or shorten the list"
            )
        numbers[number] = spread_frames(frame_count(path), FRAMES)
    pairs = []
    for target, source in chosen:
        face = Shot(folder / f"{source}.mp4", source, numbers[source][FRAMES // 2])
        for frame in numbers[target]:
            seen = Shot(folder / f"{target}.mp4", target, frame)
            clip = f"{target}_{source}"
            pairs.append(Pair(f"{clip}/{frame:05d}", face, seen, clip=clip))
    return pairs


def official_pairs(root: Path) -> list[tuple[str, str]]:
    """Return (target, source) of the authors' lists in both directions, sorted."""
    files = [root / "splits" / f"{name}.json" for name in _SPLITS]
    found = [path for path in files if path.is_file()]
    if not found:
        raise ReliableSwapError(
            f"no pair list in {root / 'splits'}; put train.json, val.json or test.json of the "
            "FaceForensics++ repository there"
        )
    pairs: set[tuple[str, str]] = set()
    for path in found:
        try:
            rows = [(str(a), str(b)) for a, b in json.loads(path.read_text())]
        except (ValueError, TypeError) as error:
            message = f'{path} is not a list of pairs; it should look like [["071", "054"], …]'
            raise ReliableSwapError(message) from error
        pairs.update(rows, ((b, a) for a, b in rows))
    return sorted(pairs)

"""The second pass: swap, mark and encode segments while the next frames are decoded, then join the segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliableswap.errors import RefusedError
from reliableswap.faces.track import ClipFaces
from reliableswap.jobs.order import in_order
from reliableswap.jobs.shared import wait_for
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.join import Joined, Segment, join
from reliableswap.media.video.library import clip_errors
from reliableswap.media.video.reader import ClipFrame, ClipReader
from reliableswap.media.video.segment import SegmentWriter, packets_of
from reliableswap.media.video.times import FrameTimes
from reliableswap.provenance.clip import ClipMark, clip_tags, mark_clip
from reliableswap.provenance.credentials import Credentials
from reliableswap.provenance.label import FrameLabel
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import seal_clip
from reliableswap.safety.clip import ClipGates

from .clip_folder import WorkFolder
from .clip_passes import look_frames
from .clip_swap import BegunFace, FrameSwapper, SwappedFrame
from .overlap import BackgroundConsumer, Busy, Prefetch, shared_cores

if TYPE_CHECKING:
    from .clip_progress import Clock, VideoProgress
    from .video import VideoSettings

# Makes segments by their numbers on other machines; yields each number, and how long the stages were busy.
Elsewhere = Callable[[Sequence[int]], Generator[tuple[int, Mapping[str, float]], None, None]]

_QUEUED_FRAMES = 4  # frames queued between two stages
_QUEUED_JOBS = 1  # frames queued within a swap: a half-swapped frame takes more memory than a plain one


@dataclass(frozen=True, eq=False)
class SecondPassInputs:
    """Everything that the second pass needs."""

    folder: WorkFolder
    reader: ClipReader
    times: FrameTimes
    faces: ClipFaces
    swapper: FrameSwapper
    gates: ClipGates
    encoding: Encoding
    record: Record
    earlier_mark: int | None
    video: VideoSettings
    target: Path
    signer: Credentials | None
    busy: Busy


class Segments:
    """Makes the missing segments, here or elsewhere, and joins all of them into the clip."""

    def __init__(
        self, inputs: SecondPassInputs, clock: Clock, overwrite: bool, elsewhere: Elsewhere | None = None
    ) -> None:
        self.inputs, self.clock, self.overwrite, self._elsewhere = inputs, clock, overwrite, elsewhere
        info = inputs.reader.info
        earlier = inputs.earlier_mark is not None
        self._mark = ClipMark(inputs.record, info.height, info.width, earlier=earlier)
        self._label = FrameLabel(info.height, info.width) if inputs.video.label else None
        self._length = max(1, round(inputs.video.segment * float(info.rate)))
        self._looks = set(look_frames(inputs.times, inputs.faces))
        self._facts: list[dict[str, Any]] = []
        self._resumed = 0
        self._swapped_to = 0  # the swapper has seen the frames before this one

    def run(self) -> Generator[VideoProgress, None, dict[str, Any]]:
        """Make the clip. After an interrupt, join what is done into a playable file if the settings say so."""
        inputs = self.inputs
        try:
            yield from self._all()
        except RefusedError:
            inputs.folder.remove()  # keep nothing of a refused result
            raise
        except (KeyboardInterrupt, GeneratorExit):
            if inputs.video.on_interrupt == "keep" and self._facts:
                self._join(partial=True)
                inputs.folder.note_kept()
            raise
        yield self.clock("join", 0, 1)
        joined = self._join()
        yield self.clock("join", 1, 1)
        return self._summary(joined)

    def make(self, number: int) -> None:
        """Make one segment, unless it exists."""
        for _ in self._segment(number):
            pass

    def _all(self) -> Generator[VideoProgress, None, None]:
        inputs, numbers = self.inputs, range(-(-len(self.inputs.times) // self._length))
        missing = [number for number in numbers if inputs.folder.facts(number) is None]
        self._resumed = len(numbers) - len(missing)
        if self._elsewhere is None:
            for number in numbers:
                yield from self._segment(number)
            return
        with closing(self._elsewhere(missing)) as made:
            arrived = in_order(made, missing)
            for number in numbers:
                if number in missing:
                    inputs.busy.add(next(arrived))
                    wait_for(inputs.folder.segment(number))
                yield from self._segment(number)

    def _segment(self, number: int) -> Generator[VideoProgress, None, None]:
        inputs, first = self.inputs, number * self._length
        end = min(first + self._length, len(inputs.times))
        facts = inputs.folder.facts(number)
        if facts is not None:
            packets_of(inputs.folder.segment(number), end - first)
            for score in facts["scores"]:
                inputs.gates.add_result(score)
            self._facts.append(facts)
            yield self.clock("swap", end, len(inputs.times))
            return
        facts = {"frames": 0, "scores": [], "swapped": Counter(), "frames_swapped": 0, "failed": Counter()}
        try:
            yield from self._write_segment(first, end, facts)
        except (KeyboardInterrupt, GeneratorExit):
            if inputs.video.on_interrupt == "keep" and facts["frames"]:
                self._facts.append(facts)
            raise
        inputs.folder.keep_facts(number, facts)
        inputs.folder.current.replace(inputs.folder.segment(number))
        self._facts.append(facts)

    def _write_segment(
        self, first: int, end: int, facts: dict[str, Any]
    ) -> Generator[VideoProgress, None, None]:
        """Swap frames first to end - 1 into the current segment; after an interrupt that keeps it, only those done."""
        inputs, busy = self.inputs, self.inputs.busy
        info, colours = inputs.reader.info, inputs.reader.colours
        self._mark.restart()
        interrupt: BaseException | None = None
        # The swapper's output depends on earlier frames, which it has not seen after a resume.
        begin = first if first == self._swapped_to else max(0, first - inputs.swapper.run_up)
        part = inputs.times.part(begin, end)
        with (
            shared_cores(),
            SegmentWriter(inputs.folder.current, inputs.encoding, info, colours, self._length) as writer,
            Prefetch(busy.each("decode", inputs.reader.frames_of(part)), _QUEUED_FRAMES) as decoded,
            Prefetch(self._begun(decoded, begin), _QUEUED_JOBS) as begun_frames,
            Prefetch(self._drawn(begun_frames), _QUEUED_JOBS) as frames,
        ):

            def encode(item: tuple[ClipFrame, SwappedFrame]) -> None:
                frame, swapped = item
                with busy("mark"):
                    boxes = [box.tolist() for box in swapped.people.values()]
                    grey, pixels = self._mark.change(swapped.pixels, boxes)
                after, changed = swapped.pixels, swapped.changed
                if pixels is not None:  # the whole frame was marked in RGB
                    after, changed = pixels, [(0, 0, info.width, info.height)]
                with busy("encode"):
                    writer.write(inputs.reader.with_changes(frame, after, changed, grey))

            with BackgroundConsumer(encode, _QUEUED_FRAMES) as encoder:
                try:
                    for index, (frame, begun) in enumerate(frames, begin):
                        if index < first:
                            with busy("swap"):
                                inputs.swapper(frame.rgb, inputs.faces.at(index), begun)
                            continue
                        encoder.put((frame, self._swapped(index, frame, begun, facts)))
                        facts["frames"] += 1
                        yield self.clock("swap", index + 1, len(inputs.times))
                except (KeyboardInterrupt, GeneratorExit) as error:
                    if inputs.video.on_interrupt != "keep" or not facts["frames"]:
                        raise
                    interrupt = error
            facts["frames"] = writer.written
        self._swapped_to = end
        if interrupt is not None:
            raise interrupt

    def _begun(self, frames: Iterable[ClipFrame], begin: int) -> Iterator[tuple[ClipFrame, list[BegunFace]]]:
        """Yield the frames from number `begin` on, with the first part of each swap done."""
        inputs = self.inputs
        for index, frame in enumerate(frames, begin):
            with inputs.busy("fit"):
                begun = inputs.swapper.begin(frame.rgb, inputs.faces.at(index))
            yield frame, begun

    def _drawn(
        self, frames: Iterable[tuple[ClipFrame, list[BegunFace]]]
    ) -> Iterator[tuple[ClipFrame, list[BegunFace]]]:
        """Yield the frames, with the second part of each swap done."""
        for frame, begun in frames:
            with self.inputs.busy("draw"):
                drawn = self.inputs.swapper.draw(begun)
            yield frame, drawn

    def _swapped(
        self, index: int, frame: ClipFrame, begun: list[BegunFace], facts: dict[str, Any]
    ) -> SwappedFrame:
        inputs = self.inputs
        with inputs.busy("swap"):
            swapped = inputs.swapper(frame.rgb, inputs.faces.at(index), begun)
            if self._label is not None:
                swapped.add(self._label)
        if index in self._looks:
            with inputs.busy("gates"):
                score = inputs.gates.score_result(
                    swapped.pixels, list(swapped.people.values()), frame.rgb, index
                )
                facts["scores"].append(score)
                inputs.gates.add_result(score)
        facts["swapped"].update(str(person) for person in swapped.people)
        facts["frames_swapped"] += bool(swapped.people)
        facts["failed"].update(swapped.failed)
        return swapped

    def _join(self, partial: bool = False) -> Joined:
        inputs, folder = self.inputs, self.inputs.folder
        segments = [
            Segment(folder.segment(number), facts["frames"]) for number, facts in enumerate(self._facts)
        ]
        frames = sum(segment.frames for segment in segments)
        if partial and not segments[-1].path.is_file():
            segments[-1] = replace(segments[-1], path=folder.current)
        video = inputs.video
        cut = partial or video.start is not None or video.end is not None
        record = replace(inputs.record, watermark=self._mark.payload)
        with inputs.busy("join"):
            joined = join(
                segments,
                folder.joined,
                inputs.reader.info,
                inputs.times.part(0, frames),
                inputs.encoding.encoder,
                cut=cut,
                from_zero=video.start is not None,
                tags=clip_tags(record, inputs.earlier_mark),
            )
            mark_clip(folder.joined, record, inputs.earlier_mark)
        with inputs.busy("seal"), clip_errors(inputs.target.name, "written"):
            seal_clip(folder.joined, inputs.target, record, overwrite=self.overwrite, signer=inputs.signer)
        folder.joined.unlink()
        return joined

    def _summary(self, joined: Joined) -> dict[str, Any]:
        swapped: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for facts in self._facts:
            swapped.update(facts["swapped"])
            failed.update(facts["failed"])
        return {
            "swapped": swapped,
            "failed": dict(failed),
            "frames_swapped": sum(facts["frames_swapped"] for facts in self._facts),
            "resumed": self._resumed,
            "copied": list(joined.copied),
            "left_out": list(joined.left_out),
        }

"""The first pass, over clips with known people and positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.face_clips import SIZE, Actor, scene, still, walking

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.track import ClipFaces, TrackSettings, find_faces
from reliableswap.pipelines.image import ReliableSwapPipeline
from reliableswap.swap.networks import Networks

SETTINGS = TrackSettings(rate=25.0)


@pytest.fixture(scope="module")
def networks(pipe: ReliableSwapPipeline) -> Networks:
    return pipe.networks()


def places(faces: ClipFaces, person: int) -> dict[int, float]:
    """Frame -> x of a person's face."""
    return {
        frame: float(one.face.mesh[:, 0].mean())
        for frame in range(faces.frames)
        for one in faces.at(frame)
        if one.person == person
    }


def test_a_still_face_is_found_in_every_frame_and_holds_still(networks: Networks) -> None:
    done: list[int] = []
    clip = scene([Actor(1, still(160))], 12)
    faces = find_faces(clip, networks, settings=SETTINGS, progress=done.append)
    assert done == list(range(1, 13))
    assert (faces.frames, faces.size) == (12, SIZE)
    (person,) = faces.people
    assert (person.number, person.seen) == (1, 12)
    assert person.thumbnail.shape == (112, 112, 3)
    assert np.linalg.norm(person.vector) == pytest.approx(1, abs=1e-3)
    seen = np.array(list(places(faces, 1).values()))
    assert len(seen) == 12
    assert np.abs(seen - 160).max() < 3
    assert np.ptp(seen) < 0.5


def test_a_face_that_comes_in_between_two_searches_is_followed_back(networks: Networks) -> None:
    clip = scene([Actor(2, lambda frame: (160, 90) if frame >= 7 else None)], 14)
    faces = find_faces(clip, networks, settings=SETTINGS)
    assert sorted(places(faces, 1)) == list(range(7, 14))


def test_a_cut_ends_tracks_and_keeps_people(networks: Networks) -> None:
    clip = [
        *scene([Actor(1, still(90)), Actor(4, still(230))], 8),
        *scene([Actor(1, still(200))], 12, look=1),
    ]
    faces = find_faces(clip, networks, settings=SETTINGS)
    assert [person.seen for person in faces.people] == [20, 8]
    first, second = places(faces, 1), places(faces, 2)
    assert sorted(first) == list(range(20))
    assert sorted(second) == list(range(8))
    # Nothing is smoothed across the cut.
    assert abs(first[7] - 90) < 3
    assert abs(first[8] - 200) < 3
    tracks = {one.track for frame in range(20) for one in faces.at(frame) if one.person == 1}
    assert len(tracks) == 2


def test_two_people_who_cross_keep_their_numbers(networks: Networks) -> None:
    frames = 36
    clip = scene([Actor(1, walking(70, 250, frames)), Actor(4, walking(250, 70, frames))], frames)
    faces = find_faces(clip, networks, settings=SETTINGS)
    assert len(faces.people) == 2
    one, two = places(faces, 1), places(faces, 2)
    if one[0] > two[0]:
        one, two = two, one
    assert one[0] < 100 < 220 < two[0]
    assert one[frames - 1] > 220 > 100 > two[frames - 1]
    # The person in front is never hidden.
    assert len(two) >= frames - 2
    assert all(abs(x - (250 - 180 * frame / (frames - 1))) < 12 for frame, x in two.items())


def test_short_dropouts_are_bridged_and_long_ones_left_alone(networks: Networks) -> None:
    hidden = {*range(10, 13), *range(24, 40)}
    clip = scene([Actor(3, lambda frame: None if frame in hidden else (160, 90))], 50)
    faces = find_faces(clip, networks, settings=SETTINGS)
    assert len(faces.people) == 1
    seen = places(faces, 1)
    assert set(range(10, 13)) <= set(seen)
    assert set(seen) == {*range(24), *range(40, 50)}
    shown = [one.face.presence for frame in (11, 20) for one in faces.at(frame)]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0] < 0.6 < shown[1]


def test_a_face_that_leaves_the_frame_is_followed_to_its_edge(networks: Networks) -> None:
    clip = scene([Actor(5, walking(200, 400, 25))], 25)
    faces = find_faces(clip, networks, settings=SETTINGS)
    seen = places(faces, 1)
    assert set(range(11)) <= set(seen)
    assert max(seen) < 20
    assert sorted(seen) == list(range(max(seen) + 1))


def test_a_clip_without_faces_has_nobody(networks: Networks) -> None:
    faces = find_faces(scene([], 7), networks, settings=SETTINGS)
    assert faces.people == ()
    assert [faces.at(frame) for frame in range(7)] == [[]] * 7
    with pytest.raises(ReliableSwapError, match="no person 1; it shows nobody"):
        faces.person(1)


def test_a_clip_of_one_frame(networks: Networks) -> None:
    faces = find_faces(scene([Actor(1, still(160))], 1), networks, settings=SETTINGS)
    assert [person.seen for person in faces.people] == [1]
    assert len(faces.at(0)) == 1


def test_a_clip_of_no_frames_and_frames_of_two_sizes_are_refused(networks: Networks) -> None:
    with pytest.raises(ReliableSwapError, match="no frames"):
        find_faces([], networks)
    with pytest.raises(ReliableSwapError, match="frame 1 is 64x48"):
        find_faces([np.zeros((36, 64, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)], networks)


def test_without_an_identity_network_every_track_is_a_person(networks: Networks) -> None:
    blind = Networks(detector=networks.detector, landmarks=networks.landmarks)
    clip = [*scene([Actor(1, still(90))], 6), *scene([Actor(1, still(220))], 6, look=1)]
    faces = find_faces(clip, blind, settings=SETTINGS)
    assert [person.seen for person in faces.people] == [6, 6]
    assert faces.people[0].vector.shape == (0,)


def test_what_was_found_is_kept_in_a_file(networks: Networks, tmp_path: Path) -> None:
    path = tmp_path / "faces.npz"
    clip = scene([Actor(1, still(90)), Actor(4, walking(200, 240, 6))], 6)
    found = find_faces(clip, networks, settings=SETTINGS, fingerprint="clip 1")
    found.save(path)
    again = ClipFaces.reuse(path, "clip 1")
    assert again is not None
    assert [p.seen for p in again.people] == [p.seen for p in found.people]
    for frame in range(6):
        for old, new in zip(found.at(frame), again.at(frame), strict=True):
            assert (old.track, old.person, old.face.score) == (new.track, new.person, new.face.score)
            assert np.array_equal(old.face.mesh, new.face.mesh)
        assert again.numbers(frame) == [(one.track, one.person) for one in found.at(frame)]
    assert [len(again.numbers(frame)) for frame in (0, 6)] == [2, 0]
    assert ClipFaces.reuse(path, "clip 2") is None
    assert ClipFaces.reuse(tmp_path / "other.npz", "clip 1") is None


def test_a_damaged_file_is_reported_and_not_reused(networks: Networks, tmp_path: Path) -> None:
    path = tmp_path / "faces.npz"
    find_faces(scene([], 1), networks).save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive", b""):
        path.write_bytes(content)
        assert ClipFaces.reuse(path, "") is None
        with pytest.raises(ReliableSwapError, match="does not hold the faces of a clip"):
            ClipFaces.load(path)

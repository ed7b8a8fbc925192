"""Trained people as sources: what the environment names, and what clients choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.person_runs import TINY

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import CombAutoencoder
from reliableswap.space.app.choosing import LEAVE_ALONE, PHOTOS, chosen_sources, source_names, update_choices
from reliableswap.space.people import PEOPLE, Trained, read_sources, trained_people, with_person

GALLERY = [{"image": {"path": "/a.png"}}, {"image": {"path": "/b.png"}}]


def saved(folder: Path, *people: str, like: CombAutoencoder | None = None, untrained: str = "") -> Path:
    """A folder of people with portraits; their encoder is that of `like`, if it is given."""
    network = CombAutoencoder((*people, untrained) if untrained else people, **TINY)
    if like is not None:
        network.encoder.load_state_dict(like.encoder.state_dict())
    for name in people:
        picture = torch.full((128, 128, 3), 90, dtype=torch.uint8)
        network.decoder(name).portrait.keep(picture, torch.rand(468, 3) * 128)
    network.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("named", [None, "", " , "])
def test_without_the_variable_there_are_no_trained_people(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PEOPLE, raising=False)
    if named is not None:
        monkeypatch.setenv(PEOPLE, named)
    assert trained_people() is None


def test_only_trained_people_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PEOPLE, str(saved(tmp_path / "one", "alice", "bob", untrained="carol")))
    network = trained_people()
    assert network is not None
    assert network.trained == ["alice", "bob"]


def test_trainings_with_one_encoder_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = saved(tmp_path / "first", "alice", "bob")
    second = saved(tmp_path / "second", "bob", "dave", like=CombAutoencoder.from_pretrained(first))
    monkeypatch.setenv(PEOPLE, f"{first}, {second}")
    network = trained_people()
    assert network is not None
    assert network.trained == ["alice", "bob", "dave"]
    later = CombAutoencoder.from_pretrained(second)
    assert torch.equal(network.decoder("bob").first.weight, later.decoder("bob").first.weight)


def test_errors_on_unusable_folders_name_them_and_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, stranger = saved(tmp_path / "good", "alice"), saved(tmp_path / "stranger", "bob")
    CombAutoencoder(("carol",), **TINY).save_pretrained(tmp_path / "new")
    for named, said in (
        (tmp_path, f"no config.json in {tmp_path}"),
        (tmp_path / "missing", "missing is neither a folder nor"),
        (tmp_path / "new", "it holds no trained people"),
        (f"{good},{stranger}", "the decoder of bob was trained with another encoder"),
    ):
        monkeypatch.setenv(PEOPLE, str(named))
        with pytest.raises(WeightsError, match=f"^{PEOPLE}=.*{said}"):
            trained_people()


def test_a_person_takes_the_place_of_the_photos() -> None:
    photos: dict[int, Any] = {0: {"path": "/a.png"}}
    assert with_person("", photos) == with_person(None, photos) == photos
    assert with_person("alice", {}) == {0: Trained("alice")}
    assert read_sources({0: Trained("alice")}) == {0: Trained("alice")}
    with pytest.raises(ReliableSwapError, match="a source and person='alice' were both given"):
        with_person("alice", photos)
    with pytest.raises(ReliableSwapError, match="give a name"):
        with_person(["alice"], {})


def test_the_page_leaves_photos_out_while_a_person_is_chosen() -> None:
    assert chosen_sources("alice", GALLERY) == {0: Trained("alice")}
    assert chosen_sources(PHOTOS, GALLERY) == {0: {"path": "/a.png"}, 1: {"path": "/b.png"}}
    assert source_names("alice", GALLERY) == ["alice"]
    assert source_names(PHOTOS, GALLERY) == ["Source A", "Source B"]


def test_the_faces_choices_follow_the_person() -> None:
    first, second = update_choices("alice", GALLERY, LEAVE_ALONE, 1)
    assert (first.value, second.value) == (0, LEAVE_ALONE)
    assert first.choices == [("Leave alone", LEAVE_ALONE), ("alice", 0)]
    first, second = update_choices(PHOTOS, GALLERY, 0, LEAVE_ALONE)
    assert (first.value, second.value) == (0, LEAVE_ALONE)
    assert [name for name, _ in second.choices] == ["Leave alone", "Source A", "Source B"]

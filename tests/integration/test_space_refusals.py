"""The gates in the Space: no endpoint bypasses them, and the consent is recorded."""

from __future__ import annotations

import math

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from support.space_page import swap

from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.safety.nudity import NudityNet
from reliableswap.space.consent import STATEMENT
from reliableswap.space.events import show_refusals


@pytest.fixture
def nude(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture counts as nude."""
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99)


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every face counts as a minor's."""
    monkeypatch.setattr(AgeNets, "estimate", lambda nets, seen: AgeEstimate(9.0, 9.0))


@pytest.mark.usefixtures("nude")
def test_the_swap_endpoint_refuses_nudity(client: Client, pictures: list[str]) -> None:
    with pytest.raises(AppError, match=r"2\.png seems to show nudity; .* please report it"):
        swap(client, pictures[:1], pictures[1])


@pytest.mark.usefixtures("young")
def test_the_swap_endpoint_refuses_a_young_face(client: Client, pictures: list[str]) -> None:
    with pytest.raises(AppError, match=r"the face in 1\.png may be that of a person under 18"):
        swap(client, pictures[:1], pictures[1])


@pytest.mark.usefixtures("young", "nude")
def test_a_minor_and_nudity_together_are_refused_without_a_reason(
    client: Client, pictures: list[str]
) -> None:
    with pytest.raises(AppError) as refused:
        swap(client, pictures[:1], pictures[1])
    assert "under 18" not in str(refused.value)
    assert "nudity" not in str(refused.value)


@pytest.mark.parametrize("score", [0.99, math.nan])
def test_the_triplets_endpoint_refuses(
    client: Client, pictures: list[str], monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: score)
    with pytest.raises(AppError, match="seems to show nudity"):
        client.predict(
            a=handle_file(pictures[0]), b=handle_file(pictures[1]), agreed=True, api_name="/triplets"
        )


@pytest.mark.usefixtures("young")
def test_the_triplets_endpoint_refuses_young_faces(client: Client, pictures: list[str]) -> None:
    with pytest.raises(AppError, match="under 18"):
        client.predict(
            a=handle_file(pictures[0]), b=handle_file(pictures[1]), agreed=True, api_name="/triplets"
        )


def test_the_report_holds_the_consent(client: Client, pictures: list[str]) -> None:
    _, report = swap(client, pictures[:1], pictures[1])
    assert report["consent"]["statement"] == STATEMENT


def test_other_errors_are_no_refusals() -> None:
    def fail() -> None:
        raise gr.Error("something else")

    with pytest.raises(gr.Error, match="something else"):
        show_refusals(fail)()

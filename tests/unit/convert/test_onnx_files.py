"""Third-party ONNX files as our networks: their inputs and outputs, and that folders are complete."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from support import onnx_swappers
from torch.nn import functional as F

from reliableswap.bundled import bundled
from reliableswap.cli.main import main
from reliableswap.convert.embedding_map import agreement, fit_map
from reliableswap.convert.onnx_files import identity_encoder, swapper
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models import IdentityEncoder, OnnxGenerator, OnnxIdentityEncoder, load_network
from reliableswap.models.compat import check_encoder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    makers = {name: getattr(onnx_swappers, name) for name in ("arcface", "inswapper", "hyperswap")}
    return {name: make(folder / f"{name}.onnx") for name, make in makers.items()}


@pytest.fixture(scope="module")
def encoder(files: dict[str, Path]) -> OnnxIdentityEncoder:
    return identity_encoder(files["arcface"])


def vector(seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(seed)))


def test_an_encoder_gives_unit_vectors_of_the_length_of_its_file(encoder: OnnxIdentityEncoder) -> None:
    faces = torch.rand(2, 3, 112, 112) * 2 - 1
    found = encoder(faces)
    assert found.shape == (2, 512)
    assert encoder.config.embedding_size == 512
    assert torch.allclose(found.norm(dim=1), torch.ones(2))
    assert torch.allclose(encoder(faces[1:]), found[1:])


def test_an_encoder_sees_pixels_as_its_mean_and_std_say(files: dict[str, Path]) -> None:
    plain = identity_encoder(files["arcface"])
    other = identity_encoder(files["arcface"], mean=(0, 0, 0), std=(0.5, 0.5, 0.5))
    black, grey = torch.full((1, 3, 112, 112), -1.0), torch.zeros(1, 3, 112, 112)
    assert torch.allclose(other.embed(black), plain.embed(grey), atol=1e-4)
    assert other.checksum() != plain.checksum()


def test_inswapper_gets_pixels_from_zero_to_one_and_vectors_through_its_emap(
    files: dict[str, Path], encoder: OnnxIdentityEncoder
) -> None:
    generator = swapper(files["inswapper"], "inswapper", encoder)
    assert (generator.size, generator.config.template) == (128, "arcface_128")
    assert tuple(generator.config.value_range) == (0.0, 1.0)
    known = vector()
    image, mask = generator(torch.full((1, 3, 128, 128), 0.25), known)
    turned = known[0].numpy() @ onnx_swappers.EMAP
    expected = 0.125 + 0.5 * onnx_swappers.tint(turned / np.linalg.norm(turned))
    assert np.allclose(image[0, :, 5, 7], expected, atol=1e-5)
    assert mask.shape == (1, 1, 128, 128)
    assert (mask == 1).all()


def test_hyperswap_gets_plain_vectors_and_gives_a_mask(
    files: dict[str, Path], encoder: OnnxIdentityEncoder
) -> None:
    generator = swapper(files["hyperswap"], "hyperswap", encoder)
    assert (generator.size, tuple(generator.config.value_range)) == (256, (-1.0, 1.0))
    vectors = torch.cat([vector(1), vector(2)])
    image, mask = generator(torch.zeros(2, 3, 256, 256), vectors)
    for one, known in zip(image, vectors, strict=True):
        assert np.allclose(one[:, 0, 0], 2 * onnx_swappers.tint(known.numpy()) - 1, atol=1e-5)
    assert torch.allclose(mask, torch.full((2, 1, 256, 256), 0.25))


def test_folders_are_complete_and_load_by_name(
    files: dict[str, Path], encoder: OnnxIdentityEncoder, tmp_path: Path
) -> None:
    encoder.save_pretrained(tmp_path / "identity")
    swapper(files["inswapper"], "inswapper", encoder).save_pretrained(tmp_path / "generator")
    (tmp_path / "generator").rename(tmp_path / "moved")
    generator, loaded = load_network(tmp_path / "moved"), load_network(tmp_path / "identity")
    assert isinstance(generator, OnnxGenerator)
    check_encoder(generator, loaded)
    assert "moved" not in (tmp_path / "moved" / "config.json").read_text()
    crop = torch.rand(1, 3, 128, 128)
    before = swapper(files["inswapper"], "inswapper", encoder)(crop, vector()).image
    assert torch.equal(generator(crop, vector()).image, before)
    assert generator.parameter_count == 512 * 512 + 512 * 3 + 4 + 2
    generator.save_pretrained(tmp_path / "moved")  # onto itself
    assert torch.equal(load_network(tmp_path / "moved")(crop, vector()).image, before)


def test_another_file_in_the_folder_is_noticed(
    files: dict[str, Path], encoder: OnnxIdentityEncoder, tmp_path: Path
) -> None:
    swapper(files["inswapper"], "inswapper", encoder).save_pretrained(tmp_path)
    onnx_swappers.inswapper(tmp_path / "network.onnx", emap=np.eye(512, dtype=np.float32))
    with pytest.raises(WeightsError, match=r"not the file that config\.json was written for"):
        load_network(tmp_path)
    (tmp_path / "network.onnx").unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_network(tmp_path)


def test_copies_and_other_processes_open_the_file_themselves(encoder: OnnxIdentityEncoder) -> None:
    face = torch.rand(1, 3, 112, 112)
    expected = encoder(face)
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder).half()):
        assert torch.allclose(other(face), expected, atol=1e-3)


def test_an_encoder_unknown_to_the_file_needs_a_map(files: dict[str, Path]) -> None:
    ours = IdentityEncoder.from_pretrained(bundled("identity"), dtype=torch.float32)
    dim = ours.embedding_size
    with pytest.raises(WeightsError, match="fit_map"):
        swapper(files["hyperswap"], "hyperswap", ours)
    with pytest.raises(WeightsError, match="embedding_map has shape"):
        swapper(files["hyperswap"], "hyperswap", ours, embedding_map=np.eye(512))
    mapped = swapper(files["hyperswap"], "hyperswap", ours, embedding_map=np.eye(dim, 512)[:, ::-1])
    check_encoder(mapped, ours)
    known = F.normalize(torch.randn(1, dim))
    shown = np.zeros(512)
    shown[512 - dim :] = known[0].numpy()[::-1]
    image = mapped(torch.zeros(1, 3, 256, 256), known).image
    assert np.allclose(image[0, :, 0, 0], 2 * onnx_swappers.tint(shown) - 1, atol=1e-4)


def test_a_fitted_map_finds_a_linear_relation() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((16, 40))
    ours = rng.standard_normal((2000, 16))
    theirs = ours @ truth * rng.uniform(0.5, 2, (2000, 1))
    fitted = fit_map(ours[:1500], theirs[:1500])
    assert fitted.shape == (16, 40)
    assert agreement(ours[1500:], theirs[1500:], fitted) > 0.99
    assert agreement(ours[1500:], rng.permutation(theirs[1500:]), fitted) < 0.2
    with pytest.raises(ReliableSwapError, match="too few"):
        fit_map(ours[:20], theirs[:20])
    with pytest.raises(ReliableSwapError, match="same faces"):
        fit_map(ours, theirs[:-1])


def test_files_that_do_not_fit_are_errors(
    files: dict[str, Path], encoder: OnnxIdentityEncoder, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"not one .* picture and one"):
        swapper(files["arcface"], "inswapper", encoder)
    with pytest.raises(WeightsError, match=r"not one .* picture of an identity encoder"):
        identity_encoder(files["inswapper"])
    with pytest.raises(WeightsError, match="last initializer"):
        swapper(files["hyperswap"], "inswapper", encoder)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(WeightsError, match=r"is not a valid ONNX file|takes nothing"):
        identity_encoder(tmp_path / "text.onnx")
    with pytest.raises(WeightsError, match="no ONNX file at"):
        identity_encoder(tmp_path / "none.onnx")
    with pytest.raises(WeightsError, match="template"):
        swapper(files["hyperswap"], "hyperswap", encoder, template="square")


def test_the_command_writes_folders(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arcface, generator = tmp_path / "arcface", tmp_path / "generator"
    assert (
        main(["convert", "onnx-encoder", str(files["arcface"]), "-o", str(arcface), "--name", "w600k"]) == 0
    )
    line = ["convert", "inswapper", str(files["inswapper"]), "-o", str(generator)]
    assert main(line) == 2
    assert "--encoder" in capsys.readouterr().err
    assert main([*line, "--encoder", str(arcface)]) == 0
    assert "inswapper for 128 px, 512-d identity" in capsys.readouterr().err
    assert json.loads((generator / "config.json").read_text())["identity_encoder"] == "w600k"
    check_encoder(load_network(generator), load_network(arcface))

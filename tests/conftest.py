"""Shared setup of all tests: no network, one thread per process, and photos of generated people."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Small arrays gain nothing from more threads, and the threads of several processes would compete for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Give each pytest-xdist worker its own range of a hundred ports to serve the Space on.
os.environ["GRADIO_SERVER_PORT"] = str(7860 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))
# Leave the user's signing key and cache alone, and ignore the user's trusted certificates.
os.environ["RELIABLESWAP_CONFIG"] = tempfile.mkdtemp(prefix="reliableswap-tests-")
# pytest-xdist's workers and the processes that tests start share the first process's cache of converted networks.
if "RELIABLESWAP_TESTS" not in os.environ:
    os.environ["RELIABLESWAP_TESTS"] = str(os.getpid())
    os.environ["HF_ASSETS_CACHE"] = tempfile.mkdtemp(prefix="reliableswap-tests-")
os.environ["RELIABLESWAP_CERT"] = os.environ["RELIABLESWAP_KEY"] = os.environ["RELIABLESWAP_TRUST"] = ""

import itertools
import logging
import shutil
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from support.people import person

from reliableswap.lazy import gc_paused

if TYPE_CHECKING:
    import gradio as gr
    from gradio_client import Client

    from reliableswap import ReliableSwapPipeline

OWN_FOLDERS = [os.environ["RELIABLESWAP_CONFIG"]]
if os.environ["RELIABLESWAP_TESTS"] == str(os.getpid()):
    OWN_FOLDERS.append(os.environ["HF_ASSETS_CACHE"])
WORKER_BYTES = 5 * 2**29  # a worker's peak memory use, with a margin

# Hypothesis tries the same examples in every run, without deadlines that a busy machine would miss.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Limit torch to one thread: small networks gain nothing from more, which slow a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_fsync() -> Iterator[None]:
    """Skip fsync: it takes up to 20 ms, and only a power cut would show the difference."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", os.fstat)  # like fsync, fails for a descriptor that is not open
    yield
    patch.undo()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests with the garbage collector paused: what their modules import stays in memory."""
    with gc_paused():
        return (yield)


def pytest_unconfigure() -> None:
    for folder in OWN_FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return one worker per core, at most four and no more than fit in memory; 0 if all arguments are single files."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    if all(Path(one.split("::")[0]).suffix == ".py" for one in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    known = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in known else 2**32
    count = min(4, cores, memory // WORKER_BYTES)
    return count if count > 1 else 0


@pytest.fixture(autouse=True)
def _restore_denormal_numbers() -> Iterator[None]:
    """Stop flushing denormal numbers to zero: a training run turns it on for the whole process."""
    import torch

    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _reset_log_level() -> Iterator[None]:
    """Reset the log level: a training run on a rank other than 0 raises it to WARNING for the whole process."""
    yield
    logging.getLogger("reliableswap").setLevel(logging.NOTSET)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, partial]:
    """Ten people's folders of two photos each, a broken file, a faceless photo; and a maker of their analyser."""
    from support.triplet_people import PICTURES, Known, digest, photo

    folder = tmp_path_factory.mktemp("people")
    known = {}
    for number, picture in itertools.product(range(1, 11), PICTURES):
        image, mesh = photo(number, picture)
        path = folder / "photos" / f"P{number:03d}" / f"{picture}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
        known[digest(image)] = mesh
    (folder / "photos" / "P001" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    cv2.imwrite(str(folder / "photos" / "P002" / "wall.png"), np.full((90, 90, 3), 90, np.uint8))
    np.savez(folder / "known.npz", **known)
    return folder / "photos", partial(Known, folder)


@pytest.fixture(scope="session")
def made(people: tuple[Path, partial], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished triplet run, made in one process."""
    from support.triplet_people import SETTINGS

    from reliableswap.triplets.factory import make_triplets

    output = tmp_path_factory.mktemp("made")
    make_triplets(people[0], output, SETTINGS, analyser=people[1], progress=False, licence="cc0-1.0")
    return output


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five people's folders with a portrait and a selfie each, 320 px high."""
    import cv2

    folder = tmp_path_factory.mktemp("portraits")
    for number in range(1, 6):
        for kind in ("studio_portrait", "amateur_selfie"):
            image = cv2.imread(str(person(number, kind)), cv2.IMREAD_REDUCED_COLOR_4)
            scale = 320 / image.shape[0]
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            path = folder / f"P{number:03d}" / f"{kind}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), image)
    return folder


@pytest.fixture(scope="session")
def triplets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small set of triplets of ten generated people."""
    from PIL import Image
    from support.generator_tasks import SIZE

    from reliableswap.data.splits import Split
    from reliableswap.triplets.factory import make_triplets
    from reliableswap.triplets.settings import (
        FilterSettings,
        PairSettings,
        QualitySettings,
        SurrogateSettings,
        TripletSettings,
    )

    photos, output = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("triplets")
    for number in range(1, 11):
        for picture in ("studio_portrait", "amateur_selfie"):
            image = Image.open(person(number, picture)).convert("RGB")
            image.thumbnail((256, 256))
            (photos / f"P{number:03d}").mkdir(exist_ok=True)
            image.save(photos / f"P{number:03d}" / f"{picture}.png")
    settings = TripletSettings(
        size=SIZE,
        surrogates=SurrogateSettings(source_surrogate=True),
        pairs=12,
        shard_pairs=3,
        split=Split(60, 40, 0),
        quality=QualitySettings(max_enlargement=9, min_sharpness=0, max_yaw=90, max_pitch=90, max_covered=1),
        pairing=PairSettings(max_turn=90, max_light=90),
        filter=FilterSettings(min_shown=0.1, min_sharpness_kept=0.1, max_folded=1),
    )
    make_triplets(photos, output, settings, progress=False)
    return output


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small encoders with random weights: `identity` and `fixer`."""
    import torch

    from reliableswap.models import FixerNet, IdentityEncoder

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoders")
    IdentityEncoder(embedding_size=16, name="tiny").save_pretrained(folder / "identity")
    FixerNet(embedding_size=8).save_pretrained(folder / "fixer")
    return folder


@pytest.fixture(scope="session")
def pipe() -> ReliableSwapPipeline:
    """The bundled pipeline, loaded once. A test that changes its components or its device loads one of its own."""
    from reliableswap import ReliableSwapPipeline

    return ReliableSwapPipeline.bundled()


@pytest.fixture(scope="session")
def page(pipe: ReliableSwapPipeline) -> Iterator[gr.Blocks]:
    """The Space, served for all tests that do not change it.

    Its networks run on torch: converting all of them for another runtime takes longer than all of these tests' calls.
    """
    from support.space_page import close, served

    from reliableswap.space import build

    page = served(build(pipe))
    yield page
    close(page)


@pytest.fixture(scope="session")
def client(page: gr.Blocks) -> Client:
    from support.space_page import connect

    return connect(page)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Portraits of four people, 320 pixels a side."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, 5):
        with Image.open(person(number)) as image:
            image.convert("RGB").resize((320, 320), Image.Resampling.LANCZOS).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(1, 5)]


@pytest.fixture(scope="session")
def couple(pictures: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two people in one photo, the larger face on the right."""
    photo = Image.new("RGB", (560, 320), "grey")
    photo.paste(Image.open(pictures[2]).resize((240, 240)), (0, 40))
    photo.paste(Image.open(pictures[3]), (240, 0))
    path = tmp_path_factory.mktemp("couple") / "couple.png"
    photo.save(path)
    return str(path)

"""Every test has a cache folder of its own; the embedded model is one server for the whole session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lm.faulty import Faulty

from ethogram.lm import LM, Broker

OWN_CACHE = os.environ.get("ETHOGRAM_CACHE")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETHOGRAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ETHOGRAM_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LM]:
    """SmolLM2-135M-Instruct in this process; nothing it answers is kept."""
    lm = LM.connect("local", broker=Broker.bare(), threads=1, context=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETHOGRAM_CACHE", str(tmp_path_factory.mktemp("lm")))
        lm.sync.capabilities()
    yield lm
    lm.sync.close()


@pytest.fixture(scope="session")
def torch_face() -> Iterator[LM]:
    """The same weights in transformers; dequantised once per machine (20 CPU seconds), in the user's own cache."""
    pytest.importorskip("transformers")
    lm = LM.connect("torch", broker=Broker.bare())
    with pytest.MonkeyPatch.context() as patch:
        if OWN_CACHE is None:
            patch.delenv("ETHOGRAM_CACHE", raising=False)
        else:
            patch.setenv("ETHOGRAM_CACHE", OWN_CACHE)
        lm.sync.capabilities()
    yield lm
    lm.sync.close()


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    server = Faulty()
    yield server
    server.stop()

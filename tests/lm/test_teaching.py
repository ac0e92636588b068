"""`ethogram lm tune`: lessons read, held out, taught, written, and one line for what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ethogram.cli import main
from ethogram.errors import OptionError, SourceError
from ethogram.lm import Message
from ethogram.lm.lessons import Pair, read, split


def written(path: Path, *rows) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_lessons_of_either_kind(tmp_path: Path):
    hello = (Message("user", "Hi"), Message("assistant", "Hello."))
    talk = [{"role": m.role, "content": m.text} for m in hello]
    rows = {"messages": talk}, {"prompt": "Hi", "response": "Hello."}, {"prompt": talk[:1], "completion": talk[1:]}
    assert read(written(tmp_path / "a", *rows, "")) == [hello] * 3
    pairs = {"prompt": "Hi", "better": "a", "worse": "b"}, {"prompt": "Hi", "chosen": talk, "rejected": "b"}
    assert read(written(tmp_path / "b", *pairs)) == [Pair("Hi", "a", "b"), Pair("Hi", "Hello.", "b")]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["{"], "line 1: it is not JSON"),
        ([[1]], "line 1: a lesson is an object"),
        ([{"prompt": "a", "response": "b"}, {"text": "x"}], "line 2: a lesson is one of .*; this has text"),
        ([{"prompt": "a", "better": "b"}], "line 1: 'worse' must be a text"),
        ([{"prompt": "a", "response": " "}], "line 1: 'response' must be a text"),
        ([{"messages": [{"role": "bot", "content": "a"}]}], "line 1: a message has a role, one of system, user"),
        ([{"messages": [{"role": "user"}]}], "line 1: a message has a content"),
        ([{"prompt": "a", "response": "b"}, {"prompt": "a", "better": "b", "worse": "c"}], "line 2: .* not both"),
        ([], "holds no lesson"),
    ],
)
def test_a_bad_line_is_told(tmp_path: Path, rows, told):
    with pytest.raises(SourceError, match=told) as caught:
        read(written(tmp_path / "x.jsonl", *rows))
    assert "\n" not in str(caught.value)


def test_what_is_held_out_shares_no_prompt_with_what_is_learned():
    every = [Pair(f"q{i % 10}", str(i), "w") for i in range(40)]
    seen, held = split(every, 0.3, seed=2)
    assert len(held) == 12
    assert not {p.prompt for p in seen} & {p.prompt for p in held}
    assert split(every, 0.3, seed=2) == (seen, held) != split(every, 0.3, seed=3)
    assert split(every, 0) == (every, [])
    with pytest.raises(OptionError, match=r"must lie in \[0, 1\)"):
        split(every, 1.0)
    with pytest.raises(OptionError, match="1 different prompts cannot be parted"):
        split(every[:1], 0.2)


def test_a_model_is_taught_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("trl")
    from ethogram.lm.tiny import decoder, saved, tokenizer

    words = tokenizer(["get yes no"])
    saved(decoder(len(words), layers=1, width=32), words, tmp_path / "base")
    lessons = written(
        tmp_path / "pairs.jsonl", *({"prompt": f"get {c}", "better": "yes", "worse": "no"} for c in "abcdefgh")
    )
    out = tmp_path / "mine.gguf"
    tokens = ["lm", "tune", str(lessons), "--base", str(tmp_path / "base"), "--out", str(out), "--hold", "0.25"]
    more = ["--steps", "12", "--batch", "4", "--lr", "0.02"]
    assert main([*tokens, *more, "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["learned from"], told["held out"], len(told["losses"])) == (6, 2, 12)
    assert told["change"][1] > 0.5
    assert told["served"] == pytest.approx(sum(told["after"]) / 2, abs=0.1)
    assert f"ethogram lm chat local:{out}" in capsys.readouterr().out
    assert out.stat().st_size == told["bytes"]
    talks = written(tmp_path / "talks.jsonl", *({"prompt": f"get {c}", "response": "yes"} for c in "abcdefgh"))
    assert main([tokens[0], tokens[1], str(talks), *tokens[3:], *more, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["change"][2] < -0.5, "less surprised by what was held out"


def test_what_was_written_is_served_with_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`ethogram lm serve FILE` in a process of its own; another one talks to it; its key goes with it."""
    pytest.importorskip("transformers")
    pytest.importorskip("xllamacpp")
    from ethogram.lm.export import to_gguf
    from ethogram.lm.tiny import decoder, tokenizer

    words = tokenizer(["get yes no"])
    path = to_gguf(decoder(len(words), layers=1, width=32), words, tmp_path / "mine.gguf")
    serve = [sys.executable, "-m", "ethogram", "lm", "serve", str(path), "--port", "0", "--context", "128"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first, second = child.stdout.readline(), child.stdout.readline()
        assert first.startswith("mine.gguf at http://127.0.0.1:")
        where, key = second.split()[3], second.split()[5]
        held = Path(key.removeprefix("file:"))
        assert held.stat().st_mode & 0o777 == 0o600
        assert main(["lm", "chat", where, "--text", "get", "--max-tokens", "2"]) == 2
        assert "a key is needed" in capsys.readouterr().err
        assert main(["lm", "chat", where, "--key", key, "--text", "get", "--max-tokens", "2"]) == 0
        assert main(["lm", "serve", str(path), "--port", where.split(":")[2].split("/")[0]]) == 2
        assert "cannot be had" in capsys.readouterr().err
        child.terminate()
        assert child.wait(60) == 130
    assert not held.exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--out", "mine.bin"), "'mine.bin' must end in .gguf"),
        (("--out", "no/mine.gguf"), "there is no folder"),
        (("--out", "mine.gguf", "--base", "smolm2"), "Did you mean 'smollm2'?"),
        (("--out", "mine.gguf", "--steps", "0"), "steps"),
        (("--out", "mine.gguf", "--kind", "q4"), "q8_0"),
    ],
)
def test_one_line_and_nothing_written(tmp_path: Path, monkeypatch, capsys, more, told):
    monkeypatch.chdir(tmp_path)
    lessons = written(tmp_path / "pairs.jsonl", *({"prompt": c, "better": "yes", "worse": "no"} for c in "abcdefgh"))
    assert main(["lm", "tune", str(lessons), *more]) == 2
    found = capsys.readouterr()
    assert told in found.err
    assert len(found.err.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["pairs.jsonl"]

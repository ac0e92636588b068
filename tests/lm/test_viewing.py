"""A run in the format of inspect_ai, read back by inspect_ai itself."""

from pathlib import Path

import pytest

from ethogram.cli import main
from ethogram.errors import EndpointBusy, OptionError
from ethogram.lm import Broker, Message, Prices, Retries, ScriptedLM, Tool, ToolCall
from ethogram.lm.transcript import Recording, place
from ethogram.lm.viewing import to_inspect


@pytest.fixture
def night() -> None:
    """A run with a chat, a tool call, a scored choice, an answer from the cache, and a failure."""
    rules = {
        "capital": "Paris",
        "weather": lambda m, rng: ToolCall("weather", {"city": "Oslo"}),
        "fail": lambda m, rng: EndpointBusy("the endpoint answered 503"),
    }
    broker = Broker(run="night", prices=Prices(1, 2), retries=Retries(tries=1))
    lm = ScriptedLM(rules, rater=lambda prompt, texts: [-1.0, -2.0], name="planted", broker=broker)
    lm.sync.chat("The capital of France?", purpose="quiz/one", temperature=0.5, seed=3, stop=["."])
    lm.sync.chat("The capital of France?", purpose="quiz/one", temperature=0.5, seed=3, stop=["."])
    lm.sync.chat([Message("user", "weather?")], system="Be brief.", tools=[Tool("weather", "The weather.")])
    lm.sync.choose("Which?", ["tea", "milk"])
    with pytest.raises(EndpointBusy):
        lm.sync.chat("fail")
    lm.sync.close()


@pytest.mark.usefixtures("night")
def test_the_viewers_own_reader_has_every_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = pytest.importorskip("inspect_ai.log")
    file = tmp_path / "night.eval"
    assert main(["lm", "log", "night", "--inspect", str(file)]) == 0
    assert "inspect view --log-dir" in capsys.readouterr().out
    found = log.read_eval_log(str(file))
    assert (found.status, found.eval.task, found.eval.model) == ("success", "ethogram run night", "scripted:planted")
    first, kept, called, scored, failed = found.samples
    assert first.id == "000001 quiz_one"
    assert (first.input[0].content, first.output.completion) == ("The capital of France?", "Paris")
    assert (first.output.usage.input_tokens, first.output.usage.output_tokens) == (4, 1)
    event = first.events[0]
    assert (event.config.temperature, event.config.seed, event.config.stop_seqs) == (0.5, 3, ["."])
    assert event.call.request["messages"] == [{"role": "user", "content": "The capital of France?"}]
    assert (kept.events[0].cache, kept.metadata["source"], kept.output.usage.total_tokens) == ("read", "cache", 0)
    assert [m.role for m in called.messages] == ["system", "user", "assistant"]
    assert called.messages[-1].tool_calls[0].arguments == {"city": "Oslo"}
    assert scored.output.completion == "-1.0000 | -2.0000"
    assert failed.error.message == "EndpointBusy: the endpoint answered 503"
    assert failed.input[0].content == "fail"
    used = found.stats.model_usage["scripted:planted"]
    assert used.total_cost == pytest.approx((used.input_tokens + 2 * used.output_tokens) / 1e6)
    assert used.input_tokens == sum(s.output.usage.input_tokens for s in found.samples)
    brief = log.read_eval_log_sample_summaries(str(file))
    assert [s.error for s in brief] == [None] * 4 + ["EndpointBusy: the endpoint answered 503"]
    assert log.read_eval_log(str(file), header_only=True).results.total_samples == 5
    assert [Path(i.name).name for i in log.list_eval_logs(str(tmp_path))] == ["night.eval"]


@pytest.mark.usefixtures("night")
def test_only_what_is_shown_is_written_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = pytest.importorskip("inspect_ai.log")
    assert main(["lm", "log", "night", "--purpose", "choose", "--inspect", str(tmp_path / "few.eval")]) == 0
    assert len(log.read_eval_log(str(tmp_path / "few.eval")).samples) == 1
    assert main(["lm", "log", "night", "--purpose", "none", "--inspect", str(tmp_path / "none.eval")]) == 2
    assert "has no such calls" in capsys.readouterr().err
    recording = Recording(place("night"), must=True)
    with pytest.raises(OptionError, match="there is no folder"):
        to_inspect(recording.calls(), tmp_path / "no" / "night.eval", run="night")
    recording.close()
    assert [p.name for p in tmp_path.glob("*.eval*")] == ["few.eval"]
    assert not list(tmp_path.glob(".*.eval*"))

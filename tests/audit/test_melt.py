"""The bench of models on a device: planted speeds, logs, described devices against their equations, the local model."""

import asyncio
import dataclasses
import json
import os
import stat
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from ethogram.audit.melt import Melt, devices, drivers, paced
from ethogram.audit.melt.devices import DEVICES, MODELS, Device, Model, Place
from ethogram.audit.melt.texts import prompt
from ethogram.cli import main
from ethogram.errors import EndpointDown, OptionError, SourceError, UnknownName, WeightsError
from ethogram.evaluate import power
from ethogram.lm import LM, Broker, ScriptedLM, llamalog
from ethogram.lm.auditing import audit
from ethogram.lm.blocking import run
from ethogram.lm.timing import timed
from ethogram.numeric.quantise import bytes_of, round_to_nearest

LOG = Path(str(files("ethogram.claims.audit") / "llama-2-7b-q4_0.log.gz"))


def test_planted_speeds_are_found():
    """First token of n words after n / read; 31 tokens more, each 1 / write."""
    report = run(audit(Melt(repeats=2, texts=1), paced.steady("x", 100.0, 8.0, bits=2.5)))
    assert report.metrics["read_tps"] == pytest.approx((100, 100, 100))
    assert report.metrics["write_tps"] == pytest.approx((8, 8, 8))
    assert report.metrics["first_s 256 words"][0] == pytest.approx(2.56)
    assert report.metrics["bits"][0] == pytest.approx(2.5)
    assert report.metrics["chars_s 32 words"][0] == pytest.approx(32 * 5 / (0.32 + 31 / 8))
    assert report.verdict == "pass"
    assert any("energy is not readable" in n for n in report.notes)


@pytest.mark.parametrize(("read", "write", "verdict"), [(100, 8, "pass"), (20, 8, "fail"), (100, 4, "fail")])
def test_the_verdict_is_about_people(read, write, verdict):
    report = run(audit(Melt(texts=0), paced.steady("x", read, write)))
    assert report.verdict == verdict


def test_a_long_context_is_paired_with_a_short_one():
    lm = LM(paced.Paced("x", lambda n: n / 100, lambda c: 0.01 + c * 1e-4), Broker.bare())
    report = run(audit(Melt(texts=0, tokens=2), lm))
    # the second token stands after n + 1: 1 / (0.01 + 1e-4 (n + 1))
    fast, slow = (1 / (0.01 + 1e-4 * (n + 1)) for n in (32, 256))
    assert report.contrasts["write_tps: 256 words − 32 words"][0] == pytest.approx(slow - fast)


def test_a_reply_that_comes_at_once_is_timed_by_a_shorter_one():
    """No stream: 0.5 s for one token, 0.5 + 31 / 10 for 32."""

    class Whole(paced.Paced):
        async def stream(self, path, body, seconds):
            from ethogram.lm import protocol

            raw = await self.send(path, body, seconds)
            told = json.loads(raw)
            told["choices"][0]["delta"] = told["choices"][0].pop("message")
            yield protocol.encode(told)

    lm = LM(Whole("whole", lambda n: 0.5, lambda c: 0.1), Broker.bare())
    report = run(audit(Melt(texts=0, repeats=1), lm))
    assert report.metrics["first_s 32 words"][0] == pytest.approx(0.5)
    assert report.metrics["write_tps"][0] == pytest.approx(10)


def test_conversations_are_replayed_turn_by_turn(tmp_path):
    path = tmp_path / "talks.json"
    path.write_text(json.dumps([["How are you?", "And now?", "never said"], ["One turn."]]))
    lm = paced.steady("x", 100.0, 8.0)
    report = run(audit(Melt(texts=0, conversations=str(path), turns=2), lm))
    rows = {r["item"]: r for r in report.rows.to_pylist()}
    # three words; then three, 32 written, two: read anew, for nothing is cached here
    assert rows["conversation 0"]["first_s"] == pytest.approx((3 + 37) / 100 / 2)
    assert rows["conversation 1"]["first_s"] == pytest.approx(2 / 100)


def test_one_reply_at_a_time():
    """Cases are put side by side by the runner; the clock of one must not run while another is under way."""
    under_way, most = 0, 0

    class Watched(paced.Paced):
        async def stream(self, path, body, seconds):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            async for event in super().stream(path, body, seconds):
                await asyncio.sleep(0)
                yield event
            under_way -= 1

    run(audit(Melt(texts=0, tokens=4), LM(Watched("w", lambda n: 1, lambda c: 1), Broker.bare()), lanes=8))
    assert most == 1


def test_a_broken_connection_is_tried_again_where_nothing_had_come():
    class Closed(paced.Paced):
        left = 2

        async def stream(self, path, body, seconds):
            if self.left:
                self.left -= 1
                raise EndpointDown("closed")
            async for event in super().stream(path, body, seconds):
                yield event

    wire = Closed("c", lambda n: n, lambda c: 1)
    found = run(timed(LM(wire, Broker.bare()), "one two", max_tokens=3))
    assert (found.read, found.written, found.first, found.rest) == (2, 3, 2, 2)
    wire.left = 3
    with pytest.raises(EndpointDown):
        run(timed(LM(wire, Broker.bare()), "one two", max_tokens=3))


def test_without_scores_there_is_no_quality_and_the_report_says_so():
    report = run(audit(Melt(repeats=1, texts=1, words=(8,)), ScriptedLM("a few words are said here")))
    assert "bits" not in report.metrics
    assert any("scores no given text" in n for n in report.notes)


def test_prompts_have_their_length_and_differ():
    assert [len(prompt(n, 3).split()) for n in (1, 3, 6, 7, 100)] == [1, 3, 6, 7, 100]
    first = {i.inputs["turns"][0].split()[0] for i in Melt(texts=0).items(1)}
    assert len(first) == 6, "two prompts begin alike, so that a server may have them in its cache"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"words": (0,)}, "at least 1"), ({"tokens": 1}, "tokens at least 2"),
        ({"conversations": "nowhere.json"}, "cannot be read"), ({"held_out": "nowhere.txt"}, "cannot be read"),
    ],
)  # fmt: skip
def test_wrong_options_are_told(options, said):
    with pytest.raises(OptionError, match=said):
        Melt(**options).items()


# the log


def test_the_published_log_is_read():
    """Figures of the log itself: 387.252 of 414.653 ms are matrix products; its sums are those of its operations."""
    found = llamalog.read(LOG)
    assert found.model["model params"] == "6.74 B"
    assert found.graphs().column("tokens").to_pylist() == [2, 1, 3]
    assert found.graphs().column("matmul")[0].as_py() == pytest.approx(387.252 / 414.653, abs=1e-4)
    ours = {}
    for row in found.operations.to_pylist():
        ours[row["graph"], row["op"]] = ours.get((row["graph"], row["op"]), 0) + row["wall_ms"]
    for row in found.totals.to_pylist():
        assert ours[row["graph"], row["op"]] == pytest.approx(row["ms"], abs=0.1)
    assert found.tensors.num_rows == 291
    assert found.tensors.to_pylist()[0] == {"name": "token_embd.weight", "type": "q4_0", "shape": [4096, 32000, 1, 1]}


TIMINGS = """llama_perf_sampler_print:    sampling time =       1.20 ms /    20 runs
llama_perf_context_print:        load time =     250.00 ms
llama_perf_context_print: prompt eval time =     100.00 ms /    10 tokens (   10.00 ms per token,   100.00 tokens/s)
llama_perf_context_print:        eval time =     500.00 ms /    20 runs   (   25.00 ms per token,    40.00 tokens/s)
llama_perf_context_print:       total time =     640.00 ms /    30 tokens
"""


def test_timings_are_read_in_either_spelling():
    for text in (
        TIMINGS,
        TIMINGS.replace("llama_perf_context_print", "llama_print_timings").replace("ing time", "e time"),
    ):
        found = llamalog.parse(text).timings
        assert (found["prompt eval"].rate, found["eval"].rate) == (100, 40)
        assert (found["load"].ms, found["load"].tokens, found["total"].tokens) == (250, None, 30)


def test_a_log_that_was_cut_off_keeps_its_whole_graphs(tmp_path):
    import gzip

    text = gzip.decompress(LOG.read_bytes()).decode("utf-8", "replace")
    path = tmp_path / "cut.log"
    path.write_text(text[: int(len(text) * 0.8)])
    found = llamalog.read(path)
    assert (found.broken, found.graphs().num_rows) == (1, 2)
    for wrong, said in ((b"nothing", "neither timings nor"), (LOG.read_bytes()[:1000], "cannot be read")):
        path.write_bytes(wrong)
        with pytest.raises(SourceError, match=said):
            llamalog.read(path)


# described devices


MODEL = Model("m", 1e9, 6e8, layers=10, kv_heads=4, head_dim=64)
BOX = Device("box", 8, 10, 100, eta=0.5, eta_read=0.4, overhead=0.02, idle_w=2, dynamic_w=8, battery_wh=10)


def test_the_equations_by_hand():
    assert MODEL.kv == 2 * 10 * 4 * 64 * 2
    assert BOX.write_tps(MODEL) == pytest.approx(1 / (6e8 / 5e9 + 0.02))
    assert BOX.write_tps(MODEL, 1000) == pytest.approx(1 / ((6e8 + 1000 * 10240) / 5e9 + 0.02))
    assert BOX.read_tps(MODEL) == pytest.approx(0.4 * 100e9 / 2e9)
    found = devices.forecast(BOX, MODEL, prompt=40, reply=1)
    assert found.first_s == pytest.approx(2)
    assert found.reply_s == pytest.approx(2 + (6e8 + 40 * 10240) / 5e9 + 0.02)
    assert found.joules == pytest.approx(10 * found.reply_s)
    assert found.replies_a_charge == pytest.approx(36_000 / found.joules)
    assert found.memory_gb == pytest.approx((6e8 + 41 * 10240 + 1e8) / 1e9)


def test_what_does_not_fit_is_said():
    big = devices.forecast(DEVICES["phone"], MODELS["llama-2-7b-f16"])
    assert not big.fits
    assert "needs 13.8 GB of 3.6" in big.why
    report = run(audit(Melt(), Melt().subject("device:phone:llama-2-7b-f16")))
    assert (report.verdict, report.subject) == ("fail", "scripted:simulated: Llama 2 7B f16 on phone of 2022 (6 GB)")
    assert "does not fit" in report.why


def test_a_described_device_is_benched_like_any_model():
    """The bench finds the speed that the equations say, at the length of its prompts."""
    report = run(audit(Melt(repeats=1), Melt().subject("device:laptop:tinyllama-1.1b-q4_0")))
    device, model = DEVICES["laptop"], MODELS["tinyllama-1.1b-q4_0"]
    assert report.metrics["read_tps"][0] == pytest.approx(device.read_tps(model))
    true = 31 / sum(1 / device.write_tps(model, 32 + i) for i in range(1, 32))
    assert report.metrics["write_tps 32 words"][0] == pytest.approx(true)
    assert report.metrics["memory_mb"][0] == pytest.approx(model.memory(1024) / 2**20)


def test_calibration_and_fit_give_back_what_was_measured():
    known = devices.calibrated(BOX, MODEL, write_tps=7.0, read_tps=30.0, context=100)
    assert known.write_tps(MODEL, 100) == pytest.approx(7)
    assert known.read_tps(MODEL) == pytest.approx(30)
    size = np.array([1e8, 2e8, 3e8])
    assert devices.fit_writing(size, size / 4e9 + 0.003) == pytest.approx((4e9, 0.003))
    rate, beside = devices.fit_writing(size, size / 4e9 - 0.01)
    assert beside == 0
    assert rate > 0


def test_heat_follows_its_solution_and_slows():
    """Without throttling T = T_amb + P R (1 - exp(-t / RC)); with it, power and speed fall until they balance."""
    free = dataclasses.replace(BOX, battery_wh=0.0, throttle_from=500.0, throttle_to=600.0)
    table = devices.sustained(free, MODEL, 300)
    t = np.array(table.column("time").to_pylist())
    np.testing.assert_allclose(table.column("celsius").to_pylist(), 25 + 10 * 8 * (1 - np.exp(-t / 480)), rtol=1e-12)
    assert table.column("battery").null_count == 300
    hot = dataclasses.replace(free, throttle_from=40.0, throttle_to=100.0)
    speeds = np.array(devices.sustained(hot, MODEL, 6000).column("tps").to_pylist())
    use = speeds[-1] / hot.write_tps(MODEL)
    # where it settles: T = 25 + 8 (2 + 8 u) and u = 1 - 0.6 (T - 40) / 60
    assert use == pytest.approx((1 - 0.6 * (25 + 16 - 40) / 60) / (1 + 0.6 * 64 / 60), rel=1e-3)
    empty = devices.sustained(BOX, MODEL, 2 * 3600, step=10)
    assert empty.column("battery")[-1].as_py() == 0
    assert empty.column("tps")[-1].as_py() == 0


def test_where_to_ask():
    here, there = Place(100, 10), Place(1000, 50, way_s=1.0, price=0.01)
    where, a, b = devices.offload(here, there, prompt=100, reply=10)
    assert (where, a, b) == ("there", pytest.approx(2), pytest.approx(1.3))
    assert devices.offload(here, there, prompt=10, reply=1)[0] == "here"
    assert devices.offload(here, there, prompt=100, reply=10, price_of_second=0.001)[0] == "here"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("device:phone", OptionError, "write device:DEVICE:MODEL"),
        ("device:fone:llama-2-7b-q4_0", UnknownName, "Did you mean 'phone'"),
        ("device:phone:llama-2-7b-q4", UnknownName, "Did you mean 'llama-2-7b-q4_0'"),
        ("device:phone:nowhere.gguf", WeightsError, "cannot be read"),
    ],
)
def test_unknown_devices_are_told(given, error, said):
    with pytest.raises(error, match=said):
        Melt().subject(given)


def test_devices_are_data(tmp_path):
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"name": "box", "memory_gb": 8, "bandwidth_gbs": 10, "gflops": 100}))
    assert devices.device(str(path)) == Device("box", 8, 10, 100)
    for told, said in (
        ({"name": "x", "memory": 3}, "Did you mean 'memory_gb'"), ({"name": "x"}, "needs"),
        ({"name": "x", "memory_gb": "8"}, "is no number"), ([], "must hold an object"),
    ):  # fmt: skip
        path.write_text(json.dumps(told))
        with pytest.raises(OptionError, match=said):
            devices.device(str(path))


# quantisation, energy, drivers


def test_rounding_stays_within_half_a_step_and_fewer_bits_are_coarser():
    w = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    errors = []
    for bits in (8, 4, 3, 2):
        back = round_to_nearest(w, bits)
        parts, rounded = w.reshape(3, 2, 32), back.reshape(3, 2, 32)
        step = (parts.max(-1) - parts.min(-1)) / (2**bits - 1)
        assert (np.abs(parts - rounded) <= step[..., None] / 2 + 1e-6).all()
        assert all(len(np.unique(g)) <= 2**bits for g in rounded.reshape(6, 32))
        np.testing.assert_allclose(round_to_nearest(back, bits), back, atol=1e-6)
        errors.append(np.abs(w - back).mean())
    assert errors == sorted(errors)
    assert bytes_of(6_400, 4) == 3200 + 800
    np.testing.assert_array_equal(round_to_nearest(np.ones(32), 2), np.ones(32))
    for wrong in ({"bits": 0}, {"bits": 4, "group": 48}):
        with pytest.raises(OptionError, match="round_to_nearest"):
            round_to_nearest(w, **wrong)


def test_energy_is_read_where_the_kernel_shows_it(tmp_path):
    zone, cell = tmp_path / "powercap" / "intel-rapl:0", tmp_path / "power_supply" / "BAT0"
    heat = tmp_path / "thermal" / "thermal_zone0"
    for folder in (zone, cell, heat):
        folder.mkdir(parents=True)
    assert dataclasses.astuple(power.read(tmp_path))[:3] == (None, None, None)
    (heat / "temp").write_text("54000\n")
    (cell / "power_now").write_text("7500000\n")
    first = power.read(tmp_path)
    assert (first.joules, first.watts, first.celsius) == (None, 7.5, 54)
    assert dataclasses.replace(first, at=first.at + 2).since(first) == pytest.approx(15)
    (zone / "energy_uj").write_text("2000000\n")
    (tmp_path / "powercap" / "intel-rapl:0:0").mkdir()
    (tmp_path / "powercap" / "intel-rapl:0:0" / "energy_uj").write_text("9")  # a part of the package
    second = power.read(tmp_path)
    assert second.joules == 2
    (zone / "energy_uj").write_text("5000000\n")
    assert power.read(tmp_path).since(second) == pytest.approx(3)
    assert second.since(power.read(tmp_path)) is None, "the counter ran over"
    assert power.read(tmp_path / "none").since(first) is None


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A llama.cpp that only writes timings, and an ssh that runs things here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "llama-cli": f"cat <<'E'\nmodel $2 threads $8\n{TIMINGS}E\n",
        "ssh": 'shift 3\nexec sh -c "$*"\n',
        "scp": 'exec cp "$2" "${3#*:}"\n',
        "adb": 'case "$1" in shell) shift; exec sh -c "$*";; push) exec cp "$2" "$3";; *) exit 3;; esac\n',
    }
    for name, text in scripts.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(
    "driver", [drivers.local(), drivers.remote_shell("user@board"), drivers.debug_bridge()], ids=["local", "ssh", "adb"]
)
def test_the_same_bench_on_every_device(programs, driver):
    model, folder = programs / "my model.gguf", programs / "there"
    model.write_bytes(b"weights")
    folder.mkdir()
    found = drivers.bench(driver, "llama-cli", model, folder=str(folder), prompt="it's a test; $(x)")
    assert (found["read_tps"], found["write_tps"], found["load_ms"]) == (100, 40, 250)
    assert (folder / "my model.gguf").read_bytes() == b"weights"
    assert "threads" in driver.run("llama-cli")
    with pytest.raises(WeightsError, match=r"failed on the device \(7\): gone"):
        driver.run("echo gone; exit 7")


def test_a_device_that_cannot_be_reached_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="'adb' that reaches the device is not installed"):
        drivers.debug_bridge("x").run("true")
    with pytest.raises(OptionError, match="no host"):
        drivers.remote_shell("-oProxyCommand=x")


# the command line, and the real model


def test_the_command_line(tmp_path, capsys):
    out = tmp_path / "report.json"
    given = ["--subject", "device:laptop:tinyllama-1.1b-q4_0", "--repeats", "1", "--json", str(out)]
    assert main(["audit", "melt", *given]) == 0
    assert json.loads(out.read_text())["verdict"] == "pass"
    assert main(["audit", "melt", "--subject", "device:pi5:llama-2-7b-q4_0"]) == 1
    assert main(["audit", "melt", "--planted"]) == 0
    assert main(["audit", "melt", "--subject", "device:nowhere:x"]) == 2
    assert main(["lm", "bench", str(LOG), "--json", "-"]) == 0
    said = capsys.readouterr().out
    assert json.loads(said[said.rindex('\n{\n "model"') :])["graphs"][0]["tokens"] == 2


def test_the_local_model_is_benched(local):
    """Per processor second it reads faster than it writes, whatever else runs; English costs few bits."""
    report = run(audit(Melt(words=(24,), repeats=1, tokens=6, texts=1, clock="cpu"), local))
    assert report.metrics["read_tps"][0] > report.metrics["write_tps"][0] > 0
    assert 0.5 < report.metrics["bits"][0] < 2.5
    assert report.subject == local.identity
    assert report.rows.num_rows == 2
    assert any("processor seconds" in n for n in report.notes)


def test_the_model_of_a_gguf_file_is_described():
    from ethogram.lm import weights

    try:
        path = weights.find()
    except WeightsError:
        pytest.skip("the default weights are not here")
    found = Model.of_gguf(path)
    assert (found.layers, found.kv_heads, found.head_dim) == (30, 3, 64)
    assert found.parameters == pytest.approx(134.5e6, rel=0.01)


def test_every_form_of_the_weights_is_written_whole(tmp_path):
    """Sizes of a matrix by the blocks of its form: bytes of 32 weights."""
    pytest.importorskip("transformers")
    from ethogram.lm import gguf, tiny
    from ethogram.lm.export import to_gguf

    words = tiny.tokenizer(["the river and the town", "tea is grown in the hills"] * 4, size=300)
    model = tiny.decoder(len(words), width=64, layers=1)
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    sizes = {}
    for kind, block in (("f32", 128), ("f16", 64), ("q8_0", 34), ("q5_1", 24), ("q4_1", 20), ("q4_0", 18)):
        path = to_gguf(model, words, tmp_path / f"{kind}.gguf", kind=kind)
        gguf.check(path)
        sizes[kind] = path.stat().st_size - weights * block // 32
    assert max(sizes.values()) - min(sizes.values()) < 2_000, sizes

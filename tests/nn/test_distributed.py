"""Several processes learn what one learns, from shares of the questions; what they send is what the formula says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ethogram
from ethogram.cli import main
from ethogram.nn import distributed
from ethogram.nn.embedding import Table

pytest.importorskip("accelerate", reason="needs pip install 'ethogram[distributed]'")
ROOT = Path(__file__).parents[2]

WORKER = """
import json, os, sys
import numpy as np, torch
from pathlib import Path
import ethogram
from ethogram import data
from ethogram.nn import distributed
from ethogram.nn.train import checkpoints
from tests.nn.test_distributed import KILLED, OPTIONS, asked, curve, followers

def main(folder):
    with distributed.joined() as ranks:
        told = {"rank": ranks.rank, "size": ranks.size, "pid": os.getpid()}
        log = asked()
        read = []
        encode = ethogram.Features.encode
        def watched(self, questions, *more):
            users = np.unique(questions.histories.users) if hasattr(questions, "histories") else []
            read.append([int(u) for u in users])
            return encode(self, questions, *more)
        ethogram.Features.encode = watched
        for name in OPTIONS:
            ranks.moved = distributed.Moved()
            system, found = curve(name, log)
            moved = ranks.moved
            network = (getattr(system.fitted, "network", None) or system.fitted.model.network)
            total = sum(float(p.detach().double().sum()) for p in network.parameters())
            sparse = [p for p in network.parameters() if p.grad is not None and p.grad.is_sparse]
            shapes = [list(p.shape) for p in sparse]
            dense = sum(p.numel() for p in network.parameters() if p.grad is not None and not p.grad.is_sparse)
            told[name] = {
                "curve": found, "weights": total, "steps": moved.steps, "touched": moved.touched, "dense": dense,
                "bytes": moved.dense + moved.rows + moved.control, "tables": shapes,
                "parameters": len(list(network.parameters())),
            }
        told["read"] = read
        system = ethogram.system("sasrec", **KILLED).fit(*followers(folder).split("leave-last-out")[:2], seed=0)
        told["whole training"] = system.fitted.trained.curve
        told["vectors"] = system.fitted.model.vectors.tolist()
        Path(folder, f"{ranks.rank}.json").write_text(json.dumps(told))

main(sys.argv[1])
"""
OPTIONS = {
    # everything in one step: the same sums, whoever adds them
    "whole": ("mean_pooled", {"batch": 10**6, "dropout": 0.0, "epochs": 4, "patience": 9, "decay": 0.05}),
    "batches": ("mean_pooled", {"batch": 256, "dropout": 0.1, "epochs": 6, "patience": 9}),
    "next": ("sasrec", {"dim": 16, "layers": 1, "heads": 1, "length": 20, "epochs": 3, "patience": 9, "batch": 512,
                        "loss": "sampled", "negatives": 64, "dropout": 0.0}),
}  # fmt: skip


def asked():
    from ethogram import data

    return data.load("interests", users=80, slates=4, seed=0)


def curve(name, log):
    """(fitted system, its losses and validation values)."""
    key, options = OPTIONS[name]
    cut = log.split("by-user", valid=0.2, test=0.2)
    system = ethogram.system(key, **options).fit(cut.train, cut.valid, seed=0)
    return system, [[row["loss"], row["valid"]] for row in system.fitted.trained.curve]


def environment():
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes told."""
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "worker.py"
    script.write_text(WORKER)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*run, str(script), str(folder)], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{r}.json").read_text()) for r in (0, 1)]


def test_two_processes_learn_together(two):
    assert [t["size"] for t in two] == [2, 2]
    assert two[0]["pid"] != two[1]["pid"]
    for name in OPTIONS:
        assert two[0][name]["curve"] == two[1][name]["curve"], "what decides when to stop is the same everywhere"
        assert two[0][name]["weights"] == two[1][name]["weights"], "so are the weights, to the last bit"


def test_each_reads_its_share(two):
    mine, other = (set(t["read"][0]) for t in two)
    assert mine
    assert other
    assert len(mine & other) <= 1, "shares are runs of rows; a user may lie on the border"


def test_the_loss_curve_is_that_of_one_process(two):
    log = asked()
    np.testing.assert_allclose(two[0]["whole"]["curve"], curve("whole", log)[1], rtol=2e-4)
    for name in ("batches", "next"):  # other batches of the same size: near, not equal
        alone, together = np.array(curve(name, log)[1]), np.array(two[0][name]["curve"])
        np.testing.assert_allclose(together[:, 0], alone[:, 0], rtol=0.05)
        assert together[-1, 0] < together[0, 0] * 0.99
        if name == "batches":
            np.testing.assert_allclose(together[-1, 1], alone[-1, 1], rtol=0.1)


def test_the_counter_agrees_with_the_formula(two):
    for name in OPTIONS:
        told = two[0][name]
        assert two[1][name]["bytes"] == told["bytes"]
        wanted = 0.0
        for touched in told["touched"]:
            rows = [(t, *shape) for t, shape in zip(touched, told["tables"], strict=True)]
            assert all(t >= 0 for t, *_ in rows), "rows are fewer than the table here"
            wanted += distributed.bytes_per_step(2, told["dense"], rows, told["parameters"])
        assert told["bytes"] == pytest.approx(wanted)
        assert len(told["touched"]) == told["steps"]


def test_bytes_by_hand():
    """Two ranks, 10 dense numbers, 3 rows of width 4 of a table of 1,000."""
    assert distributed.bytes_per_step(2, 10, [(3, 1_000, 4)], 2) == 40 + 3 * (4 + 16) + 8 * 3 + 8
    # a table of 10 rows that 100 ranks touch: summing the table is less than gathering 100 times 8 rows
    whole = 2 * 99 / 100 * 4 * 10 * 4 + 99 * 4 * 8
    assert distributed.bytes_per_step(100, 0, [(8, 10, 4)], 0) == pytest.approx(whole + 2 * 99 / 100 * 8 + 99 * 8)


def test_touched_rows_are_sent_once():
    table = Table(50, 3, seed=0)
    table(torch.tensor([7, 7, 2])).sum().backward()
    rows, values = distributed._touched(table.weight, 0.5)
    assert rows.tolist() == [2, 7]
    torch.testing.assert_close(values, torch.tensor([[0.5] * 3, [1.0] * 3]))
    rows, values = distributed._touched(nn.Parameter(torch.zeros(5, 2)), 1.0)
    assert rows.shape == (0,)
    assert values.shape == (0, 2)


def test_alone_everything_is_ones_own():
    assert distributed.group() is None
    assert distributed.bounds(np.ones(7)) == (0, 7)
    assert distributed.part(100) == 100
    assert distributed.mean(np.array([1.0, np.nan, 3.0])) == 2.0
    assert distributed.mean(np.array([1.0, 3.0]), np.array([3.0, 1.0])) == 1.5


def test_shares_cover_all_rows(monkeypatch):
    work = np.random.default_rng(0).integers(0, 20, 101)
    found = []
    for rank in range(4):
        monkeypatch.setattr(distributed, "_joined", distributed.Group(rank, 4))
        found.append(distributed.bounds(work))
    assert [a for a, _ in found][1:] == [b for _, b in found][:-1]
    assert (found[0][0], found[-1][1]) == (0, 101)
    assert max(work[a:b].sum() for a, b in found) < 1.2 * work.sum() / 4 + 20


def followers(folder):
    """A log in a file: people who take one item after the other."""
    rng = np.random.default_rng(0)
    rows = [
        f"{user},{(user + step) % 15},{1_600_000_000 + step * 9_000 + user}"
        for user in range(40)
        for step in range(int(rng.integers(5, 20)))
    ]
    file = Path(folder, f"events-{os.getpid()}.csv")
    file.write_text("\n".join(["user,item,time", *rows]) + "\n")
    return ethogram.Log.open(file)


@pytest.fixture
def events(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    Path(followers(tmp_path).source.path).rename("events.csv")
    return tmp_path


KILLED = {"dim": 16, "layers": 1, "heads": 1, "batch": 128, "epochs": 12, "patience": 40}
ASKED = ["fit", "sasrec", "events.csv", "--protocol", "leave-last-out"]
ASKED += [word for name, value in KILLED.items() for word in ("--set", f"{name}={value}")]


def test_killed_and_resumed(events, two):
    """One of two processes is killed; called again, the training goes on and ends as one that was not."""
    begun = subprocess.Popen(
        [sys.executable, "-m", "ethogram", *ASKED, "--devices", "2", "--checkpoint", "kept", "--out", "a"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    file = Path("kept/training-1/train.json")
    while not _epochs(file):
        assert begun.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(_rank_one(begun.pid), signal.SIGKILL)
    assert begun.wait() != 0
    assert 1 <= _epochs(file) < KILLED["epochs"]
    assert not Path("a").exists()
    assert main([*ASKED, "--devices", "2", "--checkpoint", "kept", "--out", "a", "--json", "a.json"]) == 0
    assert json.loads(Path("a.json").read_text())["processes"] == 2
    fitted = ethogram.load("a").fitted
    assert fitted.trained.curve == two[0]["whole training"]
    assert fitted.model.vectors.tolist() == two[0]["vectors"]


def _epochs(file):
    """Epochs that a checkpoint holds."""
    try:
        return json.loads(file.read_text())["done"]["epoch"]
    except FileNotFoundError:
        return 0


def _rank_one(parent):
    """Process id of rank 1 among the descendants of a process."""
    while True:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    held = dict(v.split(b"=", 1) for v in (entry / "environ").read_bytes().split(b"\0") if b"=" in v)
                except (OSError, ValueError):
                    continue
                if (
                    held.get(b"RANK") == b"1"
                    and held.get(b"PWD") == os.environ.get("PWD", "").encode()
                    and _below(int(entry.name), parent)
                ):
                    return int(entry.name)


def _below(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return False


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (["fit", "popularity", "events.csv", "--devices", "2"], "does not learn in several processes"),
        (["fit", "sasrec", "events.csv", "--devices", "none"], "whole number of processes"),
    ],
)
def test_bad_input_is_one_line(events, capfd, tokens, says):
    assert main(tokens) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert any(says in line for line in said)
    assert not Path("sasrec.model").exists()


def test_what_a_process_says_is_wrong_is_said_once(events, capfd, monkeypatch):
    def torchrun(command, *, env, **more):
        assert command[-4:] == ["sasrec", "nowhere.csv", "--devices", "2"]
        with monkeypatch.context() as there:
            there.setattr(os, "environ", env | {"LOCAL_RANK": "0"})
            code = main(command[command.index("ethogram") + 1 :])
        return subprocess.CompletedProcess(command, code, None, "Traceback: much")

    monkeypatch.setattr(subprocess, "run", torchrun)
    assert main(["fit", "sasrec", "nowhere.csv", "--devices", "2"]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 2, "once by the process, once by the one that started it"
    assert all("nowhere.csv" in line for line in said)

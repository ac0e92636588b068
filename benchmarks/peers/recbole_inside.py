"""Runs in RecBole's interpreter: train one of its models through its own configuration, data and trainer.

SIGTERM ends the training after the epoch under way, and the best model so far is tested.

The clock counts its training epochs and its own validation, nothing else: data preparation, the second validation
(with seen items masked) and the test are outside. The model of its best validation epoch is tested.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from benchmarks.peers.inside import Clock, answer, peak, say, versions

PACKAGES = ("recbole", "torch", "numpy", "pandas", "scipy", "ray", "setuptools")


class _Enough(Exception):
    """The budget of CPU seconds is used up, or somebody asked for the end."""


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.recbole.ask` for question and answer."""
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(question["threads"])
    folder = Path(question["folder"])
    settings = {
        "data_path": str(folder.parent), "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["NDCG", "Recall", "MRR"], "topk": [10], "valid_metric": "NDCG@10", "metric_decimal_place": 6,
        "reproducibility": True, "seed": question["seed"], "use_gpu": False, "show_progress": False,
        "checkpoint_dir": "saved", **question["settings"],
    }  # fmt: skip
    config = Config(model=question["model"], dataset=folder.name, config_dict=settings)
    with peak() as highest:
        init_seed(config["seed"], True)
        data = create_dataset(config)
        train, valid, test = data_preparation(config, data)
        init_seed(config["seed"], True)
        model = get_model(config["model"])(config, train._dataset)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        asked = _Asked(data, folder / f"{folder.name}.inter", model)
        curve, stopped = _train(trainer, train, valid, asked, question.get("cpu_seconds"))
        memory = highest()
    tested = trainer.evaluate(test, load_best_model=True, show_progress=False)
    best = max(curve, key=lambda row: row["valid"])
    return {
        "model": question["model"], "settings": question["settings"], "seed": question["seed"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "curve": curve, "best_epoch": best["epoch"], "stopped": stopped, "examples_per_epoch": len(train._dataset),
        "examples_per_cpu_second": len(train._dataset) * len(curve) / sum(row["train_cpu"] for row in curve),
        "peak_mb": memory, "test": {k.lower(): float(v) for k, v in tested.items()},
        "ranks": asked.ranks(test, 1), "versions": versions(PACKAGES), "threads": question["threads"],
    }  # fmt: skip


def _train(trainer: Any, train: Any, valid: Any, asked: _Asked, budget: float | None) -> tuple[list[dict], str]:
    """(one row per epoch, why it stopped)."""
    curve: list[dict[str, Any]] = []
    clock, learning = Clock(), Clock()
    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    learn, judge = trainer._train_epoch, trainer._valid_epoch

    def timed_learn(*args: Any, **kwargs: Any) -> Any:
        with clock, learning:
            return learn(*args, **kwargs)

    def timed_judge(*args: Any, **kwargs: Any) -> Any:
        with clock:
            return judge(*args, **kwargs)

    def after(epoch: int, value: float) -> None:
        row = {"epoch": epoch + 1, "valid": float(value), "valid_masked": asked.ndcg(valid, 2, masked=True)}
        before = sum(r["train_cpu"] for r in curve)
        curve.append({**row, **clock.read(), "train_cpu": round(learning.cpu - before, 3)})
        say(**curve[-1])
        if asked_to_end:
            raise _Enough("asked to end")
        if budget is not None and clock.cpu >= budget:
            raise _Enough("budget")

    trainer._train_epoch, trainer._valid_epoch = timed_learn, timed_judge
    try:
        trainer.fit(train, valid, verbose=False, saved=True, show_progress=False, callback_fn=after)
    except _Enough as why:
        return curve, str(why)
    finally:
        trainer._train_epoch, trainer._valid_epoch = learn, judge
    return curve, "epochs" if len(curve) == trainer.epochs else "early stop"


class _Asked:
    """Where the model puts what each user did next, by our rule: mid-ranks over all items of the file."""

    def __init__(self, data: Any, file: Path, model: Any) -> None:
        import numpy as np

        self.model, self.user, self.item = model, data.uid_field, data.iid_field
        done: dict[int, list[tuple[float, int]]] = {}
        users, items = (data.field2token_id[f] for f in (data.uid_field, data.iid_field))
        with file.open() as rows:
            next(rows)
            for row in rows:
                user, item, time = row.split("\t")
                done.setdefault(int(users[user]), []).append((float(time), int(items[item])))
        self.done = {u: np.array([i for _, i in sorted(rows)]) for u, rows in done.items()}
        self.token = {int(number): name for name, number in users.items()}

    def _standing(self, loader: Any, back: int) -> tuple[list[str], dict[str, Any]]:
        """(users, ranks float[n] with seen items in the ranking and with them masked) of the `back`-th last event."""
        import numpy as np
        import torch

        self.model.eval()
        users, ranks = [], {"unmasked": [], "masked": []}
        with torch.no_grad():
            for batch in loader:
                questions = batch[0]
                scores = self.model.full_sort_predict(questions).view(len(questions), -1).double().numpy()
                scores[:, 0] = -np.inf  # the padding is no item
                for user, score in zip(questions[self.user].tolist(), scores, strict=True):
                    done = self.done[user]
                    target, past = int(done[-back]), done[:-back]
                    users.append(self.token[user])
                    ranks["unmasked"].append(_rank(score, target))
                    score[past[past != target]] = -np.inf
                    ranks["masked"].append(_rank(score, target))
        return users, {k: np.array(v) for k, v in ranks.items()}

    def ndcg(self, loader: Any, back: int, *, masked: bool) -> float:
        import numpy as np

        rank = self._standing(loader, back)[1]["masked" if masked else "unmasked"]
        return float(np.where(rank <= 10, 1 / np.log2(rank + 1), 0).mean())

    def ranks(self, loader: Any, back: int) -> dict[str, list]:
        users, ranks = self._standing(loader, back)
        return {"user": users, **{k: v.tolist() for k, v in ranks.items()}}


def _rank(score: Any, target: int) -> float:
    own = score[target]
    return float(1 + (score > own).sum() + ((score == own).sum() - 1) / 2)


if __name__ == "__main__":
    answer(run)

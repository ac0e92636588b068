"""Runs in EasyTPP's interpreter: its own configuration, loader, runner and model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.inside import Clock, answer, peak, say, versions

DRAWN = 2
"""Batches behind whose events next times are drawn: its thinning takes most of a minute for all of them."""
PACKAGES = ("easy_tpp", "torch", "numpy", "pandas", "datasets", "omegaconf")


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.easytpp.ask` for question and answer."""
    import torch
    import yaml
    from easy_tpp.config_factory import Config
    from easy_tpp.runner import Runner
    from easy_tpp.utils import RunnerPhase

    torch.set_num_threads(question["threads"])
    folder = Path(question["folder"])
    place = folder / "easytpp.yaml"
    place.write_text(yaml.safe_dump(_settings(question, folder)))
    runner = Runner.build_from_config(Config.build_from_yaml_file(str(place), experiment_id="asked"))
    loader, learning, clock, curve = runner._data_loader, Clock(), Clock(), []
    with peak() as highest:
        train, valid, test = loader.train_loader(), loader.valid_loader(), loader.test_loader()
        for epoch in range(question["epochs"]):
            before = learning.cpu
            with clock, learning:
                learnt = runner.run_one_epoch(train, RunnerPhase.TRAIN)
            with clock:
                judged = runner.run_one_epoch(valid, RunnerPhase.VALIDATE)
            tested = runner.run_one_epoch(test, RunnerPhase.VALIDATE)
            # its mean over even points counts both ends of a gap in full; by the trapezoid rule they count half
            runner.model.use_mc_samples = False
            exact = runner.run_one_epoch(test, RunnerPhase.VALIDATE)
            runner.model.use_mc_samples = True
            curve.append(
                {
                    "epoch": epoch + 1, "train": float(learnt["loglike"]), "valid": float(judged["loglike"]),
                    "test": float(tested["loglike"]), "trapezoid": float(exact["loglike"]),
                    "train_cpu": round(learning.cpu - before, 3), **clock.read(),
                }
            )  # fmt: skip
            say(**curve[-1])
        memory = highest()
    drawn = _draw(runner, loader.test_loader(), question["draws"]) if question.get("draws") else {}
    events = int(learnt["num_events"])
    return {
        "model": question["model"], "curve": curve, "events": events, "peak_mb": memory,
        "events_per_cpu_second": events * len(curve) / learning.cpu, "threads": question["threads"],
        "parameters": sum(p.numel() for p in runner.model.parameters()), "versions": versions(PACKAGES), **drawn,
    }  # fmt: skip


def _draw(runner: Any, loader: Any, draws: int) -> dict[str, Any]:
    """CPU seconds of its thinning for so many next times behind every event of the loader but the last ones."""
    import torch
    from easy_tpp.model.thinning import EventSampler

    model = runner.model
    model.eval()
    model.event_sampler = EventSampler(
        num_sample=draws, num_exp=500, over_sample_rate=5, num_samples_boundary=5, dtime_max=5, patience_counter=5,
        device=model.device,
    )  # fmt: skip
    clock, asked = Clock(), 0
    with torch.no_grad():
        for number, batch in enumerate(loader):
            if number == DRAWN:
                break
            with clock:
                model.predict_one_step_at_every_event(**batch.to(model.device))
            asked += int((batch["seq_non_pad_mask"][:, 1:]).sum())
    return {"draw_cpu": clock.cpu, "asked": asked, "draws": draws}


def _settings(question: dict[str, Any], folder: Path) -> dict[str, Any]:
    asked = question["settings"]
    trainer = {k: asked[k] for k in ("batch_size", "learning_rate") if k in asked}
    model = {k: v for k, v in asked.items() if k not in trainer}
    kinds = question["kinds"]
    return {
        "pipeline_config_id": "runner_config",
        "data": {
            "asked": {
                "data_format": "json", **{f"{p}_dir": str(folder / f"{p}.json") for p in ("train", "valid", "test")},
                "data_specs": {"num_event_types": kinds, "pad_token_id": kinds, "padding_side": "right"},
            }
        },
        "asked": {
            "base_config": {
                "stage": "train", "backend": "torch", "dataset_id": "asked", "runner_id": "std_tpp",
                "model_id": question["model"], "base_dir": str(folder / "made"),
            },
            "trainer_config": {
                "max_epoch": question["epochs"], "shuffle": True, "optimizer": "adam", "valid_freq": 1, "gpu": -1,
                "use_tfb": False, "metrics": None, "seed": question["seed"], **trainer,
            },
            # without settings of thinning it predicts nothing, which takes it most of its time
            "model_config": model,
        },
    }  # fmt: skip


if __name__ == "__main__":
    answer(run)

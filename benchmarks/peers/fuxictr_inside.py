"""Runs in FuxiCTR's interpreter: its own feature processing, data loader, layers and training loop.

The published package holds the library without its zoo of models, so the four networks are put together here from its
layers, as its documentation tells users to. Given a `checkout` of its repository, DIN is the zoo's; the others always
are.

The clock counts training epochs with their validation; preparing the data is timed apart.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.peers.inside import Clock, answer, peak, say, versions

PACKAGES = ("fuxictr", "torch", "numpy", "pandas", "polars", "pyarrow", "scikit-learn")
KIND, LOSS = "binary_classification", "binary_crossentropy"
ZOO = {"SDIM": "LongCTR/SDIM", "MMoE": "multitask/MMoE/src", "PLE": "multitask/PLE/src", "DIN": "DIN/src"}
SEVERAL = ("MMoE", "PLE")
CATEGORIES = ("user_id", "item_id", "genre", "age", "gender", "occupation")


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.fuxictr.ask` for question and answer."""
    import logging

    import torch
    from fuxictr.features import FeatureMap
    from fuxictr.preprocess import FeatureProcessor, build_dataset
    from fuxictr.pytorch.dataloaders import RankDataLoader
    from fuxictr.pytorch.torch_utils import seed_everything

    logging.getLogger().setLevel(logging.WARNING)
    torch.set_num_threads(question["threads"])
    settings = _settings(question)
    preparing = Clock()
    with preparing:
        encoder = FeatureProcessor(**settings)
        settings["train_data"], settings["valid_data"], settings["test_data"] = build_dataset(encoder, **settings)
        settings["data_format"] = "parquet"
        features = FeatureMap("ratings", settings["data_root"] + "/ratings")
        features.load(f"{features.data_dir}/feature_map.json", settings)
    seed_everything(question["seed"])
    with peak() as highest:
        model = _class(question)(features, **settings)
        with preparing:
            train, valid = RankDataLoader(features, stage="train", **settings).make_iterator()
        curve = _train(model, train, valid, settings)
        memory = highest()
    test = RankDataLoader(features, stage="test", **settings).make_iterator()
    said = {name: _predicted(model, loader) for name, loader in (("valid", valid), ("test", test))}
    seconds = [row["cpu"] - before for row, before in zip(curve, [0.0, *(r["cpu"] for r in curve)], strict=False)]
    return {
        "model": question["model"], "parameters": sum(p.numel() for p in model.parameters()),
        "curve": curve, "epochs": len(curve), "prepare": preparing.read(), "examples": train.num_samples,
        "examples_per_cpu_second": train.num_samples / sorted(seconds)[len(seconds) // 2], "peak_mb": memory,
        "said": said, "tested": model.evaluate(test, metrics=["AUC", "logloss"]), "zoo": bool(question["checkout"]),
        "versions": versions(PACKAGES), "threads": question["threads"],
    }  # fmt: skip


def _settings(question: dict[str, Any]) -> dict[str, Any]:
    """FuxiCTR's configuration."""
    folder, dim, pooled = Path(question["folder"]), question["dim"], question["model"] not in ("DIN", "SDIM")
    several = question["model"] in SEVERAL
    categories = [{"name": n, "active": True, "dtype": "str", "type": "categorical"} for n in CATEGORIES]
    history = {
        "name": question.get("sequences", ["click_history"]), "active": True, "dtype": "str", "type": "sequence",
        "splitter": "^",
        "max_len": question["length"], "padding": "pre", "share_embedding": "item_id",
        # unless it is switched off, a sequence is summed up before DIN sees it
        "feature_encoder": "layers.MaskedAveragePooling()" if pooled else None,
    }  # fmt: skip
    return {
        "dataset_id": "ratings", "data_root": str(folder / "made"), "model_root": str(folder / "checkpoints"),
        "data_format": "csv", "min_categr_count": 1, "feature_cols": [*categories, history],
        "label_col": [{"name": n, "dtype": "float"} for n in ("label", "love")[: 1 + several]],
        **{f"{part}_data": str(folder / f"{part}.csv") for part in ("train", "valid", "test")},
        "embedding_dim": dim, "batch_size": question["batch"], "shuffle": True, "num_workers": 0, "verbose": 0,
        "task": [KIND] * 2 if several else KIND, "loss": [LOSS] * 2 if several else LOSS, "num_tasks": 1 + several,
        "metrics": ["AUC", "logloss"],
        "monitor": "AUC", "monitor_mode": "max", "optimizer": "adam", "learning_rate": question["lr"],
        "embedding_regularizer": question["decay"], "net_regularizer": 0, "net_dropout": question["dropout"],
        "epochs": question["epochs"], "early_stop_patience": question["patience"], "gpu": -1,
        "hidden": list(question["hidden"]), "attention": list(question["attention"]),
        # under the names that the zoo's DIN gives them
        "dnn_hidden_units": list(question["hidden"]), "attention_hidden_units": list(question["attention"]),
        "din_target_field": "item_id", "din_sequence_field": "click_history",
        "num_experts": question["experts"], "num_shared_experts": question["experts"],
        "num_specific_experts": question["own"], "expert_hidden_units": list(question["expert"]),
        "gate_hidden_units": list(question["gate"]), "tower_hidden_units": list(question["towers"]),
    }  # fmt: skip


def _class(question: dict[str, Any]) -> Any:
    import torch
    from fuxictr.pytorch import layers
    from fuxictr.pytorch.models import BaseModel

    if question["checkout"] and question["model"] in ZOO:
        zoo = _zoo(Path(question["checkout"]), question["model"])
        return _sdim(zoo, question) if question["model"] == "SDIM" else zoo

    class Network(BaseModel):
        def __init__(self, features: Any, **told: Any) -> None:
            super().__init__(features, model_id=question["model"], **told)
            self.table = layers.FeatureEmbedding(features, told["embedding_dim"])
            self.width = features.sum_emb_out_dim()
            self.parts(features, told)
            self.compile(told["optimizer"], told["loss"], told["learning_rate"])
            self.reset_parameters()
            self.begin()
            self.model_to_device()

        def begin(self) -> None:
            """What a network sets beside FuxiCTR's own beginning."""

        def tower(self, told: dict[str, Any], last: int | None, end: Any) -> Any:
            return layers.MLP_Block(
                input_dim=self.width, output_dim=last, hidden_units=told["hidden"], hidden_activations="ReLU",
                output_activation=end, dropout_rates=told["net_dropout"],
            )  # fmt: skip

    class DNN(Network):
        def parts(self, features: Any, told: dict[str, Any]) -> None:
            self.deep = self.tower(told, 1, self.output_activation)

        def forward(self, rows: Any) -> dict[str, Any]:
            return {"y_pred": self.deep(self.table(self.get_inputs(rows), flatten_emb=True))}

    class DIN(DNN):
        def parts(self, features: Any, told: dict[str, Any]) -> None:
            super().parts(features, told)
            self.attend = layers.DIN_Attention(told["embedding_dim"], told["attention"], hidden_activations="Dice")

        def forward(self, rows: Any) -> dict[str, Any]:
            known = self.get_inputs(rows)
            found = self.table.embedding_layer(known)
            there = known["click_history"].long() != 0
            found["click_history"] = self.attend(found["item_id"], found["click_history"], there)
            return {"y_pred": self.deep(self.table.embedding_layer.dict2tensor(found, flatten_emb=True))}

    class DeepFM(Network):
        def parts(self, features: Any, told: dict[str, Any]) -> None:
            self.deep, self.factors = self.tower(told, 1, None), layers.FactorizationMachine(features)

        def begin(self) -> None:
            # a sequence that shares its table elsewhere has one of its own in the linear part, which FuxiCTR leaves at
            # N(0, 1) instead of its usual 1e-4: repaired, or noise would be all that is measured
            own = self.factors.lr_layer.embedding_layer.embedding_layer.embedding_layers["click_history"].weight
            torch.nn.init.normal_(own[1:].data, std=1e-4)

        def forward(self, rows: Any) -> dict[str, Any]:
            known = self.get_inputs(rows)
            fields = self.table(known)
            return {"y_pred": self.output_activation(self.factors(known, fields) + self.deep(fields.flatten(1)))}

    class DCNv2(Network):
        def parts(self, features: Any, told: dict[str, Any]) -> None:
            self.deep, self.cross = self.tower(told, None, None), layers.CrossNetV2(self.width, question["layers"])
            self.last = torch.nn.Linear(self.width + told["hidden"][-1], 1)

        def forward(self, rows: Any) -> dict[str, Any]:
            x = self.table(self.get_inputs(rows), flatten_emb=True)
            both = torch.cat([self.cross(x), self.deep(x)], 1)
            return {"y_pred": self.output_activation(self.last(both))}

    return {"DNN": DNN, "DIN": DIN, "DeepFM": DeepFM, "DCNv2": DCNv2}[question["model"]]


def _zoo(checkout: Path, name: str) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("zoo", checkout / "model_zoo" / ZOO[name] / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _sdim(zoo: Any, question: dict[str, Any]) -> Any:
    """The zoo's SDIM as it stands, given its three inputs (columns, past and judged items, mask) from the rows here."""
    import copy

    import torch

    class SDIM(zoo):  # type: ignore[misc]
        def __init__(self, features: Any, **told: Any) -> None:
            mine = copy.copy(features)  # a past item is no column of its own there, it has the item's
            mine.features = {n: dict(s) for n, s in features.features.items() if n != "click_history"}
            mine.features["item_id"]["source"] = "item"
            shape = {"num_hashes": "hashes", "hash_bits": "bits", "num_heads": "heads", "short_seq_len": "short"}
            super().__init__(mine, **{name: question[key] for name, key in shape.items()}, **told)

        def get_inputs(self, rows: Any, feature_source: Any = None) -> Any:
            past, item = rows["click_history"].long(), rows["item_id"].long().view(-1, 1)
            items = {"item_id": torch.cat([past, item], 1).flatten()}
            return {n: rows[n] for n in CATEGORIES if n != "item_id"}, items, (past != 0).float()

        def get_labels(self, rows: Any) -> Any:
            return rows["label"].float().view(-1, 1)

    return SDIM


def _train(model: Any, train: Any, valid: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per epoch: validation AUC and logloss, CPU and wall seconds since the start."""
    curve: list[dict[str, Any]] = []
    began = time.process_time(), time.perf_counter()
    judge = model.evaluate

    def judged(loader: Any, metrics: Any = None) -> dict[str, float]:
        found = judge(loader, metrics=["AUC", "logloss"])
        spent = time.process_time() - began[0], time.perf_counter() - began[1]
        row = {"epoch": len(curve) + 1, "valid_auc": float(found["AUC"]), "valid_logloss": float(found["logloss"])}
        curve.append({**row, "cpu": round(spent[0], 3), "wall": round(spent[1], 3)})
        say(**curve[-1])
        return found

    model.evaluate = judged
    Path(settings["model_root"], "ratings").mkdir(parents=True, exist_ok=True)
    model.fit(train, validation_data=valid, epochs=settings["epochs"])
    model.evaluate = judge
    return curve


def _predicted(model: Any, loader: Any) -> list[float]:
    said = model.predict(loader)
    return [round(float(p), 7) for p in (said["label"] if isinstance(said, dict) else said)]


if __name__ == "__main__":
    answer(run)

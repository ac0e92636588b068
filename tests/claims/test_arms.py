from ethogram.claims.arms import tables


def cell(arm, system, seed, value, data="shop", **more):
    metrics = {"auc": value, "ece": 1 - value}
    costs = {"fit": {"cpu_seconds": 2.0, "peak_mb": 7.0}, "evaluate": {"cpu_seconds": 1.0, "peak_mb": None}}
    told = {"arm": arm, "system": system, "seed": seed, "data": data, "metrics": metrics, "costs": costs}
    told["options"] = {}
    return told | {"intervals": {"auc": [value - 0.1, value + 0.1]}} | more


def result(cells, metric="auc"):
    outcomes = [{"data": data, "metric": metric} for data in ("shop", "films")]
    return {"key": "net", "claims": [{"outcomes": outcomes}], "cells": cells}


def test_the_best_arm_is_first_and_baselines_are_marked():
    cells = [cell("mine", "net", 0, 0.5), cell("mine", "net", 1, 0.7), cell("counts", "floor", 0, 0.8)]
    lines = tables(result(cells), ["floor"])
    assert lines[1] == "shop:"
    assert lines[3] == "| arm | auc | seeds | CPU s | peak MB |"
    assert lines[5] == "| counts (baseline) | 0.8 [0.7, 0.9] | 1 | 3.0 | 7 |"
    assert lines[6] == "| mine | 0.6 [0.5, 0.7] | 2 | 3.0 | 7 |"


def test_less_is_better_for_losses():
    cells = [cell("bad", "net", 0, 0.5), cell("good", "net", 0, 0.9)]
    assert [line.split()[1] for line in tables(result(cells, "ece"), [])[5:7]] == ["good", "bad"]


def test_each_data_set_has_its_table_and_costs_no_column():
    cells = [cell("mine", "net", 0, 0.5), cell("mine", "net", 0, 0.5, data="films")]
    told = result(cells)
    told["claims"][0]["outcomes"].append({"data": "shop", "metric": "fit_seconds"})
    lines = tables(told, [])
    assert "films:" in lines
    assert "fit_seconds" not in "\n".join(lines)


def test_floors_above_the_system_are_named_behind_the_table():
    cells = [
        cell("net", "net", 0, 0.6), cell("net, wide", "net", 0, 0.9), cell("counts", "floor", 0, 0.8),
        cell("rates", "floor", 0, 0.7), cell("means", "floor", 0, 0.5), cell("other", "other", 0, 0.99),
        cell("net on towers", "net", 0, 0.6, data="films"),
        cell("counts", "OnePerGoal", 0, 0.3, data="films", options={"system": "floor"}),
    ]  # fmt: skip
    said = [line for line in tables(result(cells), ["floor"]) if line.startswith("On ")]
    assert said == [
        "On shop, by auc, net (0.6) is below counts (0.8), rates (0.7).",
        "On films, by auc, net on towers (0.6) is above every floor.",
    ]
    assert "| counts (baseline) | 0.3 [0.2, 0.4] | 1 | 3.0 | 7 |" in tables(result(cells), ["floor"])
    lost = [line for line in tables(result(cells, "ece"), ["floor"]) if line.startswith("On shop")]
    assert lost == ["On shop, by ece, net (0.4) is below counts (0.2), rates (0.3)."]
    assert not any(line.startswith("On ") for line in tables(result(cells[:2]), ["floor"]))


def test_who_does_not_beat_the_kernel_is_said_in_words():
    from ethogram.claims.arms import against_the_kernel

    def outcome(text, verdict, measured=-0.02):
        return {"text": text, "verdict": verdict, "measured": measured, "interval": [-0.03, -0.01]}

    told = [
        outcome("ndcg@10 on ml_100k, 1 seed: pld − transition kernel ≥ 0", "fails"),
        outcome("ndcg@10 on games: pld − transition kernel ≥ 0", "holds"),
        outcome("ndcg@10 on games: pld − plain ≥ 0", "fails"),
        outcome("ndcg@10 on beauty: pld − transition kernel ≥ 0", "fails", None),
    ]
    assert against_the_kernel({"claims": [{"text": "x", "outcomes": told}]}) == [
        "pld does not beat the decayed-transition kernel, which is not trained "
        "(ndcg@10, ml_100k, 1 seed: -0.02 [-0.03, -0.01])."
    ]

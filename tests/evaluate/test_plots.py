import numpy as np
import pytest

from ethogram.evaluate import plots

vl = pytest.importorskip("vl_convert")
pytest.importorskip("altair")

ROWS = [
    {"label": "sdim", "value": 0.74, "low": 0.73, "high": 0.75, "cost": 100.0, "repeat": 0.3, "explore": 0.1},
    {"label": "popularity", "value": 0.6, "floor": True, "cost": 0.5, "repeat": 0.2, "explore": 0.0},
]
CURVES = {
    "sdim": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "valid": 0.6}],
    "din": [{"epoch": 1, "loss": 3.0}],
}
BINS = {"sdim": [{"score": 0.1, "label": 0.12}, {"score": 0.5, "label": 0.4}]}


def values(chart):
    """All data of a chart, layer after layer."""
    spec = chart.to_dict()
    layers = spec.get("layer", [spec])
    inner = [layer for part in layers for layer in part.get("layer", [part])]
    named = spec.get("datasets", {})
    sources = [layer.get("data", spec.get("data", {})) for layer in inner]
    return [row for s in sources for row in s.get("values", named.get(s.get("name"), []))]


@pytest.mark.parametrize(
    "chart",
    [
        lambda: plots.forest(ROWS, "AUC", reference=0.6),
        lambda: plots.quality_cost(ROWS, "AUC"),
        lambda: plots.calibration(BINS),
        lambda: plots.history_lengths([1, 5, 700]),
        lambda: plots.repeat_explore(ROWS, "AUC"),
        lambda: plots.learning(CURVES, "loss"),
    ],
)
def test_every_chart_draws_without_colours_of_its_own(chart):
    svg = vl.vegalite_to_svg(chart().to_dict())
    assert "var(--" in svg
    fixed = {c for c in ("#4c78a8", "#f58518", 'fill="black"', 'fill="#000"') if c in svg}
    assert not fixed  # Vega's own colours would not follow the page into the dark


def test_forest_keeps_order_values_and_intervals():
    found = values(plots.forest(ROWS, "AUC"))
    assert [r["label"] for r in found[:2]] == ["sdim", "popularity"]
    assert (found[0]["low"], found[0]["high"], found[0]["kind"]) == (0.73, 0.75, "system")
    assert (found[1]["low"], found[1]["high"], found[1]["kind"]) == (0.6, 0.6, "floor")


def test_points_without_a_cost_are_left_out():
    found = values(plots.quality_cost([*ROWS, {"label": "free", "value": 1.0, "cost": 0.0}], "AUC"))
    assert {r["label"] for r in found} == {"sdim", "popularity"}


def test_histogram_bins_double_and_count_everybody():
    lengths = np.array([1, 1, 2, 3, 4, 7, 8, 1000, 1024, 0])
    found = values(plots.history_lengths(lengths))
    assert [(r["bin"], r["users"]) for r in found if r["users"]] == [
        *(("1", 2), ("2–3", 2), ("4–7", 2), ("8–15", 1), ("512–1k", 1), ("1k–2k", 1)),
    ]
    assert values(plots.history_lengths([]))[0]["users"] == 0


def test_calibration_takes_the_reliability_table():
    from ethogram.evaluate.calibration import reliability

    made = reliability([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8], bins=2)
    found = [r for r in values(plots.calibration({"x": made})) if "label" in r]
    assert [(r["predicted"], r["observed"]) for r in found[:2]] == [
        (pytest.approx(0.225), 0.0),
        (pytest.approx(0.6), 1.0),
    ]


def test_learning_draws_what_was_told():
    found = values(plots.learning(CURVES, "valid"))
    assert {(r["label"], r["step"], r["value"]) for r in found} == {("sdim", 2.0, 0.6)}


def test_labels_of_near_points_are_put_apart():
    crowd = [{"label": f"system {i}", "cost": 10.0 + i, "value": 0.5 + i / 10_000} for i in range(3)]
    near, far = {"label": "near", "cost": 0.1, "value": 0.2}, {"label": "far", "cost": 1000.0, "value": 0.9}
    places = plots.label_places([*crowd, far, near])
    assert len(set(places[:3])) == 3
    assert places[3][0] is False  # at the right edge the name goes to the left


def test_long_labels_are_shortened_beside_points():
    found = values(plots.quality_cost([{"label": "x" * 50, "value": 1.0, "cost": 1.0}], "AUC"))
    assert found[0]["label"] == "x" * 29 + "…"

"""`ethogram risk clusters` on `fin_deep_cluster`: what an analyst sees, with a language model, and with bad logs."""

import json
from pathlib import Path

import pyarrow.csv
import pytest

from ethogram.testing.assigning import visits

SMALL = ("--epochs", "5", "--hidden", "16", "--out", "rings", "--set", "out=16", "--set", "dim=16")
COLUMNS = ["user", "session", "kind", "item", "time", "value", "label", "age"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    place = tmp_path_factory.mktemp("shop")
    for name, again in (("now", 0), ("later", 1)):
        pyarrow.csv.write_csv(visits(again).table().select(COLUMNS), place / f"{name}.csv")
    return place


@pytest.fixture
def here(shop, folder):
    for name in ("now", "later"):
        Path(f"{name}.csv").write_bytes((shop / f"{name}.csv").read_bytes())


def test_rules_say_what_their_columns_count_and_models_what_became_of_their_words(here, call, refused):
    assert call("fit", "fin_deep_cluster", "now.csv", *SMALL).code == 0
    said = call("risk", "clusters", "rings", "later.csv", "--rules", "rules.json", "--lm", 'scripted:{"nothing": 1}')
    assert said.code == 0, said.err
    assert "1 of them flagged" in said.out
    assert "narratives: 0 told by scripted:" in said.out
    assert ", 0 refused, 1 without a valid answer; the template stays for those" in said.out
    assert "  where " in said.out
    told = json.loads(Path("rules.json").read_text())
    (name, words), *_ = told["columns"].items()
    assert name.startswith("steps of group ")
    assert "how many of these pages a case looks at for so long" in words
    assert "item for " in words
    lying = call("risk", "clusters", "rings", "later.csv", "--lm", 'scripted:{"text": "9,999 of them"}', "--json", "-")
    assert lying.json["narratives"] == {"template": 0, "told": 0, "refused": 1, "failed": 0}
    flagged = next(c for c in lying.json["clusters"] if c["flagged"])
    assert flagged["told_by"].startswith("template (numbers changed by ")
    assert "9,999" not in flagged["narrative"]
    assert "nothing answers at http://127.0.0.1:9/v1" in refused(
        "risk", "clusters", "rings", "later.csv", "--lm", "http://127.0.0.1:9/v1"
    )


def test_bad_logs_are_told(here, call, refused):
    lines = Path("now.csv").read_text().splitlines()
    Path("few.csv").write_text("\n".join(lines[:30]) + "\n")
    assert "are too few to tell a group of 10 (min_cluster_size) from the others; fit on 20 or more" in refused(
        "fit", "fin_deep_cluster", "few.csv", "--out", "few"
    )
    assert "min_samples = 40 is more than min_cluster_size = 10" in refused(
        "fit", "fin_deep_cluster", "now.csv", "--min-samples", "40", "--out", "few"
    )
    Path("pageless.csv").write_text("user,session,time,value\nu1,s1,2024-01-01,1e12\nu2,s2,2024-01-02,3\n")
    assert "neither items nor kinds" in refused("fit", "fin_deep_cluster", "pageless.csv", "--out", "few")
    dwell = [lines[0] + ",dwell", *(line + (",-3" if n == 7 else ",2") for n, line in enumerate(lines[1:]))]
    Path("negative.csv").write_text("\n".join(dwell) + "\n")
    assert "column 'dwell': 1 events last less than 0 seconds, such as -3" in refused(
        "fit", "fin_deep_cluster", "negative.csv", "--out", "few"
    )
    assert not Path("few").exists()

"""The closed loop from the command line, on a small shop."""

import csv

import numpy as np


def write(path, days=168, households=20):
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "time", "value"])
        for user in range(households):
            mine = rng.choice(60, 6, replace=False)
            for day in np.flatnonzero(rng.random(days) < 0.3):
                for item in np.unique(np.where(rng.random(4) < 0.7, rng.choice(mine, 4), rng.integers(0, 60, 4))):
                    out.writerow([f"h{user}", f"i{item}", 1_700_000_000 + int(day) * 86_400, 2.5])


def test_the_loop_says_what_it_found(call, folder):
    write(folder / "shop.csv")
    said = call("loop", "--log", "shop.csv", "--recommender", "personal_frequency", "--recommender", "popularity",
                "--days", 7, "--held", 28, "--seeds", 2, "--copies", 3, "--response", 4, "--report", "loop.html",
                "--picture", "loop.svg", "--json", "loop.json")  # fmt: skip
    assert said.code == 0, said.err
    assert "the simulator beside resampling" in said.out
    assert "The simulator predicts the real held-out days better than resampling in: " in said.out
    assert "personal_frequency: purchases +" in said.out
    assert "var(--" not in (folder / "loop.svg").read_text()
    page = (folder / "loop.html").read_text()
    assert "Is the simulator any good?" in page
    assert "<svg" in page
    assert "http" not in page.split("<script", 1)[0].replace("http://www.w3.org", "").replace("http-equiv", "")
    assert (folder / "loop.json").read_text().startswith("{")


def test_what_the_loop_refuses(refused, folder):
    write(folder / "short.csv", days=60)
    assert "fewer than 112 are left" in refused("loop", "--log", "short.csv", "--recommender", "popularity")
    assert "no folder" in refused("loop", "--log", "short.csv", "--report", "nowhere/loop.html")
    assert "unknown system 'popularty'. Did you mean 'popularity'" in refused(
        "loop", "--log", "short.csv", "--recommender", "popularty"
    )
    assert "neither scores nor recommends" in refused("loop", "--log", "short.csv", "--recommender", "tryage")
    assert "unknown column of the items" in refused("loop", "--log", "short.csv", "--level", "shelf")
    assert "days = 30, held = 20" in refused("loop", "--log", "short.csv", "--held", 20)

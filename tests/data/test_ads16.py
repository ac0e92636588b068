"""The loader of ADS-16, on a made-up copy in the layout of the original; not a row of it is here."""

from __future__ import annotations

import numpy as np
import pytest

from ethogram import data
from ethogram.data.ads16 import ADS16
from ethogram.errors import MissingData, SourceError

INF = "UserId;Name;Gender;Age;Home;Job;Hours;Income;Country;Sports"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Six people in two parts, two categories of three adverts."""
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    for u in range(1, 7):
        name = f"U{u:04d}"
        part = "ADS16_Benchmark_part1/Corpus" if u < 4 else "ADS16_Benchmark_part2/ADS16_Benchmark_part2/Corpus/Corpus"
        folder = tmp_path / "ads16" / part / name
        folder.mkdir(parents=True)
        answers = [2, 1, -2, 0, 1, -1, 2, 2, 1, 0]
        write(folder, "B5", ["Question;Answer", *(f'"q{i}";"{a}"' for i, a in enumerate(answers))])
        write(folder, "INF", [INF, f'"{name}";x;{"F" if u % 2 else "M"};{20 + u};a;b;c;{u % 3};d;e'])
        write(folder, "PREF", ["w;m;f;t;b", "Media sites (news, films),Pet sites;Jazz;Action,Drama;News;Science"])
        write(folder, "RT", ["Cat0;Cat1", "words;words", f'"{1 + u % 5},4,5";"3,2,1"'])
    return tmp_path / "ads16"


def write(folder, end, lines):
    (folder / f"{folder.name}-{end}.csv").write_text("\n".join(lines) + "\n")


def test_a_copy_is_read(copy):
    log = data.load("ads16", common=3)
    table = log.table().to_pandas()
    assert len(table) == 36
    assert "time" not in table.columns
    first = table[table["user"] == "U0001"].set_index("item")
    assert first["value"].to_dict() == {"Cat0_1": 2, "Cat0_2": 4, "Cat0_3": 5, "Cat1_1": 3, "Cat1_2": 2, "Cat1_3": 1}
    assert first["label"].sum() == 2
    people = log.users.to_pandas().set_index("user")
    assert people.loc["U0002", ["openness", "conscientiousness", "gender", "age"]].tolist() == [-1, 4, "M", 22]
    assert people["favourite_websites_media_sites"].eq(1).all()
    assert {"favourite_music_jazz", "favourite_books_science"} <= set(people)
    assert log.items["category"].to_pylist() == ["Cat0"] * 3 + ["Cat1"] * 3
    assert data.describe("ads16").here


def test_formats_and_pictures_of_ones_own(copy):
    (copy / "formats.csv").write_text("item;format\nCat0_1;text\nCat0_2;image\n")
    rows = ["user;polarity;v0;v1", "U0001;liked;1;2", "U0001;liked;3;4", "U0001;disliked;0;1", "U0002;liked;5;5"]
    (copy / "pictures.csv").write_text("\n".join(rows))
    reading = ADS16().read()
    assert reading.items["format"].to_pylist()[:3] == ["text", "image", None]
    assert reading.users["liked_1"].to_pylist()[:3] == [3.0, 5.0, None]
    assert reading.users["disliked_0"].to_pylist()[:2] == [0.0, None]


def test_a_model_learns_from_it(copy):
    import ethogram

    log = data.load("ads16")
    fold = log.split("new-user", folds=3).parts[0]
    model = ethogram.system("personality_ads").fit(fold.train)
    asked = fold.test.questions()
    assert np.isfinite(model.rate(asked.histories, asked.candidates)).all()


def test_without_a_copy_it_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="release agreement"):
        ADS16().read()
    (tmp_path / "ads16").mkdir()
    with pytest.raises(MissingData, match="unpack the Corpus"):
        ADS16().files()


@pytest.mark.parametrize(
    ("end", "lines", "told"),
    [
        ("RT", ["Cat0;Cat1", "7,4,5;3,2,1"], "rating 7 of Cat0_1 is not 1 to 5"),
        ("RT", ["Cat0;Cat1", "words;words"], "no row of ratings"),
        ("RT", ["Kind0;Cat1", "1,4,5;3,2,1"], "column 'Kind0'"),
        ("B5", ["Question;Answer", "a;1"], "no ten answers"),
        ("B5", ["Question;Answer", *["a;9"] * 10], "from -2 to 2"),
        ("INF", ["UserId;Gendr;Age;Income", "a;F;20;1"], "no column 'Gender'. Did you mean 'Gendr'"),
        ("INF", ["UserId;Gender;Age;Income"], "no row of facts"),
    ],
)
def test_damaged_files_are_named(copy, end, lines, told):
    folder = next(copy.rglob("U0001"))
    write(folder, end, lines)
    with pytest.raises(SourceError, match=told):
        ADS16().read()


def test_damaged_pictures_are_named(copy):
    (copy / "pictures.csv").write_text("user;polarity;v0\nU0001;loved;1\n")
    with pytest.raises(SourceError, match="line 2: polarity 'loved'"):
        ADS16().read()
    (copy / "pictures.csv").write_text("user;polarity;v0\nU0001;liked;x\n")
    with pytest.raises(SourceError, match="line 2: not 1 numbers"):
        ADS16().read()
    (copy / "pictures.csv").unlink()
    (copy / "formats.csv").write_text("advert;format\n")
    with pytest.raises(SourceError, match="no column 'item'"):
        ADS16().read()

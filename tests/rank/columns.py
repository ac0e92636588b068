"""A slate network's inputs and layers once more, from its saved arrays, one question and one candidate at a time."""

import numpy as np


class Plain:
    """Columns of a fitted ranking system's questions, read from `state().arrays`."""

    def __init__(self, fitted, asked):
        self.ranker = fitted.fitted
        self.held = {k: np.asarray(v, np.float64) for k, v in fitted.state().arrays.items()}
        self.features = self.ranker.features
        self.batch = self.features.encode(asked)
        self.tables = list(self.features.tables)

    def of(self, name):
        return self.held[f"model.{name}"]

    def row(self, table, number, where="tables"):
        return self.of(f"{where}.held.{self.tables.index(table)}.weight")[number]

    def item(self, code, where="tables"):
        """One entry per column of an item: its vector (or weight, of `where`), a number as it is."""
        found = []
        for c in self.features.of("item"):
            column = self.batch.items[c.name]
            if c.type == "numeric":
                found.append(np.array([column.values[code]], np.float64))
            elif column.offsets is None:
                found.append(self.row(c.table, column.values[code], where))
            else:
                rows = column.values[column.offsets[code] : column.offsets[code + 1]]
                zero = np.zeros(self.row(c.table, 0, where).shape)
                found.append(np.mean([self.row(c.table, r, where) for r in rows], 0) if len(rows) else zero)
        return found

    def events(self, row, where="tables"):
        """One entry per column of a past event that is not its item's."""
        columns = self.batch.sequences["history"].columns
        return [
            np.array([columns[c.name][row]], np.float64)
            if c.type == "numeric"
            else self.row(c.table, columns[c.name][row], where)
            for c in self.features.of("event")
        ]

    def candidates(self):
        """(question, row of the candidate, rows of the history) of every candidate in turn."""
        judged, history = self.batch.candidates, self.batch.sequences["history"]
        for q in range(len(self.batch)):
            past = range(history.start[q], history.stop[q])
            yield from ((q, row, past) for row in range(judged.start[q], judged.stop[q]))

    def fields(self, q, row, past):
        """Vectors of the columns: candidate, history, user, context."""
        own = self.item(self.batch.candidates.item[row])
        width = [len(v) for v in own]
        before = [np.concatenate(self.item(self.batch.sequences["history"].item[e])) for e in past]
        if before and self.features.of("event"):
            before = [
                b + self.of("event.weight") @ np.concatenate(self.events(e)) for b, e in zip(before, past, strict=True)
            ]
        pooled = np.mean(before, 0) if before else np.zeros(sum(width))
        ends = np.cumsum(width)[:-1]
        return [*own, *np.split(pooled, ends), *self.others(q, row)]

    def others(self, q, row, where="tables"):
        """The same of user and context."""
        user = [(c, self.batch.users[c.name][q]) for c in self.features.of("user")]
        context = [(c, self.batch.candidates.columns[c.name][row]) for c in self.features.of("context")]
        return [
            np.array([v], np.float64) if c.type == "numeric" else self.row(c.table, v, where) for c, v in user + context
        ]

    def numbers(self, row, past):
        """Length of the history and popularity of the candidate."""
        identity = self.batch.items["item"].values[self.batch.candidates.item[row]]
        return 0.2 * np.array([np.log1p(len(past)), self.of("popularity")[identity]])

    def tower(self, x):
        """Linear layers with ReLU between."""
        layers = sorted({int(k.split(".")[3]) for k in self.held if k.startswith("model.tower.layers.")})
        for i in layers:
            x = self.of(f"tower.layers.{i}.weight") @ x + self.of(f"tower.layers.{i}.bias")
            x = x if i == layers[-1] else np.maximum(x, 0)
        return float(x[0])

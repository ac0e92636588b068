"""Predicts when a person's next event comes and of which kind, from a stream whose habits drift and return.

    L = - sum_i log lambda_{k_i}(t_i) + integral of sum_k lambda_k + pull sum over layers of (1 - mean cosine(q, key))

lambda is an attentive point process (`nn.attentive_process`); before its events stand prompts, which each layer finds
in a pool by what the sequence has been like so far and completes by the time of the next arrival (`nn.prompt_pool`).
`fit` learns network and prompts together; `update(log)` learns the next window of the stream with no past example at
hand: prompts at `prompt_rate` of the step size, the network at `base_rate`. What one regime needs is written into the
prompts that its sequences retrieve, and is still there when the regime comes back.

The process judges what follows a person's first event of a log, given it, up to the log's last instant (`silence`), or
up to the person's last event as published. `forecast` draws the next event by thinning; its time is the mean of the
draws, its kind the likeliest at that time. `assess` tests how the recent events of a person would fall out under the
process: integrals of the intensity between events against Exp(1) (the time-rescaling theorem), and the surprise of
their kinds. `usage` tells which prompts a person's events retrieve.

`process` and `stream` also name what it is compared with: no prompts (``online``), past sequences kept and mixed in
(``replay``), a new network for each window (``retrain``), no learning behind the fit (``once``); a Hawkes process with
exponential kernels, a renewal and a Poisson process, all fitted anew on each window.

Chosen here where the paper or its code leave room or err: retrieval by what is known at each event instead of by the
mean over the whole sequence, which tells the future; one retrieval a layer for keys and values, shared by the heads;
the query is detached, centred, of states alone and of the first layer's for all; `diversify`; step sizes of network,
prompts and keys (Adam at one for all leaves keys near where they were drawn); pool sizes that keep prompts below 15% of
the network. With `alternate`, prompts and network are frozen in turns, as the paper has it: half the steps for each.

Reference: S. Xue, Y. Wang, Z. Chu, X. Shi, C. Jiang, H. Hao, G. Jiang, X. Feng, J. Zhang, J. Zhou: Prompt-augmented
Temporal Point Process for Streaming Event Sequence. NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.log.condition import duration
from ethogram.system import system
from ethogram.verbs import Histories, Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.risk.prompt_tpp.learning import Fitted


@system(
    "prompt_tpp",
    paper="Prompt-augmented Temporal Point Process for Streaming Event Sequence",
    year=2023,
    area="risk",
    verbs=("forecast", "update", "assess"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class PromptTPP:
    """A point process with a pool of prompts that learns a stream window by window."""

    process: Literal["attentive", "recurrent", "hawkes", "renewal", "poisson"] = "attentive"
    "The process; prompts are the attentive one's."
    stream: Literal["prompts", "online", "replay", "retrain", "once"] = "prompts"
    "How windows behind the first are learned; all but prompts do without any."
    mark: str | None = None
    "Column that is the kind of an event; numbers are cut into `bins`. None: `kind`, or a single kind without it."
    bins: int = 3
    "Kinds that a column of numbers is cut into, by quantiles of the fit."
    kinds: tuple[str, ...] = ()
    "All kinds that may come, where the first window need not hold each; none takes those that it holds."
    silence: bool = True
    "Whether the time from a person's last event to the log's last instant counts, too."
    hidden: int = 32
    "Width of the network's states."
    clock: int = 16
    "Width of the encoding of time; even."
    layers: int = 2
    "Layers of attention."
    heads: int = 2
    "Stacks of layers side by side."
    prompts: int = 6
    "Entries of each layer's pool."
    chosen: int = 2
    "Entries that a sequence retrieves."
    rows: int = 3
    "Prompts of an entry."
    timed: bool = True
    "Whether prompts are completed by the time of the next arrival."
    pull: float = 0.1
    "Weight of the loss that draws retrieved keys to their queries."
    diversify: float = 0.6
    "In training, how much nearer than a new entry one of earlier windows has to be; 0 looks at nearness alone."
    vote: bool = True
    "In training, all sequences of a batch take the entries nearest to them together; answers never do."
    alternate: bool = False
    "Whether prompts and network are learned in turns behind the first window, an epoch each."
    base_rate: float = 0.1
    "Step size of the network behind the first window, as a share of `lr`."
    prompt_rate: float = 4.0
    "Step size of the prompts, over `lr`."
    key_rate: float = 10.0
    "Step size of their keys, over `lr`."
    buffer: int = 200
    "Sequences that ``replay`` keeps."
    points: int = 20
    "Random points of the integral of a gap, in training."
    lr: float = 5e-3
    "Step size of Adam."
    batch: int = 16
    "Sequences a step."
    epochs: int = 20
    "Passes over the first window, at most."
    update_epochs: int = 10
    "Passes over each later window."
    patience: int = 5
    "Epochs without a better validation likelihood before the fit stops."
    draws: int = 64
    "Draws of a forecast."
    recent: int = 64
    "Latest events that `assess` judges a person by."
    risky: str = ""
    "Kind of event that `assess` warns of; without it, it tells who behaves unlike the stream."
    horizon: str = "1d"
    "How far ahead of the log's last instant it warns: 30m, 12h, 7d."

    def __post_init__(self) -> None:
        least = {"hidden": 1, "layers": 1, "heads": 1, "chosen": 1, "rows": 1, "points": 1, "batch": 1, "epochs": 1,
                 "update_epochs": 1, "draws": 2, "recent": 1, "bins": 1, "buffer": 0, "prompts": 0, "patience": 1,
                 "clock": 2}  # fmt: skip
        for name, low in least.items():
            if getattr(self, name) < low:
                raise OptionError(f"prompt_tpp: {name} = {getattr(self, name)}; give {low} or more.")
        if self.clock % 2:
            raise OptionError(
                f"prompt_tpp: clock = {self.clock}; half are sines and half cosines, so give an even number."
            )
        for name in ("pull", "base_rate", "prompt_rate", "key_rate", "diversify"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"prompt_tpp: {name} = {getattr(self, name)}; give 0 or more.")
        try:
            if duration(self.horizon) <= 0:
                raise StepError(f"'{self.horizon}' is no time at all.")
        except StepError as error:
            raise OptionError(f"prompt_tpp: horizon = '{self.horizon}'; {error}") from error
        if not self.lr > 0:
            raise OptionError(f"prompt_tpp: lr = {self.lr}; give a number above 0.")
        if 0 < self.prompts < self.chosen:
            raise OptionError(f"prompt_tpp: chosen = {self.chosen} of prompts = {self.prompts}; there are not so many.")

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn the first window; `valid` decides when to stop.

        Raises
        ------
        StepError
            The log has no times, nobody has a second event at a later time, or the column of kinds is missing.
        OptionError
            The column of kinds has more than 256 values.
        """
        from ethogram.risk.prompt_tpp.learning import Fitted

        self.fitted: Fitted | Any = Fitted.fit(self, train, valid, seed=seed, watch=watch)
        return self

    def update(self, log: Log) -> Self:
        """Learn the stream's next window, as `stream` says.

        Raises
        ------
        StepError
            A kind that the fit did not meet, no times, or nobody with a second event.
        """
        self.fitted.update(self, log)
        return self

    def forecast(self, histories: Histories, k: int = 1, *, seed: int = 0) -> Table:
        """When the next k events come and of which kind; see `ethogram.verbs.Forecasts`.

        The first event's time is the mean of `draws` exact draws and its kind the likeliest at that time; later ones
        are the means and the most frequent kinds of 24 futures (at most `draws`) drawn event by event.
        """
        from ethogram.risk.prompt_tpp.telling import forecast

        return forecast(self.fitted, histories, k, self.draws, seed)

    def assess(self, log: Log) -> Table:
        """With `risky`, who will do it soon; else how unlike the learnt stream each person's recent events are.

        With `risky`, `risk` is the chance of an event of that kind within `horizon` of the log's last instant, from
        `draws` futures each (`ahead`), null where nothing is known of the person; `reason` and `reasons` tell the
        kind's rate now and how often it came before.

        Returns
        -------
        Columns `user`, `risk` (1 - p of three tests, times their number: 0 is as expected), `reason` (the one with the
        smallest p, in words), `reasons` (list of what, value (p), share), `events` (those judged; with fewer than 2
        nothing is known and the risk is 0).

        Raises
        ------
        StepError
            The log has no times, or the process knows no kind named `risky`.
        """
        if self.risky:
            from ethogram.risk.prompt_tpp.ahead import ahead

            return ahead(self.fitted, log, self.risky, duration(self.horizon), self.draws)
        from ethogram.risk.prompt_tpp.telling import assess

        return assess(self.fitted, log, self.recent)

    def usage(self, log: Log) -> Table:
        """Which prompts the events of a log retrieve.

        Returns
        -------
        Columns `user`, `layer`, `entry` (from 0), `share` of the person's events that retrieved it.
        """
        from ethogram.risk.prompt_tpp.telling import usage

        if self.fitted is None:
            raise NotFitted("prompt_tpp: usage before fit; call fit(log), or load a saved system.")
        return usage(self.fitted, log)

    def predictions(self, log: Log, *, draws: int = 20, seed: int = 0) -> Table:
        """What was expected before each event of a log behind a person's first, and how it was judged.

        Returns
        -------
        Columns `user`, `time` and `kind` as they came; `gap` since the event before and `predicted_gap` (both in
        units of the mean gap of the fit), `predicted_kind`, `loglikelihood` (of the event, in those units, less the
        integral since the event before), `tail` (integral of the silence behind a person's last event, on its row).
        """
        from ethogram.risk.prompt_tpp.telling import predictions

        if self.fitted is None:
            raise NotFitted("prompt_tpp: predictions before fit; call fit(log), or load a saved system.")
        return predictions(self.fitted, log, draws, seed)

    def state(self) -> State:
        held: State = self.fitted.state()
        return held

    def restore(self, state: State) -> Self:
        from ethogram.risk.prompt_tpp.learning import Fitted

        self.fitted = Fitted.restore(self, state)
        return self

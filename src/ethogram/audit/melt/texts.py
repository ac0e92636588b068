"""What models are given to read: prompts of drawn words, and texts on which quality is measured."""

from __future__ import annotations

import numpy as np

_LIST = """
the river town house garden morning evening people market bread water light stone bridge road hill field winter summer
letter window table door paper music story question answer number street tree boat fish wind rain cloud small large
quiet early late green red old new long short open close walk carry bring find keep turn build write read speak listen
think remember forget begin end with without under over between before after because although while near far many few
some every other same first last next again never always often
"""
_WORDS = _LIST.split()
_ASK = ("Go", "on", "with", "this", "story:")


def prompt(words: int, seed: int) -> str:
    """A prompt of exactly so many words, its beginning unlike that of any other seed.

    >>> len(prompt(32, 1).split()), prompt(32, 1) == prompt(32, 1), prompt(32, 1)[:20] == prompt(32, 2)[:20]
    (32, True, False)
    """
    rng = np.random.default_rng(seed)
    # drawn letters come first, so that no server finds the beginning in its cache
    name = "".join(chr(97 + c) for c in rng.integers(0, 26, 8)).capitalize()
    told = [_WORDS[i] for i in rng.integers(0, len(_WORDS), max(0, words - 6))]
    return " ".join([name, *_ASK, *told][:words])


TEXTS = (
    "The ferry leaves the harbour at seven and crosses to the island in about forty minutes, unless the wind is strong "
    "from the west, in which case the captain takes the longer way behind the rocks and everybody is late for work.",
    "To repair the lamp, first pull the plug out of the wall. Then take off the shade, turn the bulb to the left until "
    "it comes free, and look at the two small contacts inside: if they are black, clean them with a dry cloth.",
    "A customer who returns goods within thirty days is paid back the whole price. After that the shop may offer a "
    "repair or another item of the same value, but it is not obliged to do so if the customer caused the damage.",
    "Bees find their way by the position of the sun. When clouds cover the sky they see the pattern of its light "
    "instead, and a worker that has found flowers tells the others in which direction and how far they have to fly.",
)
"""Plain English of four kinds, written for this package."""

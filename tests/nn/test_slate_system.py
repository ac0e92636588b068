"""What ranking networks share: their options with docs and defaults, and what a system still has to say."""

import subprocess
import sys

import pytest

from ethogram import options
from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.rank.dare import DARE
from ethogram.rank.din import DIN
from ethogram.rank.mean_pooled import MeanPooled
from ethogram.rank.sdim import SDIM

SHARED = [o.name for o in options.table(SlateSystem)]


@pytest.mark.parametrize("system", [DIN, SDIM, DARE, MeanPooled])
def test_options_of_its_own_come_first_and_all_are_explained(system):
    found = options.table(system)
    assert {o.name for o in found} > set(SHARED)
    inherited = [o.name in SHARED and o.name not in system.__annotations__ for o in found]
    assert inherited == sorted(inherited)
    assert all(len(o.doc) > 15 and o.type for o in found)


def test_a_default_of_its_own_keeps_the_shared_words():
    shared, own = ({o.name: o for o in options.table(s)} for s in (SlateSystem, MeanPooled))
    assert (shared["dim"].default, own["dim"].default) == (32, 16)
    assert own["dim"].doc == shared["dim"].doc
    assert own["activation"].doc == "Activation of the tower."
    assert own["activation"].choices == shared["activation"].choices == ("prelu", "dice", "relu")
    assert MeanPooled().epochs == 8
    assert MeanPooled(lr=1).lr == 1.0


def test_a_system_must_say_how_it_reads_a_history():
    with pytest.raises(TypeError, match="_interest"):
        SlateSystem()


def test_sizes_are_refused_when_the_system_is_made():
    for system in (DIN, SDIM, DARE, MeanPooled):
        with pytest.raises(OptionError, match=rf"{system.info.key}: batch = 0; give 1 or more"):
            system(batch=0)
    with pytest.raises(OptionError, match="sdim: attention"):
        SDIM(attention=(0,))


def test_describing_a_ranking_network_does_not_load_torch():
    rooms = ", ".join(f"ethogram.rank.{key}" for key in ("din", "sdim", "dare", "mean_pooled"))
    code = f"import sys, {rooms}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

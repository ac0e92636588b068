"""Other libraries in virtual environments of their own, each asked through one line of JSON.

A peer NAME has three files here: ``NAME.txt`` (what `make peers` installs into ``.peers/NAME``), ``NAME.py`` (our
side: what is asked, and how its answer is read) and ``NAME_inside.py`` (what its own interpreter runs).
"""

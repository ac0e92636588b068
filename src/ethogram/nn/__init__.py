"""Torch parts without a paper: ragged tensors, embedding tables, attention, hashing, losses, the train loop.

Everything here takes packed tensors: the rows of all questions one after another and `offsets` int64[n + 1],
kept on the CPU because plans are made from them. Padding exists only inside a function, bounded, never in a result.
"""

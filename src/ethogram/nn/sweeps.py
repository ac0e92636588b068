"""DIN's attention in compiled sweeps over the pairs: no pair is padded, stored or gathered.

For one candidate the first layer of the attention network is one matrix M = A + P * q on its events (`nn.pairs`). A
sweep makes M once per candidate and goes through its events a few at a time: hidden values, gate and sums stay in the
first cache. Training with Dice takes four sweeps, since its mean and variance, and two sums of its gradient, are those
of all pairs: `moments`, `forward`, `slopes`, `backward`. PReLU and ReLU take three; scoring takes one.

    z = k . M_h + bias_h     f(z) = z (alpha + (1 - alpha) p)     a = sum_h w_h f(z_h) + b     v = sum_j a_j k_j

p is the gate: sigmoid((z - mean) scale) for Dice, [z > 0] for the others. Everything is float32 on the CPU; sums over
all pairs are float64. Candidate q owns the pairs ``spans[q]:spans[q + 1]`` with the events ``first[q]``, ``first[q] +
1``, ...; ``rows[j]`` is the row of `values` that is event j.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

F = np.float32
_FEW = 8
"""Events at a time: as many as one multiplication can have in registers."""
_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_LOG2E = F(1.4426950408889634)
# 2^x on [-1/2, 1/2] by least relative error, 2e-9
_C0, _C1, _C2, _C3 = F(1.0), F(0.693147206), F(0.240226466), F(0.0555032900)
_C4, _C5, _C6 = F(0.00961851953), F(0.00133998604), F(0.000153375768)


@njit(**_FAST)
def exp(x):  # type: ignore[no-untyped-def]
    """e^x to 1e-7, in operations that a compiler turns into vectors; what leaves float32 stops at 2^-126 and 2^126."""
    t = min(max(x * _LOG2E, F(-126)), F(126))
    whole = np.floor(t + F(0.5))
    r = t - whole
    up = _C0 + r * (_C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
    power = np.int32(np.int32(np.int32(whole) + np.int32(127)) << np.int32(23))
    return up * power.view(np.float32)


@njit(**_FAST)
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e^-x) to 1e-7, in operations that a compiler turns into vectors."""
    return F(1) / (F(1) + exp(-x))


@njit(**_FAST)
def dot(a, b):  # type: ignore[no-untyped-def]
    """a . b of two rows."""
    total = F(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(**_FAST)
def add(out, by, row):  # type: ignore[no-untyped-def]
    """out += by row."""
    for k in range(len(out)):
        out[k] += by * row[k]


@njit(**_FAST)
def _sum8(m, i, c, k0, k1, k2, k3, k4, k5, k6, k7):  # type: ignore[no-untyped-def]
    one = (k0 * m[i, c] + k1 * m[i + 1, c]) + (k2 * m[i + 2, c] + k3 * m[i + 3, c])
    return one + ((k4 * m[i + 4, c] + k5 * m[i + 5, c]) + (k6 * m[i + 6, c] + k7 * m[i + 7, c]))


@njit(**_FAST)
def _dot(a, i, b, j):  # type: ignore[no-untyped-def]
    """a[i] . b[j]; eight at a time, since short loops are not turned into vectors by themselves."""
    total, e = F(0), 0
    while e + 8 <= a.shape[1]:
        one = (a[i, e] * b[j, e] + a[i, e + 1] * b[j, e + 1]) + (a[i, e + 2] * b[j, e + 2] + a[i, e + 3] * b[j, e + 3])
        two = a[i, e + 4] * b[j, e + 4] + a[i, e + 5] * b[j, e + 5]
        total += one + (two + (a[i, e + 6] * b[j, e + 6] + a[i, e + 7] * b[j, e + 7]))
        e += 8
    while e < a.shape[1]:
        total += a[i, e] * b[j, e]
        e += 1
    return total


@njit(**_FAST)
def _add8(out, i, e, x0, x1, x2, x3, x4, x5, x6, x7):  # type: ignore[no-untyped-def]
    # all is read before anything is written, so that eight additions can be one
    x0, x1, x2, x3 = x0 + out[i, e], x1 + out[i, e + 1], x2 + out[i, e + 2], x3 + out[i, e + 3]
    x4, x5, x6, x7 = x4 + out[i, e + 4], x5 + out[i, e + 5], x6 + out[i, e + 6], x7 + out[i, e + 7]
    out[i, e], out[i, e + 1], out[i, e + 2], out[i, e + 3] = x0, x1, x2, x3
    out[i, e + 4], out[i, e + 5], out[i, e + 6], out[i, e + 7] = x4, x5, x6, x7


@njit(**_FAST)
def _add(out, i, t, b, j):  # type: ignore[no-untyped-def]
    """out[i] += t * b[j]."""
    e = 0
    while e + 8 <= out.shape[1]:
        y0, y1, y2, y3 = t * b[j, e], t * b[j, e + 1], t * b[j, e + 2], t * b[j, e + 3]
        y4, y5, y6, y7 = t * b[j, e + 4], t * b[j, e + 5], t * b[j, e + 6], t * b[j, e + 7]
        _add8(out, i, e, y0, y1, y2, y3, y4, y5, y6, y7)
        e += 8
    while e < out.shape[1]:
        out[i, e] += t * b[j, e]
        e += 1


@njit(**_FAST)
def _matrix(queries, q, product, key, m):  # type: ignore[no-untyped-def]
    for i in range(m.shape[0]):
        x = queries[q, i]
        for c in range(m.shape[1]):
            m[i, c] = key[i, c] + product[i, c] * x


@njit(**_FAST)
def _hidden(values, rows, at, n, m, bias, q, z):  # type: ignore[no-untyped-def]
    """Hidden values of the events at, at + 1, ... (n of them) into z[:n]."""
    d, h = m.shape
    for j in range(n):
        k = rows[at + j]
        for c in range(h):
            z[j, c] = bias[q, c]
        i = 0
        while i + 8 <= d:
            k0, k1, k2, k3 = values[k, i], values[k, i + 1], values[k, i + 2], values[k, i + 3]
            k4, k5, k6, k7 = values[k, i + 4], values[k, i + 5], values[k, i + 6], values[k, i + 7]
            for c in range(h):
                z[j, c] += _sum8(m, i, c, k0, k1, k2, k3, k4, k5, k6, k7)
            i += 8
        while i < d:
            k0 = values[k, i]
            for c in range(h):
                z[j, c] += k0 * m[i, c]
            i += 1


@njit(**_FAST)
def moments(values, rows, first, spans, queries, bias, product, key, shift, total):  # type: ignore[no-untyped-def]
    """Add up z - shift and its square over all pairs: total float64[2, h]."""
    d, h = product.shape
    m, z, sums = np.empty((d, h), F), np.empty((_FEW, h), F), np.empty((2, h), F)
    for q in range(len(queries)):
        n = spans[q + 1] - spans[q]
        if n == 0:
            continue
        _matrix(queries, q, product, key, m)
        sums[:] = 0
        for at in range(0, n, _FEW):
            few = min(_FEW, n - at)
            _hidden(values, rows, first[q] + at, few, m, bias, q, z)
            for j in range(few):
                for c in range(h):
                    t = z[j, c] - shift[c]
                    sums[0, c] += t
                    sums[1, c] += t * t
        for c in range(h):
            total[0, c] += sums[0, c]
            total[1, c] += sums[1, c]


@njit(**_FAST)
def forward(  # type: ignore[no-untyped-def]
    values, rows, first, spans, queries, bias, product, key, line, bent, mean, scale, dice, last, scores, found
):
    """Scores a of all pairs, and the interests v [Q, d]. line = w alpha, bent = w (1 - alpha), last = b."""
    d, h = product.shape
    m, z = np.empty((d, h), F), np.empty((_FEW, h), F)
    for q in range(len(queries)):
        n = spans[q + 1] - spans[q]
        if n == 0:
            continue
        _matrix(queries, q, product, key, m)
        for at in range(0, n, _FEW):
            few = min(_FEW, n - at)
            _hidden(values, rows, first[q] + at, few, m, bias, q, z)
            for j in range(few):
                t = F(0)
                if dice:
                    for c in range(h):
                        t += z[j, c] * (line[c] + bent[c] * sigmoid((z[j, c] - mean[c]) * scale[c]))
                else:
                    for c in range(h):
                        t += line[c] * z[j, c] + bent[c] * max(z[j, c], F(0))
                t += last
                scores[spans[q] + at + j] = t
                _add(found, q, t, values, rows[first[q] + at + j])


@njit(**_FAST)
def slopes(  # type: ignore[no-untyped-def]
    values, rows, first, spans, queries, bias, product, key, mean, scale, dice, grad, slope, total
):
    """Gradient g of each score from that of the interests [Q, d]; total float64[4, h] sums over all pairs
    g z, g z p, and for Dice g z p (1 - p), the same times (z - mean) scale."""
    d, h = product.shape
    m, z, sums = np.empty((d, h), F), np.empty((_FEW, h), F), np.empty((4, h), F)
    for q in range(len(queries)):
        n = spans[q + 1] - spans[q]
        if n == 0:
            continue
        _matrix(queries, q, product, key, m)
        sums[:] = 0
        for at in range(0, n, _FEW):
            few = min(_FEW, n - at)
            _hidden(values, rows, first[q] + at, few, m, bias, q, z)
            for j in range(few):
                g = _dot(grad, q, values, rows[first[q] + at + j])
                slope[spans[q] + at + j] = g
                if dice:
                    for c in range(h):
                        normal = (z[j, c] - mean[c]) * scale[c]
                        p = sigmoid(normal)
                        x = g * z[j, c]
                        gated = x * p
                        steep = gated * (F(1) - p)
                        sums[0, c] += x
                        sums[1, c] += gated
                        sums[2, c] += steep
                        sums[3, c] += steep * normal
                else:
                    for c in range(h):
                        sums[0, c] += g * z[j, c]
                        sums[1, c] += g * max(z[j, c], F(0))
        for s in range(4):
            for c in range(h):
                total[s, c] += sums[s, c]


@njit(**_FAST)
def backward(  # type: ignore[no-untyped-def]
    values, rows, first, spans, queries, bias, product, key, line, bent, mean, scale, dice, lift, tilt, scores, slope,
    grad, to_values, to_queries, to_bias, to_product, to_key,
):  # fmt: skip
    """Gradients, added to what the arrays hold. lift + tilt (z - mean) scale is what the mean and variance take."""
    d, h = product.shape
    m, z, to_m = np.empty((d, h), F), np.empty((_FEW, h), F), np.empty((d, h), F)
    steep = bent * scale
    for q in range(len(queries)):
        n = spans[q + 1] - spans[q]
        if n == 0:
            continue
        _matrix(queries, q, product, key, m)
        to_m[:] = 0
        for at in range(0, n, _FEW):
            few, begin = min(_FEW, n - at), first[q] + at
            _hidden(values, rows, begin, few, m, bias, q, z)
            for j in range(few):
                g = slope[spans[q] + at + j]
                if dice:
                    for c in range(h):
                        normal = (z[j, c] - mean[c]) * scale[c]
                        p = sigmoid(normal)
                        bend = line[c] + p * (bent[c] + steep[c] * (F(1) - p) * z[j, c])
                        z[j, c] = g * bend - (lift[c] + tilt[c] * normal)
                else:
                    for c in range(h):
                        z[j, c] = g * (line[c] + (bent[c] if z[j, c] > F(0) else F(0)))
                _to_event(z, j, m, scores[spans[q] + at + j], grad, q, to_values, rows[begin + j])
            for j in range(few):
                for c in range(h):
                    to_bias[q, c] += z[j, c]
            _to_matrix(values, rows, begin, few, z, to_m)
        for i in range(d):
            t, x = F(0), queries[q, i]
            for c in range(h):
                to_key[i, c] += to_m[i, c]
                to_product[i, c] += to_m[i, c] * x
                t += to_m[i, c] * product[i, c]
            to_queries[q, i] += t


@njit(**_FAST)
def _to_event(z, j, m, score, grad, q, to_values, k):  # type: ignore[no-untyped-def]
    """to_values[k] += M z[j] + score grad[q], z holding gradients."""
    d, h = m.shape
    i = 0
    while i + 8 <= d:
        x0 = x1 = x2 = x3 = x4 = x5 = x6 = x7 = F(0)
        for c in range(h):
            v = z[j, c]
            x0 += v * m[i, c]
            x1 += v * m[i + 1, c]
            x2 += v * m[i + 2, c]
            x3 += v * m[i + 3, c]
            x4 += v * m[i + 4, c]
            x5 += v * m[i + 5, c]
            x6 += v * m[i + 6, c]
            x7 += v * m[i + 7, c]
        _add8(to_values, k, i, x0, x1, x2, x3, x4, x5, x6, x7)
        i += 8
    while i < d:
        x0 = F(0)
        for c in range(h):
            x0 += z[j, c] * m[i, c]
        to_values[k, i] += x0
        i += 1
    _add(to_values, k, score, grad, q)


@njit(**_FAST)
def _to_matrix(values, rows, begin, few, z, to_m):  # type: ignore[no-untyped-def]
    """to_m += sum_j values[rows[begin + j]] (outer) z[j]."""
    d, h = to_m.shape
    if few == _FEW:
        a, b, c, e = rows[begin], rows[begin + 1], rows[begin + 2], rows[begin + 3]
        f, g, o, p = rows[begin + 4], rows[begin + 5], rows[begin + 6], rows[begin + 7]
        for i in range(d):
            k0, k1, k2, k3 = values[a, i], values[b, i], values[c, i], values[e, i]
            k4, k5, k6, k7 = values[f, i], values[g, i], values[o, i], values[p, i]
            for x in range(h):
                to_m[i, x] += _sum8(z, 0, x, k0, k1, k2, k3, k4, k5, k6, k7)
        return
    for j in range(few):
        k = rows[begin + j]
        for i in range(d):
            for x in range(h):
                to_m[i, x] += values[k, i] * z[j, x]

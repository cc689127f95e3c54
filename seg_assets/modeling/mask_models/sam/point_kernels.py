"""Elementwise steps of the point decoder on a CPU in float32, in Numba.

They read what a matrix product has just left in the cache and write what the next one reads, once.
All arrays are C-contiguous float32 unless stated; T runs along the last axis, where the compiler
vectorises. Sums over T may be taken in any order.
"""

import numpy as np
from numba import njit

_FLAGS = {"contract", "reassoc", "nsz"}
# Tokens handled together: what the loops go over several times stays in the first-level cache.
_STRIP = 64
_LONG_STRIP = 256

_HALF = np.float32(0.5)
_ONE = np.float32(1)

# erf(x / sqrt(2)) / 2 = x P(x^2) / Q(x^2) for |x| < 5.5, beyond which it is 1 / 2 in float32.
# Fitted to scipy.special.erf for the smallest greatest absolute error, 7e-9.
_FAR = np.float32(5.5)
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(c)
    for c in (
        0.3989422346213269,
        0.03385276856617921,
        0.0046772685476625135,
        0.00016882696639719712,
        6.352131298124976e-06,
        2.2749340076383704e-08,
    )
)
_Q1, _Q2, _Q3, _Q4, _Q5 = (
    np.float32(c)
    for c in (
        0.2515222251599669,
        0.028645942531897447,
        0.0018844521245105113,
        7.364794052588029e-05,
        1.1975041830341676e-06,
    )
)

# exp(r) = 1 + r + r^2 (E2 + ...) for |r| < log(2) / 2, relative error 3e-9; log(2) in two parts, so
# that a multiple of the first is exact.
_E2, _E3, _E4, _E5, _E6 = (
    np.float32(c)
    for c in (
        0.49999993330440434,
        0.16666518893712437,
        0.04166840850443117,
        0.008368927209103148,
        0.0013814162748104937,
    )
)
_LOG2_E = np.float32(1.4426950408889634)
_LOG_2_HIGH = np.float32(0.693359375)
_LOG_2_LOW = np.float32(-2.12194440e-4)
_LEAST = np.float32(-87)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _gelu(x):
    near = x if x < _FAR else _FAR
    near = near if near > -_FAR else -_FAR
    y = near * near
    p = ((((_P5 * y + _P4) * y + _P3) * y + _P2) * y + _P1) * y + _P0
    q = ((((_Q5 * y + _Q4) * y + _Q3) * y + _Q2) * y + _Q1) * y + _ONE
    return x * (_HALF + near * (p / q))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _exp(x):
    """For x <= 0, as softmax needs it."""
    x = x if x > _LEAST else _LEAST
    n = np.int32(x * _LOG2_E - _HALF)  # truncation towards zero: the nearest integer
    r = x - np.float32(n) * _LOG_2_HIGH
    r = r - np.float32(n) * _LOG_2_LOW
    p = (((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _E2
    p = p * (r * r) + r + _ONE
    return p * np.int32((n + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def _score(out, fixed, shared, rows, spread, scale):
    """Write scale * (spread * shared + rows) + fixed."""
    for i in range(len(out)):
        out[i] = spread[i] * shared[i] + rows[i]
    for i in range(len(out)):
        out[i] = scale[i] * out[i] + fixed[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def weigh_image(fixed, shared, rows, spread, scale, for_shared, for_rows):
    """Softmax over the image of scale * (spread * shared + rows) + fixed, times the factors.

    Args:
        fixed: (heads, N, tokens, T).
        shared: (heads, N, tokens, T).
        rows: (N, heads, tokens, T).
        spread: (N, T).
        scale: (N, T).
        for_shared: Out, weights x scale x spread, (heads, N, tokens, T); may be `shared`.
        for_rows: Out, weights x scale, (N, heads, tokens, T); may be `rows`.
    """
    heads, prompts, tokens, length = fixed.shape
    score = np.empty(length, np.float32)
    greatest = np.empty(_STRIP, np.float32)
    for h in range(heads):
        for b in range(prompts):
            for j in range(tokens):
                _score(score, fixed[h, b, j], shared[h, b, j], rows[b, h, j], spread[b], scale[b])
                greatest[:] = -np.inf
                for start in range(0, length, _STRIP):
                    strip = score[start : start + _STRIP]
                    for i in range(len(strip)):
                        greatest[i] = strip[i] if strip[i] > greatest[i] else greatest[i]
                top = greatest.max()
                total = np.float32(0)
                for i in range(length):
                    weight = _exp(score[i] - top)
                    score[i] = weight
                    total += weight
                factor = _ONE / total
                scaled, spread_too = for_rows[b, h, j], for_shared[h, b, j]
                scales, spreads = scale[b], spread[b]
                for i in range(length):
                    scaled[i] = factor * score[i] * scales[i]
                for i in range(length):
                    spread_too[i] = scaled[i] * spreads[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def weigh_tokens(fixed, shared, rows, spread, scale, out, first):
    """Softmax over the tokens; all weights but the last token's are kept.

    Args:
        fixed: (heads, N, tokens, T).
        shared: (heads, N, tokens, T); without tokens where `fixed` is all.
        rows: (N, heads, tokens, T); likewise.
        spread: (N, T).
        scale: (N, T).
        out: (N, M, T), written from row `first` on, head by head.
        first: See there.
    """
    heads, prompts, tokens, length = fixed.shape
    scores = np.empty((tokens, _LONG_STRIP), np.float32)
    greatest = np.empty(_LONG_STRIP, np.float32)
    total = np.empty(_LONG_STRIP, np.float32)
    parts = shared.shape[2] > 0
    for b in range(prompts):
        for h in range(heads):
            for start in range(0, length, _LONG_STRIP):
                stop = min(start + _LONG_STRIP, length)
                for j in range(tokens):
                    score = scores[j, : stop - start]
                    if parts:
                        _score(
                            score,
                            fixed[h, b, j, start:stop],
                            shared[h, b, j, start:stop],
                            rows[b, h, j, start:stop],
                            spread[b, start:stop],
                            scale[b, start:stop],
                        )
                    else:
                        score[:] = fixed[h, b, j, start:stop]
                _softmax(scores, greatest, total)
                for j in range(tokens - 1):
                    kept = out[b, first + h * (tokens - 1) + j, start:stop]
                    score = scores[j]
                    for i in range(len(kept)):
                        kept[i] = score[i] * total[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def _softmax(scores, greatest, total):
    """Exponentials of (tokens, strip) scores in place, and one over their sums over the tokens."""
    greatest[:] = -np.inf
    total[:] = 0
    for j in range(len(scores)):
        score = scores[j]
        for i in range(_LONG_STRIP):
            greatest[i] = score[i] if score[i] > greatest[i] else greatest[i]
    for j in range(len(scores)):
        score = scores[j]
        for i in range(_LONG_STRIP):
            weight = _exp(score[i] - greatest[i])
            score[i] = weight
            total[i] += weight
    for i in range(_LONG_STRIP):
        total[i] = _ONE / total[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def add_squares(rows, first, with_basis, with_shared, with_shared_one, spread, total, b, start):
    """Add one block's part to the sum of squares of a prompt's centred keys, for some tokens.

    Args:
        rows: Coefficients of the basis, (N, M, T).
        first: The block's first row.
        with_basis: Products of the block's basis with the keys' sum over the basis, (M', tokens).
        with_shared: The block's basis times the shared part, (heads, N, tokens - 1, T).
        with_shared_one: The same of its last row, (N, T).
        spread: (N, T).
        total: Added to, (N, T).
        b: Which prompt.
        start: The first of the tokens.
    """
    heads, _, others, _ = with_shared.shape
    count = with_basis.shape[1]
    stop = start + count
    within = np.zeros(count, np.float32)
    between = np.zeros(count, np.float32)
    for m in range(heads * others + 1):
        row, basis = rows[b, first + m, start:stop], with_basis[m]
        if m < heads * others:
            image = with_shared[m // others, b, m % others, start:stop]
        else:
            image = with_shared_one[b, start:stop]
        for i in range(count):
            within[i] += row[i] * basis[i]
        for i in range(count):
            between[i] += row[i] * image[i]
    part, factor = total[b, start:stop], spread[b, start:stop]
    for i in range(count):
        part[i] += within[i] + 2 * factor[i] * between[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def normalise_and_activate(x, tokens, shared, spread, scale, bias, weight, norm_bias, eps, first):
    """First upscaling's layer norm and GELU, for some of the tokens, in place.

    Args:
        x: Convolution of the keys' sum over the basis, (4 x C, tokens or more).
        tokens: How many of its columns to do.
        shared: Convolution of the shared part, (4 x C, T).
        spread: (T,).
        scale: (T,).
        bias: (4 x C,).
        weight: Of the norm, (C,).
        norm_bias: (C,).
        eps: Added to the variance.
        first: Which of the T tokens is the first.
    """
    channels = weight.shape[0]
    mean = np.empty(_STRIP, np.float32)
    deviation = np.empty(_STRIP, np.float32)
    for start in range(0, tokens, _STRIP):
        stop = min(start + _STRIP, tokens)
        spreads, scales = spread[first + start : first + stop], scale[first + start : first + stop]
        for top in range(0, x.shape[0], channels):
            mean[:] = 0
            deviation[:] = 0
            for c in range(top, top + channels):
                key, image = x[c, start:stop], shared[c, first + start : first + stop]
                constant = bias[c]
                for i in range(len(key)):
                    key[i] = key[i] + spreads[i] * image[i]
                for i in range(len(key)):
                    key[i] = scales[i] * key[i] + constant
                    mean[i] += key[i]
            for i in range(_STRIP):
                mean[i] *= _ONE / np.float32(channels)
            for c in range(top, top + channels):
                key = x[c, start:stop]
                for i in range(len(key)):
                    key[i] -= mean[i]
                    deviation[i] += key[i] * key[i]
            for i in range(_STRIP):
                deviation[i] = _ONE / np.sqrt(deviation[i] / np.float32(channels) + eps)
            for c in range(channels):
                key = x[top + c, start:stop]
                factor, constant = weight[c], norm_bias[c]
                for i in range(len(key)):
                    key[i] = _gelu(key[i] * deviation[i] * factor + constant)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FLAGS)
def activate_and_multiply(x, bias, vectors, columns, first_row, logits, masks):
    """Second upscaling's GELU, and its product with the masks' vectors, for some rows of tokens.

    Args:
        x: Second convolution, (4 first subpixels, 4 second subpixels x C, tokens).
        bias: (C,).
        vectors: Of a prompt's candidates, (3, C).
        columns: Tokens per row.
        first_row: Which row of tokens is the first.
        logits: Out, (K, 4 x rows, 4 x columns).
        masks: Where each candidate goes in `logits`, (3,) int64; -1 where it is not wanted.
    """
    channels = vectors.shape[1]
    # in fours of channels, so that the sums are read and written less often
    fours = -(-channels // 4)
    factors = np.zeros((len(masks), 4 * fours), np.float32)
    factors[:, :channels] = vectors
    activated = np.zeros((4 * fours, columns), np.float32)
    summed = np.empty(columns, np.float32)
    for row in range(x.shape[2] // columns):
        start = row * columns
        for subpixel in range(16):
            first, second = subpixel // 4, subpixel % 4
            y = 4 * (first_row + row) + 2 * (first // 2) + second // 2
            left = 2 * (first % 2) + second % 2
            for c in range(channels):
                key = x[first, second * channels + c, start : start + columns]
                result, constant = activated[c], bias[c]
                for i in range(columns):
                    result[i] = _gelu(key[i] + constant)
            for candidate in range(len(masks)):
                if masks[candidate] < 0:
                    continue
                summed[:] = 0
                for c in range(0, 4 * fours, 4):
                    w0, w1 = factors[candidate, c], factors[candidate, c + 1]
                    w2, w3 = factors[candidate, c + 2], factors[candidate, c + 3]
                    a0, a1 = activated[c], activated[c + 1]
                    a2, a3 = activated[c + 2], activated[c + 3]
                    for i in range(columns):
                        summed[i] += w0 * a0[i] + w1 * a1[i] + w2 * a2[i] + w3 * a3[i]
                line = logits[masks[candidate], y]
                for i in range(columns):
                    line[4 * i + left] = summed[i]

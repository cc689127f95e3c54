"""Maps from stored factors: the classes that may win, against all classes at every pixel in NumPy.

    python benchmarks/score_maps.py [--size 1500x2250] [--queries 101] [--pairs 5] [--noise]

The other side is what this project did before: bands of pixels, all sigmoids, one matrix product
of queries by classes, the largest. Logits are discs with sure classes on a noisy ground, as a
trained network gives them (--noise: white noise, where no class can be ruled out anywhere).
"""

import argparse

import numpy as np
from pairs import interleave, report

from seg_assets.classes.mapping import load_class_map
from seg_assets.labels.logit_bands import bands
from seg_assets.labels.logit_factors import LogitFactors, class_probabilities


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="1500x2250", help="height x width")
    parser.add_argument("--queries", type=int, default=101)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    factors = some_factors(height, width, options.queries, noise=options.noise)
    factors.argmax((64, 64))  # compiled once

    def compare(expected: np.ndarray, found: np.ndarray) -> None:
        print(f"  {(expected != found).sum()} of {found.size} pixels differ (rounding at ties)")

    print(f"{height} x {width} pixels, {options.queries} queries, 133 classes")
    taken = interleave(lambda: plain_argmax(factors), factors.argmax, options.pairs, compare)
    report("argmax", taken)
    to_base28 = load_class_map("coco133", "base28")
    for name, run in {
        "argmax of 28 groups": lambda: factors.argmax(class_map=to_base28),
        "confidence": factors.confidence,
        "scores of 28 groups": lambda: factors.scores(class_map=to_base28),
    }.items():
        run()
        taken = interleave(lambda: plain_argmax(factors), run, 1, lambda *_: None)
        report(f"{name} beside that argmax", taken)


def plain_argmax(factors: LogitFactors) -> np.ndarray:
    probabilities = class_probabilities(factors.class_logits)
    result = np.empty(factors.output_size, np.uint8)
    sizes = factors.padded_size, factors.input_size, factors.output_size
    for band in bands(factors.mask_logits, *sizes):
        inner_low, inner_high, inner_weight, low, _, _ = band.rows
        left_low, left_high, left_weight, left, _, _ = band.columns
        for y in range(0, band.stop - band.start, 4):
            at = low[y : y + 4]
            lower, upper = band.block[inner_low[at]], band.block[inner_high[at]]
            line = lower + (upper - lower) * inner_weight[at, None, None]
            lower, upper = line[:, left_low[left]], line[:, left_high[left]]
            values = lower + (upper - lower) * left_weight[left, None]
            inside = 1 / (1 + np.exp(-values[..., : len(probabilities)]))
            scores = inside.reshape(-1, len(probabilities)) @ probabilities
            row = band.start + y
            result[row : row + len(at)] = scores.argmax(axis=1).reshape(len(at), -1)
    return result


def some_factors(height: int, width: int, queries: int, *, noise: bool) -> LogitFactors:
    random = np.random.default_rng(0)
    padded = tuple(-(-side // 32) * 32 for side in (height, width))
    shape = (queries, padded[0] // 4, padded[1] // 4)
    class_logits = random.normal(size=(queries, 134)).astype(np.float32)
    sure = np.where(np.arange(queries) < 40, random.integers(0, 133, queries), 133)
    class_logits[np.arange(queries), sure] += 9
    masks = random.normal(size=shape).astype(np.float32)
    if noise:
        masks *= 5
    else:
        rows, columns = np.mgrid[: shape[1], : shape[2]]
        for query in range(queries):
            y, x = random.integers(shape[1]), random.integers(shape[2])
            tall, wide = random.integers(4, shape[1] // 3, 2)
            distance = np.hypot((rows - y) / tall, (columns - x) / wide)
            masks[query] = np.clip(12 * (1 - distance), -14, 9) + 0.3 * masks[query]
    return LogitFactors.of(
        class_logits,
        masks,
        padded_size=(padded[0], padded[1]),
        input_size=(height, width),
        output_size=(height, width),
    )


if __name__ == "__main__":
    main()

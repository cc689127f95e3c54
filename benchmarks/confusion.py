"""Counting a confusion matrix: torchmetrics and NumPy's bincount against ours, by turns.

    pip install -c constraints.txt torchmetrics
    python benchmarks/confusion.py [--pairs 7] [--calls 20]

Maps of 1500 x 2250 pixels, where the truth is not known along a border. bincount is used in its
fastest form that we know: one number of 16 bits for each pair of bytes, what is ignored is cut off
afterwards. It checks no ids; torchmetrics is told not to; ours always does.
"""

import argparse
from collections.abc import Callable

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--calls", type=int, default=20, help="in each timing")
    options = parser.parse_args()

    import torch
    from maps_of_regions import blob_maps, noise_maps, scene_maps

    torch.set_num_threads(1)
    scene = scene_maps(2)
    for name, classes, (prediction, truth) in (
        ("a scene", 133, scene[:2]),
        ("a scene", 19, (scene[0] % 19, scene[1] % 19)),
        ("80 blobs", 133, blob_maps(0, 133, 80)[:2]),
        ("80 blobs", 19, blob_maps(0, 19, 80)[:2]),
        ("noise", 133, noise_maps(0, 133)),
        ("noise", 19, noise_maps(0, 19)),
    ):
        truth[:20] = 255
        pairs = truth.astype(np.int64) * 256 + prediction
        runs = 1 + np.count_nonzero(np.diff(pairs.ravel()))
        print(f"{name}, {classes} classes, {runs} runs of equal pairs", flush=True)
        measure(prediction, truth, classes, options.pairs, options.calls)


def measure(prediction, truth, classes: int, pairs: int, calls: int) -> None:
    import torch
    from pairs import interleave, report

    import seg_assets.modeling.torchvision_cpu  # noqa: F401

    # isort: split
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    from seg_assets.classes.table import ClassTable, SemanticClass
    from seg_assets.metrics.confusion import ConfusionMatrix

    rows = tuple(SemanticClass(i, f"class {i}", (0, 0, 0)) for i in range(classes))
    table = ClassTable("benchmark", "Benchmark", rows)
    tensors = torch.from_numpy(prediction), torch.from_numpy(truth)

    def ours() -> np.ndarray:
        return ConfusionMatrix.of(prediction, truth, table).counts[:, :classes]

    def bincount() -> np.ndarray:
        pairs = (truth.astype(np.uint16) << 8) | prediction
        counts = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        return counts[:classes, :classes]

    def torchmetrics() -> np.ndarray:
        return multiclass_confusion_matrix(
            *tensors, num_classes=classes, ignore_index=255, validate_args=False
        ).numpy()

    ours()  # compiled or read from the cache
    for name, theirs in (("bincount", bincount), ("torchmetrics", torchmetrics)):
        taken = interleave(
            repeated(theirs, calls), repeated(ours, calls), pairs, np.testing.assert_array_equal
        )
        report(f"  {name}, {calls} calls", taken)


def repeated(call: Callable[[], np.ndarray], calls: int) -> Callable[[], np.ndarray]:
    def run() -> np.ndarray:
        for _ in range(calls - 1):
            call()
        return call()

    return run


if __name__ == "__main__":
    main()

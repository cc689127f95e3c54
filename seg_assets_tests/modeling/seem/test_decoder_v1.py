"""The v1.0 wiring against uxv1_extra (upstream's v1.0 code, CPU, fp32), within 1e-4."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seg_assets.errors import InputError
from seg_assets.modeling.seem.decoder_v1 import (
    JointPoints,
    decode_masks,
    even_queries,
    joint_points,
)
from seg_assets_tests.modeling.seem.golden import Golden

SLOTS = ("mean", "l0", "l1", "l2")


@pytest.fixture(scope="module")
def extra(small_dir: Path) -> dict[str, Tensor]:
    return load_file(small_dir / "uxv1_extra.safetensors")


def stored_points(extra: Mapping[str, Tensor], prefix: str) -> dict[str, JointPoints]:
    """The points that upstream drew; rows are (mask, row / height, column / width)."""
    points = {}
    for slot in SLOTS:
        positive, negative = (extra[f"{prefix}/points_{slot}_{sign}"] for sign in ("pos", "neg"))
        rows = torch.cat([positive, negative])
        sign = (torch.arange(len(rows)) >= len(positive)).long()
        points[slot] = JointPoints(rows[:, 0].long(), rows[:, 1:].flip(1), sign)
    return points


def close(got: Tensor, want: Tensor) -> bool:
    return bool((got - want).abs().max() <= 1e-4 * want.abs().max())


@pytest.mark.parametrize("name", ["text_a", "text_pair"])
def test_a_text_prompt_alone_is_what_the_grounding_queries_compute(
    golden: Golden, extra: dict[str, Tensor], name: str
) -> None:
    features = golden.model.encode_image(golden.tensors["in/image"])
    ids, attention = (golden.tensors[f"in/{name}_{kind}"] for kind in ("ids", "attention_mask"))
    objects = golden.model.decode(features, golden.table)
    assert close(objects.logits, extra[f"v1_{name}/pred_logits"])
    assert close(features.masks(objects.mask_embeddings), extra[f"v1_{name}/pred_masks"])
    text = golden.model.read_texts(ids, attention, joined=True)
    grounding = golden.model.decode(features, golden.table, text=text)
    assert close(grounding.captions, extra[f"v1_{name}/pred_gtexts"])
    assert close(features.masks(grounding.mask_embeddings), extra[f"v1_{name}/pred_gmasks"])


def test_two_rounds_of_two_masks_with_negative_points(
    golden: Golden, extra: dict[str, Tensor]
) -> None:
    features = golden.model.encode_image(golden.tensors["in/image"])
    previous = None
    for number in range(2):
        prefix = f"v1_spatial_round{number}"
        answer = decode_masks(
            golden.model.predictor,
            features,
            stored_points(extra, prefix),
            extra[f"{prefix}/query_indices"],
            previous=previous,
            slots=extra.get(f"{prefix}/memory_indices_per_layer"),
        )
        assert close(answer.masks[None], extra[f"{prefix}/prev_mask"])
        previous = extra[f"{prefix}/prev_mask"][0]


def test_our_points_are_spread_over_the_masks(extra: dict[str, Tensor]) -> None:
    positive, negative = (extra[f"in/v1_{sign}_masks"].bool() for sign in ("pos", "neg"))
    points = joint_points(positive, negative, (96, 128), 40)
    drawn = points["l2"]
    assert points.keys() == set(SLOTS)
    for sign, masks in enumerate((positive, negative)):
        for owner, mask in enumerate(masks):
            chosen = (drawn.owner == owner) & (drawn.sign == sign)
            assert chosen.sum() == min(20, int(mask.sum()))
            cells = (drawn.xy[chosen] * torch.tensor([128, 96])).round().long()
            assert mask[cells[:, 1], cells[:, 0]].all()


def test_a_mask_without_memory_does_not_depend_on_its_company(
    golden: Golden, extra: dict[str, Tensor]
) -> None:
    features = golden.model.encode_image(golden.tensors["in/image"])
    decoder = golden.model.predictor
    masks = extra["in/v1_pos_masks"].bool()
    both = decode_masks(
        decoder, features, joint_points(masks, None, (96, 128), 40), even_queries(decoder, 2)
    )
    for i in range(2):
        alone = decode_masks(
            decoder,
            features,
            joint_points(masks[i : i + 1], None, (96, 128), 20),
            even_queries(decoder, 1),
        )
        assert alone.choice == both.choice[i]
        torch.testing.assert_close(alone.masks[0], both.masks[i], rtol=0, atol=1e-5)


def test_a_second_round_reads_the_memory(golden: Golden, extra: dict[str, Tensor]) -> None:
    features = golden.model.encode_image(golden.tensors["in/image"])
    decoder = golden.model.predictor
    points = joint_points(extra["in/v1_pos_masks"].bool(), None, (96, 128), 40)
    first = decode_masks(decoder, features, points, even_queries(decoder, 2))
    second = decode_masks(decoder, features, points, even_queries(decoder, 2), previous=first.masks)
    assert second.masks.shape == first.masks.shape
    assert not torch.allclose(second.masks, first.masks)


def test_masks_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="at least one mask"):
        joint_points(torch.zeros(0, 8, 8), None, (32, 32), 4)
    with pytest.raises(InputError, match="one of each per object"):
        joint_points(torch.ones(2, 8, 8), torch.ones(1, 8, 8), (32, 32), 4)

"""One training step's images, targets and prompts as tensors, padded to equal numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seg_assets.modeling.seem.tokenizer import tokenize

NO_TARGET = -1


@dataclass(frozen=True, eq=False)
class SeemItem:
    """One image with all that chance decides about it.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        masks: (N, S, S) bool.
        class_ids: (N,) int64.
        prompts: (P, S, S) bool, what was drawn; empty ones do not count.
        prompted: (P,) int64, the segments that were drawn on.
        texts: T texts.
        text_masks: (T, S, S) bool, what they mean.
        free_text: the texts are sentences, not class names.
        seed: of all that is drawn for this image later; below 2**20.
    """

    image: np.ndarray
    masks: np.ndarray
    class_ids: np.ndarray
    prompts: np.ndarray
    prompted: np.ndarray
    texts: tuple[str, ...]
    text_masks: np.ndarray
    free_text: bool
    seed: int


@dataclass(frozen=True, eq=False)
class SeemBatch:
    """B images; N, P and T are the largest numbers in the batch, and true entries come first.

    Attributes:
        images: (B, 3, S, S) uint8 RGB.
        class_ids: (B, N) int64, -1 for padding.
        masks: (B, N, S, S) bool.
        prompts: (B, P, S, S) bool.
        prompted: (B, P) int64 index of the segment, -1 for padding and for empty prompts.
        words: (B, T, L) int64 token ids.
        word_valid: (B, T, L) bool; no word of a padding text is valid.
        same_text: (B, T, T) bool, which texts of an image are equal.
        text_masks: (B, T, S, S) bool.
        free_text: (B,) bool.
        seeds: (B,) int64.
    """

    images: Tensor
    class_ids: Tensor
    masks: Tensor
    prompts: Tensor
    prompted: Tensor
    words: Tensor
    word_valid: Tensor
    same_text: Tensor
    text_masks: Tensor
    free_text: Tensor
    seeds: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def valid(self) -> Tensor:
        """(B, N) bool: which targets are there."""
        return self.class_ids != NO_TARGET

    @property
    def prompt_valid(self) -> Tensor:
        """(B, P) bool: which prompts are there and not empty."""
        return self.prompted != NO_TARGET

    @property
    def text_valid(self) -> Tensor:
        """(B, T) bool: which texts are there."""
        return self.word_valid.any(-1)


def collate_items(items: Sequence[SeemItem], context: int) -> SeemBatch:
    """Put items of one size together.

    Args:
        items: at least one.
        context: longest text in tokens.
    """
    prompted = [
        np.where(item.prompts.any((1, 2)), item.prompted, NO_TARGET).astype(np.int64)
        for item in items
    ]
    words, word_valid, same = _tokenized([item.texts for item in items], context)
    images = np.stack([item.image for item in items]).transpose(0, 3, 1, 2)
    return SeemBatch(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        class_ids=_padded([item.class_ids for item in items], NO_TARGET),
        masks=_padded([item.masks for item in items], False),
        prompts=_padded([item.prompts for item in items], False),
        prompted=_padded(prompted, NO_TARGET),
        words=words,
        word_valid=word_valid,
        same_text=same,
        text_masks=_padded([item.text_masks for item in items], False),
        free_text=torch.tensor([item.free_text for item in items]),
        seeds=torch.tensor([item.seed for item in items], dtype=torch.int64),
    )


def _padded(arrays: Sequence[np.ndarray], fill: int | bool) -> Tensor:
    """Stack arrays that differ in their first length, which becomes the longest one."""
    longest = max(len(array) for array in arrays)
    result = np.full((len(arrays), longest, *arrays[0].shape[1:]), fill, arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(result)


def _tokenized(texts: Sequence[Sequence[str]], context: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids (B, T, L), which of them are words, and which texts are equal (B, T, T)."""
    most = max(len(row) for row in texts)
    same = torch.zeros(len(texts), most, most, dtype=torch.bool)
    if not most:
        return same.long(), same, same
    flat = tokenize([text for row in texts for text in row], context=context)
    words = torch.zeros(len(texts), most, flat.ids.shape[1], dtype=torch.int64)
    valid = torch.zeros_like(words, dtype=torch.bool)
    start = 0
    for i, row in enumerate(texts):
        part = slice(start, start + len(row))
        words[i, : len(row)], valid[i, : len(row)] = flat.ids[part], flat.attention[part]
        start += len(row)
        for k, text in enumerate(row):
            same[i, k, : len(row)] = torch.tensor([text == other for other in row])
    return words, valid, same

"""CLIP's tokenizer: texts to token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seg_assets.errors import InputError

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

CONTEXT = 77
START, END = 49406, 49407


@dataclass(frozen=True)
class TokenizedTexts:
    """N texts as token ids.

    Attributes:
        ids: (N, L) int64: start mark, words, end mark, then padding with the end mark.
        attention: (N, L) bool, True from the start mark to the first end mark.
    """

    ids: Tensor
    attention: Tensor


@cache
def _bundled() -> "SimpleTokenizer":
    # open_clip's package imports torchvision, which needs its repair on CPU-only installations
    import seg_assets.modeling.torchvision_cpu  # noqa: F401, PLC0415

    # isort: split
    from open_clip.tokenizer import SimpleTokenizer  # noqa: PLC0415

    return SimpleTokenizer()


def tokenize(texts: Sequence[str], *, context: int = CONTEXT, trim: bool = True) -> TokenizedTexts:
    """Token ids of texts, with the vocabulary that open_clip bundles.

    Padding repeats the end mark, as in the tokenizer that SEEM was trained with. A text of more
    tokens than the context keeps its first ones and ends with the end mark, like CLIP's.

    Args:
        texts: at least one; they are lower-cased, and runs of blanks count as one.
        context: longest text in tokens, both marks included.
        trim: cut positions behind the longest text. The text encoder is causal, so they change
            nothing but its time.

    Raises:
        InputError: there are no texts, or one of them is empty.
    """
    if isinstance(texts, str):
        texts = [texts]
    if not texts:
        raise InputError("There are no texts to tokenize; give at least one.")
    coder = _bundled()
    rows = []
    for text in texts:
        words = coder.encode(text)
        if not words:
            raise InputError(f"The text prompt {text!r} holds no words; give at least one.")
        rows.append([START, *words[: context - 2], END])
    length = max(len(row) for row in rows) if trim else context
    ids = torch.full((len(rows), length), END)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    # a text may spell the end mark itself: the first one counts, as for the text encoder
    attention = torch.arange(length) <= ids.argmax(dim=1, keepdim=True)
    return TokenizedTexts(ids, attention)

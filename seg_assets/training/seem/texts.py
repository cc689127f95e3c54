"""The table of class texts that the class logits of a training step are measured against."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seg_assets.modeling.seem.class_table import (
    NO_OBJECT,
    build_text_table,
    clean_name,
    prompt_templates,
)
from seg_assets.modeling.seem.model import Seem
from seg_assets.modeling.seem.tokenizer import tokenize


class ClassTexts:
    """Every class name, and "no object", in every sentence, as token ids."""

    def __init__(self, names: Sequence[str], *, context: int) -> None:
        """Tokenize the sentences once.

        Args:
            names: of the classes, without "no object".
            context: longest text in tokens.
        """
        self.names = tuple(names)
        rows = [clean_name(name) for name in (*names, NO_OBJECT)]
        sentences = prompt_templates()
        texts = [sentence.replace("{}", name) for name in rows for sentence in sentences]
        tokens = tokenize(texts, context=context)
        shape = (len(rows), len(sentences))
        self._ids = tokens.ids.unflatten(0, shape)  # (classes + 1, sentences, L)
        self._lengths = tokens.attention.sum(1).unflatten(0, shape)

    def step_table(self, model: Seem, key: int | None) -> Tensor:
        """One sentence per class, with gradient where the text encoder is trained.

        Args:
            model: whose text encoder is asked.
            key: decides the sentences; None takes the name alone.

        Returns:
            (classes + 1, hidden) unit vectors.
        """
        classes, sentences, _ = self._ids.shape
        choice = np.zeros(classes, np.int64)
        if key is not None:
            choice = np.random.default_rng(key).integers(sentences, size=classes)
        rows, picked = torch.arange(classes), torch.from_numpy(choice)
        longest = int(self._lengths[rows, picked].max())
        ids = self._ids[rows, picked, :longest].to(model.device)
        return model.language.class_table(ids[:, None])

    def mean_table(self, model: Seem) -> Tensor:
        """The mean over all sentences, without gradient: what inference uses."""
        return build_text_table(model, self.names)

"""CLIP-like text encoder: token ids to word and sentence embeddings."""

import math

import torch
from torch import Tensor, nn

from seg_assets.modeling.seem.config import SeemConfig
from seg_assets.modeling.seem.layers import Attention, unit
from seg_assets.modeling.seem.prompts import TextPrompt

NORM_EPSILON = 1e-12  # not torch's default: upstream's norm follows TensorFlow's
FIRST_LOGIT_SCALE = math.log(1 / 0.07)  # CLIP's start value


class QuickGelu(nn.Module):
    """CLIP's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        return x * torch.sigmoid(1.702 * x)


class TextMlp(nn.Module):
    """Two linear layers, four times as wide between."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(dim, 4 * dim)
        self.gelu = QuickGelu()
        self.c_proj = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.c_proj(self.gelu(self.c_fc(x)))


class TextBlock(nn.Module):
    """Pre-norm transformer layer with causal attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.attn = Attention(dim, heads)
        self.ln_2 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.mlp = TextMlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C)."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, causal=True)
        return x + self.mlp(self.ln_2(x))


class TextTransformer(nn.Module):
    """Causal, so padding needs no mask: nothing up to the end mark sees what follows it."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        dim = config.text_width
        self.token_embedding = nn.Embedding(config.vocab, dim)
        self.positional_embedding = nn.Parameter(torch.empty(config.text_context, dim))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.02)
        self.resblocks = nn.ModuleList(
            TextBlock(dim, config.text_heads) for _ in range(config.text_layers)
        )
        self.ln_final = nn.LayerNorm(dim, eps=NORM_EPSILON)

    def forward(self, ids: Tensor) -> Tensor:
        """(N, L) int64, L up to the context -> hidden states (N, L, text_width)."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        for block in self.resblocks:
            x = block(x)
        return self.ln_final(x)


class LanguageEncoder(nn.Module):
    """Text encoder and the projection into the space of the object queries."""

    def __init__(self, config: SeemConfig) -> None:
        super().__init__()
        self.lang_encoder = TextTransformer(config)
        self.lang_proj = nn.Parameter(torch.empty(config.text_width, config.hidden))
        self.logit_scale = nn.Parameter(torch.tensor(FIRST_LOGIT_SCALE))
        nn.init.normal_(self.lang_proj, std=config.text_width**-0.5)

    def encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Embed tokenised texts.

        The end mark has the largest id, so a sentence is read at the first largest id.

        Args:
            ids: (N, L) int64, padded behind the end mark with anything not larger than it.

        Returns:
            Word embeddings (N, L, hidden) and sentence embeddings (N, hidden), not normalised.
        """
        tokens = self.lang_encoder(ids) @ self.lang_proj
        return tokens, tokens[torch.arange(len(ids), device=ids.device), ids.argmax(dim=1)]

    def class_table(self, ids: Tensor) -> Tensor:
        """One unit vector per class: the mean over its texts' unit vectors, at length one.

        Args:
            ids: (classes, templates, L) int64.

        Returns:
            (classes, hidden).
        """
        sentences = unit(self.encode(ids.flatten(0, 1))[1]).unflatten(0, ids.shape[:2])
        return mean_direction(sentences)

    def read_texts(self, ids: Tensor, attention: Tensor, *, joined: bool = False) -> TextPrompt:
        """Texts as prompts.

        Args:
            ids: (N, L) int64.
            attention: (N, L) bool, True from start to end mark.
            joined: put the words of all texts into one prompt, as upstream does, so that they see
                each other. Otherwise each text is a prompt of its own.

        Returns:
            A prompt of N rows, or of one row if joined; always N sentences.
        """
        tokens, sentences = self.encode(ids)
        attention = attention.bool()
        if joined:
            words = tokens[attention][None]
            return TextPrompt(words, attention.new_ones(words.shape[:2]), sentences)
        return TextPrompt(tokens, attention, sentences)


def mean_direction(vectors: Tensor) -> Tensor:
    """Mean over the next-to-last axis, at length one: (..., N, C) -> (..., C)."""
    mean = vectors.mean(dim=-2)
    return mean / mean.norm(dim=-1, keepdim=True)

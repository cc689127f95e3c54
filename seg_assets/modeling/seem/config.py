"""Sizes of a SEEM model."""

from dataclasses import dataclass

from seg_assets.errors import InputError

STAGES = 4
LEVELS = 3  # scales that the query decoder looks at: strides 32, 16, 8
GROUPS = 32  # of every GroupNorm in the pixel decoder


@dataclass(frozen=True, kw_only=True)
class SeemConfig:
    """Sizes of a SEEM model; the defaults are those of `seem_focall_v1.pt` (341 M parameters).

    Attributes:
        embed: channels of the first backbone stage; each of the four stages doubles them.
        depths: blocks per stage.
        focal_levels: context levels per stage.
        focal_windows: kernel of the first context level per stage; each further level adds 2.
        mlp_ratio: hidden width of a backbone block's MLP over its channels.
        layer_scale: start value of the backbone's per-channel branch weights. Upstream starts at
            1e-4; a small model trained from nothing wants 1.
        drop_path: rate of stochastic depth in the last block, in training only.
        hidden: width of pixel decoder, query decoder and the space shared with texts.
        mask_dim: channels of the mask features.
        heads: attention heads of pixel decoder and query decoder.
        ffn: hidden width of their feed-forward layers.
        encoder_layers: transformer layers on the coarsest map.
        decoder_layers: layers of the query decoder.
        queries: object queries.
        memory_slots: learned slots that the v1.0 wiring uses between rounds.
        max_points: at most so many points of a mask become prompt tokens.
        text_context: longest text in tokens, start and end mark included.
        text_width: width of the text transformer.
        text_heads: its attention heads.
        text_layers: its layers.
        vocab: number of token ids.
    """

    embed: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    focal_levels: tuple[int, ...] = (4, 4, 4, 4)
    focal_windows: tuple[int, ...] = (3, 3, 3, 3)
    mlp_ratio: float = 4.0
    layer_scale: float = 1e-4
    drop_path: float = 0.0
    hidden: int = 512
    mask_dim: int = 512
    heads: int = 8
    ffn: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 9
    queries: int = 101
    memory_slots: int = 32
    max_points: int = 512
    text_context: int = 77
    text_width: int = 512
    text_heads: int = 8
    text_layers: int = 12
    vocab: int = 49408

    def __post_init__(self) -> None:
        """Refuse sizes that no SEEM model can have.

        Raises:
            InputError: naming the field and what it must be.
        """
        for name in ("depths", "focal_levels", "focal_windows"):
            if len(getattr(self, name)) != STAGES:
                raise InputError(f"SeemConfig.{name} has not four entries; give one per stage.")
        # groups of one channel cannot be normalised on the one cell of a tiny image
        if self.hidden % GROUPS or self.hidden == GROUPS or self.hidden % (4 * self.heads):
            raise InputError(
                f"SeemConfig.hidden is {self.hidden}; make it a multiple of {GROUPS} above "
                f"{GROUPS} and of four times the heads ({self.heads})."
            )
        if self.queries < 3:
            raise InputError(f"SeemConfig.queries is {self.queries}; give three at least.")
        if self.text_width % self.text_heads:
            raise InputError(
                f"SeemConfig.text_width is {self.text_width}; make it a multiple of text_heads."
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the backbone maps at strides 4, 8, 16 and 32."""
        return tuple(self.embed * 2**i for i in range(STAGES))


FOCAL_L = SeemConfig()

# 3.0 million parameters, small enough to train on a CPU and to ship; the embeddings of the real
# tokenizer's vocabulary are 0.8 of them.
DEMO = SeemConfig(
    embed=32,
    depths=(1, 1, 2, 1),
    focal_levels=(2, 2, 2, 2),
    mlp_ratio=2.0,
    layer_scale=1.0,
    hidden=96,
    mask_dim=96,
    heads=4,
    ffn=256,
    encoder_layers=1,
    decoder_layers=3,
    queries=30,
    memory_slots=8,
    max_points=64,
    text_width=16,
    text_heads=2,
    text_layers=2,
)

SEEM_CONFIGS = {"focal_l": FOCAL_L, "demo": DEMO}

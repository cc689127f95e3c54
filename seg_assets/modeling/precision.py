"""Number types that a network's large matrix products can run in."""

from typing import Literal

Precision = Literal["float32", "bfloat16", "float16"]

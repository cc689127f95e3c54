"""Importing this trains once, so that processes forked later find everything imported.

torch imports its compiler with the first optimizer step, which alone takes seconds.
"""

import tempfile

import torch

from seg_assets.training.loop import train
from seg_assets_tests.training.line import LineTask, line_config

torch.set_num_threads(1)  # no thread may run when this process is forked
with tempfile.TemporaryDirectory() as folder:
    train(LineTask(), line_config(steps=1), folder)

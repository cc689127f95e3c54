"""Progress of a long step as log lines: what is done, images per second, time left."""

import logging
import time

logger = logging.getLogger(__name__)


class Progress:
    """Counts images and writes a line every few seconds.

    Args:
        name: what is being done, for the log line ("sam_masks of shard sa_000001").
        total: number of images to do.
        done: images that an earlier run has already done.
        every: seconds between two lines.
    """

    def __init__(self, name: str, total: int, *, done: int = 0, every: float = 5.0) -> None:
        self.name = name
        self.total = total
        self.done = done
        self.every = every
        self._at_start = done
        self._started = self._reported = time.monotonic()
        if done:
            logger.info("%s: %d of %d images were done before, going on", name, done, total)

    def step(self) -> None:
        """Count one image."""
        self.done += 1
        now = time.monotonic()
        if now - self._reported >= self.every or self.done == self.total:
            self._reported = now
            rate = (self.done - self._at_start) / max(now - self._started, 1e-9)
            left = (self.total - self.done) / rate
            logger.info(
                "%s: %d of %d images, %.2f images/s, %s left",
                self.name,
                self.done,
                self.total,
                rate,
                _clock(left),
            )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

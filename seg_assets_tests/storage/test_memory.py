import subprocess
import sys
from pathlib import Path


def peak_megabytes(root: Path, images: int) -> float:
    command = [sys.executable, "-m", "seg_assets_tests.storage.memory_writer"]
    done = subprocess.run(
        [*command, str(root), str(images)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return int(done.stdout) / 1024


def test_peak_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    few = peak_megabytes(tmp_path / "few", 8)
    many = peak_megabytes(tmp_path / "many", 64)
    # 56 more images of 1 MB: a tenth of them may hide in the allocator.
    assert many - few < 6, f"8 images took {few:.1f} MB, 64 took {many:.1f} MB"

"""`seg-assets models export`, and its page docs/export_onnx.md; row X4 of the features."""

import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from seg_assets.cli import main
from seg_assets.data.scenes import make_scene
from seg_assets.masks.predictor import load_prompt_predictor
from seg_assets.masks.prompts import Prompts
from seg_assets.modeling.onnx_export.metadata import GRAPH_KINDS
from seg_assets_tests.conftest import REPOSITORY
from seg_assets_tests.modeling.onnx_files import NEEDS, demo_files

for package in NEEDS:
    pytest.importorskip(package)

PAGE = (REPOSITORY / "docs" / "export_onnx.md").read_text(encoding="utf-8")
ALONE, IN_PROJECT = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def _run(*arguments: str, status: int):
    result = CliRunner().invoke(main, ["models", "export", *arguments])
    assert result.exit_code == status, result.output
    return result


def test_the_command_says_what_it_wrote_and_how_it_compares():
    """X4: seconds per step and images per second, of both."""
    files = demo_files()
    lines = files.stdout.splitlines()
    assert len(lines) == 2 * len(GRAPH_KINDS)
    for kind, written, compared in zip(GRAPH_KINDS, lines[::2], lines[1::2], strict=True):
        path = files.folder / f"sam_demo_{kind}.onnx"
        assert written == f"{kind}: {path}, {path.stat().st_size / 1e6:,.1f} MB"
        speed = r"(\d+\.\d{4}) s/step, (\d+\.\d\d) images/s"
        found = re.fullmatch(
            rf"  largest difference to torch (\S+); {speed} \(torch: {speed}\)", compared
        )
        assert found is not None, compared
        difference, seconds, rate, torch_seconds, torch_rate = map(float, found.groups())
        assert difference < 1e-3
        assert min(seconds, rate, torch_seconds, torch_rate) > 0
    assert {path.name for path in files.folder.iterdir()} == {
        f"sam_demo_{kind}.onnx" for kind in GRAPH_KINDS
    }


def test_a_network_of_another_family_is_refused_before_its_weights_are_looked_for(
    tmp_path, monkeypatch
):
    (tmp_path / "manifest.toml").write_text(
        '[other]\ntitle = "t"\nkind = "sam"\nconfig = "sam2_hiera_tiny"\nurl = "https://a/b.pt"\n'
        'licence = "MIT"\ninput_size = 64\ninput_side = "long"\nmean = [1, 2, 3]\nstd = [4, 5, 6]'
    )
    monkeypatch.setenv("SEG_MODELS_DIR", str(tmp_path))
    result = _run("other", "--out", str(tmp_path / "out"), status=2)
    assert "other cannot be exported, for its network is 'sam2_hiera_tiny'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sam_demo"], "Missing option '--out'"),
        (["sam_demo", "--out", "o", "--opset", "17"], "17 is not in the range 18<=x<=23"),
        (["sam_demo", "--out", "o", "--graph", "head"], "'head' is not one of"),
        (["nothing", "--out", "o"], "no model is called 'nothing'"),
        (["seem_demo", "--out", "o"], "'seem_demo' is no sam model"),
    ],
)
def test_wrong_usage_ends_with_status_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in _run(*arguments, status=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = _run("sam_demo", "--out", str(tmp_path), status=2)
    assert "install the project with its extra, seg_assets[onnx]" in result.stderr


def test_the_help_is_there_without_torch():
    code = (
        "import sys; from seg_assets.cli import main\n"
        "try: main(['models', 'export', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in (*GRAPH_KINDS, "--opset", "--no-check"):
        assert word in done.stdout


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """The page's folder: its picture, and the graphs where its commands write them."""
    folder = tmp_path_factory.mktemp("page")
    Image.fromarray(make_scene(11, (100, 150), view="close").image).save(folder / "photo.png")
    (folder / "exported").symlink_to(demo_files().folder)
    return folder


def test_the_page_s_snippet_needs_onnxruntime_numpy_and_pillow_only(photo):
    """Its mask is that of the torch path, but for pixels on the outline."""
    code = ALONE + "\nimport sys; assert not {'torch', 'seg_assets'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=photo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = np.array(Image.open(photo / "mask.png")) == 255
    predictor = load_prompt_predictor("sam_demo")
    embedding = predictor.embed(np.array(Image.open(photo / "photo.png")))
    expected = predictor.predict(
        embedding, Prompts.of_object(points=[(75, 59)], labels=[1]), multimask=True
    )
    mask = expected.masks[0, expected.best[0]]
    assert 100 < mask.sum() < 10_000
    # Pillow widens its filter where it makes a picture smaller, as it does here in the last step.
    assert (found != mask).sum() < 0.01 * mask.sum()


def test_the_page_s_example_in_the_project_runs(photo, monkeypatch):
    monkeypatch.chdir(photo)
    found: dict = {}
    exec(IN_PROJECT, found)  # the page is ours
    assert found["found"].masks.shape == (1, 3, 100, 150)
    assert found["in_boxes"].masks.shape == (2, 100, 150)


def test_the_page_lists_the_inputs_and_outputs():
    onnxruntime = pytest.importorskip("onnxruntime")
    for kind in GRAPH_KINDS:
        session = onnxruntime.InferenceSession(str(demo_files().folder / f"sam_demo_{kind}.onnx"))
        for found in (*session.get_inputs(), *session.get_outputs()):
            assert re.search(rf"\| {kind} \| `{found.name}` ", PAGE), found.name

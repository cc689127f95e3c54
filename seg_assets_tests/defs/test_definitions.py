"""The graph as users see it: keys, dependencies, groups, checks, jobs; how light it loads."""

import subprocess
import sys

import dagster as dg
import pytest

from seg_assets.definitions import defs
from seg_assets_tests.conftest import REPOSITORY

GRAPH = {
    # asset: (group, what it depends on, pool)
    "raw_images": ("images", set(), None),
    "sam_masks": ("masks", {"raw_images"}, "gpu"),
    "seem_logits": ("labels", {"raw_images", "sam_masks"}, "gpu"),
    "seem_labels": ("labels", {"raw_images", "sam_masks"}, "gpu"),
    "region_labels": ("labels", {"raw_images", "sam_masks"}, "gpu"),
    "semantic_maps": ("maps", {"sam_masks", "seem_labels", "region_labels"}, None),
    "merged_maps": ("maps", {"semantic_maps"}, None),
    "ssa_masks": ("labels", {"raw_images", "sam_masks", "seem_labels"}, "gpu"),
    "ssa_maps": ("labels", {"raw_images", "sam_masks", "seem_labels"}, "gpu"),
    "evaluation_metrics": (
        "evaluation",
        {"sam_masks", "seem_labels", "region_labels", "semantic_maps", "merged_maps"}
        | {"ssa_masks", "ssa_maps"},
        None,
    ),
    "evaluation_report": ("evaluation", {"evaluation_metrics"}, None),
    "training_categories": ("training_data", set(), None),
    "training_panoptic": ("training_data", {"raw_images", "training_categories"}, None),
    "training_semantic": ("training_data", {"training_panoptic", "training_categories"}, None),
    "training_grounding": ("training_data", {"training_panoptic", "training_categories"}, None),
    "training_dataset": (
        "training_data",
        {"training_panoptic", "training_semantic", "training_grounding"},
        None,
    ),
    "finetuned_sam": ("training", set(), "gpu"),
    "finetuned_seem": ("training", {"training_dataset"}, "gpu"),
}

CHECKS = {
    # check: (asset, blocking)
    "shard_has_images": ("raw_images", True),
    "all_images_readable": ("raw_images", False),
    "masks_fit_images": ("sam_masks", True),
    "every_image_has_masks": ("sam_masks", False),
    "labels_are_sure": ("region_labels", False),
    "votes_are_clear": ("ssa_masks", False),
    "maps_are_complete": ("merged_maps", True),
    "truth_was_found": ("evaluation_metrics", False),
    "segments_match_maps": ("training_panoptic", True),
    "training_ids_match_segments": ("training_semantic", True),
    "pixels_are_labelled": ("training_semantic", False),
    "outlines_match_segments": ("training_grounding", True),
    "sam_is_better_than_at_start": ("finetuned_sam", False),
    "seem_is_better_than_at_start": ("finetuned_seem", False),
}

JOBS = {"label_shards", "mask_shards", "name_shards", "vote_shards", "score_shards", "report"}
JOBS |= {"training_shards", "training_folders", "finetune_sam", "finetune_seem"}

OVER_ALL_SHARDS = {"evaluation_report", "training_categories", "training_dataset"}
OVER_ALL_SHARDS |= {"finetuned_sam", "finetuned_seem"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    loaded = defs()
    dg.Definitions.validate_loadable(loaded)
    return loaded


def test_assets_and_their_dependencies(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        parents = {parent.to_user_string() for parent in node.parent_keys}
        pools = {pool for pool in node.pools or ()}
        found[key.to_user_string()] = (node.group_name, parents, next(iter(pools), None))
    assert found == GRAPH


def test_assets_are_described_owned_and_versioned(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.description, name
        assert spec.owners == ["team:vision"], name
        assert spec.kinds, name
        assert spec.code_version, name
        assert "dagster/code_references" in spec.metadata, name
        if name not in OVER_ALL_SHARDS:
            assert isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition), name


def test_checks_and_which_of_them_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {}
    for key in graph.asset_check_keys:
        check = graph.get(key)
        found[key.name] = (key.asset_key.to_user_string(), check.blocking)
    assert found == CHECKS


def test_jobs_and_resources(definitions: dg.Definitions) -> None:
    names = {job.name for job in definitions.resolve_all_job_defs()}
    assert {name for name in names if not name.startswith("__")} == JOBS
    assert set(definitions.resources or {}) == {"store", "models", "devices"}


def test_loading_the_definitions_imports_nothing_heavy_and_touches_no_store(tmp_path) -> None:
    script = (
        "import sys\n"
        "from seg_assets.definitions import defs\n"
        "defs().resolve_asset_graph()\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'matplotlib', 'open_clip', 's3fs'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, f'loading the definitions imported {sorted(loaded)}'\n"
    )
    environment = {"PYTHONPATH": str(REPOSITORY), "SEG_DATA_DIR": str(tmp_path / "nowhere")}
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert not (tmp_path / "nowhere").exists()

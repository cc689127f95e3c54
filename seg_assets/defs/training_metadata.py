"""Numbers and tables of training data for the Dagster UI."""

from collections import Counter
from collections.abc import Mapping

import dagster as dg

from seg_assets.data.panoptic.categories import CategoryTable
from seg_assets.data.panoptic.writer import SplitSummary
from seg_assets.defs.metadata import Metadata
from seg_assets.stages.training_categories import load_categories
from seg_assets.stages.training_dataset import FOLDER
from seg_assets.storage.store import Store


def categories_metadata(table: CategoryTable) -> Metadata:
    """How many categories, and the table."""
    lines = ["| training id | id | name | colour | |", "| --- | --- | --- | --- | --- |"]
    for position, item in enumerate(table.categories):
        color = ", ".join(map(str, item.color))
        kind = "thing" if item.is_thing else "stuff"
        lines.append(f"| {position} | {item.id} | {item.name} | {color} | {kind} |")
    return {
        "categories": len(table),
        "things": sum(item.is_thing for item in table.categories),
        "table": dg.MetadataValue.md("\n".join(lines)),
    }


def segments_metadata(store: Store, shard: str) -> Metadata:
    """Segments per image, crowds, and segments and pixels per category."""
    reader = store.open_shard("training_panoptic", shard)
    segments: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    crowds = 0
    for listed in reader.read(["segments"])["segments"].to_pylist():
        for segment in listed:
            segments[segment["category_id"]] += 1
            pixels[segment["category_id"]] += segment["area"]
            crowds += segment["iscrowd"]
    lines = ["| category | segments | pixels |", "| --- | --- | --- |"]
    for item in load_categories(store).categories:
        lines.append(f"| {item.name} | {segments[item.id]} | {pixels[item.id]} |")
    return {
        "segments_per_image": round(segments.total() / max(len(reader), 1), 2),
        "crowds": crowds,
        "per_category": dg.MetadataValue.md("\n".join(lines)),
    }


def unlabelled_metadata(store: Store, shard: str) -> Metadata:
    """Share of the pixels without a label."""
    counts = store.open_shard("training_semantic", shard).read(["pixels", "unlabelled"]).to_pandas()
    share = float(counts["unlabelled"].sum() / max(counts["pixels"].sum(), 1))
    return {"unlabelled_share": round(share, 4)}


def grounding_metadata(store: Store, shard: str) -> Metadata:
    """How much is said."""
    reader = store.open_shard("training_grounding", shard)
    said = [len(texts) for texts in reader.read(["sentences"])["sentences"].to_pylist()]
    return {
        "segments_with_sentences_per_image": round(len(said) / max(len(reader), 1), 2),
        "sentences_per_image": round(sum(said) / max(len(reader), 1), 2),
    }


def splits_metadata(store: Store, folder: str, splits: Mapping[str, SplitSummary]) -> Metadata:
    """What each split holds, and where."""
    metadata: Metadata = {"path": folder or store.location(FOLDER)}
    for split, summary in splits.items():
        metadata |= {
            f"{split}_images": summary.images,
            f"{split}_segments": summary.segments,
            f"{split}_sentences": summary.sentences,
            f"{split}_unlabelled_share": summary.unlabelled_share,
            f"{split}_images_failed": len(summary.failed),
        }
    names = list(splits)
    heads = " | ".join(f"{split} segments | {split} pixels" for split in names)
    lines = [f"| category | {heads} |", "| --- |" + " --- | --- |" * len(names)]
    for name in splits[names[0]].segments_per_category:
        cells = (
            f"{splits[split].segments_per_category[name]} | "
            f"{splits[split].pixels_per_category[name]}"
            for split in names
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    metadata["per_category"] = dg.MetadataValue.md("\n".join(lines))
    return metadata

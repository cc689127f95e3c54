"""Every column that seg_assets writes: the one law that all writers and readers obey.

A column is required unless it is described as optional. Pictures are the struct
`{bytes, path}` that Hugging Face `datasets` shows as images.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

# The struct that Hugging Face `datasets` stores for its Image feature.
PNG = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
_XYWH = pa.list_(pa.float64())


def column(name: str, kind: pa.DataType, description: str, *, optional: bool = False) -> pa.Field:
    """Describe one column; an optional one may hold nulls."""
    # Hugging Face recognises its picture type only in a nullable column; the writer still
    # refuses a missing picture, see `is_required`.
    nullable = optional or kind == PNG
    return pa.field(name, kind, nullable, {"description": description})


def is_required(field: pa.Field) -> bool:
    """Whether every row must hold a value in this column."""
    return field.type == PNG or not field.nullable


def description_of(field: pa.Field) -> str:
    """Return the sentence that describes the column."""
    return (field.metadata or {}).get(b"description", b"").decode()


def _schema(*columns: pa.Field) -> pa.Schema:
    image_id = column("image_id", pa.string(), "name of the image, unique inside its shard")
    schema = pa.schema([image_id, *columns])
    pictures = {field.name: {"_type": "Image"} for field in columns if field.type == PNG}
    if not pictures:
        return schema
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": pictures}})})


_OFFSET = column(
    "offset", pa.int64(), "first byte inside the tar file that `uri` names", optional=True
)
_SIZE = column("size", pa.int64(), "length in bytes inside that tar file", optional=True)
_HEIGHT = column("height", pa.int32(), "height of the image in pixels")
_WIDTH = column("width", pa.int32(), "width of the image in pixels")

SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "shards": _schema(
            column("uri", pa.string(), "file, object or tar file that holds the image"),
            _OFFSET,
            _SIZE,
            column(
                "label_uri", pa.string(), "file with the ground truth of the image", optional=True
            ),
        ),
        "raw_images": _schema(
            column("uri", pa.string(), "file, object or tar file that holds the image"),
            _OFFSET,
            _SIZE,
            column("width", pa.int32(), "width in pixels, after EXIF rotation"),
            column("height", pa.int32(), "height in pixels, after EXIF rotation"),
            column("format", pa.string(), "file format, as JPEG or PNG"),
            column("sha256", pa.string(), "hexadecimal SHA-256 of the encoded image"),
        ),
        "sam_masks": _schema(
            column("mask_id", pa.int32(), "number of the mask in its image, from 0"),
            _HEIGHT,
            _WIDTH,
            column("rle_counts", pa.binary(), "the mask as COCO compressed run lengths"),
            column("bbox", _XYWH, "box around the mask: x, y, width, height in pixels"),
            column("area", pa.int64(), "pixels in the mask"),
            column("predicted_iou", pa.float64(), "the model's own guess of the mask's IoU"),
            column(
                "stability_score",
                pa.float64(),
                "IoU of the mask cut at a higher and at a lower threshold",
            ),
            column(
                "point_coords",
                pa.list_(pa.list_(pa.float64())),
                "the points x, y that prompted the mask",
            ),
            column("crop_box", _XYWH, "the crop it was found in: x, y, width, height in pixels"),
        ),
        "seem_logits": _schema(
            _HEIGHT,
            _WIDTH,
            column("padded_height", pa.int32(), "height of the padded network input"),
            column("padded_width", pa.int32(), "width of the padded network input"),
            column("input_height", pa.int32(), "height of the network input without padding"),
            column("input_width", pa.int32(), "width of the network input without padding"),
            column("queries", pa.int32(), "number K of kept queries"),
            column("mask_height", pa.int32(), "height h of the mask logits"),
            column("mask_width", pa.int32(), "width w of the mask logits"),
            column(
                "class_logits",
                pa.binary(),
                "float16, little endian, (K, C + 1): SEEM's own C classes and no object last",
            ),
            column("mask_logits", pa.binary(), "float16, little endian, (K, h, w)"),
            column(
                "dense_scores",
                pa.large_binary(),
                "float16, little endian, (classes, H, W): scores of the semantic classes",
                optional=True,
            ),
        ),
        "seem_labels": _schema(
            column("label_map", PNG, "indexed PNG of semantic ids (as base28), 255 = no label"),
            column("source_map", PNG, "indexed PNG of SEEM's own ids (as coco133)"),
            column(
                "confidence",
                pa.binary(),
                "grey PNG: 255 times the share of the winner's score in all scores",
                optional=True,
            ),
            column(
                "margin",
                pa.binary(),
                "grey PNG: 255 times that share minus the share of the second best class",
                optional=True,
            ),
        ),
        "region_labels": _schema(
            column("region_id", pa.int32(), "value of the region in the region map, from 1"),
            column("mask_id", pa.int32(), "the row of sam_masks that the region comes from"),
            column("area", pa.int64(), "pixels in the region"),
            column(
                "source_id",
                pa.int32(),
                "SEEM's class for the region, in its own table of C classes; C = no object",
            ),
            column(
                "class_id",
                pa.int32(),
                "semantic id (as base28) the region is painted with, 255 = no label",
            ),
            column("score", pa.float64(), "probability of the class source_id"),
            column("margin", pa.float64(), "score minus that of the runner-up"),
            column(
                "vote_share",
                pa.float64(),
                "share of the region's pixels that SEEM's label map gives the class",
            ),
            column("fallback", pa.bool_(), "whether the pixels of SEEM's label map decided"),
            column(
                "proposals",
                pa.list_(
                    pa.struct([pa.field("source_id", pa.int32()), pa.field("score", pa.float64())])
                ),
                "the best classes with their scores, best first",
            ),
        ),
        "semantic_maps": _schema(
            column("label_map", PNG, "indexed PNG of semantic ids (as base28), 255 = no label"),
        ),
        "merged_maps": _schema(
            column(
                "label_map",
                PNG,
                "indexed PNG of merged ids (as merged19), 255 = no label",
            ),
        ),
        "ssa_masks": _schema(
            column("mask_id", pa.int32(), "the row of sam_masks that is named"),
            column(
                "class_id",
                pa.int32(),
                "class of most of the mask's pixels in the segmentor's map, 255 = none has one",
            ),
            column("vote_share", pa.float64(), "share of the mask's pixels with that class"),
            column(
                "kept",
                pa.bool_(),
                "whether the mask is painted in the class; else the segmentor's labels stay in it",
            ),
            column(
                "proposals",
                pa.list_(
                    pa.struct([pa.field("class_id", pa.int32()), pa.field("share", pa.float64())])
                ),
                "the classes with the largest shares, largest first",
            ),
        ),
        "ssa_maps": _schema(
            column("label_map", PNG, "indexed PNG of the masks' classes over the segmentor's map"),
            column("segmentor_map", PNG, "indexed PNG of the segmentor's own map"),
        ),
        "evaluation_metrics": _schema(
            column(
                "method",
                pa.string(),
                "whose maps: sam_seem with SAM's masks, seem without, ssa voted into SAM's masks, "
                "segmentor without",
            ),
            column("table", pa.string(), "class table of the comparison, with C classes"),
            column("pixels", pa.int64(), "pixels of the image"),
            column("ignored", pa.int64(), "pixels without ground truth, not counted"),
            column(
                "confusion",
                pa.list_(pa.int64()),
                "counts (C, C + 1) row by row: truth by prediction, last column no prediction",
            ),
            column(
                "boundary",
                pa.list_(pa.float64()),
                "sums of metrics.boundary.BoundarySums, C numbers each",
                optional=True,
            ),
            column(
                "panoptic",
                pa.list_(
                    pa.struct(
                        [
                            pa.field("class_id", pa.int32()),
                            pa.field("iou", pa.float64()),
                            pa.field("matched", pa.int64()),
                            pa.field("wrong", pa.int64()),
                            pa.field("missed", pa.int64()),
                        ]
                    )
                ),
                "for each class that occurs, matched, wrong and missed segments, and the sum of "
                "the matches' IoU; where the truth has segments",
                optional=True,
            ),
            column(
                "instances",
                pa.struct(
                    [
                        pa.field("class_ids", pa.list_(pa.int32())),
                        pa.field("scores", pa.list_(pa.float64())),
                        pa.field("ranks", pa.list_(pa.int32())),
                        pa.field("outcomes", pa.binary()),
                        pa.field("objects", pa.list_(pa.int64())),
                    ]
                ),
                "predicted objects and whether they are right, as "
                "metrics.instance_matches.InstanceMatches; where the truth has objects",
                optional=True,
            ),
        ),
        "evaluation_masks": _schema(
            column("purity", pa.list_(pa.float64()), "sums of metrics.purity.RegionPurity"),
            column(
                "oracle",
                pa.list_(pa.int64()),
                "confusion, as in evaluation_metrics, of the best labelling of the regions; beside "
                "them what the first label set says",
            ),
            column("has_objects", pa.bool_(), "whether the truth knows the image's objects"),
        ),
        "evaluation_objects": _schema(
            column("object_id", pa.int32(), "the segment of the ground truth"),
            column("class_id", pa.int32(), "its class in the table of the comparison"),
            column("area", pa.int64(), "its pixels"),
            column("iou", pa.float64(), "with the SAM mask that fits it best, 0 to 1"),
            column("mask_id", pa.int32(), "that row of sam_masks; none touches it", optional=True),
        ),
        "training_panoptic": _schema(
            _HEIGHT,
            _WIDTH,
            column("panoptic", PNG, "RGB PNG of segment ids R + 256 G + 65536 B, 0 = no segment"),
            column(
                "segments",
                pa.list_(
                    pa.struct(
                        [
                            pa.field("id", pa.int32()),
                            pa.field("category_id", pa.int32()),
                            pa.field("area", pa.int64()),
                            pa.field("bbox", pa.list_(pa.int32())),
                            pa.field("iscrowd", pa.int8()),
                        ]
                    )
                ),
                "the segments: id, category, pixels, box x, y, width, height, whether a crowd",
            ),
        ),
        "training_semantic": _schema(
            column("label_map", PNG, "indexed PNG of training ids, 255 = no label"),
            column("pixels", pa.int64(), "pixels of the image"),
            column("unlabelled", pa.int64(), "pixels without a label"),
        ),
        "training_grounding": _schema(
            column("segment_id", pa.int32(), "the segment of the panoptic map that is meant"),
            column("category_id", pa.int32(), "its category"),
            column("area", pa.int64(), "its pixels"),
            column("bbox", _XYWH, "box around it: x, y, width, height in pixels"),
            column(
                "polygons",
                pa.list_(pa.list_(pa.float64())),
                "its outline as polygons x1, y1, x2, y2, ... in pixels",
            ),
            column("sentences", pa.list_(pa.string()), "sentences that mean it"),
        ),
        "errors": _schema(
            column(
                "stage",
                pa.string(),
                "the stage that gave the image up, or why it could not be compared with the truth",
            ),
            column("message", pa.string(), "what was wrong"),
        ),
    }
)


def schema_tables() -> str:
    """Return the columns of every asset as markdown tables, for docs/storage.md."""
    blocks = []
    for asset, schema in SCHEMAS.items():
        lines = [f"### {asset}", "", "| column | type | meaning |", "| --- | --- | --- |"]
        for field in schema:
            meaning = description_of(field) + ("" if is_required(field) else " (optional)")
            lines.append(f"| {field.name} | {_type_name(field.type)} | {meaning} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _type_name(kind: pa.DataType) -> str:
    if kind == PNG:
        return "picture {bytes, path}"
    if pa.types.is_list(kind):
        return f"list of {_type_name(kind.value_type)}"
    if pa.types.is_struct(kind):
        inner = ", ".join(f"{field.name}: {_type_name(field.type)}" for field in kind)
        return f"{{{inner}}}"
    return {"double": "float64"}.get(str(kind), str(kind))

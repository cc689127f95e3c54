"""Where the files of a training data set lie: one folder per split, all files of an image by stem.

<root>/<split>/images/<stem>.jpg        upright pictures
<root>/<split>/panoptic/<stem>.png      segment ids as colours
<root>/<split>/panoptic.json            segments and categories
<root>/<split>/semantic/<stem>.png      training ids, 255 = no label
<root>/<split>/grounding.json           sentences and what they mean
<root>/<split>/dataset.json             written last: what the split was made of
"""

IMAGES = "images"
IMAGE_SUFFIX = ".jpg"
PANOPTIC = "panoptic"
PANOPTIC_JSON = "panoptic.json"
SEMANTIC = "semantic"
MAP_SUFFIX = ".png"
GROUNDING_JSON = "grounding.json"
SUMMARY_JSON = "dataset.json"

# Where SEEM's own training scripts look for it.
UPSTREAM_PANOPTIC_JSON = "panoptic/pgt.json"

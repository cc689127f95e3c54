import numpy as np

from seg_assets.classes.mapping import ClassMap, load_class_map
from seg_assets.labels.score_groups import ScoreGroups

TO_BASE28 = load_class_map("coco133", "base28")


def test_each_target_class_sums_what_leads_to_it():
    groups = ScoreGroups.of(TO_BASE28)
    values = np.random.default_rng(0).random((3, 133))
    sums = groups.add(values)
    assert sums.shape == (3, len(groups.labels))
    # sidewalk, column and awning have no source class
    assert sorted(set(range(28)) - set(groups.labels.tolist())) == [10, 16, 20]
    for column, label in enumerate(groups.labels):
        expected = values[:, TO_BASE28.lut[:133] == label].sum(axis=1)
        np.testing.assert_allclose(sums[:, column], expected, rtol=1e-12)


def test_classes_without_a_counterpart_stay_alone():
    class_map = load_class_map("coco133", "camvid11")
    groups = ScoreGroups.of(class_map)
    dropped = [item.id for item in class_map.dropped()]
    columns = groups.column[dropped]
    assert len(set(columns.tolist())) == len(dropped)
    assert (groups.labels[columns] == 255).all()
    assert (groups.labels == 255).sum() == len(dropped)


def test_an_identity_groups_nothing():
    alone, single = ScoreGroups.of(ClassMap.identity(TO_BASE28.source)), ScoreGroups.single(133)
    np.testing.assert_array_equal(alone.column, single.column)
    np.testing.assert_array_equal(alone.labels, single.labels)

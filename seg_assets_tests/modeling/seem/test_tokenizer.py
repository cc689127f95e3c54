import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from seg_assets.errors import InputError
from seg_assets.modeling.seem.class_table import clean_name, coco_names
from seg_assets.modeling.seem.tokenizer import END, START, tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # ids of CLIP's public vocabulary
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("A  Photo of\ta CAT", [320, 1125, 539, 320, 2368]),
        ("hello world!", [3306, 1002, 256]),
        ("dog.", [1929, 269]),
    ],
)
def test_known_ids(text: str, words: list[int]) -> None:
    tokens = tokenize([text])
    assert tokens.ids.tolist() == [[START, *words, END]]
    assert tokens.attention.all()


def test_padding_repeats_the_end_mark_and_is_not_attended() -> None:
    tokens = tokenize(["dog", "a photo of a cat"], trim=False)
    assert tokens.ids.shape == (2, 77)
    assert tokens.ids[0].tolist() == [START, 1929, *[END] * 75]
    assert tokens.attention.sum(1).tolist() == [3, 7]
    short = tokenize(["dog", "a photo of a cat"])
    assert short.ids.equal(tokens.ids[:, :7])
    assert short.attention.equal(tokens.attention[:, :7])


def test_a_long_text_keeps_its_first_words_and_ends_with_the_end_mark() -> None:
    tokens = tokenize(["dog " * 200])
    assert tokens.ids.tolist() == [[START, *[1929] * 75, END]]
    assert tokenize(["dog cat dog cat"], context=4).ids.tolist() == [[START, 1929, 2368, END]]


def test_a_text_that_spells_the_end_mark_ends_there() -> None:
    tokens = tokenize(["dog <end_of_text> cat"])
    assert tokens.attention.tolist() == [[True, True, True, False, False]]


def test_one_text_may_come_without_a_list() -> None:
    assert tokenize("dog").ids.equal(tokenize(["dog"]).ids)


@pytest.mark.parametrize(
    ("texts", "message"), [([], "no texts"), (["dog", ""], "holds no words"), ([" "], "no words")]
)
def test_nothing_to_say_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tokenize(texts)


def test_ids_of_class_names_and_a_text_equal_upstreams(shared_dir: Path) -> None:
    """golden_full holds the ids of the reference tokenizer for 134 names in two templates."""
    folder = shared_dir / "golden" / "seem" / "golden_full"
    config = json.loads((folder / "config.json").read_text())
    names = [clean_name(name) for name in (*coco_names(), "background")]
    assert names == config["class_names_cleaned"]
    with safe_open(folder / "golden.safetensors", framework="pt") as file:
        wanted, text = file.get_tensor("in/class_token_ids"), file.get_tensor("in/text_ids")
    texts = [t.replace("{}", name) for name in names for t in config["templates"]]
    ids = tokenize(texts, trim=False).ids
    assert ids[:, :16].unflatten(0, (134, 2)).equal(wanted.long())
    assert (ids[:, 16:] == END).all()
    assert tokenize([config["text"]], trim=False).ids[:, :16].equal(text.long())
    assert torch.equal(ids[:, 0], torch.full((268,), START))

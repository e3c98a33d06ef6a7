"""TokenEncoder: sentences as rows of token ids and back, and its messages."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils import get_tags

from skae.tokens import TokenEncoder

TEXTS = ["the cat sees the dog", "a dog runs", "the cat runs"]
LISTS = [text.split() for text in TEXTS]


@pytest.mark.parametrize("sentences", [TEXTS, LISTS, np.array(TEXTS), np.array(TEXTS, dtype=object)])
def test_sentences_come_back(sentences):
    encoder = TokenEncoder()
    ids = encoder.fit_transform(sentences)
    words = ["<padding>", "a", "cat", "dog", "runs", "sees", "the"]
    assert encoder.vocabulary_.tolist() == words
    expected = [[words.index(word) for word in row] + [0] * (5 - len(row)) for row in LISTS]
    np.testing.assert_array_equal(ids, expected)
    assert ids.dtype == np.int64
    assert encoder.inverse_transform(ids) == [*sentences]
    assert encoder.length_ == encoder.n_features_out_ == 5


def test_padding_is_left_out_wherever_it_is():
    encoder = TokenEncoder().fit(TEXTS)
    assert encoder.inverse_transform([[0, 1, 0, 3, 0], [0, 0, 0, 0, 0]]) == ["a dog", ""]
    assert encoder.inverse_transform(np.array([[1.0, 3.0, 0, 0, 0]])) == ["a dog"]


def test_unknown_tokens_are_refused_or_marked():
    told = "The token 'bird' in sentence 1, place 1, is not in the vocabulary: fit with unknown='mark'"
    with pytest.raises(ValueError, match=told):
        TokenEncoder().fit(TEXTS).transform(["a dog runs", "a bird runs"])
    marking = TokenEncoder(unknown="mark").fit(TEXTS)
    ids = marking.transform(["a bird runs"])
    assert ids[0, 1] == 1
    assert marking.inverse_transform(ids) == ["a <unknown> runs"]
    rare = TokenEncoder(unknown="mark", min_frequency=2).fit(TEXTS)
    assert rare.vocabulary_.tolist() == ["<padding>", "<unknown>", "cat", "dog", "runs", "the"]
    assert rare.inverse_transform(rare.transform(TEXTS)) == [
        "the cat <unknown> the dog",
        "<unknown> dog runs",
        "the cat runs",
    ]


@pytest.mark.parametrize(
    ("X", "error", "sentence"),
    [
        ("a dog", TypeError, "X is of type str: pass a list of sentences."),
        (3, TypeError, "X is of type int: pass a list of sentences."),
        ({"a dog": 1}, TypeError, "X is of type dict: pass a list of sentences."),
        (
            pd.DataFrame({"text": TEXTS}),
            TypeError,
            "X is a DataFrame: pass the column of it that holds the sentences, such as X['text'].",
        ),
        ([], ValueError, "X has no sentences: pass at least one."),
        (["a dog", " "], ValueError, "Sentence 1 is empty: leave it out."),
        (["a dog", ["a", "cat"]], TypeError, "Sentence 1 is of type list: it must be a text, as the first is."),
        ([["a", "cat"], "a dog"], TypeError, "Sentence 1 is of type str: it must be a list of tokens."),
        ([["a", 3]], TypeError, "Sentence 0 has 3, of type int, in it: tokens are texts."),
        ([None], TypeError, "Sentence 0 is of type NoneType: it must be a list of tokens."),
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_what_is_no_list_of_sentences_is_refused(method, X, error, sentence):
    with pytest.raises(error) as caught:
        getattr(TokenEncoder().fit(TEXTS), method)(X)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"length": 0}, "length=0 must be a whole number of at least 1"),
        ({"length": "long"}, "length='long' must be"),
        ({"length": 4}, "Sentence 0 has 5 tokens, but rows have 4 places: shorten it, or fit with a larger length."),
        ({"min_frequency": True}, "min_frequency=True must be"),
        ({"min_frequency": 2}, "min_frequency=2 leaves unknown tokens: set unknown='mark'"),
        ({"unknown": "drop"}, "unknown='drop' must be 'error' or 'mark'"),
    ],
)
def test_bad_parameters_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", "\\(")):
        TokenEncoder(**options).fit(TEXTS)


def test_long_sentences_and_wrong_ids_are_refused():
    encoder = TokenEncoder(length=6).fit(TEXTS)
    assert encoder.transform(TEXTS).shape == (3, 6)
    with pytest.raises(ValueError, match="Sentence 1 has 7 tokens, but rows have 6 places"):
        encoder.transform([TEXTS[0], "the dog sees the cat the dog"])
    for wrong, told in ((7, "X has 7 in row 0, column 2"), (-1, "X has -1 in"), (0.5, "X has 0.5 in")):
        with pytest.raises(ValueError, match=f"{told}.*from 0 to 6"):
            encoder.inverse_transform([[1, 2, wrong, 0, 0, 0]])
    with pytest.raises(ValueError, match=r"X has the shape \(1, 5\), but rows have 6 token ids"):
        encoder.inverse_transform([[1, 2, 3, 0, 0]])
    for name in ("<padding>", "<unknown>"):
        with pytest.raises(ValueError, match=f"token '{name}', which is a name of this encoder"):
            TokenEncoder(unknown="mark").fit([name])
        with pytest.raises(ValueError, match="is not in the vocabulary"):
            encoder.transform([name])


def test_it_is_a_transformer_as_scikit_learn_knows_them():
    encoder = TokenEncoder(length=7, unknown="mark")
    assert clone(encoder).get_params() == {"length": 7, "unknown": "mark", "min_frequency": 1}
    tags = get_tags(encoder)
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.string
    again = pickle.loads(pickle.dumps(encoder.fit(TEXTS)))
    np.testing.assert_array_equal(again.transform(TEXTS), encoder.transform(TEXTS))
    frame = clone(encoder).set_output(transform="pandas").fit_transform(TEXTS)
    assert list(frame.columns) == [f"tokenencoder{i}" for i in range(7)]

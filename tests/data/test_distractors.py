"""Distractors: which clips are replaced, and by what."""

import numpy as np
import pytest

from bifsmn_tf.data.distractors import Distractors

SILENCE, UNKNOWN, YES, NO = range(4)


@pytest.fixture(scope="module")
def clips():
    """Clips of noise at different levels, so that each is told from any other."""
    rng = np.random.default_rng(0)
    labels = np.repeat([SILENCE, UNKNOWN, YES, NO], [20, 200, 20, 20])
    rng.shuffle(labels)
    level = rng.uniform(500, 3000, (len(labels), 1))
    return np.round(level * rng.normal(size=(len(labels), 16_000))).clip(-32768, 32767).astype(
        np.int16
    ), labels


def make(clips, probability=0.3, seed=0, keywords=(YES, NO)):
    return Distractors(UNKNOWN, keywords, probability).make(*clips, np.random.default_rng(seed))


def correlation(x, y):
    return np.abs(x @ y) / np.linalg.norm(x) / np.linalg.norm(y)


def test_only_a_share_of_the_unknown_clips_is_replaced(clips):
    replaced = make(clips)
    assert all(clips[1][row] == UNKNOWN for row in replaced)
    assert 0.2 < len(replaced) / 200 < 0.4
    for clip in replaced.values():
        assert clip.shape == (16_000,) and clip.dtype == np.float32 and np.abs(clip).max() <= 1


@pytest.mark.parametrize("probability, count", [(0.0, 0), (1.0, 200)])
def test_none_or_all(clips, probability, count):
    assert len(make(clips, probability)) == count


def test_half_is_a_keyword_backwards_and_half_two_keywords_spliced(clips):
    samples, labels = clips
    sources = np.flatnonzero(np.isin(labels, (YES, NO)))
    floats = samples[sources] / np.float32(32768)
    kinds = []
    for clip in make(clips, 1.0).values():
        backwards = np.flatnonzero((floats[:, ::-1] == clip).all(axis=1))
        if len(backwards):
            kinds.append("backwards")
            continue
        first = np.argmax([correlation(clip[:7800], source[:7800]) for source in floats])
        second = np.argmax([correlation(clip[8200:], source[8200:]) for source in floats])
        assert labels[sources[first]] != labels[sources[second]]
        # Both at the same level, the geometric mean of theirs.
        levels = [np.sqrt(np.mean(floats[i] ** 2)) for i in (first, second)]
        level = np.sqrt(levels[0] * levels[1])
        for part, i in ((slice(0, 7800), first), (slice(8200, None), second)):
            own = np.sqrt(np.mean(floats[i] ** 2))
            np.testing.assert_allclose(
                clip[part], np.clip(floats[i, part] * level / own, -1, 1), atol=1e-4
            )
        kinds.append("spliced")
    # Backwards also where both draws are of one keyword: 1/2 + 1/4.
    assert 0.65 < kinds.count("backwards") / 200 < 0.85


def test_splices_fade(clips):
    ones = np.full((2, 16_000), 8192, np.int16)
    ones[1] = -8192
    labels = np.array([YES, NO])
    samples = np.concatenate([ones, np.zeros((50, 16_000), np.int16)])
    labels = np.concatenate([labels, np.full(50, UNKNOWN)])
    spliced = [c for c in make((samples, labels), 1.0).values() if c[0] * c[-1] < 0]
    assert spliced
    for clip in spliced:
        # From one end to the other in equal small steps over 20 ms, centred.
        steps = np.abs(np.diff(clip))
        np.testing.assert_allclose(steps.max(), 0.5 / 320, rtol=0.01)
        changing = np.flatnonzero(steps > 1e-6)
        assert abs(changing.mean() - 8000) < 2 and 318 <= len(changing) <= 322


def test_one_keyword_only_is_played_backwards(clips):
    samples, labels = clips
    sources = {s[::-1].tobytes() for s in samples[labels == YES] / np.float32(32768)}
    for clip in make(clips, 1.0, keywords=(YES,)).values():
        assert clip.tobytes() in sources


def test_the_source_of_randomness_decides(clips):
    first, again, other = make(clips), make(clips), make(clips, seed=1)
    assert list(first) == list(again) != list(other)
    for row, clip in first.items():
        np.testing.assert_array_equal(clip, again[row])

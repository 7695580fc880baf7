"""The speaker-hash rule and the list files."""

import collections
import hashlib

import pytest

from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.data.splits import SUBSETS, speaker_of, which_subset


def share_of(speaker):
    return int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27 * 100.0 / (2**27 - 1)


def test_hash_rule_is_the_published_closed_form():
    for i in range(2000):
        speaker = f"{i * 2654435761 % 2**32:08x}"
        share = share_of(speaker)
        expected = "validation" if share < 10 else "testing" if share < 20 else "training"
        assert which_subset(f"yes/{speaker}_nohash_{i % 5}.wav") == expected
        assert which_subset(f"{speaker}_nohash_0.flac") == expected


def test_hash_rule_keeps_speakers_together_and_shares_right():
    subsets = collections.Counter(which_subset(f"{i}_nohash_0.wav") for i in range(20_000))
    assert abs(subsets["validation"] / 20_000 - 0.1) < 0.01
    assert abs(subsets["testing"] / 20_000 - 0.1) < 0.01
    assert which_subset("abc_nohash_0.wav") == which_subset("no/abc_nohash_17.flac")


def test_percentages_move_the_borders():
    names = [f"{i}_nohash_0.wav" for i in range(2000)]
    assert {which_subset(n, 0, 0) for n in names} == {"training"}
    for name in names:
        share = share_of(speaker_of(name))
        expected = "validation" if share < 30 else "testing" if share < 35 else "training"
        assert which_subset(name, 30, 5) == expected


def test_speaker_is_the_whole_stem_without_the_divider():
    assert speaker_of("yes/0a7c2a8d_nohash_3.wav") == "0a7c2a8d"
    assert speaker_of("yes/my recording 2.flac") == "my recording 2"


def test_shipped_lists_equal_the_hash_rule(speech_commands_dir):
    listed = {
        name: set((speech_commands_dir / f"{name}_list.txt").read_text().split())
        for name in ("validation", "testing")
    }
    data = SpeechCommands(speech_commands_dir, task=35)
    seen = 0
    for subset in SUBSETS:
        for path in data.files(subset):
            name = f"{path.parent.name}/{path.stem}.wav"
            by_list = next((s for s in listed if name in listed[s]), "training")
            assert subset == by_list == which_subset(name)
            seen += 1
    assert seen == len(list(speech_commands_dir.glob("[a-z]*/*.flac"))) > 10_000


def test_lists_override_the_hash_rule_and_match_any_extension(tree):
    root = tree(extension="flac")
    files = sorted((root / "yes").iterdir())
    (root / "validation_list.txt").write_text(f"yes/{files[0].stem}.wav\n")
    (root / "testing_list.txt").write_text(f"yes/{files[1].stem}.wav\nyes/{files[2].stem}.wav\n")
    data = SpeechCommands(root, ("yes",), unknown_percentage=0, silence_percentage=0)
    assert data.files("validation") == files[:1]
    assert data.files("testing") == files[1:3]
    assert data.files("training") == files[3:]


def test_one_list_alone_is_an_error(tree):
    root = tree()
    (root / "testing_list.txt").write_text("yes/a_nohash_0.wav\n")
    with pytest.raises(ValueError, match="without validation_list.txt"):
        SpeechCommands(root, ("yes",))


def test_lists_of_other_recordings_are_an_error(tree):
    root = tree()
    (root / "testing_list.txt").write_text("yes/a_nohash_0.wav\n")
    (root / "validation_list.txt").write_text("yes/b_nohash_0.wav\n")
    with pytest.raises(ValueError, match="name none of the recordings"):
        SpeechCommands(root, ("yes",))


def test_no_speaker_is_in_two_subsets(tree):
    data = SpeechCommands(tree(), ("yes", "no"))
    speakers = [{e.speaker for e in data.examples(s) if not e.is_silence} for s in SUBSETS]
    assert not speakers[0] & speakers[1] and not speakers[0] & speakers[2]
    assert not speakers[1] & speakers[2]

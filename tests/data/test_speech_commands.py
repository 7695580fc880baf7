"""Tasks, protocols and counts of SpeechCommands."""

import collections
import warnings

import numpy as np
import pytest
import soundfile

from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.data.tasks import KEYWORDS_8, WORDS_10, WORDS_20, WORDS_35, WORDS_NEW_IN_V2

# Files per subset, and how many of them are of the ten keywords, in the official archives.
OFFICIAL = {
    "v0.01": {
        "training": (51_088, 18_538), "validation": (6_798, 2_577), "testing": (6_835, 2_567),
    },
    "v0.02": {
        "training": (84_843, 30_769), "validation": (9_981, 3_703), "testing": (11_005, 4_074),
    },
}  # fmt: skip


def fake_archive(root, version, subsets=("training", "validation", "testing")):
    """Empty files with the official counts, and list files as the archive has them."""
    words = [w for w in WORDS_35 if version == "v0.02" or w not in WORDS_NEW_IN_V2]
    others = [w for w in words if w not in WORDS_10]
    for word in words:
        (root / word).mkdir(parents=True)
    lists = collections.defaultdict(list)
    for subset in subsets:
        files, known = OFFICIAL[version][subset]
        for group, count in ((WORDS_10, known), (others, files - known)):
            for i in range(count):
                name = f"{group[i % len(group)]}/{subset[:2]}{i:06x}_nohash_0.wav"
                with open(root / name, "wb"):
                    pass
                lists[subset].append(name)
    for subset in ("validation", "testing"):
        (root / f"{subset}_list.txt").write_text("\n".join(lists[subset]) + "\n")
    (root / "_background_noise_").mkdir()
    soundfile.write(root / "_background_noise_" / "n.wav", np.full(20_000, 0.1), 16_000)
    return root


@pytest.fixture(scope="module")
def archive_v1(tmp_path_factory):
    root = tmp_path_factory.mktemp("v1") / "data"
    return fake_archive(root, "v0.01", ("validation", "testing"))


def check_archive(root, version, expected_paper, expected_warden):
    paper = SpeechCommands(root, 12, protocol="paper")
    warden = SpeechCommands(root, 12, protocol="warden")
    for subset in expected_warden:
        files, known = OFFICIAL[version][subset]
        counts = paper.class_counts(subset)
        assert sum(counts.values()) == files + files // 10
        assert counts["_silence_"] == files // 10
        assert counts["_unknown_"] == files - known
        if subset in expected_paper:
            assert tuple(counts.values())[:2] == expected_paper[subset]
        counts = warden.class_counts(subset)
        assert sum(counts.values()) == expected_warden[subset]
        assert counts["_silence_"] == counts["_unknown_"] == -(-known // 10)
    return paper


def test_evaluation_counts_of_version_1(archive_v1):
    paper = check_archive(
        archive_v1, "v0.01", {"testing": (4_268, 683)}, {"validation": 3_093, "testing": 3_081}
    )
    baselines = paper.baselines("testing")
    assert round(100 * baselines["majority"], 2) == 56.77
    assert round(100 * baselines["unknown_and_silence"], 2) == 65.86
    # The 35-way head stays 35 wide although five words do not exist in this version.
    data = SpeechCommands(archive_v1, 35)
    assert data.labels == WORDS_35
    counts = data.class_counts("testing")
    assert sum(counts.values()) == 6_835
    assert [word for word, n in counts.items() if not n] == list(WORDS_NEW_IN_V2)


@pytest.mark.slow
def test_training_counts_of_version_1(tmp_path):
    paper = check_archive(
        fake_archive(tmp_path / "data", "v0.01"),
        "v0.01",
        {"training": (32_550, 5_108)},
        {"training": 22_246, "validation": 3_093, "testing": 3_081},
    )
    assert round(100 * paper.baselines("training")["majority"], 1) == 57.9
    assert round(100 * paper.baselines("training")["unknown_and_silence"], 1) == 67.0


@pytest.mark.slow
def test_counts_of_version_2(tmp_path):
    paper = check_archive(
        fake_archive(tmp_path / "data", "v0.02"),
        "v0.02",
        {"training": (54_074, 8_484), "testing": (6_931, 1_100)},
        {"training": 36_923, "validation": 4_445, "testing": 4_890},
    )
    baselines = paper.baselines("testing")
    assert round(100 * baselines["majority"], 2) == 57.26
    assert round(100 * baselines["unknown_and_silence"], 2) == 66.34


def test_label_orders(tree):
    root = tree(words=WORDS_35, speakers={"training": 1}, noise=0)

    def labels(task, protocol):
        return SpeechCommands(root, task, protocol).labels

    ten = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
    assert labels(12, "warden") == ("_silence_", "_unknown_") + ten
    assert labels(12, "paper") == ("_unknown_", "_silence_") + ten
    eight = ("yes", "no", "up", "down", "left", "right", "stop", "go")
    assert labels(eight, "warden") == labels(10, "warden")
    assert labels(10, "warden") == ("_silence_", "_unknown_") + eight
    assert labels(["go", "bed"], "paper") == ("_unknown_", "_silence_", "go", "bed")
    digits = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for protocol in ("warden", "paper"):
        assert labels(20, protocol) == ten + digits == WORDS_20
        assert labels(35, protocol) == tuple(sorted(WORDS_35))
    assert len(WORDS_35) == 35


def test_task_20_drops_other_words(archive_v1):
    data = SpeechCommands(archive_v1, 20, "paper")
    assert data.num_classes == 20
    assert {path.parent.name for path in data.files("testing")} == set(WORDS_20)
    assert data.baselines("testing")["unknown_and_silence"] == 0


def test_real_subset(speech_commands_dir):
    data = SpeechCommands(speech_commands_dir, KEYWORDS_8)
    counts = {s: data.class_counts(s) for s in ("training", "validation", "testing")}
    for word in ("up", "down", "left", "right"):
        assert (counts["training"][word], counts["validation"][word]) == (1200, 180)
    for subset, per_class in counts.items():
        known = sum(per_class[word] for word in KEYWORDS_8)
        assert per_class["_unknown_"] == per_class["_silence_"] == -(-known // 10), subset
    assert sum(len(data._subsets[s]) for s in counts) == 10_947
    samples, labels = data.waveforms("testing")
    assert samples.shape == (len(labels), 16_000) and samples.dtype == np.float32
    assert -1 <= samples.min() < -0.1 and 0.1 < samples.max() < 1
    assert np.abs(samples).max(axis=1)[labels > 1].min() > 0  # every recording has sound
    assert dict(enumerate(np.bincount(labels))) == dict(enumerate(counts["testing"].values()))


def test_paper_protocol_silence_is_exact_zeros(tree):
    data = SpeechCommands(
        tree(speakers={"training": 6, "validation": 3, "testing": 1}), ("yes", "no"), "paper"
    )
    samples, labels = data.waveforms("training")
    assert data.class_counts("training") == {"_unknown_": 12, "_silence_": 2, "yes": 6, "no": 6}
    assert not samples[labels == 1].any()
    assert np.abs(samples[labels != 1]).max(axis=1).min() > 0.3


def test_warden_silence_is_noise_at_varied_volume(tree):
    data = SpeechCommands(tree(), ("yes", "no"), silence_percentage=400)
    samples, labels = data.waveforms("training")
    silence = samples[labels == 0]
    assert len(silence) == 48
    peaks = np.abs(silence).max(axis=1)
    assert peaks.max() < 0.31 and 0.05 < peaks.mean() < 0.25
    assert len(np.unique(peaks)) > 40
    assert peaks.min() < 0.1 < 0.2 < peaks.max()


def test_unknown_draw_follows_the_seed(tree):
    root = tree(words=("yes", "dog", "cat", "bird"), speakers={"training": 20, "testing": 1})
    draw = [
        SpeechCommands(root, ("yes",), seed=seed, unknown_percentage=50).files("training")
        for seed in (3, 3, 4)
    ]
    assert draw[0] == draw[1] != draw[2]
    unknown = [path for path in draw[0] if path.parent.name != "yes"]
    assert len(unknown) == 10 and len({path.parent.name for path in unknown}) > 1


def test_unknown_and_silence_amounts(tree):
    root = tree()

    def counts(subset="training", **kwargs):
        return SpeechCommands(root, ("yes", "no"), **kwargs).class_counts(subset)

    assert counts()["_unknown_"] == counts()["_silence_"] == 2  # 10 % of 12, rounded up
    assert counts(unknown_percentage=50)["_unknown_"] == 6
    assert counts(unknown_percentage="all")["_unknown_"] == 12
    only_training = {"training": 75}
    assert counts(unknown_percentage=only_training)["_unknown_"] == 9
    assert counts("testing", unknown_percentage=only_training)["_unknown_"] == 1
    assert list(counts(unknown_percentage=0, silence_percentage=0)) == ["yes", "no"]
    assert list(counts(unknown_percentage=0)) == ["_silence_", "yes", "no"]
    with pytest.warns(UserWarning, match="12 clips of other words"):
        assert counts(unknown_percentage=500)["_unknown_"] == 12


def test_plain_folder_of_own_recordings(tmp_path, write_clip):
    for word in ("lumos", "nox"):
        for i in range(60):
            write_clip(tmp_path / word / f"take {i}.wav", 200 + i)
    data = SpeechCommands(tmp_path, ("lumos", "nox"), unknown_percentage=0)
    assert data.labels == ("_silence_", "lumos", "nox")
    with pytest.warns(UserWarning, match="No background noise"):
        training = data.files("training")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = [len(data.files(subset)) for subset in ("validation", "testing")]
    assert len(training) + sum(sizes) == 120 and min(sizes) > 0 and len(training) > 70


def test_without_noise_silence_is_zero(tree):
    data = SpeechCommands(tree(noise=0), ("yes", "no"))
    with pytest.warns(UserWarning, match="No background noise"):
        samples, labels = data.waveforms("training")
    assert (labels == 0).sum() == 2 and not samples[labels == 0].any()
    assert data.noise == []


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"task": 11}, "Received: task=11"),
        ({"task": "yes"}, "Received: task='yes'"),
        ({"task": True}, "Received: task=True"),
        ({"task": ()}, "at least one word"),
        ({"task": ("yes", "no", "yes")}, "Received: yes more than once"),
        ({"task": ("yes", "_silence_")}, "reserved"),
        ({"task": ("yes", 3)}, "must be strings"),
        ({"task": ("yes", "maybe")}, "No recordings of maybe"),
        ({"task": 12}, "No recordings of up, down"),
        ({"task": 35}, "No recordings of bed, bird"),
        ({"protocol": "official"}, "Received: protocol='official'"),
        ({"on_bad_file": "ignore"}, "Received: on_bad_file='ignore'"),
        ({"validation_percentage": -1}, "validation_percentage=-1"),
        ({"validation_percentage": 60, "testing_percentage": 40}, "sum below 100"),
        ({"unknown_percentage": -5}, "Received: -5"),
        ({"unknown_percentage": "most"}, "Received: 'most'"),
        ({"silence_percentage": "all"}, "Received: 'all'"),
        ({"unknown_percentage": {"train": 5}}, "Received: 'train'"),
        ({"task": ("yes", "no", "dog", "cat")}, "needs recordings of other words"),
    ],
)
def test_bad_arguments(tree, kwargs, message):
    with pytest.raises(ValueError, match=message):
        SpeechCommands(tree(), **{"task": ("yes", "no"), **kwargs})


def test_tasks_20_and_35_take_no_extra_classes(archive_v1):
    with pytest.raises(ValueError, match="have no unknown and silence classes"):
        SpeechCommands(archive_v1, 20, unknown_percentage=10)


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        SpeechCommands(tmp_path / "missing")
    with pytest.raises(ValueError, match="No recordings found"):
        SpeechCommands(tmp_path)
    (tmp_path / "yes").mkdir()
    with pytest.raises(ValueError, match="No recordings found"):
        SpeechCommands(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileNotFoundError, match="is a file"):
        SpeechCommands(tmp_path / "file")


def test_bad_subset_names_and_empty_subsets(tree):
    data = SpeechCommands(tree(speakers={"training": 4}), ("yes", "no"))
    for method in (data.files, data.examples, data.class_counts, data.waveforms, data.dataset):
        with pytest.raises(ValueError, match="Received: 'test'"):
            method("test")
    with pytest.raises(ValueError, match="testing subset has no recording of any keyword"):
        data.waveforms("testing")
    with pytest.raises(ValueError, match="dtype"):
        data.waveforms("training", dtype="float64")

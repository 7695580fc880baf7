"""`TeacherEnsemble`: several float networks as one teacher."""

import keras
import numpy as np
import pytest
from small_distillers import SHORT, TINY, data, distiller, snapshot, student, teacher

from bifsmn_tf import evaluation, models
from bifsmn_tf.data import SpeechCommands
from bifsmn_tf.distillation import FID, SoftTargets, TeacherEnsemble
from bifsmn_tf.training import initialize_student


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def test_logits_are_the_mean_and_blocks_those_of_the_first():
    members = [teacher(seed=seed) for seed in (1, 2, 3)]
    ensemble = TeacherEnsemble(members)
    x, _ = data(5)
    logits, blocks = ensemble(x, return_blocks=True)
    expected = np.mean([member(x) for member in members], axis=0)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ensemble(x), logits)
    for block, first in zip(blocks, members[0](x, return_blocks=True)[1], strict=True):
        np.testing.assert_array_equal(block, first)
    assert ensemble.compute_output_shape(x.shape) == logits.shape
    assert (ensemble.num_blocks, ensemble.memory_size, ensemble.num_classes) == (4, 8, 3)
    with pytest.raises(ValueError, match="`thin` should be one of"):
        ensemble(x, thin=0.5)


def test_an_ensemble_is_evaluated_like_a_network(tones):
    clips = SpeechCommands(tones, ["yes", "no"])
    members = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        members.append(models.DFSMN(4, variant="S", num_blocks=1, labels=clips.labels))
    samples, _ = clips.waveforms("validation", dtype="int16")
    logits = sum(evaluation.scores_of(m, evaluation.inputs_of(m, samples)) for m in members)
    ensemble = TeacherEnsemble(members)
    (answers,) = evaluation.answers(ensemble, samples, ensemble.switches)
    np.testing.assert_array_equal(answers, logits.argmax(axis=-1))
    assert evaluation.evaluate(ensemble, clips, "validation").switches[0].count == len(samples)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_softened_it_is_the_geometric_mean_of_the_distributions(temperature):
    members = [teacher(seed=seed) for seed in (1, 2)]
    x, _ = data(6)
    ours = softmax(np.asarray(TeacherEnsemble(members)(x), np.float64) / temperature)
    theirs = [softmax(np.asarray(member(x), np.float64) / temperature) for member in members]
    mean = np.sqrt(theirs[0] * theirs[1])
    np.testing.assert_allclose(ours, mean / mean.sum(axis=-1, keepdims=True), rtol=1e-4)


def test_one_member_teaches_what_it_teaches_alone():
    x, y = data(8)
    kwargs = {"distillation": FID(), "logits": SoftTargets()}
    alone = distiller(student=student(**SHORT), teacher=teacher(num_blocks=2), **kwargs)
    ensemble = TeacherEnsemble([teacher(num_blocks=2)])
    together = distiller(student=student(**SHORT), teacher=ensemble, **kwargs)
    for ours, theirs in zip(
        together.switch_losses(x, y), alone.switch_losses(x, y), strict=True
    ):
        np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-6)


def test_members_teach_and_are_frozen():
    x, y = data(8)
    members = [teacher(seed=seed, num_blocks=2) for seed in (1, 2)]
    model = distiller(
        student=student(**SHORT), teacher=TeacherEnsemble(members), distillation=FID(),
        gamma=0.0, logits=SoftTargets(temperature=2.0),
    )  # fmt: skip
    for parts in model.switch_losses(x, y):
        log_student = np.log(softmax(np.asarray(parts["logits"], np.float64) / 2))
        target = softmax(np.mean([member(x) for member in members], axis=0, dtype=np.float64) / 2)
        divergence = 4 * np.mean(np.sum(target * (np.log(target) - log_student), axis=-1))
        np.testing.assert_allclose(
            parts["loss"] - parts["cross_entropy"], divergence, rtol=1e-3, atol=1e-5
        )
    before = [snapshot(member) for member in members]
    weights = snapshot(model.student)
    model.fit(x, y, batch_size=4, verbose=0)
    for member, values in zip(members, before, strict=True):
        for path, value in snapshot(member).items():
            np.testing.assert_array_equal(value, values[path], err_msg=path)
    assert any(np.any(value != weights[path]) for path, value in snapshot(model.student).items())


def test_a_student_starts_from_the_first_member():
    first, target = teacher(seed=5), student()
    initialize_student(target, TeacherEnsemble([first, teacher(seed=6)]))
    after = snapshot(target)
    for path, value in snapshot(first).items():
        np.testing.assert_array_equal(after[path], value, err_msg=path)


def test_saving(tmp_path):
    x, y = data(4)
    members = [teacher(seed=seed, labels=["a", "b", "c"]) for seed in (1, 2)]
    model = distiller(teacher=TeacherEnsemble(members), logits=SoftTargets())
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras").teacher
    assert isinstance(loaded, TeacherEnsemble) and list(loaded.labels) == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded(x), model.teacher(x))
    assert not loaded.trainable


def test_members_that_do_not_fit():
    with pytest.raises(ValueError, match="one member at least. Received"):
        TeacherEnsemble([])
    labelled = teacher(labels=["a", "b", "c"])
    TeacherEnsemble([labelled, teacher()])  # who tells no labels may know any
    four = models.DFSMN(4, **TINY)
    for other, name in (
        (teacher(labels=["a", "c", "b"]), "labels"),
        (teacher(num_frames=16), "num_frames"),
        (teacher(num_mels=16), "num_mels"),
        (four, "num_classes"),
    ):
        with pytest.raises(ValueError, match=f"same {name}. Received: .*number 2"):
            TeacherEnsemble([labelled, other])
    # The labels of whoever tells them first are those of the ensemble.
    assert TeacherEnsemble([teacher(), labelled]).labels == ["a", "b", "c"]
    with pytest.raises(ValueError, match="same labels. Received: .*number 3"):
        TeacherEnsemble([teacher(), labelled, teacher(labels=["c", "b", "a"])])
    with pytest.raises(ValueError, match="float networks. Received: BiFSMN with .*number 2"):
        TeacherEnsemble([teacher(), student()])


def test_a_first_member_of_another_size_is_refused_by_the_distiller():
    with pytest.raises(ValueError, match="same memory_size"):
        distiller(teacher=TeacherEnsemble([teacher(memory_size=16), teacher()]))
    # Only its logits are asked of a further member.
    distiller(teacher=TeacherEnsemble([teacher(), teacher(memory_size=16)]))

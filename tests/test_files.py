"""Files appear completely or not at all."""

import pytest

from bifsmn_tf.files import replacing


def test_replaces_at_the_end(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with replacing(target) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt" and not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error):
        with replacing(target) as temporary:
            temporary.write_text("ha")
            raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]

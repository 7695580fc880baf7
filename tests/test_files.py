"""Files appear completely or not at all, and folders have one writer."""

import subprocess
import sys

import pytest

from bifsmn_tf.files import held, replacing


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


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(NotADirectoryError, match="Not a folder"):
        with replacing(tmp_path / "a" / "b.txt"):
            pass
    assert (tmp_path / "a").read_text() == "no folder"


def test_a_folder_has_one_writer(tmp_path):
    folder = tmp_path / "new"
    words = f"from bifsmn_tf.files import held\nwith held({str(folder)!r}): print('mine')"

    def other():
        return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)

    with pytest.raises(KeyError):
        with held(folder):
            refused = other()
            assert refused.returncode != 0
            assert "one training at a time. Received: " in refused.stderr
            raise KeyError
    assert other().stdout == "mine\n"  # whoever ends, however, lets go

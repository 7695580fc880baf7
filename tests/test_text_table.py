import pytest

from bifsmn_tf import text_table

CELLS = [("name", "bytes"), ("a", "1,000"), ("long name", "7")]


def test_columns_of_a_terminal_are_aligned():
    assert text_table.aligned(CELLS, right=(1,)) == [
        "name       bytes",
        "a          1,000",
        "long name      7",
    ]
    assert text_table.aligned(CELLS) == ["name       bytes", "a          1,000", "long name  7"]


def test_markdown_is_aligned_too():
    assert text_table.markdown(CELLS) == [
        "| name      | bytes |",
        "|-----------|-------|",
        "| a         | 1,000 |",
        "| long name | 7     |",
    ]


@pytest.mark.parametrize("make", [text_table.aligned, text_table.markdown])
def test_rows_of_unequal_length_are_refused(make):
    with pytest.raises(ValueError):
        make([("a", "b"), ("c",)])

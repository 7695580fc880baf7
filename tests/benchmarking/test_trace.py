"""The emulator's log, counted by hand."""

import pytest

from bifsmn_tf.benchmarking.trace import Block, difference, read_trace

LOG = """\
----------------
IN: BitGemm
0x5500001000:  d503201f  nop
0x5500001004:  54ffffe1  b.ne     #0x5500001000

----------------
IN: 
0x5500002000:  6e809420  OBJD-T: 2094806e

Trace 0: 0x7f6a0000 [0000000000000000/0000005500001000/00000001/ff200000] BitGemm
Trace 0: 0x7f6a0000 [0000000000000000/0000005500001000/00000001/ff200000] BitGemm
Trace 0: 0x7f6a0100 [0000000000000000/0000005500002000/00000001/ff200000] 
"""  # noqa: W291


def test_counts_every_execution_of_every_block():
    loop = Block(0x5500001000, ("d503201f", "54ffffe1"))
    other = Block(0x5500002000, ("6e809420",))
    assert read_trace(LOG.splitlines(keepends=True)) == {loop: 2, other: 1}


def test_a_block_translated_again_counts_as_it_is_at_the_time():
    again = "IN: \n0x5500001000:  d503201f  nop\n\n" + LOG.splitlines()[-3] + "\n"
    counts = read_trace((LOG + again).splitlines(keepends=True))
    assert counts[Block(0x5500001000, ("d503201f", "54ffffe1"))] == 2
    assert counts[Block(0x5500001000, ("d503201f",))] == 1


@pytest.mark.parametrize(
    "line, message",
    [
        ("Trace 0: 0x7f [0/0000005500009000/1/ff] f\n", "before it is executed.*0x5500009000"),
        ("Trace of something else\n", "unknown form.*something else"),
    ],
)
def test_a_log_that_cannot_be_counted_is_refused(line, message):
    with pytest.raises(ValueError, match=message):
        read_trace([line])


def test_the_difference_is_per_inference():
    a, b, c = Block(1, ("x",)), Block(2, ("x",)), Block(3, ("x",))
    assert difference({a: 5, b: 3}, {a: 5, b: 11, c: 4}, 4) == {b: 2.0, c: 1.0}

"""The tables' data against the reference document, and against the counter of operations."""

import json
import re

import pytest

from bifsmn_tf import paper_flops
from bifsmn_tf.reproduction import tables
from bifsmn_tf.training import initialize_student

_HEAVY = ("VGG19BN", "Audiomer")


def networks():
    """Every distinct network of the papers' tables with the rows that print figures for it."""
    found = {}
    for row in {id(r): r for rows in tables.TABLES.values() for r in rows if r.flops}.values():
        key = (row.network.model, json.dumps(row.network.arguments, sort_keys=True))
        found.setdefault((*key, row.classes), []).append(row)
    return [
        pytest.param(
            rows,
            id=f"{rows[0].name}-{rows[0].classes}",
            marks=[pytest.mark.slow] if rows[0].network.model in _HEAVY else [],
        )
        for rows in found.values()
    ]


@pytest.mark.parametrize("rows", networks())
def test_every_printed_figure_of_flops_is_counted(rows):
    model = rows[0].network.make(rows[0].classes)
    counted = tuple(float(f"{paper_flops(model, s):.2f}") for s in rows[0].network.switches)
    for row in rows:
        if row.name == "20-xnor-net":  # the paper repeats the figure of 12 classes
            assert (row.flops, counted) == ((45.04,), (46.09,))
        elif row.flops:
            assert row.flops == counted, row.name


@pytest.mark.parametrize("table", ["1", "2", "3"])
def test_figures_are_those_of_the_reference(table, reference_docs_dir):
    text = (reference_docs_dir / "bifsmn_spec.md").read_text(encoding="utf-8")
    text = text[text.index("### 12.1") : text.index("### 12.2")].replace("(should be 46.09)", "")
    part = text[text.index(f"Table {table}") :].split("\n\n")[0]
    printed = {float(n) for line in part.splitlines() if line.startswith("|")
               for n in re.findall(r"\d+\.\d\d", line)}  # fmt: skip
    ours = set()
    for row in tables.TABLES[table]:
        ours |= {*row.flops, *row.v1, *row.v2}
        if row.parameters is not None:
            ours.add(row.parameters)
    assert ours == printed


def test_rows_are_complete():
    for table, rows in tables.TABLES.items():
        assert len({row.name for row in rows}) == len(rows), table
        for row in rows:
            switches = len(row.network.switches)
            assert len(row.flops) in (0, switches) and len(row.v1) in (0, switches)
            assert len(row.v2) in (0, switches)
            assert row.flops or table in ("ablation", "3-sound"), row.name
    assert [len(tables.TABLES[table]) for table in "123"] == [7, 18, 23]


@pytest.mark.parametrize(
    ("table", "name"),
    [("1", "tba-hed"), ("3", "bifsmn-s-ir-net"), ("3", "fsmn-hed"), ("3-sound", "fsmn-ir-net"),
     ("3-sound", "bcresnet-xnor-net"), ("ablation", "tba-hed-lpb"), ("ablation", "v2-bn-soft")],
)  # fmt: skip
def test_students_start_from_their_float_network(table, name):
    (row,) = tables.select(table, [name])
    network = row.network.float_network
    assert network.binarizer is None and network.switches == (1.0,)
    initialize_student(row.network.make(2), network.make(2))


def test_every_binarized_row_has_a_float_network_with_a_row():
    for table, rows in tables.TABLES.items():
        floats = [row.network for row in rows if row.network.binarizer is None]
        for row in rows:
            assert row.network.binarizer is None or row.network.float_network in floats, table


def test_rows_around_the_shipped_network_change_one_part_of_it():
    def parts(row):
        return {**row.network.arguments, "distillation": row.distillation, "logits": row.logits}

    shipped, *others = (
        parts(row)
        for row in tables.select("ablation", ["v2-bn-soft", "v2-bn*", "v2-soft"])
    )
    assert (shipped["distillation"], shipped["logits"]) == ("fid", "soft")
    changed = [
        [name for name in other if other[name] != shipped.get(name)] for other in others
    ]
    assert sorted(changed) == [
        ["binarizer"], ["binarizer"], ["binarizer"], ["binarizer"], ["distillation"],
        ["distillation"], ["logits"], ["logits"], ["switch_all_bn"], ["weight_scale"],
    ]  # fmt: skip


def test_select():
    assert [row.name for row in tables.select("1", ["tba-*"])] == [
        "tba-vanilla", "tba-distill", "tba-hed",
    ]  # fmt: skip
    # In the table's order, once each.
    names = [row.name for row in tables.select("1", ["tba-hed", "dfsmn-fp", "*-fp"])]
    assert names == ["dfsmn-fp", "tba-hed"]
    assert tables.select("2") == tables.TABLES["2"]


@pytest.mark.parametrize(("table", "names"), [("1", ["tba-hed", "nothing-*"]), ("1", []), ("4", None)])
def test_select_errors(table, names):
    with pytest.raises(ValueError, match="should be .*among|should be one of") as error:
        tables.select(table, names)
    assert "Received: " in str(error.value)

"""tools/modelled_cycles.py: a whole inference, traced and costed."""

import json
import os
import pathlib
import shutil

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SIZES = {"memory_size": 48, "hidden_size": 72, "num_blocks": 4, "frontend_kernel": 3}
LLVM = next((v for v in (19, 16, 14) if shutil.which(f"llvm-mca-{v}")), None)


@pytest.fixture(scope="module")
def root():
    """The emulated machine."""
    folder = pathlib.Path(
        os.environ.get("BIFSMN_TF_EMULATED_ROOT", REPOSITORY / ".emulated/aarch64")
    )
    if not (folder / "python-tflite-runtime").exists():
        pytest.skip(f"no emulated aarch64 machine: run tools/emulated_root.sh {folder}")
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("qemu-aarch64-static is needed (Debian: qemu-user-static)")
    if LLVM is None:
        pytest.skip("llvm-mca is needed (Debian: llvm-19)")
    if not (REPOSITORY / "bifsmn_tf/runtime/lib/linux_aarch64/libbifsmn_ops.so").exists():
        pytest.skip("no aarch64 library: run tools/build_ops.sh aarch64")
    return folder


@pytest.mark.slow
def test_a_whole_inference_of_ours_and_a_peer(tool, root, tmp_path, capsys):
    from bifsmn_tf.conversion import convert
    from bifsmn_tf.models import DFSMN, BiFSMN

    for name, network in (("ours", BiFSMN), ("float", DFSMN)):
        content = convert(network(5, **SIZES), allow_untrained=True, verbose=False)
        (tmp_path / f"{name}.tflite").write_bytes(content)
    ours, peer = tmp_path / "ours.tflite", tmp_path / "float.tflite"
    figures = tmp_path / "figures.json"
    arguments = [
        ours, "--against", peer, "--thin", "1.0,0.25", "--cpu", "cortex-a53,cortex-a72",
        "--root", root, "--llvm", LLVM, "--inferences", 1, "--json", figures,
    ]  # fmt: skip
    assert tool("modelled_cycles", *arguments) == 0
    printed = capsys.readouterr().out
    report = json.loads(figures.read_text())
    assert "knows no caches" in printed and "knows no caches" in report["note"]
    assert "tflite-runtime 2.14.0" in printed
    for core in ("cortex-a53", "cortex-a72"):
        mine, theirs = (report["cores"][core][str(path)] for path in (ours, peer))
        assert set(mine) == {"1.0", "0.25"} and set(theirs) == {"1.0"}
        # Four blocks cost more than one, and the operators' own functions are seen.
        assert mine["1.0"]["modelled_cycles"] > mine["0.25"]["modelled_cycles"]
        assert mine["1.0"]["cycles_by_library"]["ops"] > 0
        assert any("bifsmn::" in name for name in mine["1.0"]["functions"])
        # The float network has a multiplication per weight and frame, 4 to an instruction.
        weights = 4 * 2 * 48 * 72
        assert theirs["1.0"]["simd_instructions"] > 8 * weights / 4
        assert set(theirs["1.0"]["cycles_by_library"]) == {"interpreter"}
    # The same instructions, on a core that issues more of them at a time.
    a53, a72 = (report["cores"][core][str(peer)]["1.0"] for core in ("cortex-a53", "cortex-a72"))
    assert a53["instructions"] == a72["instructions"] > 0
    assert a53["modelled_cycles"] > a72["modelled_cycles"]


def test_wrong_use_is_named(tool, tmp_path, capsys, root):
    assert tool("modelled_cycles", tmp_path / "none.tflite", "--llvm", LLVM) == 1
    assert "No such model" in capsys.readouterr().err
    model = tmp_path / "model.tflite"
    model.write_bytes(b"\x1c\0\0\0TFL3")
    assert tool("modelled_cycles", model, "--llvm", LLVM, "--cpu", "cortex-z80") == 1
    message = capsys.readouterr().err
    assert "cortex-a53" in message and "Available" not in message
    assert tool("modelled_cycles", model, "--llvm", 3) == 1
    assert "llvm-mc-3 is needed" in capsys.readouterr().err
    assert tool("modelled_cycles", model, "--llvm", LLVM, "--root", tmp_path) == 1
    assert "emulated_root.sh" in capsys.readouterr().err
    # A file that no interpreter accepts: the emulated program's own message arrives.
    assert tool("modelled_cycles", model, "--llvm", LLVM, "--root", root) == 1
    assert "emulated interpreter failed" in capsys.readouterr().err

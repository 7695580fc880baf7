"""A tiny command set for tests: words are tones of different pitch."""

import numpy as np
import soundfile


def make_tones(root):
    """24 training, 4 validation and 4 testing clips of yes, no, bed and cat, and some noise."""
    rng = np.random.default_rng(0)
    time = np.arange(16000) / 16000
    lists = {"validation": [], "testing": []}
    for word, pitch in (("yes", 400), ("no", 1300), ("bed", 700), ("cat", 2600)):
        (root / word).mkdir()
        for speaker in range(32):
            name = f"{word}/{speaker:08x}_nohash_0.wav"
            tone = np.sin(2 * np.pi * (pitch + rng.uniform(-20, 20)) * time)
            samples = rng.uniform(0.1, 0.5) * tone + 0.01 * rng.standard_normal(16000)
            soundfile.write(root / name, samples, 16000, subtype="PCM_16")
            if speaker >= 24:
                lists["validation" if speaker < 28 else "testing"].append(name)
    for subset, names in lists.items():
        (root / f"{subset}_list.txt").write_text("\n".join(names) + "\n")
    (root / "_background_noise_").mkdir()
    soundfile.write(
        root / "_background_noise_" / "noise.wav", 0.1 * rng.standard_normal(40000), 16000
    )
    return root

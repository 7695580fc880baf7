"""A part of a data set, for trials."""

import numpy as np

from bifsmn_tf.data import SpeechCommands


class FewClips(SpeechCommands):
    """`SpeechCommands` of which every subset has a limited number of clips.

    Clips are left out evenly, so that the classes keep their shares.

    Args:
        root: The folder.
        limits: `{subset: largest number of clips}`; a subset without an entry is complete.
        **kwargs: Further arguments of `SpeechCommands`.
    """

    def __init__(self, root, limits=None, **kwargs):
        super().__init__(root, **kwargs)
        self.limits = dict(limits or {})

    def examples(self, subset):
        """The clips of a subset, see `SpeechCommands.examples`."""
        examples = super().examples(subset)
        limit = self.limits.get(subset, len(examples))
        if limit >= len(examples):
            return examples
        return [examples[i] for i in np.linspace(0, len(examples) - 1, limit).round().astype(int)]

    def available(self, subset):
        """Number of clips without the limit."""
        return len(super().examples(subset))

"""Change of the sample rate of whole clips."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="bifsmn_tf")
class Resampler(layers.Layer):
    """Band-limited resampling of a clip to a given number of samples.

    The clip's discrete Fourier transform is cut (or filled with zeros) at the lower of the two
    Nyquist frequencies, so the clip is taken as one period of a periodic signal.

    Args:
        num_samples: Samples of the result.

    Input shape: `(batch, samples)`. Output shape: `(batch, num_samples)`.
    """

    def __init__(self, num_samples, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_samples, int) or num_samples < 2:
            raise ValueError(
                "`num_samples` should be an integer of at least 2. "
                f"Received: num_samples={num_samples!r}"
            )
        self.num_samples = num_samples

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[1] is None:
            raise ValueError(
                "`Resampler` expects waveforms of shape (batch, samples), samples known. "
                f"Received: input_shape={tuple(input_shape)}"
            )

    def call(self, inputs):
        samples, wanted = inputs.shape[1], self.num_samples
        if samples == wanted:
            return inputs
        # The bin at the lower Nyquist frequency stands for two in one spectrum and for one in
        # the other: it is left out.
        kept = (min(samples, wanted) + 1) // 2
        missing = wanted // 2 + 1 - kept
        parts = [
            ops.pad(part[:, :kept], ((0, 0), (0, missing))) * (wanted / samples)
            for part in ops.rfft(inputs)
        ]
        return ops.irfft(tuple(parts), fft_length=wanted)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_samples)

    def get_config(self):
        return {**super().get_config(), "num_samples": self.num_samples}

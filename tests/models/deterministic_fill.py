"""Values by a formula for all variables of a network, so that its outputs can be published."""

import numpy as np


def u(stream, count):
    """Values in [-1, 1) of one stream: ((17 k^2 + 31 k + 104729 (L+1)) mod 1009) / 504 - 1."""
    k = np.arange(count, dtype=np.int64)
    return ((17 * k * k + 31 * k + 104729 * (stream + 1)) % 1009) / 504 - 1


def kernel(stream, source_shape):
    """Weights of layer number `stream` in the layout (outputs, inputs / groups, taps...)."""
    fan_in = int(np.prod(source_shape[1:]))
    values = np.sqrt(6 / fan_in) * u(stream, int(np.prod(source_shape)))
    return values.reshape(source_shape)


def fill_dense(layer, stream):
    inputs, outputs = layer.kernel.shape
    layer.kernel.assign(kernel(stream, (outputs, inputs)).T)
    fill_bias(layer, stream)


def fill_conv(layer, stream):
    rows, columns, inputs, outputs = layer.kernel.shape
    values = kernel(stream, (outputs, inputs, rows, columns))
    layer.kernel.assign(values.transpose(2, 3, 1, 0))
    fill_bias(layer, stream)


def fill_depthwise(layer, stream):
    rows, columns, channels = layer.kernel.shape
    layer.kernel.assign(kernel(stream, (channels, 1, rows, columns))[:, 0].transpose(1, 2, 0))


def fill_memory(layer, stream):
    taps, filters = layer.kernel.shape
    layer.kernel.assign(kernel(stream, (filters, 1, taps))[:, 0].T)


def fill_bias(layer, stream):
    if layer.use_bias:
        layer.bias.assign(0.1 * u(stream + 500, layer.bias.shape[0]))


def fill_norm(norm, stream, permute=lambda values: values):
    """Parameters and statistics of a batch normalization; `permute` brings them in our order."""
    count = norm.gamma.shape[0]
    norm.gamma.assign(permute(1 + 0.1 * u(stream + 2000, count)))
    norm.beta.assign(permute(0.1 * u(stream + 3000, count)))
    norm.moving_mean.assign(permute(0.1 * u(stream + 4000, count)))
    norm.moving_variance.assign(permute(1 + 0.5 * np.abs(u(stream + 5000, count))))


def fill_sub_spectral_norm(layer, stream):
    bands = layer.sub_bands
    fill_norm(layer.norm, stream, lambda values: values.reshape(-1, bands).T.reshape(-1))


def fill_fsmn(model):
    layers = zip(model.linears, model.projections, model.memories)
    for number, (linear, projection, memory) in enumerate(layers):
        fill_dense(linear, 3 * number)
        fill_dense(projection, 3 * number + 1)
        fill_memory(memory, 3 * number + 2)
    fill_dense(model.classifier, 3 * model.num_blocks)


def fill_vgg19bn(model):
    for number, (convolution, norm) in enumerate(zip(model.convolutions, model.norms)):
        fill_conv(convolution, number)
        fill_norm(norm, number)
    for number, layer in enumerate((model.fc1, model.fc2, model.classifier), 16):
        fill_dense(layer, number)


def fill_bcresnet(model):
    fill_conv(model.conv1, 0)
    layer, norm = 1, 0
    for block in model.blocks:
        fill_depthwise(block.frequency_conv, layer)
        fill_depthwise(block.temporal_conv, layer + 1)
        fill_sub_spectral_norm(block.frequency_norm, norm)
        layer, norm = layer + 2, norm + 1
        if block.expansion is not None:
            fill_dense(block.expansion, layer)
            fill_norm(block.expansion_norm, norm)
            layer, norm = layer + 1, norm + 1
        fill_dense(block.projection, layer)
        fill_norm(block.temporal_norm, norm)
        layer, norm = layer + 1, norm + 1
    fill_conv(model.conv2, layer)
    fill_dense(model.conv3, layer + 1)
    fill_dense(model.classifier, layer + 2)


def fill_audiomer(model):
    model.token.assign(u(7000, model.token.shape[0]))
    count = len(model.blocks)
    for number, block in enumerate(model.blocks):
        for side, path in enumerate((block.query, block.context)):
            first = 14 * number + 4 * side
            fill_depthwise(path.depthwise, first)
            fill_conv(path.pointwise, first + 1)
            fill_dense(path.squeeze, first + 2)
            fill_dense(path.excite, first + 3)
            fill_norm(path.norm, 2 * number + side)
        transformer = block.transformer
        attention = transformer.attention
        for offset, layer in enumerate(
            (attention.query, attention.key, attention.value, attention.output_projection,
             transformer.gate, transformer.projection), 8
        ):
            fill_dense(layer, 14 * number + offset)
        shape = attention.directions.shape
        attention.directions.assign(1.5 * u(number + 6000, shape[0] * shape[1]).reshape(shape))
        fill_conv(block.residual, 14 * count + number)
        fill_norm(block.residual_norm, 2 * count + number)
    fill_dense(model.hidden, 15 * count)
    fill_dense(model.classifier, 15 * count + 1)


def features(num_mels, num_frames=32):
    """The mel networks' input `(1, num_mels, num_frames, 1)`."""
    values = 2 * u(9999, num_mels * num_frames)
    return values.reshape(1, num_mels, num_frames, 1)


def waveform(num_samples=8192):
    """The waveform network's input `(1, num_samples)`."""
    return 0.5 * u(9999, num_samples)[None]

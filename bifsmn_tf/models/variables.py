"""Names of a model's variables that do not depend on the name of the model."""


def variables_by_path(model):
    """All variables of a model by their path inside it.

    Args:
        model: A built Keras model.

    Returns:
        Dictionary from paths such as "block3/memory/kernel" to Keras variables, without
        the seeds of dropout layers (Keras does not count those as weights).
    """
    return {variable.path.split("/", 1)[1]: variable for variable in model.weights}

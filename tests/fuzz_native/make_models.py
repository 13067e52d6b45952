"""Makes the models that the fuzzer of the loader starts from.

    .venv-reference/bin/python tests/fuzz_native/make_models.py

Each has the operators of catalogued models, a few channels wide, so that a change of a byte is likely one of
structure. Together they use every operator that any catalogued model does, in each of its types.
"""

from collections.abc import Iterator
from pathlib import Path

import flatbuffers  # type: ignore[import-not-found]
import numpy as np  # type: ignore[import-not-found]
import tensorflow as tf  # type: ignore[import-untyped]
from tensorflow.lite.python import schema_py_generated as schema  # type: ignore[import-untyped]

FOLDER = Path(__file__).parent / "corpus/model"
SIDE = 8


def _version_1() -> tf.keras.Model:
    picture = tf.keras.Input((SIDE, SIDE, 3), batch_size=1)
    x = tf.keras.layers.Conv2D(4, 3, 2, "same", activation="relu6")(picture)
    x = tf.keras.layers.DepthwiseConv2D(3, 1, "same", activation="relu6")(x)
    x = tf.keras.layers.AveragePooling2D(4)(x)
    x = tf.keras.layers.Conv2D(5, 1)(x)
    x = tf.keras.layers.Reshape((5,))(x)
    return tf.keras.Model(picture, tf.keras.layers.Softmax()(x))


def _version_2() -> tf.keras.Model:
    picture = tf.keras.Input((SIDE, SIDE, 3), batch_size=1)
    x = tf.keras.layers.Conv2D(4, 3, 2, "same", activation="relu6")(picture)
    y = tf.keras.layers.DepthwiseConv2D(3, 1, "same", activation="relu6")(x)
    y = tf.keras.layers.Conv2D(4, 1)(y)
    x = tf.keras.layers.Add()([x, y])
    x = tf.keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = tf.keras.layers.Conv2D(5, 1)(x)
    x = tf.keras.layers.Reshape((5,))(x)
    return tf.keras.Model(picture, tf.keras.layers.Softmax()(x))


def _pictures() -> Iterator[list[np.ndarray]]:
    random = np.random.default_rng(1)
    for _ in range(8):
        yield [random.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)]


def _converted(model: tf.keras.Model, element: tf.DType, *, per_channel: bool = True) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if element != tf.float32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _pictures
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = element
        converter._experimental_disable_per_channel = not per_channel
    return bytes(converter.convert())


def _squeezed(model: bytes) -> bytes:
    """With SQUEEZE in the place of RESHAPE, as older converters wrote it."""
    changed = schema.ModelT.InitFromPackedBuf(model)
    code = next(
        i for i, c in enumerate(changed.operatorCodes) if c.builtinCode == schema.BuiltinOperator.RESHAPE
    )
    changed.operatorCodes[code].builtinCode = schema.BuiltinOperator.SQUEEZE
    changed.operatorCodes[code].deprecatedBuiltinCode = schema.BuiltinOperator.SQUEEZE
    for operator in changed.subgraphs[0].operators:
        if operator.opcodeIndex == code:
            operator.inputs = operator.inputs[:1]
            operator.builtinOptionsType = schema.BuiltinOptions.SqueezeOptions
            operator.builtinOptions = schema.SqueezeOptionsT(squeezeDims=[1, 2])
    return _packed(changed)


def _unsigned(model: bytes) -> bytes:
    """With every int8 tensor as uint8, the only integers of TensorFlow 1: 128 more, in weights and zero points."""
    changed = schema.ModelT.InitFromPackedBuf(model)
    for tensor in changed.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.INT8:
            tensor.type = schema.TensorType.UINT8
            tensor.quantization.zeroPoint = [zero + 128 for zero in tensor.quantization.zeroPoint]
            buffer = changed.buffers[tensor.buffer]
            if buffer.data is not None:
                buffer.data = np.asarray(buffer.data, np.uint8) ^ 128
    for code in changed.operatorCodes:
        code.version = 1
    return _packed(changed)


def _packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main() -> None:
    """Write all of them."""
    tf.keras.utils.set_random_seed(1)
    files = {}
    for version, model in (("v1", _version_1()), ("v2", _version_2())):
        for element in (tf.float32, tf.int8, tf.uint8):
            files[f"{version}-{element.name}"] = _converted(model, element)
        files[f"{version}-unsigned"] = _unsigned(_converted(model, tf.int8, per_channel=False))
    files["v1-squeeze"] = _squeezed(files["v1-float32"])
    for name, content in files.items():
        (FOLDER / f"{name}.tflite").write_bytes(content)
        print(name, len(content))


if __name__ == "__main__":
    main()

"""What old_runtimes runs in another environment, which has a TFLite runtime and NumPy only.

python tflite_child.py MODEL.tflite INPUTS.npy RESOLVER OUTPUTS.npz
"""

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType


def main(model, inputs, resolver, outputs):
    interpreter = Interpreter(
        model_path=model, experimental_op_resolver_type=OpResolverType[resolver]
    )
    interpreter.allocate_tensors()
    (inside,) = interpreter.get_input_details()
    places = [details["index"] for details in interpreter.get_output_details()]
    answers = []
    for x in np.load(inputs):
        interpreter.set_tensor(inside["index"], x[None])
        interpreter.invoke()
        answers.append([interpreter.get_tensor(place) for place in places])
    np.savez(outputs, *map(np.concatenate, zip(*answers)))  # noqa: B905  Python 3.9 has no strict


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Networks run on photographs: a .tflite file by the runtime there is, or minicnn in float32."""

from minicnn.runtime.runner import FloatNetwork, Network, Runner, add_arguments, load, text

__all__ = ["FloatNetwork", "Network", "Runner", "add_arguments", "load", "text"]

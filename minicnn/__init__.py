"""minicnn: a small convolutional-network framework, from training to the Edge TPU."""

__version__ = "0.1.0"

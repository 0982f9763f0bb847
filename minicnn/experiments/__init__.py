"""Experiments: the thesis as a whole, and measurements that explain it."""

"""The classifier as it is shipped: Python's standard library, one native library, and Pillow where it is.

Nothing here imports `typing`, `dataclasses` or `pathlib`: a cold start would pay 2.4, 8 and 7 ms for them,
more than for opening the model. That is why values are small classes with slots, and paths are strings.
"""

"""What the platform imports and calls: `main(arguments)` answers an activation; importing loads the model."""

# The package lies beside this file: in the image, at the zip's root, and wherever a runtime unpacks that.
from classifier.activation import main  # type: ignore[import-not-found]

__all__ = ["main"]

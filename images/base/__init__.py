"""The Debian base: pulled by digest, or bootstrapped where no registry answers, or an image of the user's."""

from images.base.ensure import IMAGE, Base, ensure_base

__all__ = ["IMAGE", "Base", "ensure_base"]

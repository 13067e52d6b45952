"""What a Debian machine has and others lack; tests of what runs in the Debian build stages need it."""

import shutil

import pytest

from images.native.fetch_sources import APT_DOWNLOADER

needs_apt = pytest.mark.skipif(shutil.which(APT_DOWNLOADER) is None, reason="needs Debian's apt")
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs Debian's dpkg-deb")

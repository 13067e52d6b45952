"""The catalogue of models, labels and sample photos, and how they get verified into a cache."""

from model_fetch.cache import BUNDLED, is_cached, list_catalog, load_catalog
from model_fetch.catalog import Asset, Catalog, Entry, Labels, Model, Row, Sample
from model_fetch.download import Progress, Warn, fetch
from model_fetch.errors import (
    BadCatalog,
    CacheUnwritable,
    DiskFull,
    DownloadFailed,
    ModelFetchError,
    NoNetwork,
    NotFound,
    UnknownName,
    WrongDigest,
    WrongSize,
)
from model_fetch.parallel import fetch_model
from model_fetch.transfer import RetryPolicy

__all__ = [
    "BUNDLED",
    "Asset",
    "BadCatalog",
    "CacheUnwritable",
    "Catalog",
    "DiskFull",
    "DownloadFailed",
    "Entry",
    "Labels",
    "Model",
    "ModelFetchError",
    "NoNetwork",
    "NotFound",
    "Progress",
    "RetryPolicy",
    "Row",
    "Sample",
    "UnknownName",
    "Warn",
    "WrongDigest",
    "WrongSize",
    "fetch",
    "fetch_model",
    "is_cached",
    "list_catalog",
    "load_catalog",
]

"""Face data sets and face models on Ray."""

__version__ = "0.1.0"

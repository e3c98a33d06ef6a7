"""The version, and the address of the documentation, each in one place."""

__version__ = "0.3.0.dev0"
SITE = "https://skae.readthedocs.io/en/stable"
REFERENCE = SITE + "/api/skae.{estimator_name}.html"
"""Address of the page of an estimator, to which its HTML representation links."""

"""Modules inside the estimators."""

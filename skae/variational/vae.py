"""VariationalAutoencoder: a model of the density whose code is a distribution for each row."""

from __future__ import annotations

from typing import Any, Literal

from ..base import NonNegative, PositiveInt
from ..nn.coder import Coder
from ..nn.priors import Prior, prior_of
from ._variational import Variational, width_of

__all__ = ["VariationalAutoencoder"]


class VariationalAutoencoder(Variational):
    """x.

    Parameters
    ----------
    prior : {"normal", "mixture", "vamp", "flow"}, default="normal"
        x
    prior_size : int, default=20
        x
    total_correlation : float, default=0.0
        x
    """

    prior: Literal["normal", "mixture", "vamp", "flow"] = "normal"
    prior_size: PositiveInt = 20
    total_correlation: NonNegative = 0.0

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "prior": self.prior, "prior_size": int(self.prior_size)}

    def _new_coder(self, spec: dict[str, Any]) -> Coder:
        return super()._new_coder({name: value for name, value in spec.items() if not name.startswith("prior")})

    def _new_prior(self, coder: Coder) -> Prior:
        return prior_of(self._spec["prior"], width_of(coder), self._spec["prior_size"], coder)

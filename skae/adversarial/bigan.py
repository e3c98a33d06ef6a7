"""BidirectionalGAN: a generator and an encoder against one critic of pairs of a row and its code."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ..base import Batch, Move, NonNegative, Source, Terms, average, backward
from ..functional import OPPOSITIONS, Opposition
from ..nn.critics import Critic, fixed
from ._adversarial import Adversarial, Shown

__all__ = ["BidirectionalGAN"]


class BidirectionalGAN(Adversarial):
    """A generator of rows and an encoder, trained against one critic of pairs.

    Parameters
    ----------
    loss : {"logistic", "wasserstein", "hinge"}, default="logistic"
        x
    reconstruction_weight : float, default=1.0
        x
    spectral_norm : bool, default=False
        x
    """

    loss: Literal["logistic", "wasserstein", "hinge"] = "logistic"
    reconstruction_weight: NonNegative = 1.0
    spectral_norm: bool = False

    # ---------------------------------------------------------------- architecture

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "spectral_norm": bool(self.spectral_norm)}

    def _n_judged(self, coder: Any) -> int:
        width: int = coder.n_outputs + coder.code_width
        return width

    def _new_critic(self, module: Any) -> Critic:
        spec = self._spec
        return Critic(
            self._n_judged(module),
            spec["critic_layer_sizes"],
            spec["activation"],
            rate=spec["critic_rate"],
            spectral_norm=spec["spectral_norm"],
            image=spec if "image_shape" in spec else None,
        )

    # ---------------------------------------------------------------- objective

    def _opposition(self) -> Opposition:
        return OPPOSITIONS[self.loss]

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        z = module.prior.sample(len(batch.x), rng)
        h = module.encode(self._corrupt(module, batch, rng).shown, rng)
        return Shown(_pairs(module, batch.x, h), _pairs(module, _mean(module, z, rng), z), batch.weight)

    def _others_move(self, module: Any, batch: Batch, rng: torch.Generator) -> Move:
        batch = self._corrupt(module, batch, rng)
        z, h = module.prior.sample(len(batch.x), rng), module.encode(batch.shown, rng)
        eta = module.decode(torch.cat([z, h]) if self.reconstruction_weight else z, rng)
        n = len(z)
        made, real = _pairs(module, module.likelihood.mean(eta[:n]), z), _pairs(module, batch.x, h)
        with fixed(module.critic):
            of_made, of_real = module.critic(torch.cat([made, real])).split(n)
        maker = self._opposition().maker
        terms = {"generator": average(maker(of_made)), "encoder": average(maker(-of_real), batch.weight)}
        weighted = {name: module.n_outputs * term for name, term in terms.items()}
        if self.reconstruction_weight:
            terms["reconstruction"] = self._reconstruction(module, eta[n:], batch)
            weighted["reconstruction"] = self.reconstruction_weight * terms["reconstruction"]
        own = [p for p in module.parameters() if getattr(p, "part", "main") == "main"]
        backward(weighted, own)
        return Move({name: term.detach() for name, term in terms.items()}, "main")

    def _critic_terms(self, critic: Critic, shown: Shown, rng: torch.Generator) -> Terms:
        critic.iterate()
        return super()._critic_terms(critic, shown, rng)

    def _penalty(self, critic: Critic, shown: Shown, rng: torch.Generator) -> Tensor:
        n = self._spec["n_outputs"]
        if self.loss != "wasserstein":
            return n * super()._penalty(critic, shown, rng)
        share = torch.rand((len(shown.real), 1), generator=rng, dtype=shown.real.dtype, device=shown.real.device)
        between = shown.real.lerp(shown.made, share)
        return average((n**0.5 * critic.slopes(between).norm(dim=1) - 1).square(), shown.real_weight)

    def _watched(self, held_out: Source, told: dict[str, float]) -> float:
        return told.get("mmd", float("nan"))

    # ---------------------------------------------------------------- using

    def _row_given(self, module: Any, eta: Tensor, rng: torch.Generator) -> Tensor:
        row: Tensor = module.likelihood.mean(eta)
        return row


def _mean(module: Any, z: Tensor, rng: torch.Generator) -> Tensor:
    mean: Tensor = module.likelihood.mean(module.decode(z, rng))
    return mean


def _pairs(module: Any, x: Tensor, h: Tensor) -> Tensor:
    return torch.cat([module.likelihood.embed(x), h], 1)

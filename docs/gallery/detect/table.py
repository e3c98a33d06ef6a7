"""A table of customers with gaps: its code, what stood in the gaps, and rows that are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skae import TableAutoencoder, VariationalAutoencoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLANS = ["none", "basic", "gold"]
SHARE = 0.15
"""Share of the entries that are hidden."""


def customers(n: int = 1500) -> pd.DataFrame:
    """Three groups of customers of different ages and wealth."""
    rng = np.random.RandomState(0)
    group = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    wealth = rng.normal(size=n) + np.array([-0.5, 0.5, 1.5])[group]
    plan = np.where(rng.rand(n) < 1 / (1 + np.exp(-2 * wealth)), "gold", np.where(rng.rand(n) < 0.6, "basic", "none"))
    since = pd.Timestamp("2015-01-01") + pd.to_timedelta((rng.beta(2, 1 + (wealth > 0.5)) * 3000).round(), unit="D")
    return pd.DataFrame(
        {
            "age": (np.array([22, 45, 65])[group] + rng.gamma(2, 3, n)).round().astype("int64"),
            "amount": np.exp(1.2 * wealth + 0.4 * rng.normal(size=n)).round(2),
            "plan": pd.Categorical(plan, categories=PLANS),
            "region": np.array(list("NESW"))[(group + rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])) % 4],
            "since": since,
            "visits": rng.poisson(np.exp(0.5 * wealth) * np.where(plan == "gold", 2, 1)),
        }
    )


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with some entries hidden, at random."""
    hidden = np.random.RandomState(1).rand(*frame.shape) < SHARE
    return frame.astype({"age": "Int64", "visits": "Int64"}).mask(hidden & ~hidden.all(1, keepdims=True))


def draw_rows(ax: Axes, frame: pd.DataFrame, title: str) -> None:
    """Age and amount of each row, coloured by plan."""
    for plan, colour in zip(PLANS, ("tab:gray", "tab:blue", "tab:orange"), strict=True):
        rows = frame[frame["plan"] == plan]
        ax.scatter(rows["age"].astype(float), rows["amount"], s=5, linewidths=0, color=colour, label=plan)
    ax.set(xlabel="age", ylabel="amount", yscale="log", ylim=(0.005, 500), xlim=(15, 100))
    ax.set_title(title, fontsize=9)


def draw_restored(ax: Axes, frame: pd.DataFrame, holey: pd.DataFrame, restored: pd.DataFrame) -> None:
    """Amounts that were hidden, and what is restored in their place."""
    gap = holey["amount"].isna()
    right = (restored["plan"] == frame["plan"])[holey["plan"].isna()].mean()
    usual = frame["plan"].value_counts(normalize=True).max()
    ax.scatter(frame["amount"][gap], restored["amount"][gap], s=6, linewidths=0, color="tab:green")
    ax.axline((1, 1), (10, 10), color="0.6", linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlabel="hidden amount", ylabel="restored", xlim=(0.005, 500), ylim=(0.005, 500))
    ax.set_title(
        f"gaps, restored from the rest of the row\nplan: {right:.0%} right, most frequent {usual:.0%}", fontsize=9
    )


def draw_shares(ax: Axes, frame: pd.DataFrame, drawn: pd.DataFrame) -> None:
    """Share of each pair of region and plan."""
    pairs = [table.groupby(["region", "plan"], observed=False).size() / len(table) for table in (frame, drawn)]
    place = np.arange(len(pairs[0]))
    for shares, shift, label in zip(pairs, (-0.2, 0.2), ("table", "drawn"), strict=True):
        ax.bar(place + shift, shares, 0.4, label=label)
    ax.set_xticks(place, [f"{region} {plan}" for region, plan in pairs[0].index], rotation=90, fontsize=7)
    ax.legend(fontsize=8)
    ax.set_title("share of each pair of region and plan", fontsize=9)


def draw(max_iter: int | str = "auto") -> Figure:
    """The whole picture."""
    frame = customers()
    holey = with_gaps(frame)
    options: dict[str, Any] = {
        "estimator": VariationalAutoencoder(variance="column", max_iter=max_iter),  # type: ignore[arg-type]
        "random_state": 0,
    }
    code = TableAutoencoder(2, **options).fit(holey)
    model = TableAutoencoder(len(frame.columns), **options).fit(holey)
    drawn = model.sample(len(frame), random_state=0)
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 6.4), layout="constrained")
    H = code.transform(holey)
    colours = frame["plan"].map(dict(zip(PLANS, ("tab:gray", "tab:blue", "tab:orange"), strict=True))).astype(str)
    axes[0, 0].scatter(*H.T, s=5, linewidths=0, c=colours)
    axes[0, 0].set_title("code of two components, by plan", fontsize=9)
    shown = axes[0, 1].scatter(*H.T, s=5, linewidths=0, c=frame["age"], cmap="viridis")
    figure.colorbar(shown, ax=axes[0, 1])
    axes[0, 1].set_title("the same, by age", fontsize=9)
    for ax in axes[0, :2]:
        ax.set(xticks=[], yticks=[])
    draw_restored(axes[0, 2], frame, holey, model.inverse_transform(model.transform(holey)))
    draw_rows(axes[1, 0], frame, "the table, without gaps")
    axes[1, 0].legend(fontsize=8, markerscale=2)
    draw_rows(axes[1, 1], drawn, "rows that are drawn")
    draw_shares(axes[1, 2], frame, drawn)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)

"""
Tables of mixed columns
=======================

A data frame goes in as it is, with numbers, categories, dates and gaps. Out come a code, the frame back, and rows that
are drawn like it: :class:`~skae.TableAutoencoder`, beside boosted trees and shuffled columns.
"""

# %%
# A table of customers
# --------------------
# The table is simulated, so that we know what is in it. There are three groups of customers. A hidden wealth decides
# what they spend, which plan they have and how often they come. After that, 15 % of the entries are hidden.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_score

from skae import TableAutoencoder

rng = np.random.default_rng(0)
n = 1500
group = rng.choice(3, n, p=[0.5, 0.3, 0.2])
wealth = rng.normal(np.array([-0.5, 0.5, 1.5])[group])
is_gold = rng.random(n) < 1 / (1 + np.exp(-2 * wealth))
plan = np.where(is_gold, "gold", np.where(rng.random(n) < 0.6, "basic", "none"))
days = (rng.beta(2, 1 + (wealth > 0.5)) * 3000).round()
customers = pd.DataFrame(
    {
        "age": (np.array([22, 45, 65])[group] + rng.gamma(2, 3, n)).round().astype(int),
        "amount": np.exp(1.2 * wealth + 0.4 * rng.normal(size=n)).round(2),
        "plan": pd.Categorical(plan, categories=["none", "basic", "gold"]),
        "region": pd.Categorical(np.array(list("NESW"))[(group + rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])) % 4]),
        "since": pd.Timestamp("2015-01-01") + pd.to_timedelta(days, unit="D"),
        "visits": rng.poisson(np.exp(0.5 * wealth) * (1 + is_gold)),
    }
)
hidden = rng.random(customers.shape) < 0.15
hidden[hidden.all(axis=1), 0] = False  # a row in which nothing is known is refused
holey = customers.astype({"age": "Int64", "visits": "Int64"}).mask(hidden)
holey.head()

# %%
# A code
# ------
# No column has to be encoded or scaled before. ``columns_`` tells what each was taken for.
code = TableAutoencoder(2, random_state=0).fit(holey)
print(code.columns_)

H = code.transform(holey)
colours = customers["plan"].map({"none": "tab:gray", "basic": "tab:blue", "gold": "tab:orange"}).astype(str)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
axes[0].scatter(*H.T, s=5, linewidths=0, c=colours)
axes[0].set_title("two numbers a customer\ngrey: no plan, blue: basic, orange: gold", fontsize=10)
shown = axes[1].scatter(*H.T, s=5, linewidths=0, c=customers["age"], cmap="viridis")
axes[1].set_title("the same, by age", fontsize=10)
figure.colorbar(shown, ax=axes[1])
for ax in axes:
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# The frame back
# --------------
# ``inverse_transform`` gives a frame with the same columns, dtypes and categories, and no gaps. With as many components
# as columns, each row is restored from what is known of it. So the hidden entries can be compared with the truth.
# The column's median or most frequent value is the least that one could do. Boosted trees, one model for each column,
# are the most: they take gaps in the other columns, and are trained for the one column alone.
model = TableAutoencoder(6, random_state=0).fit(holey)
restored = model.inverse_transform(model.transform(holey))


def numbers(frame):
    return frame.assign(since=(frame["since"] - pd.Timestamp("2015-01-01")).dt.days).astype(
        {"age": float, "visits": float}
    )


def by_trees(target):
    others, known = numbers(holey).drop(columns=target), holey[target].notna()
    if isinstance(customers[target].dtype, pd.CategoricalDtype):
        trees = HistGradientBoostingClassifier(max_iter=50, categorical_features="from_dtype", random_state=0)
        return trees.fit(others[known], holey[target][known].astype(str)).predict(others[~known])
    trees = HistGradientBoostingRegressor(max_iter=50, categorical_features="from_dtype", random_state=0)
    return np.exp(trees.fit(others[known], np.log(holey[target][known])).predict(others[~known]))


where = {name: holey[name].isna() for name in ("plan", "region", "amount")}
guesses = {
    "most frequent, median": [holey["plan"].mode()[0], holey["region"].mode()[0], holey["amount"].median()],
    "boosted trees": [by_trees(name) for name in where],
    "TableAutoencoder": [restored[name][gap] for name, gap in where.items()],
}
rows = {}
for name, (a_plan, a_region, an_amount) in guesses.items():
    factor = np.log(an_amount / customers["amount"][where["amount"]])
    rows[name] = {
        "plan, right": (customers["plan"][where["plan"]] == a_plan).mean(),
        "region, right": (customers["region"][where["region"]] == a_region).mean(),
        "amount, median factor off": np.exp(np.abs(factor).median()),
    }
pd.DataFrame(rows).T.round(2)

# %%
# One model of the whole table is about as good as a model for each column.
#
# Rows that are drawn
# -------------------
# ``sample`` draws customers that do not exist. The model has seen only the table with gaps. Beside it is what is left
# if each column is shuffled by itself: every column is right, and nothing goes together.
drawn = model.sample(n, random_state=1)
shuffled = customers.apply(lambda column: column.sample(frac=1, random_state=rng).to_numpy())
shuffled = shuffled.astype(customers.dtypes)


def told_from_real(other):
    both = numbers(pd.concat([customers, other], ignore_index=True))
    trees = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    return cross_val_score(trees, both, np.repeat([0, 1], n), cv=3, scoring="roc_auc").mean()


tables = {"the table, without gaps": customers, "drawn": drawn, "columns shuffled": shuffled}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
for ax, (name, table) in zip(axes, tables.items(), strict=True):
    for a_plan, colour in zip(customers["plan"].cat.categories, ("tab:gray", "tab:blue", "tab:orange"), strict=True):
        some = table[table["plan"] == a_plan]
        ax.scatter(some["age"].astype(float), some["amount"], s=5, linewidths=0, color=colour, label=a_plan)
    verdict = "" if table is customers else f"\ntold from real with AUC {told_from_real(table):.2f}"
    ax.set(xlabel="age", yscale="log", ylim=(0.005, 500))
    ax.set_title(name + verdict, fontsize=10)
axes[0].set_ylabel("amount")
axes[0].legend(title="plan", fontsize=8, markerscale=2)
plt.show()

# %%
# Boosted trees try to tell the rows from real ones, where an AUC of 0.5 would be chance. Shuffled columns are easily
# told, and drawn rows hardly. Such rows serve to try out software, or to show a table without its customers. They do
# not replace it: what the model has not learnt is not in them. The share of each pair of region and plan:
pairs = {name: table.groupby(["region", "plan"], observed=False).size() / n for name, table in tables.items()}
pd.DataFrame(pairs).round(3)

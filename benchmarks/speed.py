"""Speed of Autoencoder beside a bare PyTorch loop, the matrix products alone and four peers, as ratios within one run.

    python benchmarks/speed.py [--rounds 5] [--only small digits large whole transform memory import] [--json FILE]

The same network, batch size, epochs and optimizer for all. Machines are noisy, so contestants take turns, every
round is a ratio to the bare loop of that round, and the median ratio is told. A peer that is not
installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from skae import Autoencoder

Fit = Callable[[], object]


def plain_network(sizes: list[int]) -> torch.nn.Sequential:
    """The network as a tutorial writes it; relu everywhere but at the code and at the output."""
    layers: list[torch.nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers.append(torch.nn.Linear(a, b))
        if i not in (len(sizes) // 2 - 1, len(sizes) - 2):
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def bare_loop(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> None:
    """The training loop that a user would write by hand."""
    data = torch.from_numpy(X)
    network = plain_network(sizes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(epochs):
        order = torch.randperm(len(data))
        for start in range(0, len(data), batch):
            x = data[order[start : start + batch]]
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network(x), x)
            loss.backward()
            optimizer.step()


def products(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> None:
    """The matrix products of such a training, and nothing else: no loop over these batches can be faster."""
    values = [torch.randn(batch, size) for size in sizes]
    scratch = [torch.empty_like(value) for value in values]
    weights = [torch.randn(n_out, n_in) for n_in, n_out in pairwise(sizes)]
    gradients = [torch.empty_like(weight) for weight in weights]
    for _ in range(epochs * -(-len(X) // batch)):
        for i, weight in enumerate(weights):
            torch.mm(values[i], weight.t(), out=scratch[i + 1])
        for i, weight in enumerate(weights):
            torch.mm(values[i + 1].t(), values[i], out=gradients[i])
            if i:
                torch.mm(values[i + 1], weight, out=scratch[i])


def contestants(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> dict[str, Fit]:
    """Every contestant's fit, by name."""
    middle = len(sizes) // 2
    hidden, code = sizes[1:middle], sizes[middle]
    common = {"batch_size": batch, "max_iter": epochs, "tol": 0.0, "n_iter_no_change": epochs + 1}
    ours = {"hidden_layer_sizes": tuple(hidden), "solver": "adam", "activation": "relu", "device": "cpu", **common}
    fits: dict[str, Fit] = {
        "products": lambda: products(X, sizes, batch, epochs),
        "bare loop": lambda: bare_loop(X, sizes, batch, epochs),
        "skae": lambda: Autoencoder(code, init="random", **ours).fit(X),
        "skae from PCA": lambda: Autoencoder(code, **ours).fit(X),
        "MLPRegressor": lambda: MLPRegressor(hidden_layer_sizes=tuple(sizes[1:-1]), **common).fit(X, X),
    }
    for peer in (skorch_fit, pyod_fit, pythae_fit):
        with contextlib.suppress(ImportError):
            fits[peer.__name__.removesuffix("_fit")] = peer(X, sizes, batch, epochs)
    return fits


def skorch_fit(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> Fit:
    """The regressor of skorch around the same network."""
    from skorch import NeuralNetRegressor

    network = plain_network(sizes)
    return lambda: NeuralNetRegressor(
        network, optimizer=torch.optim.Adam, batch_size=batch, max_epochs=epochs, train_split=None, verbose=0
    ).fit(X, X)


def pyod_fit(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> Fit:
    """The autoencoder of PyOD with the same layers."""
    from pyod.models.auto_encoder import AutoEncoder

    hidden = sizes[1 : len(sizes) // 2 + 1]
    return lambda: AutoEncoder(
        hidden_neuron_list=hidden,
        batch_size=batch,
        epoch_num=epochs,
        batch_norm=False,
        dropout_rate=0.0,
        preprocessing=False,
        device="cpu",
        verbose=0,
    ).fit(X)


def pythae_fit(X: np.ndarray, sizes: list[int], batch: int, epochs: int) -> Fit:
    """The autoencoder of pythae around the same network."""
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    middle = len(sizes) // 2
    network = plain_network(sizes)
    split = next(i for i, layer in enumerate(network) if getattr(layer, "out_features", 0) == sizes[middle]) + 1

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network[:split]

        def forward(self, x: torch.Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network[split:]

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    def fit() -> None:
        config = AEConfig(input_dim=(sizes[0],), latent_dim=sizes[middle])
        with tempfile.TemporaryDirectory() as folder:
            training = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=epochs,
                per_device_train_batch_size=batch,
                learning_rate=1e-3,
                no_cuda=True,
            )
            model = AE(config, encoder=Encoder(), decoder=Decoder())
            TrainingPipeline(model=model, training_config=training)(X)

    return fit


def seconds(fit: Fit) -> float:
    """Wall time of a fit whose chatter is swallowed."""
    noise = io.StringIO()
    with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
        start = time.perf_counter()
        fit()
        return time.perf_counter() - start


def compare_fits(title: str, fits: dict[str, Fit], rounds: int, limits: contextlib.AbstractContextManager) -> dict:
    """Let the contestants take turns and print the median ratio of each to the bare loop."""
    times: dict[str, list[float]] = {name: [] for name in fits}
    with limits:
        seconds(fits["bare loop"])  # torch's first Adam costs two seconds of imports
        for _ in range(rounds):
            for name, fit in list(fits.items()):
                times[name].append(seconds(fit))
    bare = np.array(times["bare loop"])
    ratios = {name: float(np.median(np.array(t) / bare)) for name, t in times.items()}
    print(f"\n{title} (bare loop: {np.median(bare):.2f} s)")
    for name, ratio in ratios.items():
        print(f"  {name:16s} {ratio:6.2f} x the bare loop")
    return ratios


def small(rounds: int) -> dict:
    """1797 x 64, 64-32-8-32-64, batch 32, on one thread as all contestants run best."""
    X = (load_digits().data / 16).astype(np.float32)
    fits = contestants(X, [64, 32, 8, 32, 64], 32, 20)
    return compare_fits("digits 1797 x 64, 64-32-8-32-64, batch 32, 20 epochs", fits, rounds, threadpool_limits(1))


def large(rounds: int) -> dict:
    """20 000 x 784, 784-256-32-256-784, batch 256."""
    X = np.random.default_rng(0).random((20_000, 784), dtype=np.float32)
    fits = contestants(X, [784, 256, 32, 256, 784], 256, 2)
    title = "20 000 x 784, 784-256-32-256-784, batch 256, 2 epochs"
    return compare_fits(title, fits, rounds, contextlib.nullcontext())


def digits(rounds: int) -> dict:
    """1797 x 64 with the default layers, batch 200."""
    X = (load_digits().data / 16).astype(np.float32)
    fits = contestants(X, [64, 256, 128, 16, 128, 256, 64], 200, 20)
    title = "digits 1797 x 64, 64-256-128-16-128-256-64, batch 200, 20 epochs"
    return compare_fits(title, fits, rounds, contextlib.nullcontext())


def whole(rounds: int) -> dict:
    """Fits with all defaults to tables of several sizes, beside PCA, in seconds."""
    results = {}
    for n, width in ((1_000, 20), (10_000, 50), (100_000, 200)):
        rng = np.random.default_rng(0)
        X = np.tanh(rng.standard_normal((n, 10)) @ rng.standard_normal((10, width)))
        models = {"pca_s": PCA(8), "skae_s": Autoencoder(8, device="cpu")}
        took = {name: [seconds(partial(model.fit, X)) for _ in range(min(rounds, 3))] for name, model in models.items()}
        results[f"{n} x {width}"] = {name: float(np.median(times)) for name, times in took.items()}
        print(f"\n{n} x {width}, with all defaults: {results[f'{n} x {width}']}")
    return results


def transform(rounds: int) -> dict:
    """Rows a second of transform, beside the bare products of the same matrices."""
    X = np.random.default_rng(0).random((20_000, 784), dtype=np.float32)
    results = {}
    for init in ("random", "pca"):
        model = Autoencoder(32, hidden_layer_sizes=(256,), activation="relu", init=init, max_iter=1, device="cpu")
        model.fit(X[:2000])
        shapes = [(784, 256), (256, 32)] + [(784, 32)] * (init == "pca")
        a, *rest = [torch.randn(shape) for shape in shapes]
        data = torch.from_numpy(X)

        def products(data: torch.Tensor = data, a: torch.Tensor = a, rest: list[torch.Tensor] = rest) -> None:
            hidden = data @ a
            hidden @ rest[0]
            for projection in rest[1:]:
                data @ projection

        ratios = []
        for _ in range(4 * rounds):
            ratios.append(seconds(products) / seconds(lambda: model.transform(X)))  # noqa: B023
        results[init] = float(np.median(ratios))
        print(f"\ntransform, init={init!r}: {results[init]:.2f} of the bare matrix products")
    return results


MEMORY = """
import sys, numpy as np
from skae import Autoencoder
def status(field):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(field))
model = lambda: Autoencoder(32, hidden_layer_sizes=(256,), max_iter=1, batch_size=256, random_state=0, device="cpu")
model().fit(np.random.default_rng(0).random((2000, 784), dtype=np.float32))  # what torch itself takes
X = np.load(sys.argv[1], mmap_mode="r")
open("/proc/self/clear_refs", "w").write("5")  # the peak starts from here
before = status("VmRSS")
fitted = model().fit(X)
after_fit = status("VmHWM")
fitted.score(X)
print(after_fit - before, status("VmHWM") - before)
"""


def memory(rounds: int) -> dict:
    """Resident memory that a 2 GB memory map adds at its peak (Linux only)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.npy"
        big = np.lib.format.open_memmap(path, "w+", np.float32, (640_000, 784))
        rng = np.random.default_rng(0)
        for start in range(0, len(big), 20_000):
            big[start : start + 20_000] = rng.random((20_000, 784), dtype=np.float32)
        big.flush()
        size = path.stat().st_size / 2**20
        done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    fit, score = (float(x) for x in done.stdout.split())
    print(f"\nmemory map of {size:.0f} MB: fit adds {fit:.0f} MB of resident memory, fit and score {score:.0f} MB")
    return {"map_mb": size, "fit_mb": fit, "fit_and_score_mb": score}


def import_time(rounds: int) -> dict:
    """Seconds that importing skae adds to torch and scikit-learn, and seconds of those two."""
    code = "import time; t0 = time.perf_counter(); import torch, sklearn.base; t1 = time.perf_counter(); "
    code += "import skae; t2 = time.perf_counter(); print(t1 - t0, t2 - t1)"
    runs = []
    for _ in range(rounds + 1):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        runs.append([float(x) for x in done.stdout.split()])
    theirs, ours = np.median(runs[1:], axis=0)
    print(f"\nimport torch and scikit-learn: {theirs:.2f} s; import skae adds {ours:.3f} s")
    return {"torch_and_sklearn_s": float(theirs), "skae_adds_s": float(ours)}


PARTS = {
    "small": small,
    "digits": digits,
    "large": large,
    "whole": whole,
    "transform": transform,
    "memory": memory,
    "import": import_time,
}


PAGE = """# Speed

Made by `python benchmarks/speed.py --markdown docs/measured/speed.md`.

Ratios within one run on two shared cores, median over the rounds; contestants take turns. The bare loop is what a user
would write by hand: the same network, batch size and number of epochs, `torch.optim.Adam`, no validation of input, no
history, no best weights.

| seconds of a fit over those of the bare loop | 1797 x 64, 64-32-8-32-64, batch 32, one thread | \
1797 x 64, 64-256-128-16-128-256-64, batch 200 | 20 000 x 784, 784-256-32-256-784, batch 256 |
| --- | ---: | ---: | ---: |
{rows}

"products" are the matrix products of such a training and nothing else, the limit of every loop. "skae" is the same
network from a random start. "skae from PCA" starts at PCA and carries its projection along, for which two epochs pay
more than many do.

| a fit with all defaults | PCA, s | Autoencoder, s |
| --- | ---: | ---: |
{whole}

- `transform` reaches {transform[random]:.2f} of the speed of the bare matrix products of the textbook network, and
  {transform[pca]:.2f} with the projection on PCA's axes, input checks included.
- A memory map of {memory[map_mb]:.0f} MB adds {memory[fit_mb]:.0f} MB of resident memory to `fit`. These are pages of
  the file around the rows of a batch, given back after it. How many the system maps at once differs between machines.
- `import skae` adds {imported[skae_adds_s]:.3f} s to the {imported[torch_and_sklearn_s]:.1f} s of torch and
  scikit-learn.
"""


def page(results: dict) -> str:
    """The figures as a page of the documentation."""
    cases = [results[name] for name in ("small", "digits", "large")]
    rows = "\n".join("| ".join([f"| {name} ", *(f"{case[name]:.2f} " for case in cases)]) + "|" for name in cases[0])
    whole = "\n".join(f"| {n} | {took['pca_s']:.2f} | {took['skae_s']:.2f} |" for n, took in results["whole"].items())
    return PAGE.format(
        rows=rows, whole=whole, transform=results["transform"], memory=results["memory"], imported=results["import"]
    )


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument(
        "--markdown", type=Path, help="also write the page docs/measured/speed.md here; needs all parts"
    )
    args = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    results = {name: PARTS[name](args.rounds) for name in args.only}
    if args.markdown:
        args.markdown.write_text(page(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

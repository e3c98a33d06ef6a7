"""On an accelerator: the same estimator as on the CPU, and back. Runs where there is one."""

import pickle

import numpy as np
import pytest
import torch
from contract.requirements import require_same
from contract.tables import entering
from sklearn import config_context
from sklearn.base import clone

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore:The loss was still falling"),  # lbfgs in three epochs
]


def is_on_cuda(estimator):
    return all(parameter.is_cuda for parameter in estimator.module_.parameters())


@entering("saving")
def test_fitted_on_one_device_and_loaded_on_another(estimator, X, y):
    estimator.set_params(device="cuda").fit(X, y)
    assert is_on_cuda(estimator)
    on_cpu = pickle.loads(pickle.dumps(estimator)).set_params(device="cpu")
    require_same(estimator, on_cpu, X, rtol=1e-3, atol=1e-4)
    back = on_cpu.set_params(device="cuda")
    require_same(estimator, back, X, rtol=1e-3, atol=1e-4)
    assert is_on_cuda(back)


@entering("input")
def test_tensors_on_the_device_stay_there(estimator, X, y):
    estimator.set_params(device="cuda")
    tensor = torch.from_numpy(X).cuda()
    expected = clone(estimator).fit(X, y).transform(X)
    with config_context(array_api_dispatch=True):
        H = estimator.fit(tensor, y).transform(tensor)
    assert H.is_cuda
    np.testing.assert_allclose(H.cpu().numpy(), expected, rtol=1e-3, atol=1e-4)


@entering("randomness")
def test_global_generators_are_untouched(estimator, X, y):
    before = torch.cuda.get_rng_state()
    estimator.set_params(device="cuda").fit(X, y)
    assert torch.equal(torch.cuda.get_rng_state(), before)

"""On an accelerator: the same model as on the CPU, and back. Runs where there is one."""

import pickle

import numpy as np
import pytest
import torch
from contract.tables import SMALL
from sklearn.base import clone

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(params=SMALL, name="estimator")
def _estimator(request):
    return clone(SMALL[request.param]).set_params(device="cuda")


@pytest.fixture
def X(rng):
    return rng.random((50, 5))


@pytest.mark.filterwarnings("ignore:The loss was still falling")
def test_fitted_on_one_device_and_loaded_on_another(estimator, X):
    H = estimator.fit(X).transform(X)
    assert estimator.module_.encoder.weights[0].is_cuda
    on_cpu = pickle.loads(pickle.dumps(estimator)).set_params(device="cpu")
    np.testing.assert_allclose(on_cpu.transform(X), H, rtol=1e-3, atol=1e-4)
    back = on_cpu.set_params(device="cuda")
    np.testing.assert_allclose(back.transform(X), H, rtol=1e-3, atol=1e-4)
    assert back.module_.encoder.weights[0].is_cuda


@pytest.mark.filterwarnings("ignore:The loss was still falling")
def test_tensors_on_the_device_stay_there(estimator, X):
    from sklearn import config_context

    tensor = torch.from_numpy(X).cuda()
    expected = clone(estimator).fit(X).transform(X)
    with config_context(array_api_dispatch=True):
        H = estimator.fit(tensor).transform(tensor)
    assert H.is_cuda
    np.testing.assert_allclose(H.cpu().numpy(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:The loss was still falling")
def test_global_generators_are_untouched(estimator, X):
    before = torch.cuda.get_rng_state()
    estimator.fit(X)
    assert torch.equal(torch.cuda.get_rng_state(), before)

"""Memory that runs out in a step: wherever that happens, the step ends as it would have ended in smaller parts"""
import warnings

import pytest, torch

from test_methods import IN_PARTS, METHODS, tensors, train, world   # noqa: F401 (a fixture)
from latent_style.learner import Callback

pytestmark = pytest.mark.usefixtures('no_curves')

# texture and noise; spectral norms; four turns; a gradient that is cut
HARD = {name: IN_PARTS[name][which] for name,which in dict(cyclegan=2, stargan=0, pixels=1, otcfm=1).items()}
FULL = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 MiB')

class Full(Callback):
    "Memory runs out once in the first step: as a layer begins, after a share of all layers' calls, or somewhere else"
    order = -50
    def __init__(self, at=None, where=None): self.at,self.where,self.calls,self.times = at,where,0,0
    def fail(self):
        self.times += 1
        if self.times == 1: raise FULL
    def count(self, module, args):
        self.calls += 1
        if self.calls == self.at: self.fail()
    def before_fit(self, learn):
        self.hook = torch.nn.modules.module.register_module_forward_pre_hook(self.count)
        if self.where: self.where(self, learn)
    def after_step(self, learn): self.hook.remove()

def trained(world, name, path, full=None, **options):     # noqa: F811
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        learn = train(world, name, path, precision='fp64', cbs=[full] if full else [], **HARD[name] | options)
    return *tensors(learn),learn.micro_batch,[w for w in said if 'do not fit' in str(w.message)]

def same(one, other, **how):
    for a,b in zip(one[:2], other[:2]):
        for k in b: torch.testing.assert_close(torch.as_tensor(a[k]), torch.as_tensor(b[k]), msg=k, **how)

@pytest.fixture(scope='module')
def in_halves(world, tmp_path_factory):      # noqa: F811
    "Runs of all methods in parts of two rows, and how many calls of layers their first step takes as a whole"
    found = {}
    def get(name):
        if name not in found:
            full = Full()
            parts = trained(world, name, tmp_path_factory.mktemp('parts')/name, micro_batch=2)
            trained(world, name, tmp_path_factory.mktemp('whole')/name, full, n_steps=1)
            found[name] = parts,full.calls
        return found[name]
    return get

@pytest.mark.parametrize('share', [.01,.45,.9])
@pytest.mark.parametrize('name', METHODS)
def test_full_in_a_forward_pass(world, tmp_path, in_halves, name, share):    # noqa: F811
    "Weights, spectral norms, averages and log of three steps; at the very start bit for bit"
    parts,calls = in_halves(name)
    full = Full(at=max(1, round(share*calls)))
    got = trained(world, name, tmp_path/'run', full)
    assert full.times == 1 and got[2] == 2 and len(got[3]) == 1
    same(got, parts, **dict(rtol=0, atol=0) if share < .1 else dict(rtol=1e-9, atol=1e-9))

def in_backward(full, learn):
    "The last gradient of the network that moves last"
    p = learn.params[list(learn.params)[-1]][0]
    p.register_hook(lambda g: full.fail())

def in_optimizer(full, learn):
    "The last of the optimizers, as it begins to remember"
    list(learn.opts.values())[-1].register_step_pre_hook(lambda *_: full.fail())

@pytest.mark.parametrize('where', [in_backward, in_optimizer])
@pytest.mark.parametrize('name', METHODS)
def test_full_elsewhere(world, tmp_path, in_halves, name, where):            # noqa: F811
    full = Full(where=where)
    got = trained(world, name, tmp_path/'run', full)
    assert full.times > 1 and got[2] == 2
    same(got, in_halves(name)[0], rtol=1e-9, atol=1e-9)

class Small(Callback):
    "From the second turn of a step on there is room for no sample, until somebody makes some"
    def __init__(self): self.room = False
    def before_fit(self, learn):
        self.learn = learn
        def check(module, args):
            if not self.room and learn.done.turn == 2: raise FULL
        self.hook = torch.nn.modules.module.register_module_forward_pre_hook(check)

def test_a_step_that_never_fits_is_finished_later(world, tmp_path):          # noqa: F811
    "The error arrives, nobody is a step ahead, and `fit` goes on in the middle of the step"
    whole,small = trained(world, 'stargan', tmp_path/'whole'),Small()
    try:
        with pytest.raises(torch.OutOfMemoryError): trained(world, 'stargan', tmp_path/'run', small)
        learn = small.learn
        assert learn.i == 0 and learn.micro_batch == 1
        small.room = True
        learn.fit()
    finally: small.hook.remove()
    same(tensors(learn), whole, rtol=1e-9, atol=1e-9)

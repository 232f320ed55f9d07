"Losses and gradients against textbook training steps, in float64"
import importlib.util
from types import SimpleNamespace
import pytest, torch
from latent_style import cyclegan
from latent_style.models import PatchDiscriminator, ResnetGenerator

@pytest.fixture(scope='module')
def ref(shared):
    f = shared/'reference'/'objectives.py'
    if not f.exists(): pytest.skip(f'{f.name} is not there')
    spec = importlib.util.spec_from_file_location('objectives', f); m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    return m

def grads(loss, nets):
    ps = [p for n in nets for p in n.parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, ps)])

def error(a, b): return ((a-b).norm()/b.norm()).item()

@pytest.mark.parametrize('conv,residual,act,stride,sn', [('separable',True,None,2,True), ('dense',False,'tanh',1,True), ('pointwise',True,None,2,False)])
def test_cyclegan(ref, conv, residual, act, stride, sn):
    torch.manual_seed(0)
    G,F = (ResnetGenerator(ngf=32, n_blocks=3, conv=conv, residual=residual, act=act).double() for _ in range(2))
    for n in (G,F):
        for p in n.parameters(): torch.nn.init.normal_(p, std=.1)      # no zero-initialised head: every gradient counts
    D_A,D_B = (PatchDiscriminator(ndf=16, stride=stride, sn=sn).double().eval() for _ in range(2))   # eval: spectral norm as it stands
    n,w = SimpleNamespace(G=G, F=F, D_A=D_A, D_B=D_B),SimpleNamespace(cyc=10., id=.5, adv='lsgan', d_scale=.5)
    a,b = torch.randn(2, 4, 4, 32, 32, dtype=torch.float64)
    loss,terms,(fake_a,fake_b) = cyclegan.g_loss(n, a, b, w)
    want,t = ref.cyclegan_g_loss(G, F, D_A, D_B, a, b, 10., .5)
    e_loss,e_g = abs(loss-want).item()/want.item(),error(grads(loss, (G,F)), grads(want, (G,F)))
    loss_d,_ = cyclegan.d_loss(n, a, fake_a, b, fake_b, w)
    want_d = ref.cyclegan_d_loss(D_A, D_B, a, b, t['fake_a'], t['fake_b'], .5)
    e_d = error(grads(loss_d, (D_A,D_B)), grads(want_d, (D_A,D_B)))
    print(f'relative errors: loss {e_loss:.1e}, generators {e_g:.1e}, discriminators {e_d:.1e}')
    assert max(e_loss, e_g, e_d) < 1e-9

"""Devices that are not here, pretended by PyTorch's fake tensors, which have a shape and a device and no numbers

A pretended CUDA device refuses to mix its tensors with those of the processor. On the pretended processor the whole
step runs, with second derivatives. On both a question to the device is an error: `.item()`, `.tolist()`, `if` on a
tensor."""
from types import SimpleNamespace

import pytest, torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latent_style.autoencoders import Latents, Pixels
from latent_style.callbacks import Recorder
from latent_style.codec import TinyAE, start_linear
from latent_style.cyclegan import Pools, Textures
from latent_style.crowds import as_features
from latent_style.eval import RandomFeatures, features_of, perceptual_distance, round_trip
from latent_style.health import Health
from latent_style.kernels import on_cpu
from latent_style.devices import autocast
from latent_style.learner import EMA, Learner, Schedule
from latent_style.strokes import Texture, domain_quantiles, zero_mean_filters
from latent_style.method import module_of, options_of
from latent_style.pairing import Batch as FlowBatch
from latent_style.stargan_step import Batch
from latent_style.stargan_pixels import PixelBatch
from latent_style.texture import recolour

CUDA,CPU = torch.device('cuda', 0),torch.device('cpu')
OWN = dict(cyclegan=[dict(ngf=8, n_blocks=1, ndf=8, noise=2, cells=2, w_tex=2., patch=3, filters=8, pool_size=5),
                     dict(ngf=8, n_blocks=1, ndf=8, conv='dense', act='tanh', residual=False, d_stride=1, w_id=.2)],
           stargan=[dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8),
                    dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, norm='gn', adv='nonsat', residual=True)],
           pixels=[dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, order='joint'),
                   dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, order='original')],
           otcfm=[dict(dim=32, n_blocks=1, n_s=32), dict(dim=32, n_blocks=3, n_s=32, shared=False)])
CASES = [(name,i) for name in OWN for i in range(len(OWN[name]))]

@pytest.fixture(autouse=True)
def made_in_place(monkeypatch):
    "PyTorch cannot move networks of fake tensors: they are made where they shall be"
    monkeypatch.setattr(torch.nn.Module, 'to', lambda net, *where, **how: net)

class Fake(FakeTensorMode):
    "A mode that stays the same one where networks are copied"
    def __deepcopy__(self, memo): return self

class NoDoubles(TorchDispatchMode):
    "A GPU without float64: Apple's is one, which PyTorch pretends nowhere but on a Mac"
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **kwargs or {})
        for v in tree_leaves(out):
            if torch.is_tensor(v) and v.device.type != 'cpu' and v.dtype in (torch.float64, torch.complex128):
                raise TypeError(f'{func}: float64 on {v.device}')
        return out

class Pretended(Learner):
    "A learner on a device that is not here: it has forward passes and no backward ones, which need a real one"
    def _connect(self, device, trackers):
        self.device,self.rank,self.world,self.main = device,0,1,True
        self.acc = SimpleNamespace(gather=lambda x: x, reduce=lambda x, how: x)
    def update(self, loss, *names, clip=None):
        for one in ([loss] if torch.is_tensor(loss) else loss): assert one.device == self.device and one.ndim == 0
        self.done.updates += 1
        return torch.zeros((), device=self.device)

def options(name, **more):
    given = options_of(module_of(name).train, dict(data='.', path='no such folder', **more))
    return SimpleNamespace(**given | dict(domains=['a','b'] if name == 'cyclegan' else list('abc'), masks=None))

def batch_of(name, n=4):
    "A batch as the methods' functions give it, on the processor"
    def rows(): return torch.randn(n, 4, 8, 8)
    def pics(): return torch.randn(n, 3, 32, 32)
    y,codes = torch.arange(n) % 2,torch.randn(2, n, 4)
    return dict(cyclegan=lambda: (rows(), rows()), otcfm=lambda: FlowBatch(rows(), rows(), torch.rand(n), y),
                stargan=lambda: Batch(rows(), rows(), y, y, *torch.randn(2, n, 16), torch.randn(n, 0, 8, 8)),
                pixels=lambda: PixelBatch(pics(), y, pics(), pics(), y, *codes, torch.randn(n, 0, 32, 32)))[name]()

def watching(name, o):
    "What looks on in every step"
    out = [Schedule(lambda i: .5), Recorder(10**6), EMA(*module_of(name).METHOD.averaged)]
    if name in ('stargan','pixels'): out.append(Health(None, every=0))
    if name != 'cyclegan': return out
    w = zero_mean_filters(4, 16, 3)
    textures = {k: Texture(w, domain_quantiles(torch.randn(6, 4, 8, 8), w)) for k in 'AB'}
    return [*out, Pools(o.pool_size), Textures(textures, o.filters)]

def learner(name, device, kind=Learner, precision='fp32', **more):
    "A learner of a method with all its terms; fake where a mode is on"
    o,m = options(name, **more),module_of(name).METHOD
    with torch.device(device): nets = m.networks(o, 4)
    def get(learn):
        batch = batch_of(name)
        out = [learn.put(v) for v in batch]
        noise = [learn.put(torch.randn(4, 3*o.noise, 8, 8)) for _ in 'ab'] if name == 'cyclegan' and o.noise else []
        return type(batch)(*out) if hasattr(batch, '_fields') else tuple(out + noise)
    learn = kind(nets, m.optimizers(o, nets), m.step(o), get, 10**6, None, watching(name, o), precision=precision,
                 device=device, micro_batch=o.micro_batch)
    learn('before_fit')
    return learn

@pytest.mark.parametrize('name,which,parts', [(*case,None) for case in CASES] + [(name,0,2) for name in OWN])
def test_steps_on_a_pretended_gpu(name, which, parts):
    "Two forward passes of a step, without R1: all is on the device, nothing in float64, and nobody asks it anything"
    more = OWN[name][which] | (dict(w_r1=0.) if name in ('stargan','pixels') else {})
    with Fake(), NoDoubles():
        learn = learner(name, CUDA, Pretended, micro_batch=parts, **more)
        for _ in range(2): learn.one_step()
        assert learn.i == 2 and all(v.device == CUDA for v in learn.scalars.values())
        tensors = [v for net in vars(learn.n).values() for v in (*net.parameters(), *net.buffers())]
        assert all(v.device == CUDA for v in [*tensors, *learn.state.values()])

@pytest.mark.parametrize('name,which,precision', [(*case,'fp32') for case in CASES] + [(name,0,'bf16') for name in OWN])
def test_whole_steps_without_a_question(name, which, precision):
    "Forward, backward, R1 with its second derivatives, clipping, optimizers, averages"
    more = OWN[name][which] | (dict(r1_every=2) if name in ('stargan','pixels') else {})
    with Fake():
        learn = learner(name, CPU, precision=precision, **more)
        for _ in range(3): learn.one_step()
        assert learn.i == 3 and all(len(opt.state) for opt in learn.opts.values())

def translator(name, codec, device, **more):
    o,m = options(name, **more),module_of(name).METHOD
    with torch.device(device): nets = {k: net for k,net in m.networks(o, 4).items() if k in m.averaged}
    if name != 'pixels':
        with torch.device(device): codec.net = TinyAE().eval().requires_grad_(False)
    codec.device = device
    return m.translator(nets, codec, o)

HOW = dict(cyclegan=[dict(), dict(strength=.5)], stargan=[dict(), dict(psi=.5, strength=.5)],
           pixels=[dict(), dict(psi=.5)], otcfm=[dict(mode='direct', guidance=2.), dict(mode='inversion', steps=2)])

@pytest.mark.parametrize('name,which', CASES)
def test_translations_and_evaluation_on_a_pretended_gpu(name, which):
    "From pictures on the processor to pictures, and what features and distances say of them; nothing in float64"
    codec = Pixels(32) if name == 'pixels' else Latents()
    with Fake(), NoDoubles(), torch.no_grad():
        t = translator(name, codec, CUDA, **OWN[name][which])
        x = torch.rand(2, 3, 32, 32)
        for how in HOW[name]:
            y = t.codec.decode(t(t.codec.encode(x), t.domains[0], **how))
            assert y.shape == x.shape and y.device == CUDA
        if name in ('stargan','pixels'): assert t.style(reference=t.codec.encode(x)).device == CUDA
        with torch.device(CUDA): net = SimpleFeatures()
        assert features_of(net, y.cpu()).device == CPU and round_trip(t.codec, x).device == CPU
        assert perceptual_distance(y.cpu(), x, net).device == CPU

class SimpleFeatures(RandomFeatures):
    "`RandomFeatures` whose numbers are drawn where they are: a generator draws on the processor alone"
    def __init__(self):
        torch.nn.Module.__init__(self)
        self.register_buffer('w1', torch.randn(32,3,5,5))
        self.register_buffer('w2', torch.randn(64,32,3,3))
        self.heads = [torch.full((1,c,1,1), 1/c, device='cpu') for c in (32,64)]

def test_what_the_pretended_devices_refuse():
    "The tests above can fail"
    with Fake():
        x = torch.randn(3, device=CUDA)
        with pytest.raises(Exception, match='device'): x + torch.randn(3)
        for y in (x, torch.randn(3)):
            with pytest.raises(DataDependentOutputException): y.sum().item()
            with pytest.raises(DataDependentOutputException): bool(y.any())
        assert not on_cpu(torch.randn(3))
    assert on_cpu(torch.randn(3))

def test_numbers_of_an_evaluation():
    "Those that are computed in float64 leave the device first"
    with Fake(), NoDoubles():
        x,like = torch.rand(2, 5, 3, 32, 32, device=CUDA)
        with pytest.raises(TypeError): x.double()
        f = torch.randn(5, 8, device=CUDA)
        with pytest.raises(DataDependentOutputException): as_features(f)    # it asks if they are finite
        assert recolour(x, x, like).device == CUDA and start_linear(TinyAE(), like.cpu()).lin_e.weight.device == CPU

def test_float64_is_not_for_apple():
    with pytest.raises(ValueError, match='Apple'): autocast('fp64', torch.device('mps'))

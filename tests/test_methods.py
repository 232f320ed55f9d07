"""What every method must do however it is run: in parts of a batch, compiled, in any precision, from another run, and
with pictures of several sizes on several processes."""
import json, math, warnings
from importlib import import_module
from types import SimpleNamespace

import pytest, torch

from latent_style import cyclegan, stargan_pixels as pixels, stargan_step as stargan
from latent_style.autoencoders import Pixels
from latent_style.data import generator
from latent_style.encoding import encode_folder
from latent_style.learner import Learner, adam, parts_of, turn
from latent_style.masks import everywhere
from latent_style.painted import paint_folder
from latent_style.store import Store, open_store
from latent_style.pairing import batches as flow_batches

TINY = dict(n_steps=3, batch=4, device='cpu', progress=False, log_every=3, sample_every=0, ckpt_every=99)
SHAPES = dict(cyclegan=dict(ngf=8, n_blocks=1, ndf=8), stargan=dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8),
              pixels=dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16), otcfm=dict(dim=32, n_blocks=1, n_s=32))
OWN = dict(cyclegan=dict(domains=['photo','anime']), stargan=dict(health_every=0), pixels=dict(workers=0),
           otcfm=dict(buffer=16))
METHODS = list(SHAPES)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains, and their latents by two codecs"
    folder = tmp_path_factory.mktemp('methods')
    paint_folder(folder/'pictures', n_train=9, n_test=1, manners=('photo','anime'), size=64, progress=False)
    for name,codec,size in (('latents','tiny',64), ('plain',Pixels(16),16)):
        encode_folder(folder/'pictures/train', folder/name, codec=codec, size=size, progress=False)
    return folder

pytestmark = pytest.mark.usefixtures('no_curves')

def train(world, name, path, data=None, **options):
    "A tiny run of a method"
    module = import_module('latent_style.'+dict(pixels='stargan_pixels').get(name, name))
    data = world/(data or ('pictures/train' if name == 'pixels' else 'latents'))
    return module.train(data, path, **TINY | SHAPES[name] | OWN[name] | options)

def tensors(learn):
    "All weights and buffers of a learner, and the means of its log"
    weights = {f'{k}.{name}': v for k,net in vars(learn.n).items() for name,v in net.state_dict().items()}
    return {k: v.detach().double() for k,v in weights.items()},{k: learn.row[k] for k in learn.scalars}

def start(world, name, path):
    "Weights before the first step"
    nets = vars(train(world, name, path, n_steps=0).n)
    return {f'{k}.{p}': v.clone() for k,net in nets.items() for p,v in net.state_dict().items()}

def error(a, b): return ((a-b).norm()/b.norm()).item()

# A batch in parts

# every term is on, some fakes differ by more than the margin of diversity and some by less, R1 comes in two steps
IN_PARTS = dict(
    cyclegan = [dict(w_id=.5, pool_size=5), dict(w_id=0., adv='hinge', sn=False),
                dict(w_id=.5, noise=2, cells=2, w_tex=2., patch=3, filters=8, past=3)],
    stargan  = [dict(r1_every=2, lr=.005, lr_f=.5, ds_decay=2.), dict(r1_every=2, adv='nonsat', sn=False, norm='gn'),
                dict(r1_every=2, noise=2, cells=2, w_tex=2., patch=3, filters=8, ds_decay=2.),
                dict(noise=2, cells=2, w_tex=2., patch=3, filters=8, recent=5, he=True, targets=1)],
    pixels   = [dict(order='joint', r1_every=2, ds_margin=.2), dict(order='original', ds_margin=.2),
                dict(order='joint', noise=2, smooth=True, bridges=True, cells=2, w_tex=2., patch=3, filters=8),
                dict(order='original', noise=2, smooth=True, bridges=True, cells=2)],
    otcfm    = [dict(), dict(mode='direct', clip=1e-3)])

@pytest.mark.parametrize('name,which', [(name,i) for name in METHODS for i in range(len(IN_PARTS[name]))])
def test_a_batch_in_parts_gives_the_same_weights(world, tmp_path, name, which):
    "Weights, spectral norms and every number of the log after three steps; parts of two rows, and of three and one"
    options = IN_PARTS[name][which] | dict(precision='fp64')
    weights,row = tensors(train(world, name, tmp_path/'whole', **options))
    for size in (2,3):
        mine,my_row = tensors(train(world, name, tmp_path/f'parts{size}', micro_batch=size, **options))
        for k,v in weights.items(): torch.testing.assert_close(mine[k], v, rtol=1e-9, atol=1e-9, msg=k)
        for k,v in row.items(): assert my_row[k] == pytest.approx(v, rel=1e-9, abs=1e-9), k

class Saved:
    "How many bytes a step keeps for its backward passes, at most"
    def __init__(self): self.now = self.most = 0
    def __enter__(self):
        self.hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: Held(self, x), lambda held: held.x)
        self.hooks.__enter__()
        return self
    def __exit__(self, *why): self.hooks.__exit__(*why)

class Held:
    "A tensor that is kept, and counted while it is"
    def __init__(self, saved, x):
        self.saved,self.x,self.size = saved,x,x.numel()*x.element_size()
        saved.now += self.size
        saved.most = max(saved.most, saved.now)
    def __del__(self): self.saved.now -= self.size

@pytest.mark.parametrize('name', METHODS)
def test_parts_take_less_memory(world, tmp_path, name):
    def most(path, **options):
        with Saved() as saved: train(world, name, path, n_steps=1, batch=8, **options)
        return saved.most
    whole = most(tmp_path/'whole')
    assert most(tmp_path/'parts', micro_batch=2) < .4*whole

class Scale(torch.nn.Module):
    "w*x, whose gradient is not finite for an infinite x"
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(()))
    def forward(self, x): return self.w*x

def test_a_bad_part_moves_nobody():
    "A gradient that is not finite in one part stops the step of all parts, and of the turns after it"
    def step(learn, batch):
        for k in 'GD': turn(learn, lambda part: (learn.n.G(part[0]).mean()+learn.n.D.w, {}), parts_of(batch, 2), k)
        return {}
    nets = dict(G=Scale(), D=Scale())
    for numbers,moved in (([1.,2,3,4], True), ([1.,2,math.inf,4], False)):
        learn = Learner(nets, {k: adam(net) for k,net in nets.items()}, step, lambda learn: (torch.tensor(numbers),), 1,
                        device='cpu')
        before = [net.w.item() for net in nets.values()]
        learn.fit()
        assert [net.w.item() != old for net,old in zip(nets.values(), before)] == [moved]*2

@pytest.mark.parametrize('name', ['cyclegan','stargan'])
def test_a_preset_means_what_it_meant_when_the_run_began(world, tmp_path, name):
    "A run of the time before its preset knew noise, texture and cells goes on as it began"
    then = dict(noise=0, cells=1, w_tex=0., w_id=.2)
    train(world, name, tmp_path/'run', preset='laptop', n_steps=2, **then)
    file = tmp_path/'run/config.json'
    config = json.loads(file.read_text())
    since = {'noise','cells','w_tex','filters','patch','stroke'}
    file.write_text(json.dumps({k: v for k,v in config.items() if k not in since}))
    learn = train(world, name, tmp_path/'run', preset='laptop', n_steps=2)
    assert learn.i == 2 and learn.n.G.noise == 0 and learn.config['w_id'] == .2
    assert import_module(f'latent_style.{name}').PRESETS['laptop']['noise']

# Compiled, and in half precision

@pytest.mark.parametrize('name', METHODS)
def test_compiled_networks_train(world, tmp_path, name):
    "One step with every default of the losses, R1 among them; the compiler's backward passes are made, not its kernels"
    torch._dynamo.reset()
    learn = train(world, name, tmp_path/'run', n_steps=1, batch=2, compile='aot_eager')
    assert learn.i == 1 and all(v.isfinite().all() for v in tensors(learn)[0].values())

def computes(monkeypatch, yes): monkeypatch.setattr('latent_style.devices.computes_bf16', lambda device: yes)

@pytest.mark.parametrize('name', METHODS)
@pytest.mark.parametrize('began', [True, False])
def test_auto_precision_stays_what_it_was_when_the_run_began(world, tmp_path, monkeypatch, name, began):
    "Also on a machine that would choose otherwise, and where a preset says auto"
    preset = dict(preset='laptop') if name == 'pixels' else dict(precision='auto')
    precision = 'bf16' if began else 'fp32'
    computes(monkeypatch, began)
    learn = train(world, name, tmp_path/'run', n_steps=2, max_minutes=1e-9, ckpt_every=1, **preset)
    assert learn.precision == precision and learn.i == 1
    assert json.loads((tmp_path/'run/config.json').read_text())['precision'] == precision
    computes(monkeypatch, not began)
    learn = train(world, name, tmp_path/'run', n_steps=2, **preset)
    assert learn.precision == precision and learn.i == 2

@pytest.mark.parametrize('yes', [True, False])
def test_one_warning_where_a_processor_imitates_bfloat16(world, tmp_path, monkeypatch, yes):
    computes(monkeypatch, yes)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        for precision in ('bf16','fp32','auto'):
            train(world, 'cyclegan', tmp_path/precision, n_steps=1, precision=precision)
    about = [str(w.message) for w in said if 'bfloat16' in str(w.message)]
    assert len(about) == (0 if yes else 1)
    assert all("Choose precision='fp32', or 'auto'" in text for text in about)

def style_batch(kind, x):
    "Four rows for one of the two StarGANs"
    y,noise = torch.tensor([0,1,1,0]),torch.randn(2, len(x), 4)
    if kind == 'stargan': return stargan.Batch(x, x.flip(0), y, 1-y, *noise)
    return pixels.PixelBatch(x, y, x.flip(0), x.roll(1, 0), 1-y, *noise)

def r1_of(kind, n, b):
    "The R1 penalty as the discriminator's turn computes it"
    if kind == 'stargan': return stargan.r1_loss(n.D, b.x_ref, b.y_trg)
    w = SimpleNamespace(r1=1.)
    return pixels.d_loss(n, b, dict(lat=b.x_ref), w)[1]['d_lat_reg']

@pytest.mark.parametrize('kind', ['stargan','pixels'])
def test_r1_is_exact_in_bfloat16(kind):
    "Value and gradient under autocast are those in float32; the gradient of the rest of the loss is not"
    torch.manual_seed(0)
    shape = SHAPES[kind] | (dict(sn=False) if kind == 'stargan' else {})      # a spectral norm would move meanwhile
    module,x = (stargan, torch.randn(4, 4, 8, 8)) if kind == 'stargan' else (pixels, torch.randn(4, 3, 32, 32))
    n = SimpleNamespace(**module.networks(2, **shape))
    b,weights = style_batch(kind, x),list(n.D.parameters())
    def found(half, loss):
        with torch.autocast('cpu', torch.bfloat16, enabled=half): value = loss()
        slope = torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)
        return torch.cat([value.detach().view(1), *(g.flatten() for g in slope)])
    penalty,verdict = (lambda: r1_of(kind, n, b)),(lambda: n.D(b.x_ref, b.y_trg).float().square().mean())
    assert error(found(True, penalty), found(False, penalty)) < 1e-4
    assert error(found(True, verdict), found(False, verdict)) > 1e-3

# Switches of a GPU, which a CPU has as well

def switches():
    cuda,cudnn = torch.backends.cuda.matmul,torch.backends.cudnn
    return cuda.allow_tf32,cudnn.allow_tf32,cudnn.benchmark

@pytest.mark.parametrize('tf32', [True, False])
def test_switches_are_set_for_a_run_and_put_back(world, tmp_path, monkeypatch, tf32):
    before,inside,at_r1,penalty = switches(),[],[],stargan.r1_loss
    def watched(*args):
        at_r1.append(switches())
        return penalty(*args)
    monkeypatch.setattr(stargan, 'r1_loss', watched)
    def spy(learn):
        inside.append(switches())
        return {}
    train(world, 'stargan', tmp_path/'run', n_steps=2, sample_every=1, evaluate=spy, r1_every=2, n_samples=1,
          tf32=tf32, cudnn_benchmark=True)
    assert inside and set(inside) == {(tf32, tf32, True)}
    assert at_r1 == [(False, False, True)]         # R1 is never in TF32
    assert switches() == before

# The same weights, whatever the codec; and only from runs in which numbers mean the same

@pytest.mark.parametrize('name', ['cyclegan','stargan','otcfm'])
def test_a_seed_gives_the_same_weights_with_any_codec(world, tmp_path, monkeypatch, name):
    "A codec that draws many numbers when it is built, and one that draws none"
    first = start(world, name, tmp_path/'first')
    build = Store.codec
    def drawing(store, **kw):
        torch.rand(1000)
        return build(store, **kw)
    monkeypatch.setattr(Store, 'codec', drawing)
    again = start(world, name, tmp_path/'again')
    assert all(torch.equal(first[k], v) for k,v in again.items())

@pytest.mark.parametrize('name', METHODS)
def test_init_refuses_what_would_mean_something_else(world, tmp_path, name):
    train(world, name, tmp_path/'old', n_steps=1)
    other = dict(pixels=[dict(w_hpf=1., masks=everywhere)]).get(name, [dict(gain=5.), dict(data='plain')])
    other += dict(stargan=[dict(norm='gn'), dict(residual=True)], otcfm=[dict(shared=False)],
                  cyclegan=[dict(residual=False)]).get(name, [])
    for options in other:
        with pytest.raises(ValueError, match='init='):
            train(world, name, tmp_path/'new', n_steps=1, init=tmp_path/'old', **options)
    train(world, name, tmp_path/'same', n_steps=1, init=tmp_path/'old', lr=1e-5)

def test_init_of_flows_needs_a_flow_that_both_know(world, tmp_path):
    train(world, 'otcfm', tmp_path/'noise', n_steps=1, mode='noise')
    with pytest.raises(ValueError, match="mode='noise'"):
        train(world, 'otcfm', tmp_path/'direct', n_steps=1, init=tmp_path/'noise', mode='direct')
    train(world, 'otcfm', tmp_path/'both', n_steps=1, init=tmp_path/'noise', mode='both')

# Shares of a batch

@pytest.fixture(scope='module')
def mixed(tmp_path_factory):
    "Latents of several sizes"
    folder = tmp_path_factory.mktemp('mixed')
    for domain,side in (('photo',64), ('anime',96)):
        paint_folder(folder/domain, n_train=5, n_test=1, manners=(domain,), size=side, progress=False)
        (folder/'all').mkdir(exist_ok=True)
        (folder/domain/'train'/domain).rename(folder/'all'/domain)
    encode_folder(folder/'all', folder/'latents', codec='tiny', size=None, progress=False)
    return open_store(folder/'latents')

def share(rank, world, i=3):
    "As much of a learner as a batch asks for"
    return SimpleNamespace(i=i, rank=rank, world=world, put=lambda x: x, rng=lambda stream: generator(0, i, stream))

BATCHES = dict(cyclegan=lambda store: cyclegan.batches(list(store), 6), stargan=lambda store: stargan.batches(store, 6),
               otcfm=lambda store: flow_batches(store, 6, buffer=12))

@pytest.mark.parametrize('name', list(BATCHES))
def test_pieces_of_mixed_sizes_do_not_depend_on_the_number_of_processes(mixed, name):
    get = BATCHES[name](mixed)
    whole = get(share(0, 1))
    for n in (2,3):
        shares = [get(share(rank, n)) for rank in range(n)]
        for mine,all_rows in zip(zip(*shares), whole): assert torch.equal(torch.cat(mine), all_rows)

@pytest.mark.parametrize('name', list(BATCHES))
def test_a_batch_that_cannot_be_shared_evenly_is_refused(mixed, name):
    with pytest.raises(ValueError, match='batch 6 cannot be shared evenly by 4'): BATCHES[name](mixed)(share(3, 4))

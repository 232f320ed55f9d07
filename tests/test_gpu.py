"""Training, resuming, translating and judging on a GPU: `make gpu`

Skipped where neither CUDA nor Metal finds one. LATENT_STYLE_DEVICE=cpu runs the same tests on the processor: whether
they are in order can be told without a GPU."""
import gc, json, os, warnings
from contextlib import contextmanager
from importlib import import_module

import pytest, torch

from latent_style.data import load_picture
from latent_style.encoding import encode_folder
from latent_style.judge import evaluate
from latent_style.devices import arithmetic, best_device, find_device
from latent_style.learner import Callback
from latent_style.method import load_run, translate
from latent_style.models_style import DomainDiscriminator
from latent_style.painted import paint_folder
from latent_style.pairing import Ahead
from latent_style.store import open_store

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures('no_curves')]

# every term of the losses is on, R1 comes in every second step
TINY = dict(n_steps=6, batch=4, progress=False, log_every=1, sample_every=0, ckpt_every=99)
OWN = dict(cyclegan=dict(ngf=16, n_blocks=1, ndf=16, noise=2, cells=2, w_tex=2., patch=3, filters=8, pool_size=5),
           stargan=dict(width=16, n_blocks=1, w_map=16, w_enc=16, ndf=16, r1_every=2),
           pixels=dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0, r1_every=2, sample_every=6),
           otcfm=dict(dim=32, n_blocks=2, n_s=32, buffer=16))
METHODS = list(OWN)

@pytest.fixture(scope='module')
def device():
    name = os.environ.get('LATENT_STYLE_DEVICE')
    found = find_device(name) if name else best_device()
    if not name and found.type == 'cpu':
        pytest.skip('no GPU here: neither CUDA nor Metal finds one (LATENT_STYLE_DEVICE=cpu: on the processor)')
    return found

@pytest.fixture(scope='module')
def world(tmp_path_factory, device):
    "Pictures of two domains, and their latents"
    folder = tmp_path_factory.mktemp('gpu')
    paint_folder(folder/'pictures', n_train=9, n_test=8, manners=('photo','anime'), size=64, progress=False)
    encode_folder(folder/'pictures/train', folder/'latents', codec='tiny', size=64, progress=False)
    return folder

@contextmanager
def nobody_waits(device):
    "Inside, it is an error to wait for the device"
    if device.type == 'cuda': torch.cuda.set_sync_debug_mode('error')
    try: yield
    finally:
        if device.type == 'cuda': torch.cuda.set_sync_debug_mode('default')

class Strict(Callback):
    "From the third step of a call on (compilers have done their work) nobody waits for the device"
    def __init__(self): self.steps = 0
    def before_fit(self, learn):
        self.first = learn.i
        learn.batch,learn.step = self.guarded(learn.batch, learn, 'V'),self.guarded(learn.step, learn)
    def guarded(self, f, learn, but=None):
        "`f`; flows pair their next buffer in a thread that may wait, and are guarded when it has ended"
        def strict(first, *args):
            if learn.i < self.first+2 or hasattr(learn.n, but or '-'): return f(first, *args)
            for ahead in (o for o in gc.get_objects() if type(o) is Ahead):
                for job in ahead.jobs.values(): job.result()
            self.steps += 1
            with nobody_waits(learn.device): return f(first, *args)
        return strict

class Stop(Callback):
    def __init__(self, at): self.at = at
    def after_step(self, learn): learn.stop = learn.i >= self.at

def module_of(name): return import_module('latent_style.'+dict(pixels='stargan_pixels').get(name, name))

def train(world, name, path, **options):
    "A tiny run of a method"
    data = world/('pictures/train' if name == 'pixels' else 'latents')
    return module_of(name).train(data, path, **TINY | OWN[name] | options)

def weights(learn):
    named = ((f'{k}.{p}', v) for k,net in vars(learn.n).items() for p,v in net.named_parameters())
    return {k: v.detach().clone() for k,v in named}

def log(path): return [json.loads(line) for line in (path/'log.jsonl').read_text().splitlines()]

def judged(world, t, to, out):
    "The row of a translator in the tables of `evaluate`"
    test,size = world/'pictures/test',None if t.tile is None else 64
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='random features')
        evaluate({'run': t}, test/'photo', test/'anime', to, size=size, out=out, cache=out/'kept')
    return next(row for row in json.loads((out/'summary.json').read_text())['rows'] if row['row'] == 'run')

@pytest.mark.parametrize('compiled', [False,True], ids=['plain','compiled'])
@pytest.mark.parametrize('precision', ['fp32','bf16'])
@pytest.mark.parametrize('name', METHODS)
def test_train_resume_translate_evaluate(world, tmp_path, device, name, precision, compiled):
    "Compiled in fp32 without kernels of the compiler's own, which take it half a minute a method; in bf16 with them"
    torch._dynamo.reset()
    backend = compiled and (precision == 'bf16' or 'aot_eager')
    how,path,strict = dict(precision=precision, compile=backend, device=str(device)),tmp_path/'run',Strict()
    before = weights(train(world, name, path, cbs=[Stop(3), strict], **how))
    learn = train(world, name, path, cbs=[strict], **how)
    assert learn.device.type == device.type and learn.i == 6 and strict.steps >= 2
    after,rows = weights(learn),log(path)
    assert [r['step'] for r in rows] == list(range(1, 7)) and not any(r['skipped_steps'] for r in rows)
    assert all(v.isfinite().all() for v in after.values())
    assert all(any(not v.equal(before[k]) for k,v in after.items() if k.startswith(f'{net}.')) for net in vars(learn.n))
    t = load_run(path, device=str(device))
    assert t.device.type == device.type
    pics = translate(t, world/'pictures/test/photo', 'anime')
    assert len(pics) == 8 and all(x.isfinite().all() and x.device.type == 'cpu' for x in pics)
    assert 0 <= judged(world, t, 'anime', tmp_path/'tables')['ssim'] <= 1

@pytest.mark.parametrize('name', METHODS)
def test_the_same_numbers_as_on_the_processor(world, tmp_path, device, name):
    "In float32 without TF32: the log of three steps, and pictures of the run on both"
    for place in (device,'cpu'):
        train(world, name, tmp_path/str(place), n_steps=3, precision='fp32', tf32=False, device=str(place))
    for mine,other in zip(log(tmp_path/str(device)), log(tmp_path/'cpu')):
        ours = {k: v for k,v in other.items() if k.startswith(('loss','d_','g_','cost','sty','cyc'))}
        assert {k: mine[k] for k in ours} == pytest.approx(ours, rel=.01, abs=2e-3)
    with arithmetic(tf32=False):
        pics = [translate(tmp_path/'cpu', world/'pictures/test/photo', 'anime', device=str(d)) for d in (device,'cpu')]
    assert max((a-b).abs().max() for a,b in zip(*pics)) < .01

@pytest.mark.parametrize('name', [m for m in METHODS if m != 'pixels'])
def test_large_pictures_in_pieces(world, tmp_path, device, name):
    "Piece by piece, with the norms of the whole, as on the processor"
    train(world, name, tmp_path/'run', n_steps=1, device='cpu')
    x = torch.nn.functional.interpolate(load_picture(next((world/'pictures/test/photo').glob('*.png')))[None], size=256)
    with arithmetic(tf32=False):
        a,b = (translate(tmp_path/'run', x, 'anime', tile=4, device=str(d))[0] for d in (device,'cpu'))
    assert (a-b).abs().max() < .01

def test_latents_that_stay_on_the_disk(world, device):
    "A store that does not fit: its batches appear on the device"
    here,there = open_store(world/'latents'),open_store(world/'latents').to(device, share=0)
    y,i = torch.tensor([0,1,1]),torch.tensor([3,0,5])
    for size in (None,4):
        batch = there.take(y, i, size)
        assert batch.device.type == device.type and batch.cpu().equal(here.take(y, i, size))
    assert there.shards[0].device.type == 'cpu' and there.to(device).shards[0].device.type == device.type

def test_two_passes_of_a_compiled_discriminator(device):
    "Its spectral norms move in the second one before the backward pass of the first"
    def grads(compiled):
        torch.manual_seed(0)
        net = DomainDiscriminator(3, 4, 16)
        x,y = torch.randn(3, 4, 16, 16),torch.arange(3)
        net,x,y = net.to(device),x.to(device),y.to(device)
        if compiled: net.compile()
        (net(x, y).square().mean() + net.forward(2*x, y).square().mean()).backward()
        return [p.grad for p in net.parameters()] + [b.clone() for b in net.buffers()]
    with arithmetic(tf32=False):
        for a,b in zip(grads(False), grads(True)): torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)

def test_a_step_that_does_not_fit(world, tmp_path, device):
    "With less memory than the whole batch takes, the step is repeated in parts, and gives the same losses"
    if device.type != 'cuda': pytest.skip('memory can be rationed on CUDA alone')
    device = torch.empty(0, device=device).device                             # with its index
    total = torch.cuda.get_device_properties(device).total_memory
    def run(name, **options):
        "The run, and the memory that it took"
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        how = dict(n_steps=2, batch=512, buffer=512, dim=64, n_blocks=6, device=str(device)) | options
        return train(world, 'otcfm', tmp_path/name, **how).micro_batch,torch.cuda.max_memory_reserved(device)
    (_,whole),(_,parts) = run('whole'),run('parts', micro_batch=64)
    assert parts < .7*whole
    torch.cuda.set_per_process_memory_fraction((whole+parts)/2/total, device)
    try: size,taken = run('rationed')
    finally: torch.cuda.set_per_process_memory_fraction(1., device)
    assert size in (256,128,64) and taken < whole
    for mine,other in zip(log(tmp_path/'rationed'), log(tmp_path/'whole')):
        assert mine['loss'] == pytest.approx(other['loss'], rel=.01)

"""CPU seconds of a training step and of a generator call.

    python bench/step_speed.py                                             every method, this package alone
    python bench/step_speed.py --reference FOLDER                          against textbook steps
    python bench/step_speed.py --presets separable stargan:laptop          these only
    python bench/step_speed.py --presets otcfm:288x15@64 pixels:joint@128  with a side of latents, of pictures
    python bench/step_speed.py --presets stargan:6blocks --precisions bf16 --steps-only
    python bench/step_speed.py --device cuda                               presets on a GPU, see gpu_table.py

The unit is one dense 3x3 convolution, forward and backward: batch 8, 256 channels, 32x32, fp32. Everything is measured
turn by turn in one process, so that what else the machine does hits all alike. With `--reference` (a folder that holds
`objectives.py`, textbook training steps) the same networks, optimizers and batch also run the textbook step, once with
this package's CPU layers and once with PyTorch's own, and the first ratio is printed. Latents are 32x32 and pictures
128x128 where nothing else is asked for; pictures come two in a batch, of three domains. The sizes of the networks are
fixed in this file, so that figures of different versions can be compared. Those in bf16 can be compared between
processors that compute in it, or between processors that imitate it; the first line says which this is."""
import os
for name,value in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='2').items():
    os.environ.setdefault(name, value)
import argparse, copy, importlib.util, statistics, time
from pathlib import Path
from types import SimpleNamespace
import torch
from latent_style import cyclegan, otcfm, stargan_step as stargan
from latent_style.callbacks import Recorder
from latent_style.kernels import computes_bf16, keep_pages, plain_kernels
from latent_style.devices import best_device, find_device
from latent_style.learner import EMA, Learner, adam
from latent_style.pairing import batches as flow_batches
from latent_style.stargan_pixels import ORDERS, PixelBatch, networks as pixel_networks

CYCLEGAN = dict(separable=dict(conv='separable', n_blocks=9, residual=True, d_stride=2),
                dense=dict(conv='dense', n_blocks=4, residual=False, act='tanh', d_stride=1),
                laptop=dict(ngf=64, n_blocks=4, k=3, ndf=32))
CYCLE_WEIGHTS = dict(separable=dict(cyc=.5, id=.1), dense=dict(cyc=5., id=.2), laptop=dict(cyc=2., id=.2))
STARGAN = {'6blocks': dict(n_blocks=6),
           'laptop': dict(width=64, n_blocks=4, residual=True, w_map=128, w_enc=64, ndf=96)}
OTCFM = {'384x12': dict(dim=384, n_blocks=12, shared=False), '288x15': dict(dim=288, n_blocks=15),
         'laptop': dict(dim=96, n_blocks=6, n_s=128, gamma=.1)}
ALL = ['separable','dense','laptop','stargan:6blocks','stargan:laptop','otcfm:384x12','otcfm:288x15','otcfm:laptop',
       'pixels:original@128','pixels:joint@128']

def unit():
    "The probe: a function that runs it once"
    conv,x = torch.nn.Conv2d(256, 256, 3, padding=1),torch.randn(8, 256, 32, 32, requires_grad=True)
    return lambda: conv(x).square().mean().backward()

def learner_of(nets, opts, step, batch, precision, n, averaged):
    "A learner that is ready for its first step; `averaged`: EMA or None"
    cbs = [Recorder(50)] + ([averaged] if averaged else [])
    learn = Learner(nets, opts, step, batch, 10**9, None, cbs, precision=precision, device='cpu', batch_size=n)
    learn('before_fit')
    return learn

def copies(learn): return {k: copy.deepcopy(net) for k,net in vars(learn.n).items()}

def joint(kind, nets, **kw):
    "One optimizer for several networks"
    return kind([p for net in nets for p in net.parameters()], **kw)

def cycle_learner(size, precision, batch, side):
    "CycleGAN as `train` builds it, on fixed random latents"
    torch.manual_seed(0)
    nets = cyclegan.networks(**CYCLEGAN[size])
    w = SimpleNamespace(**CYCLE_WEIGHTS[size], adv='lsgan', d_scale=.5, pool_prob=.5)
    a,b = torch.randn(2, batch, 4, side, side)
    averaged = EMA('G','F', decay=.99) if size == 'laptop' else None
    opts = {k: adam(net) for k,net in nets.items()}
    learn = learner_of(nets, opts, lambda l,x: cyclegan.step(l, x, w), lambda l: (a,b), precision, batch, averaged)
    for k,x in (('pool_A',a),('pool_B',b)): learn.state[k] = x.new_zeros(50, *x.shape[1:])
    return learn,w,(a,b)

def cycle_textbook(ref, learn, w, batch):
    "The same networks and optimizers in the textbook's step"
    n = copies(learn)
    opts = [joint(torch.optim.Adam, [n[k] for k in ks], lr=2e-4, betas=(.5,.999)) for ks in (('G','F'), ('D_A','D_B'))]
    nets = [n[k] for k in ('G','F','D_A','D_B')]
    return lambda: ref.cyclegan_step(*nets, *opts, *batch, lambda_cyc=w.cyc, lambda_id=w.id)

def star_learner(size, precision, batch, side, n_domains=5):
    "StarGAN v2; a step without R1, which is taken on every 16th only"
    torch.manual_seed(0)
    nets = stargan.networks(n_domains, **STARGAN[size])
    w = SimpleNamespace(adv=1., sty=1., cyc=1., id=1., r1=2., r1_every=16, margin=1.5, game='hinge', ds=lambda i: 1.,
                        cells=1, tex=0.)
    y = torch.arange(batch) % n_domains
    b = stargan.Batch(*torch.randn(2, batch, 4, side, side), y, (y+1) % n_domains, *torch.randn(2, batch, 16))
    opts = {k: adam(net, 1e-4, (0.,.99), 1e-4) for k,net in nets.items()}
    step = lambda l,x: stargan.step(l, x, w)
    learn = learner_of(nets, opts, step, lambda l: b, precision, batch, EMA('G','F','E'))
    learn.i = 1
    return learn,w,b

def star_textbook(ref, learn, w, b):
    "The same networks and optimizers in the textbook's step, which draws three noises"
    n = copies(learn)
    opts = [joint(torch.optim.AdamW, [n[k] for k in ks], lr=1e-4, betas=(0.,.99)) for ks in ('GFE','D')]
    nets = [n[k] for k in 'GFED']
    return lambda: ref.stargan_step(*nets, *opts, b.x, b.x_ref, b.y_src, b.y_trg, b.z1, b.z1, b.z2)

class Store(list):
    "As much of a store of random latents as flow matching asks for"
    def __init__(self, n_domains, n, side):
        super().__init__(SimpleNamespace(shapes=[(4,side,side)], shape=(4,side,side)) for _ in range(n_domains))
        self.sizes,self.latents = [n]*n_domains,torch.randn(n_domains, n, 4, side, side)
    def take(self, y, i): return self.latents[y,i]

def flow_learner(size, precision, batch, side, n_domains=2):
    "Flow matching; pairs are drawn and paired by transport in the step, as in `train`"
    torch.manual_seed(0)
    nets = otcfm.networks(n_domains, **OTCFM[size])
    opts,get = dict(V=adam(nets['V'], 1e-4, (.9,.99), 1e-5)),flow_batches(Store(n_domains, 256, side), batch)
    return learner_of(nets, opts, otcfm.step, get, precision, batch, EMA('V')),None,None

def flow_textbook(ref, learn, *_):
    "The same network and optimizer in the textbook's step, with independent pairs"
    V = copies(learn)['V']
    opt = torch.optim.AdamW(V.parameters(), lr=1e-4)
    def step():
        b = learn.batch(learn)
        loss = ref.otcfm_loss(V, b.x0, b.x1, b.t, b.y, torch.zeros(len(b.t), dtype=torch.bool), V.null)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(V.parameters(), 1.)
        opt.step()
    return step

def pixel_learner(order, precision, _, side, n_domains=3, batch=2):
    "StarGAN v2 on pictures: two at a time, R1 in every step, the original's networks"
    torch.manual_seed(0)
    nets = pixel_networks(n_domains, side)
    w = SimpleNamespace(sty=1., cyc=1., r1=1., r1_every=1, margin=None, ds=lambda i: 1., masks=None)
    y,x = torch.arange(batch) % n_domains,torch.rand(3, batch, 3, side, side).mul(2).sub(1)
    x = [v.contiguous(memory_format=torch.channels_last) for v in x]
    b = PixelBatch(x[0], y, x[1], x[2], (y+1) % n_domains, *torch.randn(2, batch, 16))
    opts = {k: adam(net, 1e-4, (0.,.99), 1e-4, decoupled=False) for k,net in nets.items()}
    step = lambda l,b: ORDERS[order](l, b, w)
    return learner_of(nets, opts, step, lambda l: b, precision, batch, EMA('G','F','E')),w,b

def pixel_textbook(ref, learn, w, b):
    "The same networks in the textbook's four turns"
    n,y = copies(learn),b.y_trg
    G,M,E,D = (n[k] for k in 'GFED')
    opts = {k: torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.,.99), weight_decay=1e-4) for k,net in n.items()}
    def move(loss, names):
        for net in n.values(): net.zero_grad()
        loss.backward()
        for k in names: opts[k].step()
    def judge(style):
        with torch.no_grad(): s = style()
        with plain_kernels(): loss = ref.pixel_d_loss(G, D, b.x, b.y_src, y, s)        # R1 differentiates twice
        move(loss, 'D')
    def paint(s, s2, names): move(ref.pixel_g_loss(G, E, D, b.x, b.y_src, y, s, s2)[0], names)
    def step():
        judge(lambda: M(b.z1, y))
        judge(lambda: E(b.x_ref, y))
        paint(M(b.z1, y), M(b.z2, y), 'GFE')
        paint(E(b.x_ref, y), E(b.x_ref2, y), 'G')
    return step

def call(kind, learn, side):
    "A call of the generator on its own: its rows, and a function that runs it once"
    net = copy.deepcopy(learn.n.V if kind == 'otcfm' else learn.n.G).eval()
    rows,c = (4,3) if kind == 'pixels' else (16,4)
    style = torch.randn(rows, 64)
    x = torch.randn(rows, c, side, side)
    more = dict(cyclegan=[], stargan=[style], pixels=[style], otcfm=[torch.rand(rows), torch.zeros(rows).long()])[kind]
    def once():
        with torch.no_grad(), learn.amp(): net(x, *more)
    return rows,once

METHODS = dict(cyclegan=(cycle_learner,cycle_textbook,32), stargan=(star_learner,star_textbook,32),
               otcfm=(flow_learner,flow_textbook,32), pixels=(pixel_learner,pixel_textbook,128))

def contest(preset, ref, o):
    "What is measured for a preset such as 'otcfm:288x15@64': name -> function that runs it once"
    kind,_,name = preset.rpartition(':')
    name,_,side = name.partition('@')
    make,book,usual = METHODS[kind or 'cyclegan']
    side,fns = int(side or usual),{'unit': unit()}
    for precision in o.precisions:
        learn,w,batch = make(name, precision, o.batch, side)
        fns[f'step {precision}'] = learn.one_step
        if precision == 'fp32' and ref: fns |= textbooks(book(ref, learn, w, batch), o)
        if o.steps_only: continue
        rows,once = call(kind or 'cyclegan', learn, side)
        fns[f'network, {rows} rows, {precision}'] = once
    return fns

def textbooks(step, o):
    "The textbook's step with this package's layers, and with PyTorch's"
    def plain():
        with plain_kernels(): step()
    return dict(textbook=step) if o.no_plain else {'textbook': step, 'textbook, PyTorch layers': plain}

def race(fns, reps):
    "Median CPU and wall seconds of each function, all in turn"
    for f in fns.values(): f()
    taken = {k: [] for k in fns}
    for _ in range(reps):
        for k,f in fns.items():
            cpu,wall = time.process_time(),time.perf_counter()
            f()
            taken[k].append((time.process_time()-cpu, time.perf_counter()-wall))
    return {k: tuple(map(statistics.median, zip(*pairs))) for k,pairs in taken.items()}

def show(preset, res):
    one,book = res['unit'][0],res.get('textbook')
    for k,(cpu,wall) in res.items():
        ratio = f'{book[0]/cpu:15.2f}' if book and k.startswith('step') else ''
        name = 'one unit' if k == 'unit' else f'{preset}: {k}'
        print(f'{name:44}{cpu/one:8.2f}{cpu:9.3f}{wall:9.3f}{ratio}', flush=True)

def objectives(folder):
    "The module `objectives.py` in `folder`"
    spec = importlib.util.spec_from_file_location('objectives', folder/'objectives.py')
    ref = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ref)
    return ref

def processor():
    "What decides about bf16"
    has = 'computes in' if computes_bf16(torch.device('cpu')) else 'has no instructions for'
    limit = os.environ.get('ONEDNN_MAX_CPU_ISA')
    told = f' (ONEDNN_MAX_CPU_ISA={limit})' if limit else ''
    return f'PyTorch {torch.__version__}; this processor {has} bf16{told}'

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--reference', type=Path, help='folder with objectives.py')
    p.add_argument('--reps', type=int, help='runs of each: 5, of which the median counts; on a GPU 16')
    p.add_argument('--presets', nargs='+', help=' '.join(ALL), metavar='NAME')
    p.add_argument('--batch', type=int, default=8, help='of latents')
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--precisions', nargs='+', default=['fp32','bf16'], metavar='NAME')
    p.add_argument('--steps-only', action='store_true', help='leave out the calls of a generator')
    p.add_argument('--no-plain', action='store_true', help="leave out the textbook on PyTorch's own layers")
    p.add_argument('--device', default='cpu', help="'cpu'; 'cuda' or 'mps'; 'gpu': whichever there is, if any")
    p.add_argument('--compiled', nargs='*', default=[], metavar='NAME', help='on a GPU: presets that are compiled too')
    return p.parse_args()

def on_gpu(o):
    "The table for a GPU, where there is one"
    import gpu_table
    device = best_device() if o.device == 'gpu' else find_device(o.device)
    if device.type == 'cpu': return print('No GPU here: its table was not made.')
    gpu_table.table(device, o.presets or gpu_table.PRESETS, o.precisions, o.compiled, o.reps or 16)

def main():
    o = options()
    if o.device != 'cpu': return on_gpu(o)
    o.reps,o.presets = o.reps or 5,o.presets or ALL
    torch.set_num_threads(o.threads)
    keep_pages()
    ref = objectives(o.reference) if o.reference else None
    print(processor())
    print(f'{"":44}{"units":>8}{"CPU s":>9}{"wall s":>9}{"textbook/ours":>15}')
    for preset in o.presets: show(preset, race(contest(preset, ref, o), o.reps))

if __name__ == '__main__': main()

"""CPU seconds of a training step and of a generator call, in units of one dense 3x3 convolution (forward and backward, batch 8, 256 channels, 32x32, fp32).

    python bench/step_speed.py [--reference FOLDER] [--reps 5] [--presets head seed laptop stargan:head stargan:laptop otcfm:seed otcfm:head otcfm:laptop pixels:original@128 pixels:joint@128]

Everything is measured turn by turn in one process, so that what else the machine does hits all alike. With `--reference` (a folder that holds
`objectives.py`, textbook training steps) the same networks, optimizers and batch also run the textbook step, once with this package's CPU layers and once with PyTorch's own, and the first ratio is printed.
`otcfm:seed@64` takes latents of 64x64 instead of 32x32; `pixels:joint@128` pictures of 128x128, two in a batch, three domains. `--threads` 2 by default.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='2').items(): os.environ.setdefault(k, v)
import argparse, copy, importlib.util, statistics, time
from pathlib import Path
from types import SimpleNamespace
import torch
from latent_style import cyclegan, otcfm, stargan
from latent_style.kernels import keep_pages, plain_kernels
from latent_style.learner import EMA, Learner, Recorder, adam

NETS = ('c','ngf','n_blocks','conv','k','residual','act','ndf','d_stride','sn')

def unit():
    "The probe: returns a function that runs it once"
    conv = torch.nn.Conv2d(256, 256, 3, padding=1); x = torch.randn(8, 256, 32, 32, requires_grad=True)
    def once(): conv(x).square().mean().backward()
    return once

def learner(preset, precision, batch):
    "A learner as `train` builds it, on fixed random latents"
    o = cyclegan.PRESETS[preset]; torch.manual_seed(0)
    nets = cyclegan.networks(**{k: o[k] for k in NETS if k in o})
    w = SimpleNamespace(cyc=o.get('w_cyc', 2.), id=o.get('w_id', .2), adv='lsgan', d_scale=.5, pool_prob=.5)
    a,b = torch.randn(2, batch, 4, 32, 32)
    cbs = [Recorder(50)] + ([EMA('G','F', decay=o['ema'])] if o.get('ema', .999) else [])
    learn = Learner(nets, {k: adam(n) for k,n in nets.items()}, lambda l,x: cyclegan.step(l, x, w), lambda l: (a,b), 10**9, None, cbs, precision=precision, device='cpu', batch_size=batch)
    for k,x in (('pool_A',a),('pool_B',b)): learn.state[k] = x.new_zeros(50, *x.shape[1:])
    learn('before_fit')
    return learn,w,(a,b)

def textbook(ref, learn, w, ab):
    "The same networks and optimizers in the textbook's step"
    n = {k: copy.deepcopy(v) for k,v in vars(learn.n).items()}
    chain = lambda *ks: torch.optim.Adam([p for k in ks for p in n[k].parameters()], lr=2e-4, betas=(.5,.999))
    opt_G,opt_D = chain('G','F'),chain('D_A','D_B')
    return lambda: ref.cyclegan_step(n['G'], n['F'], n['D_A'], n['D_B'], opt_G, opt_D, *ab, lambda_cyc=w.cyc, lambda_id=w.id)

def stargan_learner(preset, precision, batch, n_domains=5):
    "The same for StarGAN v2; a step without R1, which is taken on every 16th only"
    o = stargan.PRESETS[preset]; torch.manual_seed(0)
    nets = stargan.networks(n_domains, **{k: o[k] for k in ('width','n_blocks','norm','residual','w_map','w_enc','ndf','sn') if k in o})
    w = SimpleNamespace(adv=1., sty=1., cyc=1., id=1., r1=2., r1_every=16, margin=1.5, game='hinge', ds=lambda i: 1.)
    y = torch.arange(batch) % n_domains
    b = stargan.Batch(*torch.randn(2, batch, 4, 32, 32), y, (y+1) % n_domains, *torch.randn(2, batch, 16))
    learn = Learner(nets, {k: adam(n, 1e-4, (0.,.99), 1e-4) for k,n in nets.items()}, lambda l,x: stargan.step(l, x, w), lambda l: b, 10**9, None,
                    [Recorder(50), EMA('G','F','E')], precision=precision, device='cpu', batch_size=batch)
    learn('before_fit'); learn.i = 1
    return learn,w,b

def stargan_textbook(ref, learn, w, b):
    "The same networks and optimizers in the textbook's step, which draws three noises"
    n = {k: copy.deepcopy(v) for k,v in vars(learn.n).items()}
    opt_G,opt_D = (torch.optim.AdamW([p for k in ks for p in n[k].parameters()], lr=1e-4, betas=(0.,.99)) for ks in ('GFE','D'))
    return lambda: ref.stargan_step(n['G'], n['F'], n['E'], n['D'], opt_G, opt_D, b.x, b.x_ref, b.y_src, b.y_trg, b.z1, b.z1, b.z2)

def otcfm_learner(preset, precision, batch, n_domains=2, side=32):
    "The same for flow matching; pairs are drawn and paired by transport in the step, as in `train`"
    o = otcfm.PRESETS[preset]; torch.manual_seed(0)
    nets = otcfm.networks(n_domains, **{k: o[k] for k in ('dim','n_blocks','k','n_s','shared','gamma') if k in o})
    latents = SimpleNamespace(sizes=[256]*n_domains, take=lambda y,i: data[y,i]); data = torch.randn(n_domains, 256, 4, side, side)
    class Store(SimpleNamespace):
        def __len__(self): return n_domains
        def __iter__(self): return iter([SimpleNamespace(shapes=[(4,side,side)], shape=(4,side,side))]*n_domains)
    learn = Learner(nets, dict(V=adam(nets['V'], 1e-4, (.9,.99), 1e-5)), lambda l,b: otcfm.step(l, b), otcfm.batches(Store(**vars(latents)), batch), 10**9, None,
                    [Recorder(50), EMA('V')], precision=precision, device='cpu', batch_size=batch)
    learn('before_fit')
    return learn,SimpleNamespace(null=nets['V'].null),None

def otcfm_textbook(ref, learn, w, _):
    "The same network and optimizer in the textbook's step, with independent pairs"
    V = copy.deepcopy(learn.n.V); opt = torch.optim.AdamW(V.parameters(), lr=1e-4)
    def step():
        b = learn._batch(learn); loss = ref.otcfm_loss(V, b.x0, b.x1, b.t, b.y, torch.zeros(len(b.t), dtype=torch.bool), w.null)
        opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(V.parameters(), 1.); opt.step()
    return step

def pixel_learner(order, precision, batch, n_domains=3, side=128):
    "The same for StarGAN v2 on pictures: two at a time, R1 in every step, the original's networks"
    torch.manual_seed(0); batch = 2; nets = stargan.pixel_networks(n_domains, side)
    w = SimpleNamespace(sty=1., cyc=1., r1=1., r1_every=1, margin=None, ds=lambda i: 1., masks=None); y = torch.arange(batch) % n_domains
    x = [torch.rand(batch, 3, side, side).mul(2).sub(1).contiguous(memory_format=torch.channels_last) for _ in range(3)]
    b = stargan.PixelBatch(x[0], y, x[1], x[2], (y+1) % n_domains, *torch.randn(2, batch, 16))
    learn = Learner(nets, {k: adam(n, 1e-4, (0.,.99), 1e-4, decoupled=False) for k,n in nets.items()}, lambda l,b: stargan.ORDERS[order](l, b, w), lambda l: b, 10**9, None,
                    [Recorder(50), EMA('G','F','E')], precision=precision, device='cpu', batch_size=batch)
    learn('before_fit')
    return learn,w,b

def pixel_textbook(ref, learn, w, b):
    "The same networks in the textbook's four turns"
    n = {k: copy.deepcopy(v) for k,v in vars(learn.n).items()}; G,M,E,D = (n[k] for k in 'GFED'); opt = {k: torch.optim.Adam(v.parameters(), lr=1e-4, betas=(0.,.99), weight_decay=1e-4) for k,v in n.items()}
    def move(loss, names):
        for v in n.values(): v.zero_grad()
        loss.backward(); [opt[k].step() for k in names]
    def step():
        y = b.y_trg
        for s in (lambda: M(b.z1, y), lambda: E(b.x_ref, y)):
            with torch.no_grad(): s = s()
            with plain_kernels(): loss = ref.pixel_d_loss(G, D, b.x, b.y_src, y, s)        # R1 differentiates twice
            move(loss, 'D')
        move(ref.pixel_g_loss(G, E, D, b.x, b.y_src, y, M(b.z1, y), M(b.z2, y))[0], 'GFE')
        move(ref.pixel_g_loss(G, E, D, b.x, b.y_src, y, E(b.x_ref, y), E(b.x_ref2, y))[0], 'G')
    return step

def race(fns, reps):
    "Median CPU and wall seconds of each function, all in turn"
    for f in fns.values(): f()
    t = {k: [] for k in fns}
    for _ in range(reps):
        for k,f in fns.items():
            c,s = time.process_time(),time.perf_counter(); f(); t[k].append((time.process_time()-c, time.perf_counter()-s))
    return {k: tuple(statistics.median(x) for x in zip(*v)) for k,v in t.items()}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--reference', type=Path, help='folder with objectives.py'); p.add_argument('--reps', type=int, default=5)
    p.add_argument('--presets', nargs='+', default=['head','seed','laptop','stargan:head','stargan:laptop','otcfm:seed','otcfm:head','otcfm:laptop','pixels:original@128','pixels:joint@128']); p.add_argument('--batch', type=int, default=8)
    p.add_argument('--threads', type=int, default=2); p.add_argument('--no-plain', action='store_true', help="leave out the textbook on PyTorch's own layers")
    o = p.parse_args(); torch.set_num_threads(o.threads); keep_pages()
    ref = None
    if o.reference:
        spec = importlib.util.spec_from_file_location('objectives', o.reference/'objectives.py'); ref = importlib.util.module_from_spec(spec); spec.loader.exec_module(ref)
    print(f'{"":34}{"units":>8}{"CPU s":>9}{"wall s":>9}{"textbook/ours":>15}')
    for preset in o.presets:
        fns = {'unit': unit()}
        for prec in ('fp32','bf16'):
            kind,name = preset.split(':') if ':' in preset else ('cyclegan',preset); name,_,side = name.partition('@'); side = int(side or 32)
            make,book = dict(cyclegan=(learner,textbook), stargan=(stargan_learner,stargan_textbook), otcfm=(otcfm_learner,otcfm_textbook), pixels=(pixel_learner,pixel_textbook))[kind]
            learn,w,ab = make(name, prec, o.batch, **(dict(side=side) if kind in ('otcfm','pixels') else {}))
            fns[f'step {prec}'] = learn._one_step
            if prec=='fp32' and ref:
                fns['textbook'] = book(ref, learn, w, ab)
                def plain(f=fns['textbook']):
                    with plain_kernels(): f()
                if not o.no_plain: fns['textbook, PyTorch layers'] = plain
            G = copy.deepcopy(learn.n.V if kind == 'otcfm' else learn.n.G).eval()
            rows = 4 if kind == 'pixels' else 16; x = [torch.randn(rows, 3 if kind == 'pixels' else 4, side, side)] + dict(cyclegan=[], stargan=[torch.randn(16, 64)], pixels=[torch.randn(4, 64)], otcfm=[torch.rand(16), torch.zeros(16).long()])[kind]
            def infer(G=G, x=x, amp=learn.amp):
                with torch.no_grad(), amp(): G(*x)
            fns[f'network, {rows} rows, {prec}'] = infer
        r = race(fns, o.reps); u = r['unit'][0]
        for k,(c,s) in r.items():
            ratio = f'{r["textbook"][0]/c:15.2f}' if 'textbook' in r and k.startswith('step') else ''
            print(f'{preset+": "+k if k!="unit" else "one unit":34}{c/u:8.2f}{c:9.3f}{s:9.3f}{ratio}', flush=True)

if __name__ == '__main__': main()

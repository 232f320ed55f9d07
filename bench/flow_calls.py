"""Solvers on a trained flow: round-trip error and truth score against calls of the network, and what a translation costs.

    python bench/flow_calls.py --run runs/otcfm/run --world runs/stargan [--pair photo impressionist] [--units]

`calls` counts rows through the network per latent. `--units` also times the 384x12 network (fp32 and bf16) in units of one dense 3x3
convolution (forward and backward, batch 8, 256 channels, 32x32, fp32) and gives each row's cost in them.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='2').items(): os.environ.setdefault(k, v)
import argparse, statistics, time
from pathlib import Path
import torch
from latent_style import otcfm
from latent_style.eval import Table, as_pictures, ssim, truth_score
from latent_style.kernels import keep_pages

def cost(batch=4, reps=5):
    "Units of one call of the 384x12 network for one latent, fp32 and bf16"
    keep_pages(); conv = torch.nn.Conv2d(256, 256, 3, padding=1); x = torch.randn(8, 256, 32, 32, requires_grad=True); V = otcfm.networks(2, dim=384, n_blocks=12, shared=False)['V'].eval()
    z,t,y = torch.randn(batch, 4, 32, 32),torch.rand(batch),torch.zeros(batch).long()
    def net(amp):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=amp): V(z, t, y)
    fns = dict(unit=lambda: conv(x).square().mean().backward(), fp32=lambda: net(False), bf16=lambda: net(True)); spent = {k: [] for k in fns}
    for f in fns.values(): f()
    for _ in range(reps):
        for k,f in fns.items(): c = time.process_time(); f(); spent[k].append(time.process_time()-c)
    m = {k: statistics.median(v) for k,v in spent.items()}
    return {k: m[k]/m['unit']/batch for k in ('fp32','bf16')}

@torch.no_grad()
def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--run', type=Path, required=True); p.add_argument('--world', type=Path, required=True); p.add_argument('--pair', nargs=2, default=['photo','impressionist'])
    p.add_argument('--units', action='store_true'); p.add_argument('--n', type=int, default=8); p.add_argument('--guidance', type=float, default=1.5)
    o = p.parse_args(); torch.set_num_threads(int(os.environ['OMP_NUM_THREADS'])); t = otcfm.load_run(o.run, device='cpu'); a,b = o.pair
    x,y = (as_pictures(o.world/'pictures'/'test'/d, n=o.n) for d in (a,b)); z,floor = t.codec.encode(x),t.codec.decode(t.codec.encode(y))
    unit = cost() if o.units else {}; rows = Table()
    def add(mode, method, steps, **how):
        out = t(z, b, mode=mode, source=a, steps=steps, method=method, **how); calls = t.calls; pic = t.codec.decode(out)
        back = (t(z, a, mode='inversion', source=a, steps=steps, method=method)-z).norm()/z.norm() if mode == 'inversion' else None
        rows.append(dict(mode=mode, method=method, steps=steps, **{k: str(v) for k,v in how.items()}, calls=calls, round_trip=None if back is None else f'{back:.1e}', truth=truth_score(pic, y, x, floor, n_boot=2)['score'],
                         ssim=ssim(pic, x).mean().item(), **{f'units {k}': v*calls for k,v in unit.items()}))
    if 'noise' in t.kinds:
        for method,steps in (('euler',20),('euler',10),('midpoint',10),('midpoint',6),('midpoint',4),('midpoint',3),('heun',6),('heun',4),('rk4',3),('rk4',2)):
            add('inversion', method, steps, guidance=o.guidance)
        for method,steps in (('midpoint',4),('rk4',2)): add('inversion', method, steps, guidance=o.guidance, interval=(0.,.5))
    if 'direct' in t.kinds:
        for method,steps in (('euler',1),('euler',2),('midpoint',1),('euler',4),('midpoint',2),('euler',8),('midpoint',4),('heun',4),('rk4',2),('midpoint',8)): add('direct', method, steps)
    cols = list(dict.fromkeys(k for r in rows for k in r)); rows = Table({c: r.get(c) for c in cols} for r in rows)
    if unit: print('units of one call for one latent, 384x12: ' + ', '.join(f'{k} {v:.2f}' for k,v in unit.items()))
    print(rows)

if __name__ == '__main__': main()

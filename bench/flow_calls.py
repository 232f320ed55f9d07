"""Solvers on a trained flow: round-trip error and truth score against calls of the network, and what it costs.

    python bench/flow_calls.py --run runs/otcfm/run --world runs/stargan [--pair photo impressionist] [--units]

`calls` counts rows through the network per latent. `--units` also times the 384x12 network (fp32 and bf16) in units of
one dense 3x3 convolution (forward and backward, batch 8, 256 channels, 32x32, fp32) and gives each row's cost in them.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='2').items(): os.environ.setdefault(k, v)
import argparse, statistics, time
from pathlib import Path
import torch
from latent_style import otcfm
from latent_style.eval import Table, as_pictures, ssim, truth_score
from latent_style.kernels import keep_pages
from latent_style.method import load_run

INVERSIONS = [('euler',20), ('euler',10), ('midpoint',10), ('midpoint',6), ('midpoint',4), ('midpoint',3), ('heun',6),
              ('heun',4), ('rk4',3), ('rk4',2)]
EARLY = [('midpoint',4), ('rk4',2)]         # with guidance in the first half of the way only
DIRECT = [('euler',1), ('euler',2), ('midpoint',1), ('euler',4), ('midpoint',2), ('euler',8), ('midpoint',4),
          ('heun',4), ('rk4',2), ('midpoint',8)]

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--run', type=Path, required=True)
    p.add_argument('--world', type=Path, required=True, help='painted world')
    p.add_argument('--pair', nargs=2, default=['photo','impressionist'], help='source and target')
    p.add_argument('--units', action='store_true', help='time the network too')
    p.add_argument('--n', type=int, default=8, help='test pictures')
    p.add_argument('--guidance', type=float, default=1.5)
    return p.parse_args()

def seconds(fns, reps):
    "Median CPU seconds of each function, all in turn"
    for f in fns.values(): f()
    spent = {k: [] for k in fns}
    for _ in range(reps):
        for k,f in fns.items():
            start = time.process_time()
            f()
            spent[k].append(time.process_time()-start)
    return {k: statistics.median(v) for k,v in spent.items()}

def cost(batch=4, reps=5):
    "Units of one call of the 384x12 network for one latent, fp32 and bf16"
    keep_pages()
    conv,x = torch.nn.Conv2d(256, 256, 3, padding=1),torch.randn(8, 256, 32, 32, requires_grad=True)
    V = otcfm.networks(2, dim=384, n_blocks=12, shared=False)['V'].eval()
    z,t,y = torch.randn(batch, 4, 32, 32),torch.rand(batch),torch.zeros(batch).long()
    def unit():
        with torch.enable_grad(): conv(x).square().mean().backward()
    def net(amp):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=amp): V(z, t, y)
    taken = seconds(dict(unit=unit, fp32=lambda: net(False), bf16=lambda: net(True)), reps)
    return {k: taken[k]/taken['unit']/batch for k in ('fp32','bf16')}

def trials(kinds, guidance):
    "What is tried of the flows that the run has learnt: mode, solver, steps, further options"
    if 'noise' in kinds:
        yield from (('inversion', *way, dict(guidance=guidance)) for way in INVERSIONS)
        yield from (('inversion', *way, dict(guidance=guidance, interval=(0.,.5))) for way in EARLY)
    if 'direct' in kinds: yield from (('direct', *way, {}) for way in DIRECT)

class Contest:
    "Test pictures of two domains, and a row of the table for each way from one to the other"
    def __init__(self, t, world, pair, n, unit):
        self.t,self.pair,self.unit = t,pair,unit
        self.x,self.y = (as_pictures(world/'pictures'/'test'/d, n=n) for d in pair)
        self.z,self.floor = t.codec.encode(self.x),t.codec.decode(t.codec.encode(self.y))
    def round_trip(self, method, steps):
        "How far off the latents are after the way to noise and back"
        a = self.pair[0]
        back = self.t(self.z, a, mode='inversion', source=a, steps=steps, method=method)
        return f'{((back-self.z).norm()/self.z.norm()).item():.1e}'
    def row(self, mode, method, steps, how):
        a,b = self.pair
        out = self.t(self.z, b, mode=mode, source=a, steps=steps, method=method, **how)
        calls,pics = self.t.calls,self.t.codec.decode(out)
        said = dict(guidance=how.get('guidance'), interval=str(how.get('interval', '')))
        return dict(mode=mode, method=method, steps=steps, **said, calls=calls,
                    round_trip=self.round_trip(method, steps) if mode == 'inversion' else None,
                    truth=truth_score(pics, self.y, self.x, self.floor, n_boot=2)['score'],
                    ssim=ssim(pics, self.x).mean().item(), **{f'units {k}': v*calls for k,v in self.unit.items()})

@torch.no_grad()
def main():
    o = options()
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    t = load_run(o.run, device='cpu', method='otcfm')
    unit = cost() if o.units else {}
    if unit: print('units of one call for one latent, 384x12: ' + ', '.join(f'{k} {v:.2f}' for k,v in unit.items()))
    contest = Contest(t, o.world, o.pair, o.n, unit)
    print(Table(contest.row(*trial) for trial in trials(t.kinds, o.guidance)))

if __name__ == '__main__': main()

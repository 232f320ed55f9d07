"""Every method for the same CPU minutes on two domains of the painted world: truth score both ways, calls, seconds.

    python bench/equal_minutes.py --world runs/stargan --minutes 10 [--methods cyclegan stargan otcfm]
                                  [--domains photo impressionist]

WORLD holds latents/ (a store) and pictures/test/<manner> with one scene per name in every manner. The length of each
run is found by timing its first steps, so that its learning rate comes down within the minutes. One thread
(OMP_NUM_THREADS) makes CPU minutes and minutes equal.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(k, v)
import argparse, json, statistics, tempfile, time
from pathlib import Path
import torch
from latent_style.data import show_grid
from latent_style.eval import Table, as_pictures, truth_score
from latent_style.learner import Callback
from latent_style.method import load_run, module_of

WAYS = dict(cyclegan={'': {}}, stargan={'one example': {}, 'mean style': dict(psi=0.)},
            otcfm={'direct': dict(mode='direct'), 'inversion': dict(mode='inversion')})
NEEDS = dict(direct='direct', inversion='noise')    # kind of flow that a way of OT-CFM needs

class Clock(Callback):
    "CPU seconds of each step"
    def before_fit(self, learn): self.last,self.all = time.process_time(),[]
    def after_step(self, learn):
        now = time.process_time()
        self.all.append(now-self.last)
        self.last = now

def step_seconds(train, data, kw):
    with tempfile.TemporaryDirectory() as d:
        clock = Clock()
        train(data, d, n_steps=24, cbs=[clock], **kw)
        return statistics.mean(clock.all[8:-1])

def translation(t, way, how, x, y, to): # pictures, and pictures of the target for their styles
    "Pictures `x` in the domain `to`"
    z = t.codec.encode(x)
    if way == 'one example':
        styles = [t.style(to, reference=t.codec.encode(example[None])) for example in y.roll(1, 0)]
        return t.codec.decode(t(z, to, style=torch.cat(styles)))
    return t.codec.decode(t(z, to, **how))

@torch.no_grad()
def measure(t, way, how, test, floor):
    "Truth score of every ordered pair of domains, and the pictures"
    out,pics = {},{}
    for a,b in ((a, b) for a in test for b in test if a != b):
        pics[a,b] = translation(t, way, how, test[a], test[b], b)
        s = truth_score(pics[a,b], test[b], test[a], floor[b])
        out |= {f'{a} to {b}': s['score'], f'{a} to {b}, interval': f"{s['lo']:.2f} to {s['hi']:.2f}"}
    return out,pics

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--world', type=Path, required=True)
    p.add_argument('--minutes', type=float, default=10)
    p.add_argument('--methods', nargs='+', default=list(WAYS))
    p.add_argument('--domains', nargs=2, default=['photo','impressionist'])
    p.add_argument('--precision', default='bf16')
    p.add_argument('--out', type=Path, default=Path('runs/equal'))
    p.add_argument('--set', type=json.loads, default={}, help='JSON: further options of train')
    return p.parse_args()

def train(o, name):
    "Train one method; its translator and what it cost"
    m = module_of(name)
    kw = dict(domains=tuple(o.domains), preset='laptop', precision=o.precision, device='cpu', progress=False,
              sample_every=10**9)
    if name == 'stargan': kw['health_every'] = 0
    kw |= o.set
    n = int(60*o.minutes/step_seconds(m.train, o.world/'latents', kw))
    cpu,wall = time.process_time(),time.perf_counter()
    m.train(o.world/'latents', o.out/name, n_steps=n, **kw)
    spent = dict(steps=n, cpu_minutes=(time.process_time()-cpu)/60, minutes=(time.perf_counter()-wall)/60)
    return load_run(o.out/name, device='cpu'),spent

def judged(o, name, test):
    "A row for every way of a method, and its grids"
    t,spent = train(o, name)
    floor = {d: torch.cat([t.codec.decode(z) for z in t.codec.encode(x).split(8)]) for d,x in test.items()}
    for way,how in WAYS[name].items():
        if name == 'otcfm' and NEEDS[way] not in t.kinds: continue
        scores,pics = measure(t, way, how, test, floor)
        a,b = o.domains
        show_grid([test[a][:7], pics[a,b][:7], test[b][:7], pics[b,a][:7]], rows=[a, f'as {b}', 'truth', f'as {a}'],
                  save=o.out/f'{name}_{way.replace(" ","_")}.png')
        yield dict(method=f'{name} {way}'.strip()) | scores | dict(calls=getattr(t, 'calls', 1)) | spent

def main():
    o,rows = options(),Table()
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    o.out.mkdir(parents=True, exist_ok=True)
    test = {d: as_pictures(o.world/'pictures'/'test'/d) for d in o.domains}
    for name in o.methods:
        rows += judged(o, name, test)
        print(rows, flush=True)
        rows.save(o.out/'table.csv')

if __name__ == '__main__': main()

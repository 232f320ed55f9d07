"""How a flow paints: truth and texture of every pair of domains, for ways of translating with one trained run.

    python bench/flow_paint.py runs/paint --latents L --pictures P                   train 1000 steps, then all ways
    python bench/flow_paint.py runs/paint --latents L --pictures P --steps 20000 --device cuda --set batch=64 share=.67
    python bench/flow_paint.py runs/paint --pictures P --ways direct paint back=.8,guidance=2 --pairs photo:swirl

P/test/<domain>/ holds the test pictures, one name a scene, so that the truth is known. What the run has learnt already
is not trained again: a second call evaluates other ways. A way is `direct`, `inversion`, `paint`, or options of
painting with commas between, such as `back=.7,average=2,detail=1,steps=8,method=euler,guidance=1`."""
import argparse, os
for name,value in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(name, value)
from functools import lru_cache
from pathlib import Path
import torch
from latent_style import otcfm
from latent_style.data import show_grid
from latent_style.eval import Table, as_pictures, round_trip, truth_score
from latent_style.method import load_run
from latent_style.run import checkpoints
from latent_style.texture import textures

WAYS = '''direct paint back=.6 back=.7 back=.8 back=.9 detail=0 detail=1 average=2 guidance=1 guidance=2
          steps=1 steps=8'''.split()
COLUMNS = ('truth','texture','texture_ps','calls')

def number(text):
    "A number, or the text itself"
    try: return float(text) if set('.e') & set(text) else int(text)
    except ValueError: return text

def setting(text):
    "A name and a value from `name=value`"
    name,_,value = text.partition('=')
    return name,number(value)

def options_of(way):
    "Options of a translation from the text of a way"
    if '=' not in way: return dict(mode=way)
    return dict(mode='paint') | dict(setting(word) for word in way.split(','))

def trained(o):
    "Train the run, or go on with it, where latents are given"
    if o.latents is None: return
    precision = 'bf16' if o.device == 'cpu' else 'auto'
    options = dict(preset=o.preset, precision=precision, n_steps=o.steps, ckpt_every=max(250, o.steps//4))
    more = dict(device=o.device, progress=False, sample_every=0)
    otcfm.train(o.latents, o.run, **more | options | dict(o.set))

class Scenes:
    "Test pictures of all domains, their latents and their round trips"
    def __init__(self, t, folder, n):
        self.t,self.x = t,{d: as_pictures(folder/'test'/d, n=n) for d in t.domains}
        self.z = {d: torch.cat([t.codec.encode(p.to(t.device)) for p in x.split(8)]) for d,x in self.x.items()}
        self.floor = {d: round_trip(t.codec, x) for d,x in self.x.items()}
        self.features = {}
    def known(self, kind, domain):
        "Features of pictures of a domain, counted once"
        x = getattr(self, kind)[domain]
        return self.features.setdefault((kind, domain), lru_cache(lambda measure: measure(x)))
    def row(self, a, b, way, known):
        "Numbers of a way from one domain to another, and its pictures"
        source = a if known else None
        z = self.t(self.z[a], b, source=source, **options_of(way))
        made = torch.cat([self.t.codec.decode(part).cpu() for part in z.split(8)])
        yardsticks = [self.known('x', b), self.known('x', a), self.known('floor', b)]
        found = textures(lambda measure: measure(made), *yardsticks, min(made.shape[2:]))
        truth = truth_score(made, self.x[b], self.x[a], self.floor[b], n_boot=2)['score']
        return dict(pair=f'{a} > {b}', way=way, truth=truth, calls=self.t.calls) | found,made

def summary(rows, ways):
    "Means over pairs; a texture that cannot be told apart is left out"
    def mean(way, column):
        values = [r[column] for r in rows if r['way'] == way and r[column] == r[column]]
        return sum(values)/len(values) if values else None
    return Table(dict(way=way, **{c: mean(way, c) for c in COLUMNS}) for way in ways)

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('run', type=Path, help='run folder')
    p.add_argument('--pictures', type=Path, required=True, help='folder with test/<domain>/')
    p.add_argument('--latents', type=Path, help='latent store to train on; none: the run as it is')
    p.add_argument('--preset', default='laptop')
    p.add_argument('--steps', type=int, default=1000)
    p.add_argument('--set', nargs='+', default=[], type=setting, metavar='OPTION=VALUE', help='options of training')
    p.add_argument('--device', default='cpu')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--ways', nargs='+', default=WAYS)
    p.add_argument('--pairs', nargs='+', help='source:target; all of them')
    p.add_argument('--unknown', action='store_true', help='do not tell the source domain')
    p.add_argument('--n', type=int, default=16, help='test scenes')
    p.add_argument('--checkpoint', type=int, help='step of the checkpoint; the newest')
    return p.parse_args()

@torch.no_grad()
def main():
    o = options()
    torch.set_num_threads(o.threads)
    with torch.enable_grad(): trained(o)
    precision = 'bf16' if o.device == 'cpu' else 'auto'
    t = load_run(o.run, device=o.device, method='otcfm', step=o.checkpoint, precision=precision)
    print(t, f'step {checkpoints(o.run)[-1].name[5:] if o.checkpoint is None else o.checkpoint}', flush=True)
    scenes,rows,names = Scenes(t, o.pictures, o.n),[],t.domains
    for a,b in [pair.split(':') for pair in o.pairs or [f'{a}:{b}' for a in names for b in names if a != b]]:
        shown = {a: scenes.x[a][:6]}
        for way in o.ways:
            row,made = scenes.row(a, b, way, not o.unknown)
            shown[way] = made[:6]
            rows.append({k: row.get(k) for k in ('pair','way',*COLUMNS)})
        print(Table(rows[-len(o.ways):]), flush=True)
        shown[b] = scenes.x[b][:6]
        show_grid(list(shown.values()), rows=list(shown), size=2, save=o.run/f'{a}_{b}.png')
    print(f'\nmeans over pairs\n{summary(rows, o.ways)}')

if __name__ == '__main__': main()

"""Does a pixel StarGAN v2 paint, and does it leave traces? Truth and texture of all pairs of domains, the lattice of
the results, and how far their edges have moved.

    python bench/pixel_paint.py WORLD RUN                                     the preset as it is
    python bench/pixel_paint.py WORLD RUN --steps 600 --set w_tex=3 noise=4   other options
    python bench/pixel_paint.py WORLD RUN --remedies                          smoothed doubling, bridges, noise, ...
    python bench/pixel_paint.py --shrink WORLD SMALL --side 64                a world of smaller pictures
    python bench/pixel_paint.py --collect FOLDER                              one table of all runs in a folder

WORLD holds pictures in train/ and test/, see `paint_folder`; reading them costs least when they have the side of the
networks. RUN is the folder of the run, which goes on where it stopped; what was measured is kept beside it, as RUN.json
and RUN.png. Rows `truth` and `other scene` are yardsticks: the true translations, and those of other scenes."""
import argparse, ast, json, os, time
for name,value in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1').items():
    os.environ.setdefault(name, value)
os.environ.setdefault('MPLBACKEND', 'agg')
from itertools import permutations
from pathlib import Path
import torch
from latent_style import stargan_pixels
from latent_style.data import load_picture, show_grid, to_pil
from latent_style.eval import Table, truth_score
from latent_style.method import load_run
from latent_style.run import read_log
from latent_style.texture import Responses, score_of_features
from latent_style.traces import displaced, lattice

QUIET = dict(progress=False, sample_every=0, ckpt_every=10**9, health_every=0, workers=0)
# what is tried against the lattice and for edges that stay; beside the preset `laptop`
REMEDIES = dict(width=16, c_max=64, batch=4, lr=1e-3, lr_f=1e-3, beta1=.5, noise=2, smooth=True, bridges=True,
                residual=True, cells=4, w_tex=20., filters=16, w_sty=.5, w_cyc=1., w_r1=.3)

def setting(text):
    "A name and a value from `name=value`; what is no literal of Python stays a text"
    name,_,value = text.partition('=')
    try: return name,ast.literal_eval(value)
    except (ValueError, SyntaxError): return name,value

def trained(o):
    "Train; minutes of wall time and of the processor"
    options = dict(preset=o.preset) | QUIET | dict(seed=o.seed, device=o.device, domains=o.domains)
    options |= (REMEDIES if o.remedies else {}) | dict(o.set)
    if o.steps: options['n_steps'] = o.steps
    wall,cpu = time.perf_counter(),time.process_time()
    stargan_pixels.train(o.world/'train', o.run, **options)
    return (time.perf_counter()-wall)/60,(time.process_time()-cpu)/60

def pictures(folder, side, n):
    "The first pictures of a folder (n,3,side,side)"
    return torch.stack([load_picture(f, side) for f in sorted(Path(folder).iterdir())[:n]])

def styles_of(t, x, to, kind):
    "One style for each content: of noise, the mean of the domain, or of another scene in the target's manner"
    if kind == 'reference': return t.style(to, reference=x[to].roll(1, 0).to(t.device))
    return (t.mean_style(to) if kind == 'mean' else t.style(to, seed=0)).expand(len(x[to]), -1)

def results(t, x, kind):
    "Translations of all ordered pairs: a dict (a,b) -> (n,3,h,w)"
    def made(a, b): return t(x[a].to(t.device), style=styles_of(t, x, b, kind)).clamp(-1, 1).cpu()
    return {(a,b): made(a, b) for a,b in permutations(t.domains, 2)}

def rows_of(made, x, kind):
    "Truth, texture and edges of each pair"
    measure,rows = Responses(),[]
    known = {d: measure(v) for d,v in x.items()}
    for (a,b),v in made.items():
        row = dict(pair=f'{a} {b}', style=kind)
        if kind != 'truth':
            row['truth'] = truth_score(v, x[b], x[a], x[b], n_boot=2)['score']
            row['texture'] = score_of_features(measure, measure(v), known[b], known[a], known[b], n_boot=2)['score']
        rows.append(row | displaced(v, x[a]))
    return rows

def pitch_of(made):
    "Pixels to a cell of the coarsest map, which has 16 of them in a row"
    return next(iter(made.values())).shape[3]//16

def mean(values):
    known = [v for v in values if v == v]
    return sum(known)/len(known) if known else None

def summary(name, kind, made, rows):
    "One row of the table: means over the pairs, the worst of them, and the lattice of all results together"
    row = dict(run=name, style=kind, lattice=lattice(torch.cat(list(made.values())), pitch_of(made)),
               px=mean(r['px'] for r in rows), worst_px=max(r['px'] for r in rows),
               near=mean(r['near'] for r in rows), worst_near=min(r['near'] for r in rows))
    return row | {k: mean(r[k] for r in rows) for k in ('truth','texture') if k in rows[0]}

def yardsticks(domains, x):
    "What the truth and another scene have in place of results"
    pairs = list(permutations(domains, 2))
    return {'truth': {(a,b): x[b] for a,b in pairs}, 'other scene': {(a,b): x[b].roll(1, 0) for a,b in pairs}}

@torch.no_grad()
def measured(o, run=None, kinds=('seed','reference')):
    "All numbers of a run: rows for each pair, and one for each kind of styles"
    t = load_run(run or o.run, device=o.device)
    x = {d: pictures(o.world/'test'/d, t.codec.size, o.scenes) for d in t.domains}
    sets = {kind: results(t, x, kind) for kind in kinds}
    rows = {kind: rows_of(made, x, kind) for kind,made in sets.items()}
    some = [s % o.scenes for s in (1,4,5,9)]
    sheet = [torch.stack([x[a][k], *(sets['reference'][a,b][k] if b != a else x[a][k] for b in t.domains),
                          *(x[b][k] for b in t.domains)]) for a in t.domains for k in some[:2]]
    show_grid(sheet, titles=['content', *t.domains, *(f'true {d}' for d in t.domains)], size=1.4, save=f'{o.run}.png')
    means = [summary(o.run.name, kind, sets[kind], rows[kind]) for kind in kinds]
    for kind,made in yardsticks(t.domains, x).items(): means.append(summary('', kind, made, rows_of(made, x, 'truth')))
    return dict(pairs=[r for some in rows.values() for r in some], means=means)

def shrink(src, dst, side):
    "The same pictures, smaller"
    for f in sorted(Path(src).glob('t*/*/*.png')):
        to = dst/f.relative_to(src)
        to.parent.mkdir(parents=True, exist_ok=True)
        to_pil(load_picture(f, side)).save(to)

def collect(folder):
    "One table of what was measured in a folder"
    told = [json.loads(f.read_text()) for f in sorted(Path(folder).glob('*.json'))]
    print(Table(dict(steps=v['steps'], cpu=v['cpu']) | row for v in told for row in v['means'] if row['run']))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('world', type=Path, nargs='?')
    p.add_argument('run', type=Path, nargs='?')
    p.add_argument('--preset', default='laptop')
    p.add_argument('--remedies', action='store_true', help='with REMEDIES beside the preset')
    p.add_argument('--set', nargs='+', default=[], type=setting, metavar='OPTION=VALUE')
    p.add_argument('--steps', type=int)
    p.add_argument('--domains', nargs='+')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--device', default='cpu')
    p.add_argument('--scenes', type=int, default=16, help='test scenes that are looked at')
    p.add_argument('--shrink', action='store_true')
    p.add_argument('--side', type=int, default=64)
    p.add_argument('--collect', type=Path)
    o = p.parse_args()
    if o.collect: return collect(o.collect)
    if o.shrink: return shrink(o.world, o.run, o.side)
    torch.set_num_threads(1)
    wall,cpu = trained(o)
    told = dict(options=dict(o.set), steps=read_log(o.run)[-1]['step'], minutes=wall, cpu=cpu) | measured(o)
    Path(f'{o.run}.json').write_text(json.dumps(told, indent=1))
    print(Table(told['pairs']))
    print(Table(told['means']))
    print(f"{told['steps']} steps, {cpu:.1f} CPU minutes")

if __name__ == '__main__': main()

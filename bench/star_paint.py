"""Does a latent StarGAN v2 paint? Truth and texture of all pairs of domains, and how different ten styles of one look.

    python bench/star_paint.py WORLD RUN                                       the preset as it is
    python bench/star_paint.py WORLD RUN --steps 2000 --set w_tex=3 noise=4    other options
    python bench/star_paint.py WORLD RUN --minutes 9 --device cuda             as many steps as fit
    python bench/star_paint.py --collect FOLDER                                one table of all runs in a folder

WORLD holds the pictures in train/ and test/ and their latents in latents/, see `paint_folder`, `encode_folder`. RUN is
the folder of the run, which goes on where it stopped; what was measured is kept beside it, as RUN.json and two sheets,
RUN.png and RUN-styles.png. SqueezeNet, for the distances, is read from the folder --squeeze (`latent_style fetch
squeeze` brings it); without it they are left out."""
import argparse, ast, json, os, time
for name,value in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1').items():
    os.environ.setdefault(name, value)
os.environ.setdefault('MPLBACKEND', 'agg')
from functools import lru_cache
from itertools import permutations
from pathlib import Path
import torch, torch.nn.functional as F
from latent_style import stargan
from latent_style.data import show_grid
from latent_style.crowds import linear_probe
from latent_style.eval import (Table, as_pictures, features_of, round_trip,
                               truth_score)
from latent_style.features import squeeze_from
from latent_style.method import load_run
from latent_style.metrics import diversity_of
from latent_style.run import read_log
from latent_style.texture import textures

QUIET = dict(progress=False, sample_every=0, ckpt_every=10**9, health_every=0)

def setting(text):
    "A name and a value from `name=value`; what is no literal of Python stays a text"
    name,_,value = text.partition('=')
    try: return name,ast.literal_eval(value)
    except (ValueError, SyntaxError): return name,value

def trained(o):
    "Train; minutes of wall time and of the processor"
    options = QUIET | dict(preset=o.preset, seed=o.seed, device=o.device, domains=o.domains) | dict(o.set)
    if o.steps: options['n_steps'] = o.steps
    if o.minutes and not o.run.exists(): options['n_steps'] = timed(o, options)
    wall,cpu = time.perf_counter(),time.process_time()
    stargan.train(o.world/'latents', o.run, **options)
    return (time.perf_counter()-wall)/60,(time.process_time()-cpu)/60

def timed(o, options):
    "Steps that fit in `o.minutes`"
    def seconds(n, name):
        began = time.perf_counter()
        path = o.run.with_name(f'.{o.run.name}-{name}')
        stargan.train(o.world/'latents', path, **options | dict(n_steps=n, log_every=n))
        return time.perf_counter()-began
    seconds(4, 'warm')
    few,many = seconds(8, 'few'),seconds(40, 'many')
    return max(50, int(60*o.minutes/max(1e-3, (many-few)/32)))

def through(t, z, styles, seed=0, batch=16):
    "Pictures of latents in one style each"
    parts = [t.codec.decode(t(x, style=s, beside=b)).cpu() for x,s,b in zip(
        z.split(batch), styles.split(batch), (t.beside(z, range(len(z)), seed) if t.noise else z).split(batch))]
    return torch.cat(parts)

def styles_of(t, z, to, kind):
    "One style for each content: of noise, the mean of the domain, or of another scene in the target's manner"
    if kind == 'reference': return t.style(to, reference=z[to].roll(1, 0))
    s = t.mean_style(to) if kind == 'mean' else t.style(to, seed=0)
    return s.expand(len(z[to]), -1)

def pairs_table(t, x, z, floors, kinds):
    "Rows of all ordered pairs and kinds of styles; what the measures see of real pictures is computed once"
    known = {(d,which): lru_cache(lambda m, v=v[d]: m(v)) for which,v in dict(real=x, floor=floors).items() for d in x}
    rows = []
    for a,b in permutations(t.domains, 2):
        for kind in kinds:
            made = through(t, z[a], styles_of(t, z, b, kind))
            found = textures(lambda m: m(made), known[b,'real'], known[a,'real'], known[b,'floor'], made.shape[2])
            score = truth_score(made, x[b], x[a], floors[b], n_boot=2)['score']
            rows.append(dict(pair=f'{a} {b}', style=kind, truth=score, texture=found['texture'],
                             fine=found['texture_fine'], coarse=found['texture_coarse'], ps=found['texture_ps']))
    return rows

def ten_styles(t, z, to, contents=4, n=10):
    "Pictures (n,contents,3,h,w) of a few contents of all other domains in ten styles by one hand"
    others = [d for d in t.domains if d != to]
    few = torch.stack([z[others[i % len(others)]][i] for i in range(contents)])
    ss = t.style(to, seed=0, n=n)
    return torch.stack([through(t, few, s[None].expand(contents, -1)) for s in ss])

def coarse(x):
    "Means of 8x8 pixels, each as large as those were"
    return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)

def probe_of(world, domains, net, n=48):
    "A judge of domains, from real pictures for training"
    some = {d: pictures(world/'train'/d, n) for d in domains}
    y = torch.cat([torch.full((len(v),), k) for k,v in enumerate(some.values())])
    return linear_probe(torch.cat([features_of(net, v) for v in some.values()]), y)

def pictures(folder, n):
    "The first pictures of a folder (n,3,h,w)"
    return as_pictures(folder, n=n)

def spread(o, t, z):
    "How different ten styles of each domain are, whole and in means of 8x8 pixels, and how many keep to the domain"
    net = squeeze_from(o.squeeze).to(t.device)
    judge,rows,sheets = probe_of(o.world, t.domains, net),[],{}
    for k,d in enumerate(t.domains):
        made = ten_styles(t, z, d)
        inside = (judge(features_of(net, made.flatten(0, 1))) == k).double().mean().item()
        rows.append(dict(domain=d, apart=diversity_of(made, net).mean().item(), inside=inside,
                         apart8=diversity_of(coarse(made.flatten(0, 1)).view_as(made), net).mean().item()))
        sheets[d] = made[:,0]
    return rows,sheets

def mean_worst(values):
    "Mean and least of the values that are numbers"
    known = [v for v in values if v == v]
    return (sum(known)/len(known),min(known)) if known else (None,None)

def measured(o):
    "All numbers of a run, and its sheets"
    t = load_run(o.run, device=o.device)
    x = {d: pictures(o.world/'test'/d, o.scenes) for d in t.domains}
    with torch.no_grad(): z = {d: t.codec.encode(v.to(t.device)) for d,v in x.items()}
    rows = pairs_table(t, x, z, {d: round_trip(t.codec, v) for d,v in x.items()}, o.kinds)
    names = t.domains
    sheet = [[x[a][-1], *(through(t, z[a][-1:], t.style(b, seed=0))[0] for b in names), *(x[b][-1] for b in names)]
             for a in names]
    show_grid([torch.stack(r) for r in sheet], rows=names, titles=['content', *names, *(f'true {b}' for b in names)],
              size=1.8, save=f'{o.run}.png')
    found = dict(pairs=rows)
    if o.squeeze:
        found['styles'],ten = spread(o, t, z)
        show_grid(list(ten.values()), rows=list(ten), size=1.8, save=f'{o.run}-styles.png')
    return found

def summary(name, told):
    "One row of the table"
    row = dict(run=name, steps=told['steps'], minutes=told['minutes'], cpu=told['cpu'], lead=told['lead'])
    for kind in dict.fromkeys(r['style'] for r in told['pairs']):
        those = [r for r in told['pairs'] if r['style'] == kind]
        for key in ('truth','texture','ps'):
            row[f'{key} {kind}'],row[f'worst {key} {kind}'] = mean_worst([r[key] for r in those])
    for key in ('apart','apart8','inside'):
        if 'styles' in told: row[key],row[f'least {key}'] = mean_worst([r[key] for r in told['styles']])
    return row

def collect(folder):
    "One table of what was measured in a folder"
    files = sorted(Path(folder).glob('*.json'))
    print(Table(summary(f.stem, json.loads(f.read_text())) for f in files))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('world', type=Path, nargs='?')
    p.add_argument('run', type=Path, nargs='?')
    p.add_argument('--preset', default='laptop')
    p.add_argument('--set', nargs='+', default=[], type=setting, metavar='OPTION=VALUE')
    p.add_argument('--steps', type=int)
    p.add_argument('--minutes', type=float)
    p.add_argument('--domains', nargs='+')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--device', default='cpu')
    p.add_argument('--scenes', type=int, default=16, help='test scenes that are looked at')
    p.add_argument('--kinds', nargs='+', default=['seed','reference'], choices=('seed','mean','reference'),
                   help='where the styles of the pairs come from')
    p.add_argument('--squeeze', type=Path, default=os.environ.get('LATENT_STYLE_SQUEEZE'), help='folder of SqueezeNet')
    p.add_argument('--collect', type=Path)
    o = p.parse_args()
    if o.collect: return collect(o.collect)
    torch.set_num_threads(1)
    wall,cpu = trained(o)
    last = read_log(o.run)[-1]
    told = dict(options=dict(o.set), steps=last['step'], minutes=wall, cpu=cpu, lead=last['d_real']-last['d_fake'])
    with torch.no_grad(): told |= measured(o)
    Path(f'{o.run}.json').write_text(json.dumps(told, indent=1))
    print(Table(told['pairs']))
    if 'styles' in told: print(Table(told['styles']))
    print(Table([summary(o.run.name, told)]))

if __name__ == '__main__': main()

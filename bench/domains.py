"""Many domains, one run: every ordered pair of domains in one table, for a method that takes its style from an example.

    python bench/domains.py --world runs/stargan --run runs/stargan/run --weights WEIGHTS                     # painted: the truth is known
    python bench/domains.py --data DATA --domains photo monet vangogh cezanne --weights WEIGHTS --steps 5000  # real: train, then measure
    python bench/domains.py --data DATA --domains photo monet vangogh cezanne --weights WEIGHTS --run RUN     # real: measure

WORLD holds pictures/{train,test}/<manner>, the test split with one scene per name in every manner; DATA holds <domain>/{train,test};
WEIGHTS holds autoencoders and squeezenet_lpips. Every test picture is translated in the style of one training picture of the target.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='10000', OMP_NUM_THREADS='2').items(): os.environ.setdefault(k, v)  # read once, by the import of torch
import argparse, importlib, json, statistics, tempfile, time
from itertools import combinations, permutations
from pathlib import Path
import torch
from latent_style.data import Latents, encode_folder, show_grid
from latent_style.eval import SqueezeFeatures, Table, as_pictures, features_of, kid, linear_probe, perceptual_distance, picture_files, round_trip, truth_score

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--world', type=Path, help='painted world'); p.add_argument('--data', type=Path, help='real pictures')
    p.add_argument('--weights', type=Path, required=True); p.add_argument('--codec', default='taesd', help='folder under --weights, for --data')
    p.add_argument('--domains', nargs='+'); p.add_argument('--method', default='stargan', choices=('stargan',))
    p.add_argument('--run', type=Path); p.add_argument('--steps', type=int, default=5000); p.add_argument('--preset', default='laptop')
    p.add_argument('--precision', default='bf16'); p.add_argument('--size', type=int, default=256); p.add_argument('--n', type=int, default=40, help='test pictures per domain')
    p.add_argument('--out', type=Path, default=Path('runs/domains')); p.add_argument('--seed', type=int, default=0)
    o = p.parse_args()
    if bool(o.world) == bool(o.data): p.error('give --world or --data')
    o.domains = o.domains or sorted(d.name for d in (o.world/'pictures'/'test' if o.world else o.data).iterdir() if d.is_dir())
    return o

def folder(o, domain, part): return o.world/'pictures'/part/domain if o.world else o.data/domain/part

def train(o, codec):
    "Encode the train splits into a temporary store and train there; seconds"
    method = importlib.import_module(f'latent_style.{o.method}')
    with tempfile.TemporaryDirectory() as d:
        for dom in o.domains:
            (to := Path(d)/'pictures'/dom).mkdir(parents=True)
            for f in picture_files(folder(o, dom, 'train')): (to/f.name).symlink_to(f.resolve())
        encode_folder(Path(d)/'pictures', Path(d)/'store', codec=codec, size=o.size, progress=False)
        t,c = time.perf_counter(),time.process_time()
        method.train(Path(d)/'store', o.run, o.domains, preset=o.preset, n_steps=o.steps, precision=o.precision, seed=o.seed, sample_every=max(1, o.steps//5), progress=False)
        return dict(train_s=time.perf_counter()-t, train_cpu_s=time.process_time()-c)

@torch.no_grad()
def decoded(codec, z): return torch.cat([codec.decode(x).cpu() for x in z.split(8)])

def matrix(domains, f):
    "Table with a row for each source and a column for each target"
    return Table(dict(source=a, **{b: f(a, b) if a != b else None for b in domains}) for a in domains)

def values(t): return [v for r in t for k,v in r.items() if k != 'source' and v is not None]

def spread(codec, t, z, net, to, n_styles=10):
    "Mean pairwise perceptual distance of the outputs for several noises, over the contents `z`"
    outs = [decoded(codec, t(z, to, seed=k)) for k in range(n_styles)]
    return statistics.mean(perceptual_distance(a, b, net).mean().item() for a,b in combinations(outs, 2))

@torch.no_grad()
def main():
    o = options(); torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"])); o.out.mkdir(parents=True, exist_ok=True); times = {}
    codec = Latents('tiny') if o.world else Latents(str(o.weights/o.codec))
    if o.run is None:
        o.run = o.out/'run'
        with torch.enable_grad(): times |= train(o, codec)
    t = importlib.import_module(f'latent_style.{o.method}').load_run(o.run, device='cpu'); start = time.perf_counter()
    net = SqueezeFeatures(o.weights/'squeezenet_lpips')
    test,seen = ({d: as_pictures(folder(o, d, part), o.size, n=o.n) for d in o.domains} for part in ('test','train'))
    z,zref = ({d: torch.cat([codec.encode(x) for x in p[d].split(8)]) for d in o.domains} for p in (test,seen))
    fake = {(a,b): decoded(codec, torch.cat([t(x, style=t.style(b, reference=r)) for x,r in zip(z[a].split(8), zref[b][:len(z[a])].split(8))])) for a,b in permutations(o.domains, 2)}
    floor = {d: decoded(codec, z[d]) for d in o.domains}
    f_test,f_fake,f_floor,f_seen = ({k: features_of(net, v) for k,v in d.items()} for d in (test, fake, floor, {d: decoded(codec, zref[d]) for d in o.domains}))
    tables = {}
    if o.world: tables['truth score'] = matrix(o.domains, lambda a,b: truth_score(fake[a,b], test[b], test[a], floor[b], n_boot=2)['score'])
    else: tables |= {'KID of translations': matrix(o.domains, lambda a,b: kid(f_fake[a,b], f_test[b])['kid']), 'KID of sources (identity)': matrix(o.domains, lambda a,b: kid(f_test[a], f_test[b])['kid']),
                     'KID interval, lower end': matrix(o.domains, lambda a,b: kid(f_fake[a,b], f_test[b])['lo']), 'KID interval, upper end': matrix(o.domains, lambda a,b: kid(f_fake[a,b], f_test[b])['hi'])}
    tables['perceptual distance to the source'] = matrix(o.domains, lambda a,b: perceptual_distance(fake[a,b], test[a], net).mean().item())
    y = torch.cat([torch.full((len(f_seen[d]),), i) for i,d in enumerate(o.domains)])
    probe = linear_probe(torch.cat([f_seen[d] for d in o.domains]), y)
    right = lambda f,d: (probe(f) == o.domains.index(d)).float().mean().item()
    tables['style consistency: share that the probe takes for the target'] = matrix(o.domains, lambda a,b: right(f_fake[a,b], b))
    rows = Table([dict(what='probe, real test pictures (through the codec)', value=statistics.mean(right(f_floor[d], d) for d in o.domains)),
                  dict(what='probe, translations', value=statistics.mean(values(tables['style consistency: share that the probe takes for the target']))),
                  *[dict(what=f'diversity of ten noises, to {d}', value=spread(codec, t, z[next(a for a in o.domains if a != d)][:6], net, d)) for d in o.domains],
                  *[dict(what=f'diversity of real pictures, {d}', value=perceptual_distance(test[d][:12], test[d][:12].roll(1, 0), net).mean().item()) for d in o.domains]])
    if o.world: v = values(tables['truth score']); rows = Table([dict(what='truth score, mean over pairs', value=statistics.mean(v)), dict(what='truth score, worst pair', value=min(v)), *rows])
    for k,m in tables.items(): print(f'\n{k}\n{m}')
    times['measure_s'] = time.perf_counter()-start; print(f'\n{rows}\n\n' + '  '.join(f'{k} {v:.0f}' for k,v in times.items()))
    (o.out/'tables.json').write_text(json.dumps(dict(tables={k: list(m) for k,m in tables.items()}, rows=list(rows), times=times), indent=1)+'\n')
    N,i = len(o.domains),torch.arange(len(o.domains)); x,r = (torch.stack([v[d][2] for d in o.domains]) for v in (test,seen))
    zx,zr = (torch.stack([v[d][2] for d in o.domains]) for v in (z,zref))
    cells = [decoded(codec, torch.cat([t(zx[k:k+1], style=t.style(d, reference=zr[j:j+1])) for j,d in enumerate(o.domains)])) for k in range(N)]
    show_grid([torch.cat([torch.ones_like(r[:1]), r]), *[torch.cat([x[k:k+1], c]) for k,c in enumerate(cells)]], size=1.9, save=o.out/'grid.png')

if __name__ == '__main__': main()

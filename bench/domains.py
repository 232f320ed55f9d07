"""Many domains, one run: every ordered pair of domains in one table, for a method that takes its style from an example.

    python bench/domains.py --world runs/stargan --run runs/stargan/run --weights WEIGHTS      # painted: known truth
    python bench/domains.py --data DATA --domains photo monet --weights WEIGHTS --steps 5000   # real: train, measure
    python bench/domains.py --data DATA --domains photo monet --weights WEIGHTS --run RUN      # real: measure

WORLD holds pictures/{train,test}/<manner>, the test split with one scene per name in every manner; DATA holds
<domain>/{train,test}; WEIGHTS holds autoencoders and squeezenet_lpips
(`latent_style fetch squeeze --out WEIGHTS/squeezenet_lpips`). Every test picture is translated in the style of
one training picture of the target.
"""
import os
THREADS = dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='10000', OMP_NUM_THREADS='2')
for k,v in THREADS.items(): os.environ.setdefault(k, v)  # read once, by the import of torch
import argparse, json, statistics, tempfile, time
from itertools import combinations, permutations
from pathlib import Path
import torch
from latent_style.autoencoders import Latents
from latent_style.data import show_grid
from latent_style.encoding import encode_folder
from latent_style.crowds import kid, linear_probe
from latent_style.eval import Table, as_pictures, features_of, perceptual_distance, picture_files, truth_score
from latent_style.features import squeeze_from
from latent_style.method import load_run, module_of

PROBE = 'style consistency: share that the probe takes for the target'

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--world', type=Path, help='painted world')
    p.add_argument('--data', type=Path, help='real pictures')
    p.add_argument('--weights', type=Path, required=True)
    p.add_argument('--codec', default='taesd', help='folder under --weights, for --data')
    p.add_argument('--domains', nargs='+')
    p.add_argument('--method', default='stargan', choices=('stargan',))
    p.add_argument('--run', type=Path)
    p.add_argument('--steps', type=int, default=5000)
    p.add_argument('--preset', default='laptop')
    p.add_argument('--precision', default='bf16')
    p.add_argument('--size', type=int, default=256)
    p.add_argument('--n', type=int, default=40, help='test pictures per domain')
    p.add_argument('--out', type=Path, default=Path('runs/domains'))
    p.add_argument('--seed', type=int, default=0)
    o = p.parse_args()
    if bool(o.world) == bool(o.data): p.error('give --world or --data')
    there = o.world/'pictures'/'test' if o.world else o.data
    o.domains = o.domains or sorted(d.name for d in there.iterdir() if d.is_dir())
    return o

def folder(o, domain, part): return o.world/'pictures'/part/domain if o.world else o.data/domain/part

def train(o, codec):
    "Encode the train splits into a temporary store and train there; seconds"
    method = module_of(o.method)
    with tempfile.TemporaryDirectory() as d:
        pictures,store = Path(d)/'pictures',Path(d)/'store'
        for domain in o.domains:
            (pictures/domain).mkdir(parents=True)
            for i,f in enumerate(picture_files(folder(o, domain, 'train'))):
                (pictures/domain/f'{i:06d}{f.suffix}').symlink_to(f.resolve())
        encode_folder(pictures, store, codec=codec, size=o.size, progress=False)
        wall,cpu = time.perf_counter(),time.process_time()
        method.train(store, o.run, o.domains, preset=o.preset, n_steps=o.steps, precision=o.precision, seed=o.seed,
                     sample_every=max(1, o.steps//5), progress=False)
        return dict(train_s=time.perf_counter()-wall, train_cpu_s=time.process_time()-cpu)

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

def like(t, z, examples, to):
    "Latents in the styles of as many examples"
    parts = zip(z.split(8), examples[:len(z)].split(8))
    return torch.cat([t(x, style=t.style(to, reference=r)) for x,r in parts])

def kid_tables(domains, f_fake, f_test):
    def of(key): return matrix(domains, lambda a,b: kid(f_fake[a,b], f_test[b])[key])
    return {'KID of translations': of('kid'),
            'KID of sources (identity)': matrix(domains, lambda a,b: kid(f_test[a], f_test[b])['kid']),
            'KID interval, lower end': of('lo'), 'KID interval, upper end': of('hi')}

def judge(share, data, domains, net): # function (features, domain) -> share; dict of pictures and features
    "Shares that the probe takes for the target, and a perceptual distance to the source"
    far = matrix(domains, lambda a,b: perceptual_distance(data.fake[a,b], data.test[a], net).mean().item())
    return {'perceptual distance to the source': far, PROBE: matrix(domains, lambda a,b: share(data.f_fake[a,b], b))}

class Data:
    "Test and training pictures, latents, translations, and features of all"
    def __init__(self, o, codec, t, net):
        self.test,self.seen = ({d: as_pictures(folder(o, d, part), o.size, n=o.n) for d in o.domains}
                               for part in ('test','train'))
        self.z,self.z_seen = ({d: torch.cat([codec.encode(x) for x in p.split(8)]) for d,p in pics.items()}
                              for pics in (self.test,self.seen))
        pairs = permutations(o.domains, 2)
        self.fake = {(a,b): decoded(codec, like(t, self.z[a], self.z_seen[b], b)) for a,b in pairs}
        self.floor = {d: decoded(codec, z) for d,z in self.z.items()}
        seen = {d: decoded(codec, z) for d,z in self.z_seen.items()}
        self.f_test,self.f_fake,self.f_floor,self.f_seen = (
            {k: features_of(net, v) for k,v in d.items()} for d in (self.test,self.fake,self.floor,seen))

def probe_of(o, data):
    "Function (features, domain) -> share that a linear probe takes for that domain"
    y = torch.cat([torch.full((len(data.f_seen[d]),), i) for i,d in enumerate(o.domains)])
    probe = linear_probe(torch.cat([data.f_seen[d] for d in o.domains]), y)
    return lambda f,d: (probe(f) == o.domains.index(d)).float().mean().item()

def truths(data, a, b): return truth_score(data.fake[a,b], data.test[b], data.test[a], data.floor[b], n_boot=2)['score']

def tables_of(o, data, share, net):
    first = {'truth score': matrix(o.domains, lambda a,b: truths(data, a, b))}
    return (first if o.world else kid_tables(o.domains, data.f_fake, data.f_test)) | judge(share, data, o.domains, net)

def summary(o, data, share, tables, codec, t, net):
    "What can be said in one number"
    def line(what, value): return dict(what=what, value=value)
    scores = values(tables['truth score']) if o.world else []
    of_scores = {'truth score, mean over pairs': statistics.mean, 'truth score, worst pair': min}
    rows = [line(what, f(scores)) for what,f in of_scores.items() if scores]
    real = statistics.mean(share(data.f_floor[d], d) for d in o.domains)
    rows += [line('probe, real test pictures (through the codec)', real),
             line('probe, translations', statistics.mean(values(tables[PROBE])))]
    for d in o.domains:
        other = next(a for a in o.domains if a != d)
        rows.append(line(f'diversity of ten noises, to {d}', spread(codec, t, data.z[other][:6], net, d)))
    for d in o.domains:
        some = data.test[d][:12]
        far = perceptual_distance(some, some.roll(1, 0), net).mean().item()
        rows.append(line(f'diversity of real pictures, {d}', far))
    return Table(rows)

def draw(o, data, codec, t):
    "Sources in rows, references in columns"
    x,r = (torch.stack([v[d][2] for d in o.domains]) for v in (data.test,data.seen))
    zx,zr = (torch.stack([v[d][2:3] for d in o.domains]) for v in (data.z,data.z_seen))
    def line(z): return decoded(codec, torch.cat([t(z, style=t.style(d, reference=s)) for d,s in zip(o.domains, zr)]))
    rows = [torch.cat([x[k:k+1], line(z)]) for k,z in enumerate(zx)]
    show_grid([torch.cat([torch.ones_like(r[:1]), r]), *rows], size=1.9, save=o.out/'grid.png')

@torch.no_grad()
def main():
    o,times = options(),{}
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    o.out.mkdir(parents=True, exist_ok=True)
    codec = Latents('tiny') if o.world else Latents(str(o.weights/o.codec))
    if o.run is None:
        o.run = o.out/'run'
        with torch.enable_grad(): times |= train(o, codec)
    t,start = load_run(o.run, device='cpu'),time.perf_counter()
    net = squeeze_from(o.weights/'squeezenet_lpips')
    data = Data(o, codec, t, net)
    share = probe_of(o, data)
    tables = tables_of(o, data, share, net)
    rows = summary(o, data, share, tables, codec, t, net)
    for k,m in tables.items(): print(f'\n{k}\n{m}')
    times['measure_s'] = time.perf_counter()-start
    print(f'\n{rows}\n\n' + '  '.join(f'{k} {v:.0f}' for k,v in times.items()))
    result = dict(tables={k: list(m) for k,m in tables.items()}, rows=list(rows), times=times)
    (o.out/'tables.json').write_text(json.dumps(result, indent=1)+'\n')
    draw(o, data, codec, t)

if __name__ == '__main__': main()

"""Real pictures: train a method for some minutes, translate the test split, and print its row between the yardsticks.

    python bench/real_quality.py --data DATA --weights WEIGHTS --identity             # only the yardsticks
    python bench/real_quality.py --data DATA --weights WEIGHTS --minutes 20           # train, translate, measure
    python bench/real_quality.py --data DATA --weights WEIGHTS --run RUN              # measure a run that exists

DATA/<domain>/{train,test}/ holds pictures; WEIGHTS/<codec>/ an autoencoder, WEIGHTS/squeezenet_lpips/ the judge's net
(`latent_style fetch squeeze --out WEIGHTS/squeezenet_lpips` brings it).
"""
import os
THREADS = dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='2')
for k,v in THREADS.items(): os.environ.setdefault(k, v)  # read once, by the import of torch
import argparse, json, tempfile, time
from pathlib import Path
import torch
from latent_style.autoencoders import Latents
from latent_style.compare import Judge, same_columns
from latent_style.data import show_grid
from latent_style.encoding import encode_folder
from latent_style.crowds import nearest_real
from latent_style.eval import as_pictures, features_of, picture_files
from latent_style.features import squeeze_from
from latent_style.method import module_of

# methods, and the options of `translate` to compare
WAYS = dict(cyclegan={'': {}}, stargan={'': {}},
            otcfm={'direct': dict(mode='direct'), 'inversion': dict(mode='inversion')})

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, required=True, help='folder with <domain>/train and <domain>/test')
    p.add_argument('--weights', type=Path, required=True, help='folder with the codec and squeezenet_lpips')
    p.add_argument('--codec', default='taesd', help='folder under --weights')
    p.add_argument('--method', default='cyclegan', choices=list(WAYS))
    p.add_argument('--src', default='photo')
    p.add_argument('--trg', default='monet')
    p.add_argument('--minutes', type=float, default=20, help='training time')
    p.add_argument('--steps', type=int, help='so many steps instead of as many as fit into --minutes')
    p.add_argument('--preset', default='laptop')
    p.add_argument('--size', type=int, default=256, help='side of the pictures in pixels')
    p.add_argument('--set', nargs='*', default=[], metavar='KEY=VALUE', help='more options of train (values as JSON)')
    p.add_argument('--run', type=Path, help='evaluate this run instead of training')
    p.add_argument('--identity', action='store_true', help='only the rows that need no method')
    p.add_argument('--store', type=Path, help='folder for the latents of the train splits; kept, and used again')
    p.add_argument('--out', type=Path, default=Path('runs/real_quality'), help='gets tables, grid.png, run/')
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

def split(o, domain, part):
    "The folder of one domain's train or test pictures"
    path = o.data/domain/part
    if path.is_dir(): return path
    known = ', '.join(sorted(p.name for p in o.data.iterdir() if p.is_dir()))
    raise SystemExit(f'{path} is missing; domains in {o.data}: {known}')

def value(text):
    try: return json.loads(text)
    except json.JSONDecodeError: return text

def linked(folders, path): # domain -> folder of its pictures; a new folder
    "A folder with a folder of links for each domain"
    for domain,folder in folders.items():
        (path/domain).mkdir(parents=True)
        for i,f in enumerate(picture_files(folder)): (path/domain/f'{i:06d}{f.suffix}').symlink_to(f.resolve())
    return path

def fitting_steps(o, go, path):
    "So many steps fit into the minutes"
    run = go(path, n_steps=60, log_every=30, sample_every=1000, progress=False)      # the second half, after warm-up
    n_steps = int(60*o.minutes*run.row['samples_per_sec']/run.batch_size)
    print(f'{n_steps} steps fit into {o.minutes:g} minutes')
    return n_steps

def train(o, codec, path):
    "Encode both train splits into a temporary store and train there"
    method,domains = module_of(o.method),(o.src,o.trg)
    extra = {k: value(v) for k,v in (s.split('=', 1) for s in o.set)}
    with tempfile.TemporaryDirectory() as d:
        store,start = o.store or Path(d)/'store',time.perf_counter()
        pictures = linked({k: split(o, k, 'train') for k in domains}, Path(d)/'pictures')
        encode_folder(pictures, store, codec=codec, size=o.size)
        encode_s = time.perf_counter()-start
        common = dict(domains=domains, preset=o.preset, seed=o.seed, **extra)
        def go(path, **kw): return method.train(store, path=path, **common, **kw)
        n_steps = o.steps or fitting_steps(o, go, Path(d)/'speed')
        wall,cpu,tenth = time.perf_counter(),time.process_time(),max(1, n_steps//10)
        go(path, n_steps=n_steps, sample_every=tenth, ckpt_every=tenth)
        return dict(encode_s=encode_s, train_s=time.perf_counter()-wall, train_cpu_s=time.process_time()-cpu)

def translations(o, codec, source, times):
    "Name -> translated pictures, after training where there is no run yet"
    if o.identity: return {}
    run = o.run or o.out/'run'
    if o.run is None: times |= train(o, codec, run)
    start,m = time.perf_counter(),module_of(o.method)
    def go(how): return as_pictures(m.translate(run, source, to=o.trg, device='cpu', **how))
    out = {f'{o.method} {k}'.strip(): go(how) for k,how in WAYS[o.method].items()}
    times['translate_s'] = time.perf_counter()-start
    return out

def write(o, table, times):
    "table.json and table.md"
    keys = ('src','trg','codec','size','method','preset','minutes','seed','threads')
    about = {k: getattr(o, k) for k in keys} | (dict(method=None) if o.identity else {})
    (o.out/'table.json').write_text(json.dumps(dict(about, times=times, rows=list(table)), indent=1)+'\n')
    table.save(o.out/'table.md')

def main():
    o,start,times = options(),time.perf_counter(),{}
    torch.set_num_threads(o.threads)
    o.out.mkdir(parents=True, exist_ok=True)
    codec,net = Latents(str(o.weights/o.codec)),squeeze_from(o.weights/'squeezenet_lpips')
    parts = ((o.src,'test'),(o.trg,'test'),(o.trg,'train'))
    source,target,real = [as_pictures(split(o, *p), o.size) for p in parts]
    translated,measured = translations(o, codec, source, times),time.perf_counter()
    judge = Judge(source, target, net, codec=codec, spare=real, seed=o.seed)
    table = same_columns([judge.row(k, v)[0] for k,v in translated.items()] + judge.yardsticks())
    times['measure_s'] = time.perf_counter()-measured
    print(f'\n{o.src} -> {o.trg}, {o.codec}, SqueezeNet features, against {len(target)} test pictures of {o.trg}')
    print(f'\n{table}\n')
    print('  '.join(f'{k} {v:.1f}' for k,v in (times | dict(total_s=time.perf_counter()-start)).items()))
    write(o, table, times)
    fakes,known = next(iter(translated.values()), source),torch.cat([target,real])
    i = torch.linspace(0, len(source)-1, min(8, len(source))).long()
    near = nearest_real(features_of(net, fakes[i]), features_of(net, known))[:,0]
    show_grid([source[i], *[p[i] for p in translated.values()], known[near]],
              rows=['source', *translated, 'nearest real'], save=o.out/'grid.png')
    print(f'wrote {o.out}/table.json, table.md, grid.png')

if __name__ == '__main__': main()

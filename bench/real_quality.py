"""Real pictures: train a method for some minutes, translate the test split, and print its row between the yardsticks.

    python bench/real_quality.py --data DATA --weights WEIGHTS --identity             # only the yardsticks
    python bench/real_quality.py --data DATA --weights WEIGHTS --minutes 20           # train, translate, measure
    python bench/real_quality.py --data DATA --weights WEIGHTS --run RUN              # measure a run that exists

DATA/<domain>/{train,test}/ holds pictures; WEIGHTS/<codec>/ an autoencoder, WEIGHTS/squeezenet_lpips/ the measuring net.
"""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='2').items(): os.environ.setdefault(k, v)  # read once, by the import of torch
import argparse, importlib, json, tempfile, time
from pathlib import Path
import torch
from latent_style.data import Latents, show_grid
from latent_style.eval import SqueezeFeatures, as_pictures, features_of, nearest, picture_files, report_rows

WAYS = dict(cyclegan={'': {}}, stargan={'': {}}, otcfm={'direct': dict(mode='direct'), 'inversion': dict(mode='inversion')})  # methods, and the options of `translate` to compare

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, required=True, help='folder with <domain>/train and <domain>/test')
    p.add_argument('--weights', type=Path, required=True, help='folder with the codec and squeezenet_lpips')
    p.add_argument('--codec', default='taesd', help='folder under --weights')
    p.add_argument('--method', default='cyclegan', choices=list(WAYS))
    p.add_argument('--src', default='photo'); p.add_argument('--trg', default='monet')
    p.add_argument('--minutes', type=float, default=20, help='training time')
    p.add_argument('--steps', type=int, help='so many steps instead of as many as fit into --minutes')
    p.add_argument('--preset', default='laptop')
    p.add_argument('--size', type=int, default=256, help='side of the pictures in pixels')
    p.add_argument('--set', nargs='*', default=[], metavar='KEY=VALUE', help='more options of train (values as JSON)')
    p.add_argument('--run', type=Path, help='evaluate this run instead of training')
    p.add_argument('--identity', action='store_true', help='only the rows that need no method')
    p.add_argument('--out', type=Path, default=Path('runs/real_quality'), help='gets table.json, table.md, grid.png, run/')
    p.add_argument('--threads', type=int, default=2); p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

def split(o, domain, part):
    "The folder of one domain's train or test pictures"
    path = o.data/domain/part
    if not path.is_dir(): raise SystemExit(f'{path} is missing; domains in {o.data}: {", ".join(sorted(p.name for p in o.data.iterdir() if p.is_dir()))}')
    return path

def value(text):
    try: return json.loads(text)
    except json.JSONDecodeError: return text

def train(o, codec, run):
    "Encode both train splits into a temporary store and train there"
    from latent_style.data import encode_folder
    method,extra = importlib.import_module(f'latent_style.{o.method}'),{k: value(v) for k,v in (s.split('=', 1) for s in o.set)}
    with tempfile.TemporaryDirectory() as d:
        for dom in (o.src,o.trg):
            (pics := Path(d)/'pictures'/dom).mkdir(parents=True)
            for f in picture_files(split(o, dom, 'train')): (pics/f.name).symlink_to(f.resolve())
        t = time.perf_counter(); encode_folder(Path(d)/'pictures', Path(d)/'store', codec=codec, size=o.size)
        enc,t,cpu = time.perf_counter()-t,time.perf_counter(),time.process_time()
        go = lambda path,**kw: method.train(Path(d)/'store', path=path, domains=(o.src,o.trg), preset=o.preset, seed=o.seed, **extra, **kw)
        n_steps = o.steps
        if not n_steps:
            speed = go(Path(d)/'speed', n_steps=60, log_every=30, sample_every=1000, progress=False)      # the second half, after warm-up
            n_steps = int(60*o.minutes*speed.row['samples_per_sec']/speed.batch_size); print(f'{n_steps} steps fit into {o.minutes:g} minutes')
        t,cpu = time.perf_counter(),time.process_time()
        go(run, n_steps=n_steps, sample_every=max(1, n_steps//10), ckpt_every=max(1, n_steps//10))
        return dict(encode_s=enc, train_s=time.perf_counter()-t, train_cpu_s=time.process_time()-cpu)

def main():
    o = options(); torch.set_num_threads(o.threads); o.out.mkdir(parents=True, exist_ok=True)
    t0,times = time.perf_counter(),{}
    codec,net = Latents(str(o.weights/o.codec)),SqueezeFeatures(o.weights/'squeezenet_lpips')
    source,target,real = [as_pictures(split(o, *p), o.size) for p in ((o.src,'test'),(o.trg,'test'),(o.trg,'train'))]
    translated = {}
    if not o.identity:
        run = o.run or o.out/'run'
        if o.run is None: times |= train(o, codec, run)
        t = time.perf_counter()
        m = importlib.import_module(f'latent_style.{o.method}')
        translated = {f'{o.method} {k}'.strip(): as_pictures(m.translate(run, source, to=o.trg, device='cpu', **how)) for k,how in WAYS[o.method].items()}
        times['translate_s'] = time.perf_counter()-t
    t = time.perf_counter(); table = report_rows(source, translated, target, net, codec, real, seed=o.seed); times['measure_s'] = time.perf_counter()-t
    print(f'\n{o.src} -> {o.trg}, {o.codec}, SqueezeNet features, against {len(target)} test pictures of {o.trg}\n\n{table}\n')
    print('  '.join(f'{k} {v:.1f}' for k,v in (times | dict(total_s=time.perf_counter()-t0)).items()))
    about = dict(src=o.src, trg=o.trg, codec=o.codec, size=o.size, method=None if o.identity else o.method, preset=o.preset, minutes=o.minutes, seed=o.seed, threads=o.threads)
    (o.out/'table.json').write_text(json.dumps(dict(about, times=times, rows=list(table)), indent=1)+'\n'); table.save(o.out/'table.md')
    fakes = next(iter(translated.values()), source)
    i = torch.linspace(0, len(source)-1, min(8, len(source))).long()
    near = nearest(features_of(net, fakes[i]), features_of(net, torch.cat([target,real])))[:,0]
    show_grid([source[i], *[p[i] for p in translated.values()], torch.cat([target,real])[near]], rows=['source', *translated, 'nearest real'], save=o.out/'grid.png')
    print(f'wrote {o.out}/table.json, table.md, grid.png')

if __name__ == '__main__': main()

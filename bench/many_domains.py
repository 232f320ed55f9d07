"""What grows with the number of domains? Seconds and peak memory of each part of a run, for 10, 100 and 1000 domains.

    python bench/many_domains.py                          all parts
    python bench/many_domains.py 10 100 --parts buffer    these numbers of domains, this part

Every domain is four latents (4,8,8); each part runs in a process of its own, and its memory is what it took at most
above what was there before. A last table has KID, coverage and Fréchet distance of two crowds, by their size."""
import os
for k,v in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(k, v)
import argparse, tempfile, time, warnings
from pathlib import Path
from types import SimpleNamespace
import torch
from latent_style import company, otcfm, pairing, stargan_step as stargan
from latent_style.autoencoders import load_codec
from latent_style.data import generator
from latent_style.crowds import frechet_distance, kid
from latent_style.eval import RandomFeatures, Table
from latent_style.health import look
from latent_style.matrix import matrix
from latent_style.metrics import prdc
from latent_style.repaint import amounts_in
from latent_style.store import Entry, multidomain_plan, open_store, write_domain

CODEC = load_codec('tiny')

def write_store(folder, n):
    "A store of `n` small domains"
    info = dict(codec=CODEC.spec(), scale=CODEC.scale, shift=CODEC.shift)
    for i,z in enumerate(torch.randn(n, 4, 4, 8, 8, generator=generator(0, n, 'domains'))):
        entries = [Entry(dict(name=f'{k}.png'), tuple(x.shape), lambda x=x: x) for k,x in enumerate(z)]
        write_domain(folder/f'd{i:04d}', entries, info)

def put(x): return x

def nets_of(store): return SimpleNamespace(**stargan.networks(len(store), width=16, n_blocks=1, w_enc=8, ndf=8))

# The parts: functions of the folder of a store and of the open store; what is prepared is not measured

def opening(folder, store): return lambda: open_store(folder)

def detail(folder, store): return lambda: [amounts_in(d) for d in store]

def game_plan(folder, store): return lambda: [multidomain_plan(store.sizes, 16, 0, i) for i in range(100)]

def aimed_plan(folder, store): return lambda: [company.aimed_plan(store.sizes, 16, 4, 0, i) for i in range(100)]

def game_batches(folder, store):
    get = stargan.batches(store, 16)
    def learner(i): return SimpleNamespace(i=i, rank=0, world=1, put=put, rng=lambda s: generator(0, i, s))
    return lambda: [get(learner(i)) for i in range(100)]

def buffer(folder, store):
    make = pairing.buffers(store, 512, 'direct', 'exact', 1, 0, 1., None, 8).make
    return lambda: make(3)

def health(folder, store):
    nets = nets_of(store)
    return lambda: look(nets, list(store), 6, 0, put)

def sheet(folder, store):
    V = otcfm.networks(len(store), dim=16, n_blocks=1, n_s=8)['V'].eval()
    o = SimpleNamespace(domains=store.domains, gain=1., n_samples=4, ema=0, mode='direct')
    return lambda: otcfm.sample_grid(SimpleNamespace(n=SimpleNamespace(V=V), codec=CODEC, put=put), o, store)

def heads(folder, store):
    nets,y = nets_of(store),torch.arange(16) % len(store)
    x,z = store.take(y, torch.zeros_like(y)),torch.randn(16, 16)
    def step():
        with torch.enable_grad(): (nets.F(z, y).sum()+nets.E(x, y).sum()+nets.D(x, y).sum()).backward()
    return step

def directions(folder, store):
    g = generator(0, 0, 'pictures')
    pics = {d: torch.rand(4, 3, 32, 32, generator=g)*2-1 for d in store.domains}
    return lambda: matrix(lambda x, a, b: x, pics, RandomFeatures(8), most=4)

PARTS = dict(opening=('open a store', opening), detail=('detail of every domain, once a run', detail),
             plan=('100 plans of a game', game_plan), aimed=('100 plans, 4 targets a step', aimed_plan),
             batches=('100 batches of a game', game_batches), buffer=('a buffer of direct flows, 512 rows', buffer),
             health=('a look at the health', health), sheet=('a sheet of a flow', sheet),
             heads=('heads of F, E and D, forth and back', heads), directions=('matrix, 4 domains of all', directions))

def own_peak():
    "Bytes that this process held at most since `forget_peak`"
    lines = dict(line.split(':') for line in Path('/proc/self/status').read_text().splitlines() if ':' in line)
    return 1024*int(lines['VmHWM'].split()[0])

def forget_peak(): Path('/proc/self/clear_refs').write_text('5')

def measured(part, *args):
    "Seconds and MB of a part, in a process of its own"
    seen,tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        with os.fdopen(seen) as f: told = f.read()
        return tuple(map(float, told.split())) if os.waitpid(child, 0)[1] == 0 else (None,None)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            run = part(*args)
            forget_peak()
            before,start = own_peak(),time.perf_counter()
            run()
            os.write(tell, f'{time.perf_counter()-start} {(own_peak()-before)/2**20}'.encode())
        os._exit(0)
    finally: os._exit(1)

def crowds(n, d):
    "KID, neighbours and Fréchet distance of two crowds"
    a,b = (torch.randn(n, d, generator=generator(0, k, 'crowd')) for k in (0,1))
    return dict(KID=lambda: lambda: kid(a, b), neighbours=lambda: lambda: prdc(a, b),
                frechet=lambda: lambda: frechet_distance(a, b, warn=False))

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('numbers', nargs='*', type=int, default=[10,100,1000])
    p.add_argument('--parts', nargs='+', default=[*PARTS,'crowds'], choices=[*PARTS,'crowds'])
    p.add_argument('--crowds', nargs='+', type=int, default=[1000,4000,8000], help='their sizes')
    p.add_argument('--features', type=int, default=64, help='numbers of each picture in a crowd')
    return p.parse_args()

def main():
    o,found = options(),{k: {} for k in PARTS}
    for n in o.numbers:
        with tempfile.TemporaryDirectory() as folder:
            write_store(Path(folder), n)
            store = open_store(folder)
            for k in o.parts:
                if k in PARTS: found[k][n] = measured(PARTS[k][1], folder, store)
    def row(k): return {f'{n}: {what}': v for n in o.numbers for what,v in zip(('s','MB'), found[k][n])}
    print(Table(dict(part=PARTS[k][0], **row(k)) for k in o.parts if k in PARTS))
    if 'crowds' not in o.parts: return
    rows = [(n, {k: measured(f) for k,f in crowds(n, o.features).items()}) for n in o.crowds]
    print('\n', Table(dict(pictures=n, **{f'{k}: {what}': v for k,vs in r.items() for what,v in zip(('s','MB'), vs)})
                      for n,r in rows), sep='')

if __name__ == '__main__': main()

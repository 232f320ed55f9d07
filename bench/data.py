"""Batches per second: the latent store and its plan, against one file per sample through a DataLoader

    python bench/data.py [--n 2000] [--batch 8] [--seconds 2]

Seconds and memory of opening, planning and fetching in stores of many latents, whose shards are files without contents:

    python bench/data.py --scale 10000,1000000,10000000 [--batch 8]
"""
import argparse, json, math, subprocess, sys, tempfile, time
from pathlib import Path
import torch
from torch.utils.data import DataLoader, TensorDataset
from latent_style.data import generator
from latent_style.disk import write_json
from latent_style.identity import digest, fingerprint, identity
from latent_style.samples import write_samples
from latent_style.store import (SD15, STORE_FORMAT, multidomain_plan, open_store, pack_latents,
    unpaired_plan)

class Files(torch.utils.data.Dataset):
    "One `torch.load` per sample, the usual way"
    def __init__(self, folder): self.files = sorted(folder.glob('*.pt'))
    def __len__(self): return len(self.files)
    def __getitem__(self, i): return torch.load(self.files[i], weights_only=True).float()

def endless(data, batch):
    "Batches of a data set, epoch after epoch"
    loader = DataLoader(data, batch, shuffle=True, drop_last=True)
    while True: yield from loader

def rate(f, per_call, seconds):
    "Latents per second, batches per second, CPU seconds per wall second (below 1 on a busy machine)"
    for i in range(50): f(i)
    start,cpu,n = time.perf_counter(),time.process_time(),0
    while time.perf_counter()-start < seconds:
        for _ in range(20):
            f(n)
            n += 1
    wall = time.perf_counter()-start
    return n*per_call/wall, n/wall, (time.process_time()-cpu)/wall

def make_files(root, n, shape):
    "Two domains of single files"
    for d in 'ab':
        (root/d).mkdir(parents=True)
        for i in range(n): torch.save(torch.randn(shape, generator=generator(0, i, d)).half(), root/d/f'{i:05d}.pt')

def loader_rates(root, batch, seconds):
    "What a DataLoader reaches, from files and from memory"
    a,b = (endless(Files(root/d), batch) for d in 'ab')
    files = sorted((root/'a').glob('*.pt'))
    memory = TensorDataset(torch.stack([torch.load(f, weights_only=True).float() for f in files]))
    rows = endless(memory, batch)
    return {'one torch.load per sample, DataLoader': rate(lambda i: (next(a), next(b)), 2*batch, seconds),
            'DataLoader over a tensor in memory': rate(lambda i: next(rows), batch, seconds)}

def store_rates(store, what, batch, seconds):
    "What the store reaches"
    a,b = store['a'],store['b']
    def pair(i):
        i_a,i_b = unpaired_plan(len(a), len(b), batch, 0, i)
        return a.take(i_a), b.take(i_b)
    def mixed(i):
        y_src,y_trg,i_src,i_trg = multidomain_plan(store.sizes, batch, 0, i)
        return store.take(y_src, i_src), store.take(y_trg, i_trg)
    rates = {f'store, {what}: plan + two domains': rate(pair, 2*batch, seconds)}
    if what != 'resident': return rates
    rows = torch.randint(len(a), (batch,))
    return rates | {f'store, {what}: multi-domain plan + gather': rate(mixed, 2*batch, seconds),
                    f'store, {what}: gather alone': rate(lambda i: a.take(rows), batch, seconds)}

def main(n=2000, batch=8, seconds=2., shape=(4,32,32)):
    with tempfile.TemporaryDirectory() as tmp:
        files,packed = Path(tmp)/'files',Path(tmp)/'store'
        make_files(files, n, shape)
        pack_latents(files, packed, SD15, scaled=True, progress=False)
        res = loader_rates(files, batch, seconds)
        res |= store_rates(open_store(packed), 'mapped file', batch, seconds)
        res |= store_rates(open_store(packed, device='cpu'), 'resident', batch, seconds)
    base,_,busy = res['one torch.load per sample, DataLoader']
    print(f'{n} latents {"x".join(map(str, shape))} per domain, batch {batch}, {torch.get_num_threads()} threads')
    print(f'{"":48}{"latents/s":>12}{"batches/s":>12}{"ratio":>9}{"per CPU s":>12}{"ratio":>9}')
    for k,(latents,batches,cpu) in res.items():
        per_cpu = latents/cpu
        print(f'{k:48}{latents:12,.0f}{batches:12,.0f}{latents/base:8.1f}x{per_cpu:12,.0f}{per_cpu*busy/base:8.1f}x')
    return {k:v[0]/base for k,v in res.items()}

# Many latents

def hollow_shard(file, shape):
    "A shard of half-precision zeros that takes no room on the disk; what the index says of it"
    n_bytes = math.prod(shape)*2
    header = json.dumps(dict(latents=dict(dtype='F16', shape=shape, data_offsets=[0,n_bytes]))).encode()
    header += b' '*(-len(header)%8)
    with open(file, 'wb') as f:
        f.write(len(header).to_bytes(8, 'little')+header)
        f.truncate(8+len(header)+n_bytes)
    zeros = fingerprint(torch.zeros(1, *shape[1:], dtype=torch.float16))
    return dict(file=file.name, shape=shape, sha256='0'*64, fingerprint=zeros)

def hollow_store(root, n, shape=(4,32,32), shard_mb=256):
    "Two domains of `n` latents each, with all their names"
    per = int(shard_mb*2**20/(math.prod(shape)*2))
    for d in 'ab':
        (root/d).mkdir(parents=True)
        sizes = [min(per, n-i) for i in range(0, n, per)]
        files = [root/d/f'latents-{k:05d}-of-{len(sizes):05d}.safetensors' for k in range(len(sizes))]
        shards = [hollow_shard(file, [size,*shape]) for file,size in zip(files, sizes)]
        records = (dict(name=f'{i:08d}.jpg', sha256=f'{i:064x}', size=[256,256]) for i in range(n))
        write_samples(root/d/'samples.sqlite', records)
        index = dict(format=STORE_FORMAT, codec=SD15, scale=SD15['scale'], shift=0., dtype='float16', shards=shards)
        write_json(root/d/'index.json', index | dict(digest=digest(index)))

def peak(): return int(next(s for s in open('/proc/self/status') if s.startswith('VmHWM')).split()[1])/1024

def timed(out, what, f, times=1):
    "Seconds of one call of `f(i)` among `times`, and by how many MB the most memory so far has grown"
    before,start = peak(),time.perf_counter()
    for i in range(times): res = f(i)
    out[what] = (time.perf_counter()-start)/times,peak()-before
    return res

def look(root, batch):
    "What a training does with a store, each with its time and memory"
    out = {}
    store = timed(out, 'open', lambda i: open_store(root))
    timed(out, 'identity', lambda i: identity(store, root))
    a,b = store
    rows = timed(out, 'first plan of two domains', lambda i: unpaired_plan(len(a), len(b), batch, 0, i))
    timed(out, 'plan of two domains', lambda i: unpaired_plan(len(a), len(b), batch, 0, i), 500)
    timed(out, 'plan of many domains', lambda i: multidomain_plan(store.sizes, batch, 0, i), 500)
    timed(out, 'fetch two domains', lambda i: (a.take(rows[0]), b.take(rows[1])), 200)
    def mixed(i):
        y,_,rows,_ = multidomain_plan(store.sizes, batch, 0, i)
        store.take(y, rows)
    timed(out, 'plan and fetch a mixed batch', mixed, 200)
    timed(out, 'one name', lambda i: a.names[-1])
    few = timed(out, 'open 20 of each domain', lambda i: open_store(root, max_samples=20))
    timed(out, 'names of these', lambda i: list(few['a'].names))
    return out

def scale(sizes, batch=8):
    "The table of `look` for stores of several sizes, each in a process of its own"
    found = {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as tmp:
            hollow_store(Path(tmp), n)
            index = (Path(tmp)/'a'/'index.json').stat().st_size
            words = [sys.executable, __file__, '--look', tmp, '--batch', str(batch)]
            found[n] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            print(f'{n:,} latents in each of two domains; index.json has {index/1024:.0f} KB', flush=True)
    print(f'{"":32}' + ''.join(f'{f"{n:,}":>24}' for n in sizes))
    for what in found[sizes[0]]:
        cells = [(1000*seconds,mb) for seconds,mb in (o[what] for o in found.values())]
        print(f'{what:32}' + ''.join(f'{ms:15.3f} ms {mb:3.0f} MB' for ms,mb in cells))
    return found

if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--n', type=int, default=2000)
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--seconds', type=float, default=2.)
    p.add_argument('--scale')
    p.add_argument('--look', help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.look: print(json.dumps(look(o.look, o.batch)))
    elif o.scale: scale([int(n) for n in o.scale.split(',')], o.batch)
    else: main(o.n, o.batch, o.seconds)

"""Batches per second: the latent store and its plan, against one file per sample through a DataLoader

    python bench/data.py [--n 2000] [--batch 8] [--seconds 2]
"""
import argparse, tempfile, time
from pathlib import Path
import torch
from torch.utils.data import DataLoader, TensorDataset
from latent_style.data import generator
from latent_style.store import SD15, multidomain_plan, open_store, pack_latents, unpaired_plan

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
    memory = TensorDataset(torch.stack([torch.load(f).float() for f in sorted((root/'a').glob('*.pt'))]))
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

if __name__ == '__main__':
    p = argparse.ArgumentParser()
    p.add_argument('--n', type=int, default=2000)
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--seconds', type=float, default=2.)
    main(**vars(p.parse_args()))

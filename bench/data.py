"""Batches per second: the latent store and its plan, against one file per sample through a DataLoader

    python bench/data.py [--n 2000] [--batch 8] [--seconds 2]
"""
import argparse, tempfile, time
from pathlib import Path
import torch
from latent_style.data import SD15, generator, multidomain_plan, open_store, pack_latents, unpaired_plan

class Files(torch.utils.data.Dataset):
    "One `torch.load` per sample, the usual way"
    def __init__(self, folder): self.files = sorted(folder.glob('*.pt'))
    def __len__(self): return len(self.files)
    def __getitem__(self, i): return torch.load(self.files[i], weights_only=True).float()

def endless(dl):
    while True: yield from dl

def rate(f, per_call, seconds):
    "Latents per second, batches per second, CPU seconds per wall second (below 1 on a busy machine)"
    for i in range(50): f(i)
    t,c,n = time.perf_counter(),time.process_time(),0
    while time.perf_counter()-t < seconds:
        for _ in range(20): f(n); n += 1
    w = time.perf_counter()-t
    return n*per_call/w, n/w, (time.process_time()-c)/w

def main(n=2000, batch=8, seconds=2., shape=(4,32,32)):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for d in 'ab':
            (tmp/'files'/d).mkdir(parents=True)
            for i in range(n): torch.save(torch.randn(shape, generator=generator(0, i, d)).half(), tmp/'files'/d/f'{i:05d}.pt')
        pack_latents(tmp/'files', tmp/'store', SD15, scaled=True, progress=False)
        a,b = (iter(endless(torch.utils.data.DataLoader(Files(tmp/'files'/d), batch, shuffle=True, drop_last=True))) for d in 'ab')
        res = {'one torch.load per sample, DataLoader': rate(lambda i: (next(a), next(b)), 2*batch, seconds)}
        mem = torch.utils.data.TensorDataset(torch.cat([torch.load(f).float()[None] for f in sorted((tmp/'files'/'a').glob('*.pt'))]))
        m = iter(endless(torch.utils.data.DataLoader(mem, batch, shuffle=True, drop_last=True)))
        res['DataLoader over a tensor in memory'] = rate(lambda i: next(m), batch, seconds)
        for what,s in [('mapped file', open_store(tmp/'store')), ('resident', open_store(tmp/'store', device='cpu'))]:
            A,B = s['a'],s['b']
            def pair(i):
                ia,ib = unpaired_plan(len(A), len(B), batch, 0, i)
                return A.take(ia), B.take(ib)
            def mixed(i):
                y,yt,k,kt = multidomain_plan(s.sizes, batch, 0, i)
                return s.take(y, k), s.take(yt, kt)
            res[f'store, {what}: plan + two domains'] = rate(pair, 2*batch, seconds)
            if what == 'resident':
                idx = torch.randint(len(A), (batch,))
                res[f'store, {what}: multi-domain plan + gather'] = rate(mixed, 2*batch, seconds)
                res[f'store, {what}: gather alone'] = rate(lambda i: A.take(idx), batch, seconds)
    base,_,c = res['one torch.load per sample, DataLoader']; cpu = base/c
    print(f'{n} latents {"x".join(map(str, shape))} per domain, batch {batch}, {torch.get_num_threads()} threads')
    print(f'{"":48}{"latents/s":>12}{"batches/s":>12}{"ratio":>9}{"per CPU s":>12}{"ratio":>9}')
    for k,(r,bs,c) in res.items(): print(f'{k:48}{r:12,.0f}{bs:12,.0f}{r/base:8.1f}x{r/c:12,.0f}{r/c/cpu:8.1f}x')
    return {k:v[0]/base for k,v in res.items()}

if __name__ == '__main__':
    p = argparse.ArgumentParser(); p.add_argument('--n', type=int, default=2000); p.add_argument('--batch', type=int, default=8); p.add_argument('--seconds', type=float, default=2.)
    main(**vars(p.parse_args()))

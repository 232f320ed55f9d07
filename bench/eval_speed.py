"""Seconds for the Fréchet distance and KID, ours beside clean-fid's, on the same features in one process.

    python bench/eval_speed.py [--n 200] [--d 2048] [--large]     # --large adds N=2000 (clean-fid's part takes minutes)
"""
import os
THREADS = dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='2', OPENBLAS_NUM_THREADS='2')
for k,v in THREADS.items(): os.environ.setdefault(k, v)
import argparse, time
import numpy as np, torch
from cleanfid.fid import frechet_distance as clean_frechet, kernel_distance as clean_kernel
from latent_style.crowds import frechet_distance, kid

def timed(f, repeat=1):
    "Result, and the least wall and CPU seconds of a call"
    best = []
    for _ in range(repeat):
        wall,cpu = time.perf_counter(),time.process_time()
        result = f()
        best.append((time.perf_counter()-wall, time.process_time()-cpu))
    return result,*min(best)

def clean_fid(a, b):
    "As clean-fid does it from features: mean, covariance, matrix root"
    return clean_frechet(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))

def rows(n, d, repeat):
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(d, d, generator=g)/d**.5
    f1,f2 = [(torch.randn(n, d, generator=g)@mix+s).relu().double() for s in (0,.1)]
    a,b = f1.numpy(),f2.numpy()
    np.random.seed(0)
    pairs = dict(frechet=(lambda: frechet_distance(f1, f2, warn=False), lambda: clean_fid(a, b)),
                 kid=(lambda: kid(f1, f2, subset_size=n)['kid'], lambda: clean_kernel(a, b, 100, n)))
    for name,(ours,theirs) in pairs.items():
        (value,wall,cpu),(value2,wall2,cpu2) = timed(ours, repeat),timed(theirs)
        yield dict(metric=name, n=n, d=d, ours_s=wall, clean_fid_s=wall2, ratio=wall2/wall, ours_cpu_s=cpu,
                   clean_fid_cpu_s=cpu2, cpu_ratio=cpu2/cpu, relative_difference=abs(value-value2)/abs(value2))

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=200)
    p.add_argument('--d', type=int, default=2048)
    p.add_argument('--large', action='store_true')
    p.add_argument('--repeat', type=int, default=3)
    p.add_argument('--threads', type=int, default=2)
    return p.parse_args()

if __name__ == '__main__':
    o = options()
    torch.set_num_threads(o.threads)
    for n in (o.n,2000) if o.large else (o.n,):
        for r in rows(n, o.d, o.repeat):
            print(', '.join(f'{k} {v:.4g}' if isinstance(v, float) else f'{k} {v}' for k,v in r.items()), flush=True)

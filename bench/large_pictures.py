"""Large pictures: do the pieces meet, and what do they cost?

    python bench/large_pictures.py                      both tables
    python bench/large_pictures.py --runs FOLDER        keep the three small runs of the second one there

The first table translates 2,048 x 3,072 pixels with networks of the default widths and fresh weights, from picture to
picture, each in a process of its own on one thread: seconds, and the peak of the process's memory.

The second one trains a small generator of each method on painted pictures for about a minute and translates pictures
of 2,048 x 1,024 and of 6,400 x 4,096 pixels, a land under a sky that both grow brighter to the right. It says by how
much the means of 64 x 64 pixels differ, at most and in steps of 255, from those of the picture translated whole: with
pieces whose norms know nothing of one another, and as `in_pieces` does it. The large one does not go whole there."""
import os
for name,value in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(name, value)
import argparse, resource, subprocess, sys, tempfile, time
from functools import partial
from pathlib import Path
import torch, torch.nn.functional as F
from latent_style import cyclegan, otcfm, stargan, stargan_step
from latent_style.autoencoders import Latents
from latent_style.encoding import encode_folder
from latent_style.method import load_run
from latent_style.painted import paint_folder
from latent_style.tiles import in_pieces, tiled
from latent_style.translation import translate_pictures

TWO = 'photo','impressionist'
SIDES = (2048,1024), (6400,4096)
SMALL = dict(cyclegan=partial(cyclegan.train, domains=TWO, n_steps=200, ngf=32, n_blocks=3, ndf=32),
             stargan=partial(stargan.train, n_steps=250, width=32, n_blocks=3, batch=8),
             otcfm=partial(otcfm.train, n_steps=300, batch=8, dim=48, n_blocks=4))
WIDE = dict(separable=lambda: cyclegan.networks()['G'],
            dense=lambda: cyclegan.networks(conv='dense', n_blocks=4, residual=False)['G'],
            stargan=lambda: stargan_step.networks(2)['G'], otcfm=lambda: otcfm.networks(2)['V'])

def picture(w, h):
    "Land and sky (3,h,w) in [-1,1], brighter to the right and to the top"
    x,y = torch.linspace(0, 1, w).expand(h, w),torch.linspace(0, 1, h)[:,None].expand(h, w)
    land = torch.stack([.15+.1*x, .2+.1*x, .1+0*x])
    sky = torch.stack([.5*y+.3, .5*y+.5, .9-0*y])
    noise = torch.randn(3, h, w, generator=torch.Generator().manual_seed(0))
    return (torch.where(y > .55, land, sky)*2-1+.08*noise).clamp(-1, 1)

def trained(folder):
    "Translators of a small run of each method"
    paint_folder(folder/'pictures', 20, 0, TWO, 64)
    encode_folder(folder/'pictures'/'train', folder/'latents', size=64, progress=False)
    for name,train in SMALL.items():
        train(folder/'latents', folder/name, preset='laptop', sample_every=0, progress=False)
        yield name,load_run(folder/name, device='cpu')

@torch.no_grad()
def seams(t, pic):
    "How much a translator changes a picture, and the errors of separate pieces and of `in_pieces`"
    z = t.codec.encode(pic)
    def fn(z): return t(z, TWO[1])
    whole = t.codec.decode(fn(z))
    def error(z): return (F.avg_pool2d(t.codec.decode(z)-whole, 64).abs().max()*127.5).item()
    return [(whole-t.codec.decode(z)).abs().mean().item()*127.5, error(tiled(fn, z)), error(in_pieces(fn, z))]

def table(folder):
    "Print the second table"
    print(f'{"largest error of 255":24}{"change":>8}{"apart":>8}{"here":>8}')
    for name,t in trained(folder):
        for w,h in SIDES:
            row = f'{name}, {w:,} x {h:,}'
            print(f'{row:24}', *(f'{v:8.2f}' for v in seams(t, picture(w, h)[None])), sep='', flush=True)

def cost(name):
    "Print a row of the first table"
    net,codec,pic = WIDE[name](),Latents('tiny'),picture(3072, 2048)
    net.eval().requires_grad_(False)
    more = dict(stargan=lambda b: [torch.zeros(b, 64)], otcfm=lambda b: [torch.zeros(b), torch.zeros(b).long()])
    def fn(z): return net(z, *more.get(name, lambda b: [])(len(z)))
    start = time.perf_counter()
    translate_pictures(fn, codec, pic)
    seconds,peak = time.perf_counter()-start,resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20
    print(f'{name:24}{seconds:8.1f}{peak:8.2f}', flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--runs', type=Path, help='folder for the small runs')
    p.add_argument('--cost', choices=WIDE, help='a row of the first table only')
    o = p.parse_args()
    if o.cost: return cost(o.cost)
    print(f'{"2,048 x 3,072 pixels":24}{"seconds":>8}{"GB":>8}', flush=True)
    for name in WIDE: subprocess.run([sys.executable, __file__, '--cost', name], check=True)  # while this one is small
    print()
    with tempfile.TemporaryDirectory() as tmp: table(o.runs or Path(tmp))

if __name__ == '__main__': main()

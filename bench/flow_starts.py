"""Where should a flow start, so that it paints? Direct flows, bridges from noisy starts, a texture term at late times.

    python bench/flow_starts.py WORLD photo impressionist                one row for each way, --steps each

WORLD holds the pictures in test/ and the latents of the training pictures in latents/, see `paint_folder`,
`encode_folder`. All ways train the same network, from the same seed, on the same pairs by exact transport; a bridge
starts at the source's latent and `noise` times as much noise. The texture term compares the end that the velocity
points to with the quantiles of the target's domain, for rows later than `since`."""
import argparse, os, time
for name,value in dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1').items(): os.environ.setdefault(name, value)
from pathlib import Path
from types import SimpleNamespace
import torch
from latent_style.brushwork import texture_of
from latent_style.data import generator
from latent_style.eval import Table, as_pictures, round_trip, truth_score
from latent_style.flows import path_point, solve, time_grid
from latent_style.schedules import cosine
from latent_style.otcfm import PRESETS, SHAPE, networks
from latent_style.pairing import buffers
from latent_style.store import open_store
from latent_style.texture import textures

WAYS = {'direct': {}, 'bridge, noise .3': dict(noise=.3), 'bridge, noise .5': dict(noise=.5),
        'bridge, noise .7': dict(noise=.7), 'bridge, noise .5, texture .5 from .7': dict(noise=.5, tex=.5),
        'direct, texture .5 from .7': dict(tex=.5)}

def averaged(ema, V, i):
    "Move the averages a little towards the weights"
    for a,p in zip(ema, V.parameters()): a.lerp_(p.detach(), 1-min(.998, (1+i)/(10+i)))

def loss_of(V, x0, x1, y, t, texture, o, late):
    "Flow matching, and texture of the ends that the velocity points to, for the rows `late`"
    xt,u = path_point(x0, x1, t)
    with torch.autocast('cpu', torch.bfloat16, enabled=o.bf16): v = V(xt, t, y).float()
    loss = (v-u).square().mean()
    if texture is None or not late.any(): return loss
    return loss+texture((xt+(1-t)[:,None,None,None]*v)[late])

def trained(store, target, o, noise=0., tex=0., since=.7):
    "The average of a velocity that was trained in one way, and CPU minutes"
    began,preset = time.process_time(),PRESETS['laptop']
    torch.manual_seed(o.seed)
    shape = {k: preset[k] for k in SHAPE if k in preset}
    V = networks(len(store), store[0].shape[0], gamma=preset['gamma'], **shape)['V']
    ema,opt = [p.detach().clone() for p in V.parameters()],torch.optim.AdamW(V.parameters(), preset['lr'], (.9,.99))
    rate = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: cosine(i, o.steps, preset['warmup'], .01))
    many = preset['buffer']//o.batch
    rows = buffers(store, many*o.batch, 'direct', 'exact', 1, o.seed, 1., None)
    texture = texture_of(store[target], o) if tex else None
    for i in range(o.steps):
        rng = generator(o.seed, i, 'starts')
        k,j = divmod(i, many)
        x0,x1,y,_ = (v[j*o.batch:(j+1)*o.batch] for v in rows(k))
        x0 = x0+noise*torch.randn(x0.shape, generator=rng)
        t = torch.rand(len(x0), generator=rng)
        judged = (lambda z: tex*texture.some(64, rng)(z)) if tex else None
        loss = loss_of(V, x0, x1, y, t, judged, o, (y == len(store)+target) & (t >= since))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(V.parameters(), 1.)
        opt.step()
        rate.step()
        averaged(ema, V, i)
    for a,p in zip(ema, V.parameters()): p.data.copy_(a)
    return V.eval(),(time.process_time()-began)/60

def row(V, scenes, codec, o, noise, steps, label):
    "Truth and texture with so many midpoint steps"
    x,y,z,floor = scenes
    def v(x, t): return V(x, x.new_full((len(x),), t), torch.full((len(x),), label))
    start = z+noise*torch.randn(z.shape, generator=generator(o.seed, 0, 'hand'))
    with torch.autocast('cpu', torch.bfloat16, enabled=o.bf16): end = solve(v, start, time_grid(steps), 'midpoint')
    made = codec.decode(end.float())
    found = textures(lambda m: m(made), lambda m: m(y), lambda m: m(x), lambda m: m(floor), made.shape[2])
    return dict(calls=2*steps, truth=truth_score(made, y, x, floor, n_boot=2)['score'], texture=found['texture'],
                ps=found['texture_ps'])

def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('world', type=Path)
    p.add_argument('source')
    p.add_argument('target')
    p.add_argument('--steps', type=int, default=600)
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--ways', nargs='+', default=list(WAYS))
    p.add_argument('--fp32', dest='bf16', action='store_false')
    return p.parse_args()

def main():
    o = options()
    torch.set_num_threads(1)
    store = open_store(o.world/'latents', (o.source,o.target))
    told = SimpleNamespace(**vars(o), data=o.world/'latents', gain=1., patch=5, max_samples=None,
                           latents=dict(digests={d.name: d.name for d in store}))
    codec,target = store.codec(),[d.name for d in store].index(o.target)
    x,y = (as_pictures(o.world/'test'/d) for d in (o.source,o.target))
    with torch.no_grad(): scenes = x,y,codec.encode(x),round_trip(codec, y)
    rows = []
    for name in o.ways:
        V,minutes = trained(store, target, told, **WAYS[name])
        with torch.no_grad():
            for steps in (2,8):
                numbers = row(V, scenes, codec, o, WAYS[name].get('noise', 0.), steps, len(store)+target)
                rows.append(dict(way=name, minutes=minutes) | numbers)
                print(Table(rows[-1:]), flush=True)
    print(Table(rows))

if __name__ == '__main__': main()

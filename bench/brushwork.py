"""Truth and texture of translators of the painted world, for manners, seeds and what is left out of the recipe.

    python bench/brushwork.py runs/brushwork                                   photo to four manners, one seed
    python bench/brushwork.py runs/brushwork --to swirl --seeds 0 1 2 --steps 2700
    python bench/brushwork.py runs/brushwork --to impressionist --steps 400 --recipes all --seeds 0 1 2
    python bench/brushwork.py runs/brushwork --set cells=2 w_tex=2

Pictures, latents and runs are kept in the folder; what is there is not made again. One thread a process: the CPU
minutes of the training stand in every row."""
import argparse, os, time
for name,value in dict(OMP_WAIT_POLICY='passive', GOMP_SPINCOUNT='0', OMP_NUM_THREADS='1').items():
    os.environ.setdefault(name, value)
from itertools import product
from pathlib import Path
import torch
from latent_style import cyclegan
from latent_style.data import show_grid
from latent_style.encoding import encode_folder
from latent_style.eval import Table, as_pictures, truth_table
from latent_style.method import load_run
from latent_style.painted import MANNERS, paint_folder

OFF = dict(noise=dict(noise=0), cells=dict(cells=1, w_id=.2), texture=dict(w_tex=0.))
def off(*names): return {k: v for name in names for k,v in OFF[name].items()}
RECIPES = dict(whole={}, and_past=dict(past=12), no_noise=off('noise'), no_cells=off('cells'),
               no_texture=off('texture'), only_noise=off('cells', 'texture'), only_cells=off('noise', 'texture'),
               only_texture=off('noise', 'cells'), none=off(*OFF))

def world(path):
    "Pictures and latents of all manners"
    if not (path/'pictures').exists(): paint_folder(path/'pictures', 240, 16, MANNERS, 256, batch=8)
    encode_folder(path/'pictures/train', path/'latents', progress=False)

def trained(path, run, to, seed, steps, options):
    "CPU minutes of a training; 0 where the run is there already"
    began = time.process_time()
    cyclegan.train(path/'latents', run, ['photo',to], preset='laptop', seed=seed, n_steps=steps, progress=False,
                   sample_every=0, ckpt_every=10**9, device='cpu', **options)
    return (time.process_time()-began)/60

def measured(path, run, to):
    "Numbers of a run, and its first pictures"
    x = {d: as_pictures(path/'pictures/test'/d) for d in ('photo',to)}
    translator = load_run(run, device='cpu')
    made = torch.stack(cyclegan.translate(translator, x['photo'], to))
    show_grid([x['photo'][:6], made[:6], x[to][:6]], rows=['photo',f'as {to}',to], size=2.6, save=f'{run}.png')
    row = truth_table(made, x[to], x['photo'], translator.codec)[-1]
    return {k: row[k] for k in ('score','texture','texture_fine','texture_coarse','texture_ps')}

def setting(text):
    "A name and a number from `name=number`"
    name,_,value = text.partition('=')
    return name,float(value) if '.' in value else int(value)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('path', type=Path)
    p.add_argument('--to', nargs='+', default=[m for m in MANNERS if m != 'photo'], choices=MANNERS)
    p.add_argument('--seeds', nargs='+', type=int, default=[0])
    p.add_argument('--steps', type=int, default=400)
    p.add_argument('--recipes', nargs='+', default=['whole'], choices=['all',*RECIPES], metavar='NAME',
                   help=f'all, or some of {", ".join(RECIPES)}')
    p.add_argument('--set', nargs='+', default=[], type=setting, metavar='OPTION=NUMBER')
    o = p.parse_args()
    torch.set_num_threads(1)
    world(o.path)
    table,given = Table(),dict(o.set)
    recipes = list(RECIPES) if 'all' in o.recipes else o.recipes
    for to,seed,recipe in product(o.to, o.seeds, recipes):
        told = '-'.join([recipe, *(f'{k}{v}' for k,v in given.items())])
        run = o.path/f'{to}-{o.steps}-{told}-{seed}'
        minutes = trained(o.path, run, to, seed, o.steps, RECIPES[recipe] | given)
        row = dict(to=to, recipe=told, seed=seed, minutes=minutes) | measured(o.path, run, to)
        table.append(row)
        print(Table([row]), flush=True)
    print(f'\n{table}')

if __name__ == '__main__': main()

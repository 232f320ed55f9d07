"""Draw the pictures of the front page from the runs that come along.

    python tools/front.py               all
    python tools/front.py demo flow     some: demo, five, flow"""
import sys
from pathlib import Path
import torch
from latent_style.data import show_grid
from latent_style.method import load_run, translate
from latent_style.painted import paint
from latent_style.scenes import paint_scenes

IMAGES = Path(__file__).parent.parent/'nbs/images'
MANNERS = ('impressionist','swirl','anime','woodcut')

def corner(x, top=96, left=80): # picture (3,256,256)
    "A piece of 96 pixels at twice its size, on a white ground as large as the picture"
    wide = x[:,top:top+96,left:left+96].repeat_interleave(2, 1).repeat_interleave(2, 2)
    return torch.nn.functional.pad(wide, (32,32,32,32), value=1.)

def demo():
    "Photographs, their translations and the truth; at the right pieces of the first ones, pixel by pixel"
    scenes = paint_scenes(5, seed=0)
    x,truth = (paint(scenes, d, 256) for d in ('photo','impressionist'))
    made = torch.stack(translate('demo:impressionist', x, 'impressionist', progress=False))
    rows = [[*v[1:4], *(corner(p) for p in v[1:4])] for v in (x,made,truth)]
    titles = ['']*3 + ['pixel by pixel']*3
    show_grid(rows, rows=['photo','as impressionist','truth'], titles=titles, size=2.2, save=IMAGES/'demo.png')

def matrix(run, file, **how):
    "Four scenes, carried to every manner"
    t,x = load_run(run),paint(paint_scenes(4, seed=20), 'photo', 256)
    made = [torch.stack(translate(t, x, d, progress=False, **how)) for d in MANNERS]
    rows = [[a,*b] for a,*b in zip(x, *made)]
    show_grid(rows, titles=['photo', *(f'as {d}' for d in MANNERS)], size=2., save=IMAGES/file)

def five(): matrix('demo:five', 'stargan.jpg')
def flow(): matrix('demo:flow', 'otcfm.jpg', source='photo')

if __name__ == '__main__':
    for name in sys.argv[1:] or ('demo','five','flow'): dict(demo=demo, five=five, flow=flow)[name]()

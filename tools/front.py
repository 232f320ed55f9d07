"""Draw the pictures of the front page from the runs that come along.

    python tools/front.py               all
    python tools/front.py demo flow     some: front, demo, five, flow"""
import sys
from pathlib import Path
import torch
from PIL import Image, ImageDraw, ImageFont
from latent_style.data import show_grid, to_pil
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
    "Photographs, their translations and the truth; at the right a piece of each, enlarged"
    scenes = paint_scenes(5, seed=0)
    x,truth = (paint(scenes, d, 256) for d in ('photo','impressionist'))
    made = torch.stack(translate('demo:impressionist', x, 'impressionist', progress=False))
    rows = [[*v[1:4], *(corner(p) for p in v[1:4])] for v in (x,made,truth)]
    titles = ['']*3 + ['a piece, enlarged']*3
    show_grid(rows, rows=['photo','as impressionist','truth'], titles=titles, size=2.2, save=IMAGES/'demo.jpg')

def font(size):
    "The typeface that comes with matplotlib"
    from matplotlib import font_manager
    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)

def sheet(rows, titles, file, gap=6, head=34):
    "Pictures (3,256,256) pixel by pixel, in labelled columns, as a JPEG file"
    high,wide = len(rows)*(256+gap)-gap,len(titles)*(256+gap)-gap
    page = Image.new('RGB', (wide,head+high), 'white')
    for j,title in enumerate(titles):
        ImageDraw.Draw(page).text((j*(256+gap)+128, head/2), title, 'black', font(19), anchor='mm')
        for i,row in enumerate(rows):
            page.paste(to_pil(row[j]), (j*(256+gap),head+i*(256+gap)))
    page.save(file, quality=88, optimize=True)

def twice(x, top, left):
    "A piece of 128 pixels, each of its pixels as four"
    return x[:,top:top+128,left:left+128].repeat_interleave(2, 1).repeat_interleave(2, 2)

def front():
    "Two photographs in four manners, and a piece of the second at twice its size"
    x = paint(paint_scenes(8, seed=77), 'photo', 256)[[2,4]]
    runs = [('demo:five', dict(finish='demo:flow'))]*2 + [('demo:anime', {}), ('demo:woodcut', {})]
    made = [translate(run, x, d, progress=False, **how) for d,(run,how) in zip(MANNERS, runs)]
    columns = [(*pair, twice(pair[1], 88, 64)) for pair in (x, *made)]
    sheet(list(zip(*columns)), ('photo', *MANNERS), IMAGES/'front.jpg')

def matrix(run, file, **how):
    "Four scenes, carried to every manner"
    t,x = load_run(run),paint(paint_scenes(4, seed=20), 'photo', 256)
    made = [torch.stack(translate(t, x, d, progress=False, **how)) for d in MANNERS]
    rows = [[a,*b] for a,*b in zip(x, *made)]
    show_grid(rows, titles=['photo', *(f'as {d}' for d in MANNERS)], size=2., save=IMAGES/file)

def five(): matrix('demo:five', 'stargan.jpg')
def flow(): matrix('demo:flow', 'otcfm.jpg', source='photo')

if __name__ == '__main__':
    drawn = dict(front=front, demo=demo, five=five, flow=flow)
    for name in sys.argv[1:] or drawn: drawn[name]()

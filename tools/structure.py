"""The structure of the package as pictures (SVG): what flows where, and the rooms on their floors

    python tools/structure.py > structure.html     the floors alone"""
import html, json, re
from functools import cache

from imports import FLOORS
from pages import html_of, page_anchors
from project import notebooks, root

# Storeys from below: a title, and the first room of the lowest floor that belongs to it
STOREYS = [
    ('Foundations', 'basics'),
    ('The painted world and a codec for it', 'scenes'),
    ('Layers that are fast', 'winograd'),
    ('Pictures and latents, on disk and in memory', 'data'),
    ('Networks', 'models'),
    ('Losses, flows and the engine', 'losses'),
    ('A run and its folder', 'saving'),
    ('What several methods use', 'grids'),
    ('The methods', 'cyclegan'),
    ('After training: judging, comparing, planning', 'texture'),
    ('Other systems', 'compat'),
    ('The doors', 'public'),
]
FLOW = [
    ('pictures', 'workshop/reading.ipynb'),
    ('codec', 'workshop/autoencoders.ipynb'),
    ('latent store', 'workshop/store.ipynb'),
    ('batch', '00_data.ipynb'),
    ('step', '02a_learner.ipynb'),
    ('run folder', 'workshop/run.ipynb'),
    ('translate', 'workshop/translation.ipynb'),
    ('judge', 'workshop/judge.ipynb'),
]
WIDTH,BAR,BOX,GAP,LETTER,LEFT = 960,34,30,8,7.4,16

# Which page tells of which module

def source(cell): return ''.join(cell['source'])

@cache
def page_facts():
    "Page below nbs/ -> (module or '', title, promise, its anchors)"
    found = {}
    for path in notebooks():
        cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        exports = (re.search(r'^#\| default_exp ([\w.]+)', source(cell), re.M) for cell in cells)
        module = next((match[1] for match in exports if match), '')
        title,promise = re.match(r'# (.+)\n+> (.+)', source(cells[0])).groups()
        found[path.relative_to(root/'nbs').as_posix()] = module,title,promise,set(page_anchors(cells))
    return found

@cache
def module_pages(): return {module: page for page,(module,*_) in page_facts().items() if module}

def page_of_module(module): return module_pages()[module]

def pages_of_room(room):
    "A room is a module, or a folder of modules, each with its page"
    pages = module_pages()
    if room in pages: return [(room, pages[room])]
    return [(module, page) for module,page in pages.items() if module.startswith(room+'.')]

def address(page):
    "Where a page's HTML lies, seen from the folder of the reference"
    return '../'+html_of(page)

def storeys():
    "(title, floors) from below, every floor in one of them"
    firsts = {first: title for title,first in STOREYS}
    missing = firsts.keys() - {floor[0] for floor in FLOORS}
    if missing: raise ValueError(f'tools/structure.py: no floor begins with {", ".join(sorted(missing))}')
    title,out = '',{}
    for floor in FLOORS:
        title = firsts.get(floor[0], title)
        out.setdefault(title, []).append(floor)
    return list(out.items())

# Drawing

def box(x, y, width, words, page, kind):
    _,title,promise,_ = page_facts()[page]
    return (f'<a href="{address(page)}" class="{kind}"><title>{html.escape(f"{title}: {promise}")}</title>'
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="6"/>'
            f'<text x="{x+width/2:.0f}" y="{y+BOX/2+4.5:.0f}">{html.escape(words)}</text></a>')

def svg(height, about, parts):
    "No blank line may stand in it: Markdown would end it there"
    head = (f'<svg class="structure" viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg" '
            f'aria-label="{html.escape(about)}">')
    return '\n'.join([head, *parts, '</svg>'])

def framed(picture): return f'<div class="wide">\n{picture}\n</div>'

def room_boxes(floors, y):
    "The boxes of a storey, floor by floor, in lines; and the height that they take"
    x,out = LEFT,[]
    rooms = [found for floor in floors for room in floor for found in pages_of_room(room)]
    for module,page in rooms:
        width = len(module)*LETTER+20
        if x+width > WIDTH-LEFT: x,y = LEFT,y+BOX+GAP
        out.append(box(x, y, width, module, page, 'room' if '/' in page else 'lesson'))
        x += width+GAP
    return out,y+BOX

def floors_picture():
    "The storeys, the doors on top"
    y,parts = 4,[]
    for i,(title,floors) in enumerate(reversed(storeys())):
        boxes,end = room_boxes(floors, y+BAR)
        parts += [f'<g class="storey"><rect x="1" y="{y:.0f}" width="{WIDTH-2}" height="{end-y+12:.0f}" rx="10"/>'
                  f'<text class="title" x="{LEFT}" y="{y+22:.0f}">{html.escape(title)}</text></g>', *boxes]
        y = end+12+18
        if i < len(STOREYS)-1: parts.append(f'<path class="down" d="M{WIDTH/2} {y-16} v12 m-5 -5 l5 5 l5 -5"/>')
    return framed(svg(y-8, 'The rooms of the package on their floors: each imports from those below it', parts))

def flow_picture():
    "From pictures to a judgement"
    n,parts = len(FLOW),[]
    step = WIDTH/n
    for i,(words,page) in enumerate(FLOW):
        parts.append(box(i*step+2, 8, step-24, words, page, 'lesson' if '/' not in page else 'room'))
        if i < n-1: parts.append(f'<path class="down" d="M{(i+1)*step-20:.0f} {8+BOX/2} h16 m-5 -5 l5 5 l-5 5"/>')
    about = 'Data flows one way: ' + ', '.join(words for words,_ in FLOW)
    return framed(svg(BOX+16, about, parts))

if __name__ == '__main__': print(floors_picture())

"The documentation, built by the stand-in: every notebook becomes a page with its title and its pictures"
import html, json, re
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
NBS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if p.name[0] != '.' and '_proc' not in p.parts)

def title(f): return re.match(r'# (.+)', ''.join(json.loads(f.read_text(encoding='utf-8'))['cells'][0]['source']))[1].strip()
def page(site, f): return site/(re.sub(r'^\d+[a-zA-Z0-9]*_', '', f.stem) + '.html')

def shown_pictures(f):
    "How many pictures the page should show: those of cells that are not hidden"
    cells = [c for c in json.loads(f.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
    seen = [c for c in cells if not re.search(r'^#\|\s*(hide|include:\s*false|output:\s*false)\s*$', ''.join(c['source']), re.M)]
    return sum(any(k.startswith('image/') for k in o.get('data', {})) for c in seen for o in c['outputs'])

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_page(site, nb):
    s = page(site, nb).read_text(encoding='utf-8')
    heads = [html.unescape(re.sub('<.*?>', '', h)) for h in re.findall(r'<h1[^>]*>(.*?)</h1>', s, re.S)]
    assert any(h.startswith(re.sub('[`*]', '', title(nb))) for h in heads), heads[:3]
    if shown_pictures(nb): assert re.search(r'<img[^>]+src="data:image/|<svg', s), 'the pictures are missing'
    assert 'Traceback (most recent call last)' not in s

def test_pages_link_to_each_other(site):
    "The sidebar and the index lead to pages that exist"
    for f in site.glob('*.html'):
        for l in re.findall(r'href="([^"#:]+\.(?:html|ipynb))', f.read_text(encoding='utf-8')): assert (site/l).is_file(), f'{f.name} links to {l}'
        for l in re.findall(r'<img[^>]+src="(?!data:|\w+://)([^"]+)"', f.read_text(encoding='utf-8')): assert (site/l).is_file(), f'{f.name} shows {l}'

def test_nbdev_settings_are_committed(site):
    "nbs/nbdev.yml is what settings.ini makes it"
    assert (site.parent/'nbs/nbdev.yml').read_text(encoding='utf-8') == (ROOT/'nbs/nbdev.yml').read_text(encoding='utf-8')

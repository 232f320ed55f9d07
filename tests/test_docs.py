"The documentation, built by the stand-in: every notebook becomes a page with its title and its pictures"
import html, json, re
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
NBS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if p.name[0] != '.' and '_proc' not in p.parts)

def text(f): return f.read_text(encoding='utf-8')
def cells(f): return json.loads(text(f))['cells']
def source(cell): return ''.join(cell['source'])
def title(f): return re.match(r'# (.+)', source(cells(f)[0]))[1].strip()
def page(site, f): return site/f.relative_to(ROOT/'nbs').with_name(re.sub(r'^\d+[a-zA-Z0-9]*_', '', f.stem) + '.html')

def shown_pictures(f):
    "How many pictures the page should show: those of cells that are not hidden"
    hidden = re.compile(r'^#\|\s*(hide|include:\s*false|output:\s*false)\s*$', re.M)
    seen = [c for c in cells(f) if c['cell_type'] == 'code' and not hidden.search(source(c))]
    return sum(any(k.startswith('image/') for k in o.get('data', {})) for c in seen for o in c['outputs'])

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_page(site, nb):
    shown = text(page(site, nb))
    heads = [html.unescape(re.sub('<.*?>', '', h)) for h in re.findall(r'<h1[^>]*>(.*?)</h1>', shown, re.S)]
    assert any(h.startswith(re.sub('[`*]', '', title(nb))) for h in heads), heads[:3]
    if shown_pictures(nb): assert re.search(r'<img[^>]+src="data:image/|<svg', shown), 'the pictures are missing'
    assert 'Traceback (most recent call last)' not in shown

def test_pages_link_to_each_other(site):
    "The sidebar and the index lead to pages that exist"
    for f in site.rglob('*.html'):
        links = re.findall(r'href="([^"#:]+\.(?:html|ipynb))', text(f))
        shown = re.findall(r'<img[^>]+src="(?!data:|\w+://)([^"]+)"', text(f))
        for link in links+shown: assert (f.parent/link).is_file(), f'{f.name} leads to {link}'

def test_nbdev_settings_are_committed(site):
    "nbs/nbdev.yml is what settings.ini makes it"
    assert text(site.parent/'nbs/nbdev.yml') == text(ROOT/'nbs/nbdev.yml')

"The documentation, built by the stand-in: every notebook becomes a page with its title and its pictures"
import html, json, re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NBS = sorted(f for f in (ROOT/'nbs').rglob('*.ipynb') if f.name[0] != '.' and '_proc' not in f.parts)
HIDDEN = re.compile(r'^#\|\s*(hide|include:\s*false|output:\s*false)\s*$', re.M)

def cells(f): return json.loads(f.read_text(encoding='utf-8'))['cells']

def title(f): return re.match(r'# (.+)', ''.join(cells(f)[0]['source']))[1].strip()

def page(site, f):
    "Where the page of notebook `f` lies: the same folder, without the number"
    folder = f.parent.relative_to(ROOT/'nbs')
    return site/folder/(re.sub(r'^\d+[a-zA-Z0-9]*_', '', f.stem) + '.html')

def shows_pictures(f):
    "Has the page pictures to show, in cells that are not hidden?"
    seen = [cell for cell in cells(f) if cell['cell_type'] == 'code' and not HIDDEN.search(''.join(cell['source']))]
    data = [output.get('data', {}) for cell in seen for output in cell['outputs']]
    return any(kind.startswith('image/') for kinds in data for kind in kinds)

@pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)
def test_page(site, nb):
    text = page(site, nb).read_text(encoding='utf-8')
    heads = [html.unescape(re.sub('<.*?>', '', head)) for head in re.findall(r'<h1[^>]*>(.*?)</h1>', text, re.S)]
    assert any(head.startswith(re.sub('[`*]', '', title(nb))) for head in heads), heads[:3]
    if shows_pictures(nb): assert re.search(r'<img[^>]+src="data:image/|<svg', text), 'the pictures are missing'
    assert 'Traceback (most recent call last)' not in text

def test_pages_link_to_each_other(site):
    "The sidebar and the text lead to pages that exist"
    for f in site.rglob('*.html'):
        text = f.read_text(encoding='utf-8')
        links = re.findall(r'href="([^"#:]+\.(?:html|ipynb))', text)
        pictures = re.findall(r'<img[^>]+src="(?!data:|\w+://)([^"]+)"', text)
        missing = [name for name in links+pictures if not (f.parent/name).is_file()]
        assert not missing, f'{f.relative_to(site)} leads to {missing}'

def test_nbdev_settings_are_committed(site):
    "nbs/nbdev.yml is what settings.ini makes it"
    made = (site.parent/'nbs/nbdev.yml').read_text(encoding='utf-8')
    assert made == (ROOT/'nbs/nbdev.yml').read_text(encoding='utf-8')

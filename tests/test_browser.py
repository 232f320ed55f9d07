"The documentation's pages in a real browser, when there is one"
import html, json, re, shutil, subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
LOOK = '''<script>window.addEventListener('load', () => document.body.dataset.seen = JSON.stringify({
  title: document.title, h1: [...document.querySelectorAll('h1')].map(o => o.innerText),
  height: document.body.scrollHeight,
  images: [...document.images].map(o => o.complete ? o.naturalWidth : -1)}))</script>'''

@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    "Run a headless browser without network: arguments -> what it prints"
    exe = next(filter(None, map(shutil.which, NAMES)), None)
    if not exe: pytest.skip(f'no browser here, looked for {", ".join(NAMES)}')
    profile = tmp_path_factory.mktemp('profile')
    def run(*a):
        cmd = [exe, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
               f'--user-data-dir={profile}', '--host-resolver-rules=MAP * ~NOTFOUND', '--virtual-time-budget=10000', *a]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, r.stderr[-2000:]
        return r.stdout
    return run

def pages(site): return sorted(site.rglob('*.html'))

def see(browser, page):
    "What the browser finds in `page` once it is loaded"
    p = page.with_name(f'look_{page.name}')
    p.write_text(page.read_text(encoding='utf-8').replace('</head>', LOOK+'</head>', 1), encoding='utf-8')
    try: dom = browser('--dump-dom', p.as_uri())
    finally: p.unlink()
    m = re.search(r'data-seen="([^"]*)"', dom)
    assert m, f'{page.name} did not finish loading'
    return json.loads(html.unescape(m[1]))

def test_pages_show_title_and_pictures(browser, site):
    for p in pages(site):
        seen,n = see(browser, p),len(re.findall('<img', p.read_text(encoding='utf-8')))
        assert seen['h1'] and seen['title'], p.name
        assert seen['height'] > 400, p.name
        assert len(seen['images']) >= n and all(w > 0 for w in seen['images']), f'{p.name}: {seen["images"]}'

def test_index_is_not_blank(browser, site, tmp_path):
    Image = pytest.importorskip('PIL.Image', reason='Pillow is not installed')
    f = tmp_path/'index.png'
    browser(f'--screenshot={f}', '--window-size=1000,1400', (site/'index.html').as_uri())
    im = Image.open(f).convert('L')
    assert im.size == (1000, 1400)
    h = im.histogram()
    ink = sum(h[:128])/sum(h)
    assert .002 < ink < .9, f'{ink:.4f} of the page is dark'

"The documentation's pages in a real browser, when there is one"
import html, json, re, shutil, subprocess
from pathlib import Path

import pytest

NAMES = ('chromium','chromium-browser','google-chrome','google-chrome-stable')
FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
         '--host-resolver-rules=MAP * ~NOTFOUND', '--virtual-time-budget=10000']
LOOK = '''<script>window.addEventListener('load', () => document.body.dataset.seen = JSON.stringify({
  title: document.title, height: document.body.scrollHeight,
  h1: [...document.querySelectorAll('h1')].map(o => o.innerText),
  images: [...document.images].map(o => o.complete ? o.naturalWidth : -1)}))</script>'''

@pytest.fixture(scope='session')
def browser(tmp_path_factory):
    "Run a headless browser without network: arguments -> what it prints"
    exe = next(filter(None, map(shutil.which, NAMES)), None)
    if not exe: pytest.skip(f'no browser here, looked for {", ".join(NAMES)}')
    profile = tmp_path_factory.mktemp('profile')
    def run(*args):
        words = [exe, *FLAGS, f'--user-data-dir={profile}', *args]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
    return run

def pages(site): return sorted(site.rglob('*.html'))

def see(browser, page):
    "What the browser finds in `page` once it is loaded"
    looked_at = page.with_name(f'look_{page.name}')
    looked_at.write_text(page.read_text(encoding='utf-8').replace('</head>', LOOK+'</head>', 1), encoding='utf-8')
    try: dom = browser('--dump-dom', looked_at.as_uri())
    finally: looked_at.unlink()
    seen = re.search(r'data-seen="([^"]*)"', dom)
    assert seen, f'{page.name} did not finish loading'
    return json.loads(html.unescape(seen[1]))

def test_pages_show_title_and_pictures(browser, site):
    for page in pages(site):
        seen = see(browser, page)
        written = len(re.findall('<img', page.read_text(encoding='utf-8')))
        assert seen['h1'] and seen['title'], page.name
        assert seen['height'] > 400, page.name
        assert len(seen['images']) >= written, f'{page.name}: {seen["images"]}'
        assert all(width > 0 for width in seen['images']), f'{page.name}: {seen["images"]}'

def test_index_is_not_blank(browser, site, tmp_path):
    Image = pytest.importorskip('PIL.Image', reason='Pillow is not installed')
    shot = tmp_path/'index.png'
    browser(f'--screenshot={shot}', '--window-size=1000,1400', (site/'index.html').as_uri())
    picture = Image.open(shot).convert('L')
    assert picture.size == (1000, 1400)
    shades = picture.histogram()
    ink = sum(shades[:128])/sum(shades)
    assert .002 < ink < .9, f'{ink:.4f} of the page is dark'

"The documentation in a real browser, opened from the disk as a reader without a server would"
import functools, threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.browser
WIDE,NARROW = dict(width=1280, height=900),dict(width=390, height=844)

def pages(site):
    "All but the page of an error, and the one that paints, which is no page of the documentation (see test_web)"
    return [f for f in sorted(site.rglob('*.html')) if f.name != '404.html' and f.parent.name != 'try']

@contextmanager
def opened(chromium, address, **options):
    "A page of its own context, and what it complains about"
    options.setdefault('viewport', WIDE)
    context = chromium.new_context(offline=not address.startswith('http'), **options)
    page,complaints = context.new_page(),[]
    page.on('console', lambda m: complaints.append(m.text) if m.type in ('error','warning') else None)
    page.on('pageerror', lambda e: complaints.append(str(e)))
    page.on('requestfailed', lambda r: complaints.append(r.url))
    try:
        page.goto(address, wait_until='load')
        yield page,complaints
    finally: context.close()

LOOK = '''async () => {
  const pictures = [...document.images].filter(o => o.offsetParent)
  pictures.forEach(o => o.loading = "eager")
  await Promise.all(pictures.map(o => o.decode().catch(() => null)))
  const small = o => { const box = o.getBoundingClientRect(); return box.height < 5 || box.width < 2 }
  const seen = o => !o.closest("details:not([open])")
  return {
    title: document.title, h1: document.querySelectorAll("article h1").length,
    missing: pictures.filter(o => !o.naturalWidth).map(o => o.src),
    flat: [...document.querySelectorAll("math")].filter(seen).filter(small).map(o => o.getAttribute("alttext")),
    formulas: document.querySelectorAll("math").length,
    font: document.fonts.check("16px Formulas"),
  }
}'''
BEYOND = '''() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("article *")].filter(o => o.getBoundingClientRect().right > innerWidth+1)
    .slice(0, 3).map(o => o.outerHTML.slice(0, 120)).concat(document.documentElement.scrollWidth)'''

def test_every_page(chromium, site):
    "Pictures are loaded, formulas have a height, nothing complains, and a telephone need not scroll sideways"
    formulas = 0
    for path in pages(site):
        with opened(chromium, path.as_uri()) as (page,complaints):
            seen = page.evaluate(LOOK)
            formulas += seen['formulas']
            assert seen['title'] and seen['h1'] == 1, path.name
            assert not seen['missing'], f'{path.name}: {seen["missing"]}'
            assert not seen['flat'], f'{path.name}: {seen["flat"]}'
            if seen['formulas']: assert seen['font'], f'{path.name}: the font of formulas is not loaded'
            page.set_viewport_size(NARROW)
            assert not page.evaluate(BEYOND), f'{path.name}: {page.evaluate(BEYOND)}'
            assert not complaints, f'{path.name}: {complaints}'
    assert formulas > 300

@contextmanager
def served(folder):
    "The folder behind a server on this machine: its address"
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *a): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}'
    finally: server.shutdown()

def find(page, words):
    "What the search finds"
    page.keyboard.press('/')
    page.keyboard.type(words, delay=20)
    page.wait_for_selector('.md-search-result__link', timeout=20_000)
    return [link.get_attribute('href') for link in page.query_selector_all('.md-search-result__link')]

def test_search_from_the_disk(chromium, site):
    with opened(chromium, (site/'index.html').as_uri()) as (page,complaints):
        found = find(page, 'transport')
        assert any('otcfm.html' in link for link in found), found
        page.click('.md-search-result__link')
        page.wait_for_load_state()
        assert 'transport' in page.inner_text('article').lower() and not complaints

def test_search_from_a_server(chromium, site):
    with served(site) as address, opened(chromium, f'{address}/workshop/brushes.html') as (page,complaints):
        assert any('data.html' in link or 'store.html' in link for link in find(page, 'latent store'))
        assert not complaints

def shade(page):
    "How light the page's ground is, 0 to 255"
    colour = page.evaluate('getComputedStyle(document.body).backgroundColor')
    return sum(map(int, colour[colour.index('(')+1:-1].split(',')[:3]))/3

def test_dark_and_light(chromium, site):
    "The switch turns the page, and the next page remembers; without it the reader's system decides"
    with opened(chromium, (site/'losses.html').as_uri(), color_scheme='light') as (page,complaints):
        assert shade(page) > 240
        page.click('label[for="__palette_1"]')
        assert shade(page) < 40
        page.goto((site/'data.html').as_uri())
        assert shade(page) < 40 and not complaints
        assert page.is_visible('.logo-dark') and not page.is_visible('.logo-light')
    with opened(chromium, (site/'losses.html').as_uri(), color_scheme='dark') as (page,_): assert shade(page) < 40

def test_folded_code_unfolds(chromium, site):
    with opened(chromium, (site/'workshop/brushwork.html').as_uri()) as (page,_):
        code = page.locator('details.fold .highlight').first
        assert not code.is_visible()
        page.locator('details.fold summary').first.click()
        assert code.is_visible()

def test_from_page_to_page(chromium, site):
    "Next page, a box of the structure, a heading's own address"
    with opened(chromium, (site/'data.html').as_uri()) as (page,_):
        page.click('.md-footer__link--next')
        page.wait_for_url('**/models.html')
        page.goto((site/'reference/structure.html').as_uri())
        page.click('.structure a:has-text("otcfm") rect')
        page.wait_for_url('**/otcfm.html')
        page.goto((site/'cyclegan.html').as_uri()+'#replay')
        top = page.evaluate('document.getElementById("replay").getBoundingClientRect().top')
        assert 0 <= top < 400

@pytest.mark.parametrize('name', ['index', 'cyclegan', 'workshop/texture', 'reference/options'])
def test_pages_are_not_blank(chromium, site, tmp_path, name):
    from PIL import Image
    for kind,options in dict(wide={}, narrow=dict(viewport=NARROW), dark=dict(color_scheme='dark')).items():
        with opened(chromium, (site/f'{name}.html').as_uri(), **options) as (page,_):
            page.screenshot(path=tmp_path/f'{kind}.png')
        image = Image.open(tmp_path/f'{kind}.png').convert('L')
        ground = max(image.getcolors())[1]
        ink = sum(n for n,value in image.getcolors() if abs(value-ground) > 60)/(image.width*image.height)
        assert (ground < 60) == (kind == 'dark')
        assert .005 < ink < .7, f'{kind}: {ink:.3f} of the page differs from its ground'

"The page that paints in a browser, with a real picture, against PyTorch"
import base64, functools, http.server, io, json, shutil, threading
from contextlib import contextmanager
import numpy as np
import pytest

browser = pytest.importorskip('latent_style.browser')
RUN,SEED = 'demo:impressionist',3

@contextmanager
def served(folder, watch=lambda path: None):
    "A plain file server: its address"
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *a): watch(self.path)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/'
    server.shutdown()

@pytest.fixture(scope='module')
def page(tmp_path_factory):
    "A page of one run, on a plain file server: its address, and the names that were asked for"
    pytest.importorskip('onnxscript', reason="no ONNX here: pip install 'latent_style[onnx]'")
    runtime = browser.cache_folder()/f'onnxruntime-web-{browser.VERSION}'
    if not runtime.is_dir():
        try: runtime = browser.fetched(tmp_path_factory.mktemp('npm')/'dist')
        except OSError as e: pytest.skip(f'no onnxruntime-web here: {e}')
    folder = tmp_path_factory.mktemp('web')/'page'
    browser.export_web(RUN, folder, hide=['photo'], runtime=runtime)
    asked = []
    with served(folder, asked.append) as url: yield url,asked,folder

@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    from latent_style.data import save_picture
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    file = tmp_path_factory.mktemp('picture')/'scene.png'
    save_picture(paint(paint_scenes(3, seed=4), 'photo', 256)[1,:,:,:200], file)     # a side that must be padded
    return file

def painted(tab, n): tab.wait_for_selector(f'body[data-painted="{n}"], body[data-error]', timeout=120_000)

def shown(tab):
    url = tab.evaluate("document.getElementById('after').toDataURL('image/png')")
    from PIL import Image
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(',')[2]))).convert('RGB')).astype(int)

def test_the_page_paints_what_pytorch_paints(chromium, page, picture):
    from latent_style.data import to_pil
    from latent_style.method import translate
    url,asked,folder = page
    tab,said = chromium.new_page(),[]
    tab.on('pageerror', lambda e: said.append(str(e)))
    tab.on('console', lambda m: said.append(m.text) if m.type == 'error' else None)
    tab.goto(url)
    tab.wait_for_selector('#frame.full')
    tab.fill('#seed', str(SEED))
    tab.click('#go')
    painted(tab, 1)                                  # the sample
    tab.set_input_files('#file', str(picture))
    painted(tab, 2)
    assert not said and tab.locator('body[data-error]').count() == 0, said
    ours = shown(tab)
    [theirs] = translate(RUN, str(picture), 'impressionist', seed=SEED, progress=False, device='cpu')
    assert np.abs(ours-np.asarray(to_pil(theirs)).astype(int)).mean() < 1
    assert np.abs(ours-np.asarray(to_pil(theirs)).astype(int)).max() <= 2
    before = len(asked)                              # what a change of the desk loads: nothing
    tab.click('#another')
    painted(tab, 3)
    assert np.abs(shown(tab)-ours).mean() > 1, 'another hand should paint otherwise'
    assert len(asked) == before
    first = sum(f.stat().st_size for f in folder.rglob('*') if 'jspi' not in f.name)
    assert first < 20e6
    tab.close()

def test_nothing_leaves_and_nothing_is_too_wide(chromium, page):
    url,_,folder = page
    text = (folder/'index.html').read_text()
    assert "default-src 'self'" in text and '//' not in text
    for wide in (390, 1100):
        tab = chromium.new_page(viewport=dict(width=wide, height=800))
        tab.goto(url)
        tab.wait_for_selector('#frame.full')
        assert tab.evaluate('document.documentElement.scrollWidth') <= wide
        tab.close()

def test_a_text_is_no_picture(chromium, page, tmp_path):
    file = tmp_path/'notes.png'
    file.write_text('no picture')
    tab = chromium.new_page()
    tab.goto(page[0])
    tab.wait_for_selector('#frame.full')
    tab.set_input_files('#file', str(file))
    tab.wait_for_function('() => document.getElementById("said").textContent.includes("not a picture")')
    tab.close()

def test_the_last_manner_is_chosen(chromium, page, tmp_path):
    "A photograph is not made a photograph, whatever is offered first"
    folder = tmp_path/'page'
    shutil.copytree(page[2], folder)
    manifest = json.loads((folder/'graphs/manifest.json').read_text())
    manifest['runs'][0]['hidden'] = []
    manifest['runs'].append(manifest['runs'][0] | dict(folder='other'))
    (folder/'graphs/manifest.json').write_text(json.dumps(manifest))
    with served(folder) as url:
        tab = chromium.new_page(viewport=dict(width=1280, height=800))
        tab.goto(url)
        tab.wait_for_selector('#frame.full')
        assert tab.evaluate("document.getElementById('to').value") == '0 impressionist'
        names = tab.locator('#to option').all_text_contents()
        assert len(set(names)) == len(names) == 4 and max(map(len, names)) <= 30, names
        assert tab.evaluate("document.getElementById('frame').getBoundingClientRect().width") > 600
        tab.close()

def test_what_is_saved_has_a_name_of_its_own(chromium, page, picture):
    tab = chromium.new_page()
    tab.goto(page[0])
    tab.wait_for_selector('#frame.full')
    tab.set_input_files('#file', str(picture))
    painted(tab, 1)
    tab.wait_for_selector('#save:not([hidden])')
    assert tab.get_attribute('#save', 'download') == 'scene_impressionist.png'
    tab.close()

def test_no_card_is_offered_where_there_is_none(chromium, page):
    tab = chromium.new_page()
    tab.add_init_script("Object.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => null}})")
    tab.goto(page[0])
    tab.wait_for_selector('#frame.full')
    assert not tab.is_visible('#card')
    tab.close()

def test_opened_as_a_file_it_says_what_it_wants(chromium, page):
    tab = chromium.new_page()
    tab.goto((page[2]/'index.html').as_uri())
    assert 'python -m http.server' in tab.inner_text('#said')
    tab.close()
    tab = chromium.new_page()
    tab.goto(page[0])
    tab.wait_for_selector('#frame.full')
    assert 'http.server' not in tab.inner_text('#said')
    tab.close()

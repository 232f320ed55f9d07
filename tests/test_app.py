"The page of `latent_style app`: its functions without a page, and the page in a real browser with a real upload"
import socket

import pytest
from PIL import Image

@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    "A picture file"
    from latent_style.data import save_picture
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    file = tmp_path_factory.mktemp('app')/'scene.png'
    save_picture(paint(paint_scenes(1, seed=4), 'photo', 128)[0][:,:96], file)
    return file

@pytest.fixture(scope='module')
def runs():
    from latent_style.public import load_run
    return {name: load_run(f'demo:{name}', device='cpu') for name in ('impressionist','five')}

def test_two_pictures_of_one_size(runs, scene):
    from latent_style.app import before_after
    before,after = before_after(runs['impressionist'], scene, most=64)
    assert before.size == after.size and min(before.size) == 64
    assert before.tobytes() != after.tobytes()

def test_a_style_comes_from_the_seed_or_an_example(runs, scene, tmp_path):
    from latent_style.app import before_after
    Image.new('RGB', (64,64), 'teal').save(tmp_path/'example.png')
    asked = [dict(seed=0), dict(seed=1), dict(reference=tmp_path/'example.png')]
    made = [before_after(runs['five'], scene, 'swirl', most=64, **how)[1].tobytes() for how in asked]
    assert len(set(made)) == 3
    # a run without styles leaves the example alone
    asked = None,'no such file'
    one,two = (before_after(runs['impressionist'], scene, most=64, reference=file)[1] for file in asked)
    assert one.tobytes() == two.tobytes()

def test_every_run_answers(runs, scene):
    from latent_style.app import every_run
    pairs = every_run(runs, scene, 'woodcut', most=64)
    assert [caption for _,caption in pairs] == ['impressionist: impressionist','five: woodcut']

def test_the_verb_speaks_of_no_link_that_it_does_not_open(monkeypatch, capsys):
    gr = pytest.importorskip('gradio', reason="Gradio is not installed: pip install 'latent_style[app]'")
    from latent_style.app import app
    monkeypatch.setattr(gr.Blocks, 'block_thread', lambda self: self.close(verbose=False))
    app(['demo:impressionist'], port=None, device='cpu')
    said = capsys.readouterr().out
    assert 'http://127.0.0.1:' in said and 'Ctrl-C' in said and 'public' not in said and 'share' not in said

# In a browser

@pytest.fixture(scope='module')
def address():
    "The page of two runs, served by this process"
    pytest.importorskip('gradio', reason="Gradio is not installed: pip install 'latent_style[app]'")
    from latent_style.app import page
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    blocks = page(['demo:impressionist','demo:five'], device='cpu', most=128)
    blocks.launch(server_name='127.0.0.1', server_port=port, prevent_thread_lock=True, quiet=True)
    yield f'http://127.0.0.1:{port}'
    blocks.close()

@pytest.fixture(params=[1280, 390])
def opened(request, chromium, address):
    "The page in a window of so many pixels"
    context = chromium.new_context(viewport=dict(width=request.param, height=900))
    tab = context.new_page()
    tab.goto(address)
    tab.get_by_role('button', name='Translate').wait_for(timeout=60_000)
    yield tab
    context.close()

def sources(tab): return tab.evaluate('[...document.images].map(o => o.src).filter(s => s.includes("/file="))')

def fits(tab):
    "No sideways scroll"
    wide = tab.evaluate('[document.documentElement.scrollWidth, window.innerWidth]')
    assert wide[0] <= wide[1], wide

@pytest.mark.browser
def test_upload_translate_compare(opened, scene):
    fits(opened)
    opened.locator('input[type=file]').first.set_input_files(str(scene))
    opened.wait_for_function('[...document.images].some(o => o.src.includes("/file=") && o.naturalWidth)')
    given = set(sources(opened))
    opened.get_by_role('button', name='Translate').click()
    count = f'[...document.images].filter(o => o.src.includes("/file=") && o.naturalWidth).length > {len(given)}'
    opened.wait_for_function(count, timeout=120_000)
    fits(opened)
    opened.get_by_role('button', name='Every run').click()
    opened.get_by_text('five: impressionist').first.wait_for(timeout=120_000)
    fits(opened)

@pytest.mark.browser
def test_nothing_given_is_said(opened):
    opened.get_by_role('button', name='Translate').click()
    opened.get_by_text('Drop a picture first').wait_for(timeout=60_000)

"`latent_style watch`: a folder that grows while it is read, and the page in a real browser"
import json, re, shutil, threading

import pytest

@pytest.fixture(scope='module')
def grid(tmp_path_factory):
    "A sample grid, as bytes"
    from latent_style.data import show_grid
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    file = tmp_path_factory.mktemp('grid')/'grid.png'
    show_grid(paint(paint_scenes(4), 'photo', 64), size=2, save=file)
    return file.read_bytes()

@pytest.fixture
def run(tmp_path):
    (tmp_path/'run/samples').mkdir(parents=True)
    return tmp_path/'run'

def row(i):
    clock = dict(samples_per_sec=9., eta_sec=60., time_sec=1., elapsed_total_sec=float(i))
    moving = dict(d_loss=1/i, g_adv=.5+.1/i, cyc=.1-.01/i, lr_G=1e-3*(1-i/1000))
    return dict(step=i, total_steps=1000) | moving | clock

def test_a_reader_beside_a_writer(run):
    "Every state that is read is one that was written, however the writes are cut"
    from latent_style.watch import state
    done = threading.Event()
    def write():
        with open(run/'log.jsonl', 'a') as file:
            for i in range(1, 200):
                text = json.dumps(row(i))+'\n'
                for part in (text[:7], text[7:40], text[40:]):
                    file.write(part)
                    file.flush()
        done.set()
    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while not done.is_set() or not seen: seen.append(state(run))
    thread.join()
    seen.append(state(run))
    steps = [int(found[1]) if (found := re.match(r'Step ([\d,]+) of 1,000', s['words'])) else 0 for s in seen]
    assert steps == sorted(steps) and steps[-1] == 199
    assert all(json.loads(json.dumps(s)) == s for s in seen)

def test_a_real_training_is_followed(tmp_path, no_curves):
    "A folder that is not there yet, then one that a training fills"
    from latent_style.cyclegan import train
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    from latent_style.watch import state, watch
    assert state(tmp_path/'run')['words'] == 'Nothing is written yet.'
    paint_folder(tmp_path/'pictures', n_train=4, n_test=1, manners=('photo','anime'), size=64, progress=False)
    encode_folder(tmp_path/'pictures/train', tmp_path/'latents', progress=False)
    train(tmp_path/'latents', tmp_path/'run', n_steps=4, log_every=1, sample_every=2, n_samples=2, ngf=8, n_blocks=1,
          ndf=8, device='cpu', progress=False)
    now = state(tmp_path/'run')
    assert now['words'].startswith('Step 4 of 4: done') and now['share'] == 1 and now['sample'] == 'step_00000004.png'
    from latent_style.method import module_of
    keys = {key for group in module_of('cyclegan').METHOD.panels for key in group}
    shown = [key for key in keys if f'>{key}</b>' in now['curves']]
    assert {'lr_G'} < set(shown) and now['curves'].count('<figure>') >= 3, now['curves']
    text = watch(tmp_path/'run', once=tmp_path/'now.html').read_text()
    assert 'data:image/png' in text and 'http' not in text.replace('http-equiv', '')

@pytest.fixture
def address(run):
    from latent_style.watch import server
    watcher = server(run, every=.2)
    threading.Thread(target=watcher.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{watcher.server_port}'
    watcher.shutdown()
    watcher.server_close()

@pytest.mark.browser
@pytest.mark.parametrize('width', [1280, 390])
def test_the_page_follows(chromium, address, run, grid, width):
    context = chromium.new_context(viewport=dict(width=width, height=900))
    tab = context.new_page()
    errors = []
    tab.on('pageerror', lambda error: errors.append(error))
    tab.goto(address)
    tab.get_by_text('Nothing is written yet.').wait_for(timeout=20_000)
    for k in (20, 60):
        (run/'log.jsonl').write_text(''.join(json.dumps(row(i))+'\n' for i in range(1, k+1))+'{"step": 9')
        (run/f'samples/step_{k:08d}.png').write_bytes(grid)
        tab.get_by_text(f'Step {k} of 1,000').wait_for(timeout=20_000)
        name = f'document.images[0].src.endsWith("step_{k:08d}.png")'
        tab.wait_for_function(f'{name} && document.images[0].naturalWidth > 0')
    assert tab.locator('figure').count() >= 4
    assert tab.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    (run/'log.jsonl').write_text(json.dumps(row(60) | dict(step=70, skipped_steps=4))+'\n')
    tab.get_by_text('4 steps had no finite gradient').wait_for(timeout=20_000)
    shutil.rmtree(run)
    tab.get_by_text('Nothing is written yet.').wait_for(timeout=20_000)
    assert not errors, errors
    context.close()

"The pages as a reader meets them: JupyterLab in a real browser, Run All Cells, sliders that move a picture"
import os, re, shutil, socket, subprocess, sys, time, urllib.error, urllib.request
from importlib import util
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 120                         # processor seconds that a page may take: other programs do not count
PATIENCE = 900                      # seconds on the wall, for a machine that is busy with something else
QUICK = 'workshop/explore.ipynb', '00_data.ipynb'     # these two also in `make test`; the first has sliders
TOKEN = 'pages'

def course():
    "The pages of the main road, in the order of the site"
    side = yaml.safe_load((ROOT/'nbs/sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']
    return next(part['contents'] for part in side if isinstance(part, dict) and part['section'] == 'The course')

# JupyterLab

def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]

def settings(folder):
    "The environment of a server that knows nothing of this machine's own settings; its kernels are those of `make lab`"
    line, = re.findall(r'echo "(c\.InteractiveShellApp.*)" >', (ROOT/'Makefile').read_text(encoding='utf-8'))
    (folder/'ipython/profile_default').mkdir(parents=True)
    (folder/'ipython/profile_default/ipython_kernel_config.py').write_text(line+'\n')
    out = ('MPLBACKEND', 'IN_TEST')                     # pages draw into themselves
    env = {key: value for key,value in os.environ.items() if key not in out and not key.startswith('JUPYTER')}
    own = {f'JUPYTER_{kind}_DIR': str(folder/kind.lower()) for kind in ('CONFIG', 'DATA', 'RUNTIME')}
    return env | own | dict(IPYTHONDIR=str(folder/'ipython'), PYTHONPATH=str(ROOT))

def answers(url):
    try: return urllib.request.urlopen(url, timeout=5).status == 200
    except (urllib.error.URLError, OSError): return False

def wait_for(condition, seconds, what):
    end = time.monotonic()+seconds
    while not condition():
        assert time.monotonic() < end, f'{what}: not within {seconds} s'
        time.sleep(.2)

@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    "A JupyterLab over a copy of the pages, without what the copy does not need: its address"
    if not util.find_spec('jupyterlab'): pytest.skip("JupyterLab is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp('lab')
    shutil.copytree(ROOT/'nbs', folder/'repo/nbs', symlinks=True, ignore=shutil.ignore_patterns('.*', '_proc', '_docs'))
    port = free_port()
    options = dict(ip='127.0.0.1', port=port, port_retries=0, open_browser=False, allow_root=True,
                   root_dir=folder/'repo/nbs')
    words = [*(f'--ServerApp.{key}={value}' for key,value in options.items()), f'--IdentityProvider.token={TOKEN}',
             '--LabApp.expose_app_in_browser=True', '--LabApp.extension_manager=readonly', '--LabApp.news_url=None',
             '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    with open(folder/'server.log', 'w') as log:
        server = subprocess.Popen([sys.executable, '-m', 'jupyterlab', *words], cwd=folder, env=settings(folder),
                                  stdout=log, stderr=subprocess.STDOUT)
        address = f'http://127.0.0.1:{port}'
        try:
            wait_for(lambda: server.poll() is not None or answers(f'{address}/api'), 90, 'JupyterLab')
            assert server.poll() is None, (folder/'server.log').read_text()
            yield address
        finally:
            server.kill()                               # asked politely, it waits for extensions that others installed
            server.wait(30)

# A page in it

IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = '''async seconds => {
  const run = window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)
  return Promise.race([run, new Promise(done => setTimeout(() => done(false), 1000*seconds))]) }'''
TIMES = '''async () => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
  const ask = {code: '', silent: true, user_expressions: {spent: 'sum(__import__("os").times()[:4])'}}
  const answer = await kernel.requestExecute(ask).done
  return Number(answer.content.user_expressions.spent.data['text/plain']) }'''
CELLS = '() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells'
PICTURES = '''async () => Promise.all([...document.querySelectorAll('.jupyter-widgets img, img.jupyter-widgets')].map(
  async picture => {
    const bytes = await (await fetch(picture.src)).arrayBuffer()
    const hash = await crypto.subtle.digest('SHA-256', bytes)
    return String.fromCharCode(...new Uint8Array(hash)) }))'''

@pytest.fixture
def opened(lab, chromium):
    "Open a page of the course: name -> the browser's page, its kernel ready; nobody asks for another host"
    context,elsewhere = chromium.new_context(viewport=dict(width=1400, height=1000)),[]
    def only_ours(route):
        ours = route.request.url.startswith(lab)
        if not ours: elsewhere.append(route.request.url)
        return route.continue_() if ours else route.abort()
    context.route(lambda url: url.startswith('http'), only_ours)
    def open_page(name):
        page = context.new_page()
        page.goto(f'{lab}/lab/tree/{name}?token={TOKEN}&reset')
        page.wait_for_function(IDLE, timeout=60_000)
        return page
    yield open_page
    for page in context.pages: page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()')
    context.close()
    assert not elsewhere, elsewhere

def source(cell): return ''.join(cell['source'])

def errors(cells):
    "What went wrong, as sentences"
    for i,cell in enumerate(cells):
        for output in cell.get('outputs', []):
            if output['output_type'] == 'error': yield f"cell {i}: {output['ename']}: {output['evalue']}"

def run_all(page, name):
    "Run All Cells: seconds on the wall, and of the processor for the kernel and what it started"
    start = time.monotonic()
    finished,cells,wall = page.evaluate(RUN_ALL, PATIENCE),page.evaluate(CELLS),time.monotonic()-start
    bad = list(errors(cells))
    assert not bad, f'{name}, {bad}'
    code = [(i,cell) for i,cell in enumerate(cells) if cell['cell_type'] == 'code' and source(cell).strip()]
    left = [f'cell {i}: {source(cell)[:300]}' for i,cell in code if not cell['execution_count']]
    assert finished and not left, f'{name}, after {wall:.0f} s: {len(left)} cells have not run, first {left[:1]}'
    return wall,page.evaluate(TIMES)

def move(page, slider):
    "One slider, three steps by the keyboard: a picture follows"
    before = page.evaluate(PICTURES)
    assert before, 'sliders without a picture'
    slider.scroll_into_view_if_needed()
    slider.focus()
    at_end = float(slider.get_attribute('aria-valuenow')) >= float(slider.get_attribute('aria-valuemax'))
    for _ in range(3): slider.press('ArrowLeft' if at_end else 'ArrowRight')
    wait_for(lambda: page.evaluate(PICTURES) != before, 30, 'a picture that follows its slider')

def sliders(page): return page.locator('.jupyter-widgets [role=slider]').all()

def look(opened, tell, name):
    "Open, run, move what moves, and say how long the cells took"
    page = opened(name)
    (wall,spent),found = run_all(page, name),sliders(page)
    for slider in found: move(page, slider)
    tell(f'{name}: {wall:.0f} s, {spent:.0f} s of the processor, {len(found)} sliders')
    assert spent <= LIMIT, f'{name} takes {spent:.0f} s of the processor, {LIMIT} are enough'
    return found

@pytest.mark.parametrize('name', QUICK)
def test_two_pages(opened, tell, name):
    found = look(opened, tell, name)
    assert found or name != QUICK[0], 'a desk without sliders'

@pytest.mark.browser
@pytest.mark.parametrize('name', course())
def test_every_page_of_the_course(opened, tell, name): look(opened, tell, name)

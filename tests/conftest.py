"What all tests share: a quiet environment, the repository's folder, and an optional folder with real pictures"
import os, shutil, subprocess, sys
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')  # before torch is imported
os.environ.setdefault('GOMP_SPINCOUNT', '0')
os.environ['HF_HUB_OFFLINE'] = '1'
os.environ.setdefault('MPLBACKEND', 'agg')

import pytest

@pytest.fixture
def no_curves(monkeypatch):
    "Curves take longer to draw than the runs of tests take: they are left out"
    monkeypatch.setattr('latent_style.callbacks.Curves.draw', lambda curves, learn: None)

@pytest.fixture(scope='session')
def root(): return Path(__file__).resolve().parent.parent

@pytest.fixture
def tell(capsys):
    "Print what a long trial found; the file that TRIAL_TABLE names gets it too"
    def say(text):
        with capsys.disabled(): print('\n'+text)
        if to := os.environ.get('TRIAL_TABLE'):
            with open(to, 'a') as file: file.write(text+'\n')
    return say

@pytest.fixture(scope='session')
def shared(root):
    "Folder with real pictures and reference material: LATENT_STYLE_SHARED, or `shared` beside the repository"
    given = os.environ.get('LATENT_STYLE_SHARED')
    path = Path(given) if given else root.parent/'shared'
    if path.is_dir(): return path
    if given: pytest.skip(f'LATENT_STYLE_SHARED names {path}, which is no folder')
    pytest.skip('no real pictures here: set LATENT_STYLE_SHARED to their folder')

@pytest.fixture(scope='session')
def site(root, tmp_path_factory):
    "The site as MkDocs builds it, of a copy of the project: folder of pages"
    project = tmp_path_factory.mktemp('site')/'repo'
    project.mkdir()
    for name in ('settings.ini','_quarto.yml'): shutil.copy(root/name, project)
    built = shutil.ignore_patterns('.*', '__pycache__', '_proc', '_docs')
    for name in ('nbs','latent_style'): shutil.copytree(root/name, project/name, symlinks=True, ignore=built)
    words = [sys.executable, root/'tools/docs.py', '--mkdocs', '--no-painting', '--project', project]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return project/'_docs'

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')

@pytest.fixture(scope='session')
def chromium():
    "A headless browser, driven by playwright; whoever opens a page closes its context"
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program: pytest.skip(f'no browser here, looked for {", ".join(BROWSERS)}')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=['--no-sandbox', '--disable-dev-shm-usage'])
        yield browser
        browser.close()

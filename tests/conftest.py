"What all tests share: a quiet environment, the repository's folder, and an optional folder with real pictures"
import os
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'passive')  # before torch is imported
os.environ.setdefault('GOMP_SPINCOUNT', '0')
os.environ['HF_HUB_OFFLINE'] = '1'
os.environ.setdefault('MPLBACKEND', 'agg')

import pytest

@pytest.fixture(scope='session')
def root(): return Path(__file__).resolve().parent.parent

@pytest.fixture(scope='session')
def shared(root):
    "Folder with real pictures and reference material: LATENT_STYLE_SHARED, or `shared` beside the repository"
    given = os.environ.get('LATENT_STYLE_SHARED')
    path = Path(given) if given else root.parent/'shared'
    if not path.is_dir():
        pytest.skip(f'LATENT_STYLE_SHARED names {path}, which is no folder' if given else
                    'no real pictures here: set LATENT_STYLE_SHARED to their folder')
    return path

@pytest.fixture(scope='session')
def site(root, tmp_path_factory):
    "Documentation built by the stand-in from a copy of the project: folder of pages"
    import shutil, subprocess, sys
    d = tmp_path_factory.mktemp('site')/'repo'
    d.mkdir()
    for n in ('settings.ini', '_quarto.yml'): shutil.copy(root/n, d)
    for n in ('nbs', 'latent_style'):
        shutil.copytree(root/n, d/n, symlinks=True, ignore=shutil.ignore_patterns('.*', '__pycache__', '_proc', '_docs'))
    r = subprocess.run([sys.executable, str(root/'tools/docs.py'), '--stand-in', '--project', str(d)], capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
    return d/'_docs'

"The project as a whole: exports, clean notebooks with outputs, sidebar, README, imports, the wheel"
import ast, importlib.util, json, os, re, subprocess, sys, zipfile
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
NBS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if p.name[0] != '.' and '_proc' not in p.parts)
MODULES = sorted(f for f in (ROOT/'latent_style').glob('*.py') if f.stem[0] != '_')
each_notebook = pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)

def load(name):
    "Module tools/`name`.py"
    spec = importlib.util.spec_from_file_location(name, ROOT/f'tools/{name}.py')
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m

def code_cells(f): return [c for c in json.loads(f.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']

# Notebooks and modules

def test_modules_match_notebooks():
    bad = load('check').export_problems()
    assert not bad, '\n'.join(bad)

def test_notebooks_are_clean():
    bad = load('check').clean_problems()
    assert not bad, '\n'.join(bad)

@each_notebook
def test_outputs_are_stored(nb):
    outs = [o for c in code_cells(nb) for o in c['outputs']]
    if nb.stem != 'index': assert outs, 'no outputs: run tools/execute.py'
    errors = [o['ename'] for o in outs if o['output_type'] == 'error']
    assert not errors, errors

@each_notebook
def test_size(nb): assert nb.stat().st_size <= 700_000, f'{nb.stat().st_size/1000:.0f} KB; smaller pictures or a lower dpi'

@each_notebook
def test_begins_with_title_and_promise(nb):
    c = json.loads(nb.read_text(encoding='utf-8'))['cells'][0]
    s = ''.join(c['source'])
    assert c['cell_type'] == 'markdown' and re.match(r'# \S.*\n\n?> \S', s), s

@each_notebook
def test_imports_have_cells_of_their_own(nb):
    "The documentation builder runs every cell with an import, exported or not, and no other cell before it"
    for c in code_cells(nb):
        src = ''.join(c['source'])
        if src.startswith('%') or re.search(r'^#\|\s*(eval:\s*false|export\w*)\b', src, re.M): continue
        tree = ast.parse(re.sub(r'^\s*[!%].*$', 'pass', src, flags=re.M))
        has = any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(tree))
        alone = all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in tree.body)
        assert not has or alone, f'an import among other code:\n{src}'

# Documentation

def flat(xs):
    for x in xs: yield from ([x] if isinstance(x, str) else flat(x.get('contents', [])))

def test_sidebar_lists_the_notebooks():
    side = yaml.safe_load((ROOT/'nbs/sidebar.yml').read_text(encoding='utf-8'))
    names = list(flat(side['website']['sidebar']['contents']))
    assert names[0] == 'index.ipynb'
    assert sorted(names) == [f.name for f in NBS], 'nbs/sidebar.yml and the notebooks in nbs/ differ'
    assert names[1:] == sorted(names[1:]), 'the sidebar should follow the numbers'

def test_quarto_configuration():
    q = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    assert q['project']['type'] == 'website'
    assert (ROOT/'nbs/_quarto.yml').resolve() == ROOT/'_quarto.yml'
    for m in q['metadata-files']: assert (ROOT/'nbs'/m).is_file(), m

def test_readme_is_the_index():
    assert (ROOT/'README.md').read_text(encoding='utf-8') == load('readme').render(), 'run make readme'

def test_readme_links_exist():
    links = re.findall(r'(?:\]\(|src=")([^)"#\s]+)', (ROOT/'README.md').read_text(encoding='utf-8'))
    missing = [l for l in links if '://' not in l and not (ROOT/l).exists()]
    assert links and not missing, missing

# The package

def imported(f):
    "Names of the project's modules that module `f` imports"
    for n in ast.walk(ast.parse(f.read_text(encoding='utf-8'))):
        if isinstance(n, ast.Import): yield from (a.name.split('.')[1] for a in n.names if a.name.startswith('latent_style.'))
        elif isinstance(n, ast.ImportFrom) and n.module:
            if n.level == 1: yield n.module.split('.')[0]
            elif n.module.startswith('latent_style.'): yield n.module.split('.')[1]

def test_methods_do_not_import_one_another():
    methods,above = {'cyclegan', 'stargan', 'otcfm'},{'cli', 'legacy'}     # `cli` and `legacy` stand above the methods
    for f in MODULES:
        used = set(imported(f)) - {f.stem}
        if f.stem in methods: assert not used & (methods | above | {'eval'}), f'{f.name} imports {used}'
        elif f.stem not in above: assert not used & (methods | above), f'{f.name} imports {used}'
    assert 'cli' not in set(imported(ROOT/'latent_style/legacy.py'))

def test_every_module_imports_alone():
    "Each from a clean start, in one process, so that torch is read once"
    code = '''import importlib, sys
for m in sys.argv[1:]:
    for k in [k for k in sys.modules if k.split('.')[0] == 'latent_style']: del sys.modules[k]
    importlib.import_module('latent_style.'+m)'''
    r = subprocess.run([sys.executable, '-c', code, *(f.stem for f in MODULES)], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel that `pip wheel` makes of the tracked files, built without network"
    version = importlib.util.find_spec('setuptools') and __import__('setuptools').__version__
    if not version: pytest.skip('setuptools is not installed: pip install -e ".[dev]"')
    import shutil
    d = tmp_path_factory.mktemp('wheel')
    skip = shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'build', 'dist', 'runs', 'data', '_proc', '_docs', 'nbs')
    shutil.copytree(ROOT, d/'repo', symlinks=True, ignore=skip)
    r = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '--disable-pip-version-check',
                        '-w', str(d), str(d/'repo')], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    f, = d.glob('*.whl')
    return zipfile.ZipFile(f)

def test_wheel_holds_the_codec(wheel):
    sizes = {i.filename: i.file_size for i in wheel.infolist()}
    w = 'latent_style/weights/tiny/'
    assert w+'config.json' in sizes and w+'model.safetensors' in sizes, sorted(sizes)
    assert sizes[w+'model.safetensors'] <= 3_000_000

def test_wheel_holds_the_modules(wheel):
    names = set(wheel.namelist())
    for f in MODULES: assert f'latent_style/{f.name}' in names
    assert not [n for n in names if n.split('/')[0] in ('tests', 'tools', 'nbs', 'bench')]
    entry = wheel.read(next(n for n in names if n.endswith('entry_points.txt'))).decode()
    assert 'latent_style = latent_style.cli:main' in re.sub(r'\s*=\s*', ' = ', entry)

# What must not be in it

def tracked():
    "The repository's text files: git's list, or without git all but what is built"
    r = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    if r.returncode == 0: files = [ROOT/l for l in r.stdout.splitlines()]
    else:
        built = {'.venv', '.git', 'runs', 'data', '_docs', '_proc', '__pycache__', 'build', 'dist', '.pytest_cache'}
        files = [f for f in ROOT.rglob('*') if not built & set(f.relative_to(ROOT).parts) and not any(p.endswith('.egg-info') for p in f.parts)]
    binary = {'.safetensors', '.png', '.jpg', '.jpeg', '.webp', '.npy', '.gif', '.ico'}
    return [f for f in files if f.is_file() and f.suffix.lower() not in binary]

def test_no_machine_paths():
    "Neither somebody's home nor this checkout or environment: results must not depend on where they were made"
    start = r'(?<![\w.:/*-])'
    places = {str(Path(o).resolve()) for o in (ROOT, sys.prefix)} | {os.path.abspath(sys.prefix)}
    pats = [r'/(?:home|Users)/[A-Za-z][\w.-]*/', r'/root/[\w.]', r'[A-Z]:\\{1,2}Users\\', r'(?:/[\w.-]+)+/site-packages/',
            *(re.escape(p) + r'(?![\w-])' for p in places if p.count('/') > 1)]
    bad = [f'{f.relative_to(ROOT)}: {m[0]}' for f in tracked() for m in [re.search(start + f"(?:{'|'.join(pats)})", f.read_text(encoding='utf-8', errors='replace'))] if m]
    assert not bad, '\n'.join(bad)

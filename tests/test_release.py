"What is released: source distribution, wheel in a fresh environment, changelog, workflow, hooks"
import configparser, os, re, shutil, subprocess, sys, sysconfig, tarfile, zipfile
from importlib import util
from pathlib import Path

import pytest, yaml

ROOT = Path(__file__).resolve().parent.parent

def settings():
    config = configparser.ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    return config['DEFAULT']

def text(name): return (ROOT/name).read_text(encoding='utf-8')
def targets(): return set(re.findall(r'^(\w+):', text('Makefile'), re.M))

def call(*words, **options):
    "Run a command that has to succeed: what it prints"
    r = subprocess.run([*map(str, words)], capture_output=True, text=True, **options)
    assert r.returncode == 0, r.stdout+r.stderr
    return r.stdout

# Wheel and source distribution

@pytest.fixture(scope='module')
def dist(tmp_path_factory):
    "The folder that `make dist` fills, from a copy of the project, without network"
    if not util.find_spec('build'): pytest.skip("the package `build` is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp('dist')
    built = '.*', '__pycache__', '*.egg-info', 'build', 'dist', '_proc', '_docs', 'nbs'
    data = {str(ROOT): ['runs', 'data']}                    # not latent_style/runs, which belongs in
    def left_out(place, names): return shutil.ignore_patterns(*built, *data.get(place, []))(place, names)
    shutil.copytree(ROOT, folder/'repo', symlinks=True, ignore=left_out)
    command, = re.findall(r'python (-m build .*)', text('Makefile'))
    call(sys.executable, *command.split(), cwd=folder/'repo')
    return folder/'repo/dist'

def shipped(): return {f.relative_to(ROOT).as_posix() for top in ('weights', 'runs')
                       for f in (ROOT/'latent_style'/top).rglob('*') if f.is_file()}

def test_both_hold_what_comes_along(dist):
    "Weights and runs; the source distribution also what setup.py reads"
    version = settings()['version']
    with tarfile.open(dist/f'latent_style-{version}.tar.gz') as tar:
        packed = {name.partition('/')[2] for name in tar.getnames()}
    wheel = set(zipfile.ZipFile(dist/f'latent_style-{version}-py3-none-any.whl').namelist())
    assert shipped() and shipped() <= wheel and shipped() <= packed
    assert {'settings.ini', 'setup.py', 'pyproject.toml', 'README.md', 'CHANGELOG.md', 'LICENSE'} <= packed
    assert not [name for name in packed if name.startswith(('tests', 'tools', 'nbs', 'bench'))]

def test_the_front_page_has_addresses(dist):
    "On PyPI there are no files beside it"
    wheel = zipfile.ZipFile(next(dist.glob('*.whl')))
    told = wheel.read(next(name for name in wheel.namelist() if name.endswith('METADATA'))).decode()
    links = re.findall(r'(?:\]\(|src=")([^)"#\s]+)', told)
    assert links and not [link for link in links if not re.match(r'\w+:', link)]
    assert f"{settings()['git_url']}/raw/main/nbs/images/front.jpg" in links

@pytest.fixture(scope='module')
def fresh(dist, tmp_path_factory):
    "A new environment with the wheel, which finds all other packages where this one has them: its programs"
    folder = tmp_path_factory.mktemp('fresh')
    call(sys.executable, '-m', 'venv', '--without-pip', '--system-site-packages', folder/'env')
    programs = folder/'env'/('Scripts' if os.name == 'nt' else 'bin')
    python = programs/'python'
    site = call(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # a path alone: what is installed in editable form there stays out
    (Path(site)/'others.pth').write_text('\n'.join({sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}))
    wheel, = dist.glob('*.whl')
    # although the environment that it borrows from may have an editable one
    quiet = '--no-deps', '--no-index', '--ignore-installed', '--no-compile', '--disable-pip-version-check', '-q'
    call(sys.executable, '-m', 'pip', '--python', python, 'install', *quiet, wheel)
    return programs

def test_the_wheel_translates(fresh, tmp_path):
    "From another folder, without the repository"
    from latent_style.painted import paint_folder
    env = {key: value for key,value in os.environ.items() if key not in ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV')}
    def run(program, *words): return call(fresh/program, *words, cwd=tmp_path, env=env)
    place = run('python', '-c', 'import latent_style; print(latent_style.__file__)').strip()
    assert Path(place).resolve().is_relative_to(fresh.parent.resolve()), place
    assert settings()['version'] in run('latent_style', '--version')
    paint_folder(tmp_path/'pictures', n_train=1, n_test=1, manners=('photo',), size=64, progress=False)
    run('latent_style', 'translate', 'demo:impressionist', 'pictures/test/photo', '--out', 'painted')
    assert len(list((tmp_path/'painted').glob('*.png'))) == 1

# What is said

def test_the_changelog_knows_the_version():
    "As a section of its own, or as what is to come"
    log,version = text('CHANGELOG.md'),settings()['version']
    assert re.search(rf'^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$', log, re.M) or f'will be {version}' in log
    known = 'Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'
    assert set(re.findall(r'^### (.*)', log, re.M)) <= set(known)

@pytest.mark.parametrize('name', ['CONTRIBUTING.md', 'CHANGELOG.md'])
def test_what_is_told_exists(name):
    "Targets, files and options of tools"
    told = text(name)
    assert set(re.findall(r'`make (\w+)', told)) <= targets()
    links = [link for link in re.findall(r'\]\(([^)#\s]+)', told) if '://' not in link]
    files = re.findall(r'`(?:python )?((?:tools|tests|nbs|bench)/[\w./]+\.\w+)', told)
    missing = [f for f in {*links, *files} if not (ROOT/f).exists()]
    assert not missing, missing
    for tool,option in re.findall(r'`python (tools/\w+\.py) (--\w+)', told): assert option in text(tool), (tool, option)

def test_the_release_uploads_what_was_tried():
    jobs = yaml.safe_load(text('.github/workflows/release.yml'))['jobs']
    assert jobs['try']['needs'] == 'build' and jobs['upload']['needs'] == 'try'
    assert jobs['upload']['permissions'] == {'id-token': 'write'}
    lines = [step.get('run', '') for step in jobs['build']['steps']]
    assert {line.partition(' ')[2] for line in lines if line.startswith('make ')} == {'test', 'dist'} <= targets()
    check = next(line for line in lines if 'settings.ini' in line)
    version = f"version = {settings()['version']}"
    assert version in text('settings.ini').splitlines() and 'version = ${GITHUB_REF_NAME#v}' in check

def test_hooks_name_what_there_is():
    repositories = yaml.safe_load(text('.pre-commit-config.yaml'))['repos']
    for hook in (hook for repository in repositories for hook in repository['hooks']):
        program,*words = hook['entry'].split()
        if program == 'python': assert (ROOT/words[0]).exists(), words
        else: assert Path(sys.executable).with_name(program).exists(), program

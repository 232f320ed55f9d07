"""The challenge: entries have their time and no more, cheats are refused, and a recolouring does not win

The bundled entries are those of bench/submissions."""
import re
from pathlib import Path

import pytest, torch
from test_cli import call

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT/'bench/submissions'
COUNTED = pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='this system does not tell about processes')

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    from latent_style.contest import training_world
    return training_world(tmp_path_factory.mktemp('challenge'), 8, 64)

@pytest.fixture(autouse=True)
def at_home(monkeypatch): monkeypatch.chdir(ROOT)

N = 16         # fewer scenes of this size can lack strokes to be measured
SMALL = f'--scenes {N} --n_train 8 --size 64'.split()

def scored(world, *entries, seconds=20., code=0, more=()):
    "What the command prints"
    return call('challenge', *entries, '--minutes', seconds/60, '--path', world, *SMALL, *more, code=code)

def rows(said): return {line.split()[0]: line for line in said.splitlines() if line[:1] not in ('',' ')}

def test_bundled_entries(world, tmp_path):
    "The two that need no training; the recolouring is right, and not painted"
    table,seen = tmp_path/'table.md',[]
    for _ in range(2):
        files = ['--table',table,'--out',tmp_path/'pics']
        said = scored(world, BUNDLED/'identity.py', BUNDLED/'recolour.py', more=files)
        seen.append(re.search(r'seed of the scenes: (\d+)', said)[1])
    assert seen[0] != seen[1], 'the seed must not be foreseen'
    text = table.read_text()
    assert f'seed {seen[1]}, drawn after the training' in text and 'recolour.py' in text and '| recolour |' in text
    kept = sorted(f.relative_to(tmp_path/'pics').as_posix() for f in (tmp_path/'pics').rglob('*.png'))
    assert len(kept) == 4*N+1 and kept[0] == 'all.png', kept
    columns = {k: [float(v) for v in re.findall(r'-?\d+\.\d+', line)] for k,line in rows(said).items()}
    assert columns['identity'][:2] == [0., 0.]
    assert columns['recolour'][1] > .3, said

def test_a_recolouring_does_not_win():
    "At full size, even when it is told the true colours; beside it, strokes in the colours of the photograph"
    from latent_style.autoencoders import load_codec
    from latent_style.contest import standings, unseen
    from latent_style.texture import recolour
    source,truth = unseen(seed=5, n=8)
    blind = truth-truth.mean((2,3), keepdim=True)+source.mean((2,3), keepdim=True)
    made = {k: (x, 1., '') for k,x in dict(colours=recolour(source, source, truth), strokes=blind.clamp(-1, 1)).items()}
    found = {r['entry']: r for r in standings(made, truth, source, load_codec('tiny'))}
    assert found['colours']['truth'] > .6 and found['colours']['score'] < .25, found['colours']
    assert found['strokes']['texture'] > .7 and found['strokes']['score'] < .25, found['strokes']
    assert found['(floor)']['score'] == pytest.approx(1)

def test_a_given_seed_repeats(world):
    first,second = (scored(world, BUNDLED/'recolour.py', more=['--seed','11']) for _ in range(2))
    numbers = [rows(said)['recolour'].rsplit(maxsplit=1)[0] for said in (first,second)]    # without the seconds
    assert numbers[0] == numbers[1] and 'seed of the scenes: 11' in first

def test_methods_learn_to_fit_their_time(world, tmp_path, monkeypatch):
    "An entry that trains: a short training tells how long the real one may be. Caches named before are not its own"
    monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', str(tmp_path/'elsewhere'))
    text = (BUNDLED/'cyclegan.py').read_text().replace("preset='laptop'", "preset='laptop', ngf=8, n_blocks=1, ndf=8")
    (tmp_path/'small.py').write_text(text)
    said = scored(world, tmp_path/'small.py', seconds=24)
    assert 'refused' not in said and 3 < float(re.search(r'small: ([\d.]+) of', said)[1]) < 24, said

def test_the_truth_is_out_of_reach(world):
    said = scored(world, BUNDLED/'cheats/reads_the_truth.py', code=2)
    assert 'refused: imports latent_style.painted: the painter knows the truth' in said

@COUNTED
def test_time_cannot_be_hidden(world):
    said = scored(world, BUNDLED/'cheats/computes_on.py', seconds=1.5, code=2)
    assert 'refused: over the budget' in said
    left = [f for f in Path('/proc').glob('[0-9]*/cmdline') if str(world).encode() in read(f)]
    assert not left, 'its processes are still there'

def read(file):
    try: return file.read_bytes()
    except OSError: return b''

HEAD = 'import os, sys, time, torch\nfrom pathlib import Path\ndef fit(photo, impressionist, task):\n    '
TRICKS = dict(
    a_copy_of_the_painter='import latent_style\n    (Path(latent_style.__file__).parent/"brushes.py").read_text()',
    compiled='import latent_style\n    f = Path(latent_style.__file__).parent/"__pycache__"/"painted.cpython-311.pyc"\n'
             '    open(f, "rb")',
    weights='open(Path.home()/"weights.pt", "rb")',
    a_shipped_run='from latent_style import load_run\n    load_run("demo:flow")',
    another_program='import subprocess\n    subprocess.run(["python", "-c", "import latent_style.painted"])',
    spawned='import multiprocessing\n    multiprocessing.get_context("spawn").Process(target=print).start()',
    the_world='(task.pictures/"photo/000000.png").write_bytes(b"")',
    the_scorer='open(f"/proc/{os.getppid()}/mem", "rb")',
    the_network='import socket\n    socket.create_connection(("127.0.0.1", 9))')

@pytest.mark.parametrize('name', TRICKS)
def test_tricks_are_refused(world, tmp_path, name):
    "Even where the entry catches every error"
    body = TRICKS[name].replace('\n    ', '\n        ')
    file = tmp_path/f'{name}.py'
    file.write_text(f'{HEAD}try:\n        {body}\n    except BaseException: pass\n    return lambda x: x\n')
    said = scored(world, file, code=2)
    assert f'{name}: refused: ' in said and 'Error' not in said, said

def test_the_scorer_is_another_process(world, tmp_path):
    "What an entry does to our functions happens to itself alone"
    (tmp_path/'patch.py').write_text(HEAD+'''import latent_style.eval, latent_style.texture
    latent_style.eval.truth_score = lambda *a, **kw: dict(score=1., lo=1., hi=1., error=0., floor=0., identity=1., n=1)
    latent_style.texture.score_of_features = lambda *a, **kw: dict(score=1.)
    return lambda x: x''')
    assert rows(scored(world, tmp_path/'patch.py'))['patch'].split()[1:3] == ['0.00','0.00']

def test_a_name_is_no_pair(world):
    "Files of one name show scenes that differ as much as any two"
    from latent_style.eval import as_pictures, pixel_error
    x,y = (as_pictures(world/'pictures/train'/d) for d in ('photo','impressionist'))
    same,other = pixel_error(x, y).mean(),torch.stack([pixel_error(x, y.roll(k, 0)).mean() for k in range(1, 8)])
    assert same > other.mean()-2*other.std()

def test_the_score_wants_both():
    from latent_style.contest import score
    def row(truth, *texture): return dict(score=truth, texture=texture[0], texture_ps=texture[1])
    assert score(row(.65, .05, .05)) < .1 < score(row(.2, .2, .2)) < score(row(.4, .4, .4))
    assert score(row(1., 0., 0.)) == score(row(0., 1., 1.)) == score(row(-.5, 1., 1.)) == 0

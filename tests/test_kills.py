"""Kill -9 at any moment, and the same command again: the run is the one that was never touched, to the last bit

A server that has imported everything forks a process for each attempt, so that a kill costs no start of Python. Some
attempts are ended by the clock, others by a fault at a place of its own: when a file of a checkpoint is written, when
its folder takes its name, when an old one is removed."""
import errno, json, multiprocessing, os, random, re, shutil, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors import SafetensorError

from latent_style.cli import RESUME, main
from latent_style.disk import locked
from latent_style.learner import Callback
from latent_style.run import CLOCK, read_log
from latent_style.saving import checkpoints, newest_whole, read_best

METHODS = dict(
    cyclegan=('cyclegan', 'latents', dict(ngf=8, n_blocks=1, ndf=8, pool_size=4)),
    stargan=('stargan', 'latents', dict(width=16, n_blocks=1, n_s=8, w_map=16, w_enc=8, ndf=8)),
    pixels=('stargan_pixels', 'pictures/train', dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0)),
    otcfm=('otcfm', 'latents', dict(dim=16, n_blocks=1, n_s=16, buffer=16)))
STEPS = 24
COMMON = dict(n_steps=STEPS, batch=2, ckpt_every=3, log_every=2, sample_every=12, n_samples=1, best='q', ema=.9,
              device='cpu', progress=False)
SERVER = multiprocessing.get_context('forkserver')

# What runs in the process that is killed

def fault(place, n):
    "Die at the n-th call of a function of the system"
    from latent_style import encoding, saving
    owners = dict(save=(saving, 'save_file'), replace=(os, 'replace'), flush=(os, 'fsync'), hash=(saving, 'file_hash'),
                  remove=(shutil, 'rmtree'), mkdir=(Path, 'mkdir'), part=(encoding, 'save_file'))
    owner,name = owners[place]
    real,left = getattr(owner, name),[n]
    def broken(*args, **kw):
        left[0] -= 1
        if left[0] == 0:
            if place in ('save','part'): Path(args[1]).write_bytes(b'half a file')
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kw)
    setattr(owner, name, broken)

def quality(learn):
    "A number of the weights that goes up and down, from which the best step follows"
    first = next(next(iter(vars(learn.n).values())).parameters())
    return dict(q=float(abs(first.detach().sum())*1e3 % 7))

def train(method, data, path, options, place=None):
    "One attempt at a training"
    import importlib, torch
    from latent_style.callbacks import Curves
    torch.set_num_threads(1)
    Curves.draw = lambda curves, learn: None
    if place: fault(*place)
    importlib.import_module(f'latent_style.{method}').train(data, path, evaluate=quality, **options)

def command(words, place=None):
    "One attempt at a command"
    import torch
    from latent_style.cli import main
    torch.set_num_threads(1)
    if place: fault(*place)
    sys.exit(main([str(w) for w in words]))

def start(what, *args):
    process = SERVER.Process(target=what, args=args)
    process.start()
    return process

def finish(what, *args):
    process = start(what, *args)
    process.join(240)
    assert process.exitcode == 0, process.exitcode

def killed(what, args, after=None, place=None):
    "Is an attempt killed, by the clock or by a fault, before it is through?"
    process = start(what, *args, place)
    process.join(after if place is None else 240)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0

@pytest.fixture(scope='module', autouse=True)
def server():
    "Started with one thread, and with everything imported"
    before = {k: os.environ.get(k) for k in ('OMP_NUM_THREADS','CUDA_VISIBLE_DEVICES')}
    os.environ |= dict(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    modules = 'cli verbs cyclegan stargan stargan_pixels otcfm encoding judge'.split()
    SERVER.set_forkserver_preload(['torch._dynamo', *(f'latent_style.{module}' for module in modules)])
    finish(command, ['--version'])
    yield
    for k in before: del os.environ[k]
    os.environ |= {k: v for k,v in before.items() if v is not None}

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains and their latents"
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('kills')
    paint_folder(folder/'pictures', n_train=6, n_test=6, manners=('photo','anime'), size=64, progress=False)
    encode_folder(folder/'pictures/train', folder/'latents', codec='tiny', size=64, progress=False)
    return folder

# A run in one go, and one in many

def rows(path): return [{k: v for k,v in row.items() if k not in CLOCK} for row in read_log(path)]

def files(path, but=()):
    "Everything that a run leaves, but for its lock, its clock and its configuration's path"
    found = {f.relative_to(path).as_posix(): f.read_bytes() for f in sorted(path.rglob('*')) if f.is_file()}
    return {k: v for k,v in found.items() if k not in ('.lock','config.json','log.jsonl',*but)}

def same(whole, parts):
    "Weights, averages, optimizers, best, samples: every byte; rows of the log, but for the clock"
    a,b = files(whole),files(parts)
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    assert not [k for k in a if a[k] != b[k]]
    assert rows(whole) == rows(parts)
    told = [json.loads((p/'config.json').read_text()) | dict(path='') for p in (whole,parts)]
    assert told[0] == told[1]
    assert any(k.startswith('samples/') for k in a) and 'ckpt/best.json' in a

def arguments(name, world, path):
    method,data,options = METHODS[name]
    return method,str(world/data),str(path),COMMON|options

@pytest.fixture(scope='module')
def whole(world):
    "Runs that were never killed, and how long they took"
    done = {}
    def make(name):
        if name not in done:
            begun = time.monotonic()
            finish(train, *arguments(name, world, world/f'whole_{name}'))
            done[name] = world/f'whole_{name}',time.monotonic()-begun
        return done[name]
    return make

# The kills. Calls of a function in this training: two files to each checkpoint, a flush for each, one folder renamed
FEW = dict(cyclegan=[('save', 2), ('replace', 9), ('remove', 6)], stargan=[('save', 3)], pixels=[('hash', 4)],
           otcfm=[('flush', 5)])

@pytest.mark.parametrize('name', METHODS)
def test_a_run_that_is_killed_a_few_times(world, whole, tmp_path, name):
    "In the middle of a file, before a folder has its name, while an old one is removed"
    args = arguments(name, world, tmp_path/'parts')
    for place in FEW[name]: assert killed(train, args, place=place), place
    finish(train, *args)
    same(whole(name)[0], tmp_path/'parts')

@pytest.mark.torture
@pytest.mark.parametrize('name', METHODS)
def test_a_run_that_is_killed_thirty_times(world, whole, tmp_path, name, tell):
    "By turns at a place and at a moment; an attempt that comes through is compared, and another run begins"
    path,seconds = whole(name)
    draw,kills,runs = random.Random(name),0,1
    while kills < 30:
        args = arguments(name, world, tmp_path/f'parts{runs}')
        place = draw.choice('save replace flush hash remove mkdir'.split()),draw.randint(1, 9)
        how = dict(place=place) if kills % 2 else dict(after=draw.uniform(.05, seconds/2))
        if killed(train, args, **how): kills += 1
        else:
            same(path, Path(args[2]))
            runs += 1
    finish(train, *args)
    same(path, Path(args[2]))
    tell(f'{name}: {kills} kills, {runs} runs, all of them the same')

def verbs(world, out):
    "Command, its arguments, and what it leaves"
    pics,run = world/'pictures/test',world/'whole_cyclegan'
    cpu = ['--device', 'cpu']
    judged = ['--source', pics/'photo', '--target', pics/'anime', '--to', 'anime', '--size', 64, '--cache', out/'cache']
    return dict(
        encode=['encode', pics, out/'made', '--size', 64, '--batch', 1, '--no-progress'],
        translate=['translate', run, pics/'photo', '--out', out/'made', '--batch', 1, '--no-progress', *cpu],
        evaluate=['evaluate', run, *judged, '--out', out/'made', *cpu])

VERBS = dict(encode=[('part', 3)], translate=[('replace', 3)], evaluate=[('replace', 1)])

def made(folder): return files(folder/'made', ['.translated.jsonl','.memory.sqlite','report.html'])

def of_verb(world, tmp_path, name, kills):
    "What a command leaves, in one go and killed again and again; how many kills there were"
    (tmp_path/'whole').mkdir()
    (tmp_path/'parts').mkdir()
    finish(command, verbs(world, tmp_path/'whole')[name])
    n = sum(killed(command, (verbs(world, tmp_path/'parts')[name],), **how) for how in kills)
    finish(command, verbs(world, tmp_path/'parts')[name])
    a,b = made(tmp_path/'whole'),made(tmp_path/'parts')
    assert a and a.keys() == b.keys(), a.keys() ^ b.keys()
    assert not [k for k in a if a[k].replace(b'/whole/', b'/parts/') != b[k]]
    return n

@pytest.mark.parametrize('name', VERBS)
def test_a_command_that_is_killed(world, whole, tmp_path, name):
    whole('cyclegan')
    assert of_verb(world, tmp_path, name, [dict(place=place) for place in VERBS[name][:1]]) == 1

@pytest.mark.torture
@pytest.mark.parametrize('name', VERBS)
def test_a_command_that_is_killed_ten_times(world, whole, tmp_path, name):
    whole('cyclegan')
    draw = random.Random(name)
    of_verb(world, tmp_path, name, [dict(after=draw.uniform(.02, 2)) for _ in range(10)])

# Asked to stop

def asked(sig, words, ready, timeout=120):
    "Send a signal to a command once something is there; its exit status"
    process = start(command, words)
    begun = time.monotonic()
    while not ready() and process.is_alive() and time.monotonic()-begun < timeout: time.sleep(.01)
    os.kill(process.pid, sig)
    process.join(60)
    return process.exitcode

@pytest.mark.parametrize('sig', [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_asked_to_stop_saves_and_says_so(world, tmp_path, sig):
    run = tmp_path/'r'
    small = '--ngf 8 --n_blocks 1 --ndf 8 --batch 2 --log_every 1 --sample_every 0 --device cpu --no-progress'.split()
    words = ['train', 'cyclegan', world/'latents', '--path', run, '--n_steps', 10**6, *small]
    assert asked(sig, words, lambda: len(read_log(run)) > 2) == RESUME
    last = read_log(run)[-1]['step']
    assert [p.name for p in checkpoints(run)] == [f'step_{last:08d}'] and not list((run/'ckpt').glob('.tmp*'))

@pytest.mark.usefixtures('no_curves')
def test_a_limit_of_time_says_so_too(world, tmp_path, capsys):
    small = '--ngf 8 --n_blocks 1 --ndf 8 --batch 2 --sample_every 0 --device cpu --no-progress --n_steps 99'.split()
    words = ['train', 'cyclegan', str(world/'latents'), '--path', str(tmp_path/'r'), *small, '--max_minutes', '1e-9']
    assert main(words) == RESUME and 'stopped at step 1; the same command goes on' in capsys.readouterr().err
    assert main(words) == RESUME and checkpoints(tmp_path/'r')[-1].name == 'step_00000002'

def test_an_encoding_that_is_asked_to_stop_goes_on(world, tmp_path):
    words = verbs(world, tmp_path)['encode']
    assert asked(signal.SIGTERM, words, lambda: list(tmp_path.glob('made/.parts/[!.]*'))) in (RESUME, 0)
    finish(command, words)
    assert not (tmp_path/'made/.parts').exists() and not (tmp_path/'made/.owner').exists()

# The disk and the neighbours

SMALL = dict(ngf=8, n_blocks=1, ndf=8, batch=2, log_every=1, sample_every=0, device='cpu', progress=False)

@pytest.mark.parametrize('error', [OSError(errno.ENOSPC, 'No space left on device'),
                                   SafetensorError('I/O error: No space left on device (os error 28)')])
@pytest.mark.usefixtures('no_curves')
def test_a_full_disk_keeps_the_last_checkpoint(world, tmp_path, monkeypatch, error):
    from latent_style import cyclegan, saving
    real,n = saving.save_file,[0]
    def full(tensors, path, **kw):
        n[0] += 1
        if n[0] < 4: return real(tensors, path, **kw)
        Path(path).write_bytes(b'as much as there was room for')
        raise error
    monkeypatch.setattr(saving, 'save_file', full)
    with pytest.raises(OSError, match='ckpt/step_00000004: the disk is full .* are missing.*goes on from step 2'):
        cyclegan.train(world/'latents', tmp_path/'r', n_steps=6, ckpt_every=2, **SMALL)
    assert sorted(p.name for p in (tmp_path/'r/ckpt').iterdir()) == ['step_00000002']
    monkeypatch.undo()
    assert cyclegan.train(world/'latents', tmp_path/'r', n_steps=6, ckpt_every=2, **SMALL).i == 6

@pytest.mark.torture
def test_a_disk_that_is_really_full(world, tmp_path):
    "A small one of its own, where the system lets us have it"
    disk,left = tmp_path/'disk',tmp_path/'left'
    disk.mkdir()
    small = '--ngf 8 --n_blocks 1 --ndf 8 --batch 2 --log_every 1 --sample_every 0 --device cpu --no-progress --keep 99'
    small = f'--n_steps 400 --ckpt_every 2 {small}'
    train = f'{sys.executable} -m latent_style train cyclegan {world}/latents --path {disk}/r {small}'
    script = f'mount -t tmpfs -o size=900k none {disk} || exit 99; {train}; echo status $?; cp -r {disk} {left}'
    done = subprocess.run(['unshare', '-rm', 'sh', '-c', script], capture_output=True, text=True, timeout=300)
    if done.returncode == 99 or 'unshare' in done.stderr[:20]: pytest.skip('no disk of our own here: '+done.stderr)
    assert 'status 2' in done.stdout and 'the disk is full' in done.stderr and 'Traceback' not in done.stderr
    assert newest_whole(left/'r') is not None and not list(left.glob('r/ckpt/.tmp*'))

@pytest.mark.usefixtures('no_curves')
def test_a_folder_that_takes_nothing_is_an_error_before_the_first_step(world, tmp_path, capsys):
    words = ['train', 'cyclegan', str(world/'latents'), '--n_steps', '1', '--no-progress', '--device', 'cpu', '--path']
    (tmp_path/'file').write_text('in the way')
    for place in ('/proc/run', tmp_path/'file'/'r'):        # nobody, not even root, makes a folder there
        assert main([*words, str(place)]) == 2
        assert str(place) in capsys.readouterr().err
    (tmp_path/'r').mkdir()
    (tmp_path/'r/ckpt').write_text('in the way')
    assert main([*words, str(tmp_path/'r')]) == 2
    assert 'ckpt' in capsys.readouterr().err and not (tmp_path/'r/log.jsonl').exists()

def test_a_second_process_is_refused(world, tmp_path, capsys):
    with locked(tmp_path/'r'):
        process = start(command, ['train', 'cyclegan', world/'latents', '--path', tmp_path/'r', '--n_steps', 1])
        process.join(60)
        assert process.exitcode == 2
    assert not (tmp_path/'r').exists()

@pytest.mark.usefixtures('no_curves')
def test_a_torn_line_of_the_log_is_mended(world, tmp_path):
    from latent_style import cyclegan
    how = SMALL | dict(n_steps=8, ckpt_every=4)
    cyclegan.train(world/'latents', tmp_path/'whole', **how)
    cyclegan.train(world/'latents', tmp_path/'r', max_minutes=1e-9, **how)
    with open(tmp_path/'r/log.jsonl', 'a') as file: file.write('{"step": 2, "lo')
    cyclegan.train(world/'latents', tmp_path/'r', **how)
    assert rows(tmp_path/'r') == rows(tmp_path/'whole')
    assert (tmp_path/'r/log.jsonl').read_text().count('\n') == 8

@pytest.mark.usefixtures('no_curves')
def test_a_run_that_moved_to_another_machine_goes_on(world, tmp_path):
    "Latents and run folder lie elsewhere; what was stopped there is what was never stopped"
    from latent_style import cyclegan
    how = SMALL | dict(n_steps=6)
    cyclegan.train(world/'latents', tmp_path/'whole', **how)
    shutil.copytree(world/'latents', tmp_path/'there/latents')
    cyclegan.train(tmp_path/'there/latents', tmp_path/'there/r', max_minutes=1e-9, **how)
    (tmp_path/'there').rename(tmp_path/'here')
    cyclegan.train(tmp_path/'here/latents', tmp_path/'here/r', **how)
    last = 'ckpt/step_00000006/weights.safetensors'
    assert (tmp_path/'here/r'/last).read_bytes() == (tmp_path/'whole'/last).read_bytes()

@pytest.mark.usefixtures('no_curves')
def test_the_best_step_is_known_though_the_note_of_it_was_lost(world, tmp_path):
    "The end came between a checkpoint and best.json"
    from latent_style import cyclegan
    how = SMALL | dict(n_steps=9, ckpt_every=3, best='q')
    how |= dict(sample_every=3, evaluate=lambda learn: dict(q={3: .5, 6: 1.}.get(learn.i, 0.)))
    class Stop(Callback):
        order = 99
        def after_step(self, learn): learn.stop = learn.i == 6
    cyclegan.train(world/'latents', tmp_path/'r', cbs=[Stop()], **how)
    (tmp_path/'r/ckpt/best.json').write_text(json.dumps(dict(step=3, value=.5, key='q', sign=1)))
    cyclegan.train(world/'latents', tmp_path/'r', **how)
    assert read_best(tmp_path/'r') == dict(step=6, value=1., key='q', sign=1)
    assert [p.name for p in checkpoints(tmp_path/'r')] == ['step_00000006','step_00000009']

@pytest.mark.usefixtures('no_curves')
def test_a_step_is_over_before_it_is_saved(world, tmp_path):
    "The best step is found when a row is written, before the samples of that step are drawn: it is saved after them"
    from latent_style import cyclegan
    class Late(Callback):
        order = 30
        def after_step(self, learn): seen[learn.i] = (learn.path/'ckpt'/f'step_{learn.i:08d}').exists()
    seen = {}
    how = SMALL | dict(n_steps=4, ckpt_every=99, best='q', sample_every=2, cbs=[Late()])
    cyclegan.train(world/'latents', tmp_path/'r', evaluate=lambda learn: dict(q=float(learn.i)), **how)
    assert seen == dict.fromkeys(range(1, 5), False) and read_best(tmp_path/'r')['step'] == 4
    assert len(checkpoints(tmp_path/'r')) == 2

def test_durations_use_a_clock_that_only_goes_forward(root):
    files = [*(root/'latent_style').rglob('*.py')]
    assert not [f.name for f in files if re.search(r'\btime\.time\(', f.read_text(encoding='utf-8'))]

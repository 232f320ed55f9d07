"""The loop alone and with two processes: who stops, what is the best, what is evaluated, and what a run folder says"""
import ast, json, os, shlex, signal, subprocess, sys, time
from pathlib import Path
from textwrap import dedent

import pytest, torch
from safetensors.torch import load_file

from latent_style import cyclegan
from latent_style.cli import main
from latent_style.learner import Callback, Learner, adam
from latent_style.run import read_config, read_log
from latent_style.saving import checkpoints, read_best, weights

ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', CUDA_VISIBLE_DEVICES='')
SMALL = dict(ngf=8, n_blocks=1, ndf=8, batch=4, lr=1e-3, sample_every=0, progress=False, device='cpu')
WORDS = [w for k,v in SMALL.items() if k not in ('progress','device') for w in (f'--{k}', str(v))] + ['--no-progress']

pytestmark = pytest.mark.usefixtures('no_curves')

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains, their latents, and latents of several shapes"
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('loop')
    paint_folder(folder/'pictures', n_train=6, n_test=1, manners=('photo','anime'), size=64)
    paint_folder(folder/'large', n_train=2, n_test=1, manners=('photo','anime'), size=96)
    how = dict(codec='tiny', progress=False)
    encode_folder(folder/'pictures/train', folder/'latents', size=64, **how)
    for i,file in enumerate(sorted((folder/'large/train').rglob('*.png'))):
        file.rename(folder/'pictures/train'/file.parent.name/f'large{i}.png')
    encode_folder(folder/'pictures/train', folder/'mixed', mode='keep', size=None, **how)
    return folder

# Two processes

# Every scene is one run of two processes; each process writes down where it ended, and with which weights.
SCRIPT = dedent('''
    import hashlib, json, os, signal, sys, time
    from pathlib import Path
    import torch
    from latent_style import cyclegan, otcfm, stargan_pixels
    from latent_style.callbacks import Curves
    from latent_style.learner import Callback, Learner

    Curves.draw = lambda curves, learn: None
    world,out = map(Path, sys.argv[1:])
    for name in ('all_reduce','all_gather_into_tensor','broadcast','barrier','broadcast_object_list'):
        def counted(*args, real=getattr(torch.distributed, name), **kw):
            Count.n += 1
            return real(*args, **kw)
        setattr(torch.distributed, name, counted)

    class Count(Callback):
        "Messages between the processes in each step; updates are those of the gradients"
        n,order = 0,99
        def before_step(self, learn): Count.n = 0
        def after_step(self, learn): counts.append(Count.n)

    class Signal(Callback):
        def before_step(self, learn):
            if learn.rank == 1 and learn.i == 3: os.kill(os.getpid(), signal.SIGTERM)

    class Slow(Callback):
        "The second process is a good deal slower to start its clock"
        order = 59
        def before_fit(self, learn): time.sleep(.7*learn.rank)

    class Early(Callback):
        "A watcher of the second process alone that has seen enough"
        def after_step(self, learn): learn.stop = learn.rank == 1 and learn.i == 4

    def digest(learn):
        h = hashlib.sha256()
        for net in (*vars(learn.n).values(), *vars(learn.ema).values()):
            for v in net.state_dict().values(): h.update(v.detach().contiguous().numpy().tobytes())
        return h.hexdigest()

    def differing(learn): return dict(kid=float(abs(learn.i-6)+10*learn.rank))     # otherwise in the second
    def alone(learn): return dict(acc=float(learn.i == 4)) if learn.main else {}

    small = dict(batch=4, sample_every=0, ckpt_every=5, log_every=5, progress=False)
    cyc = small | dict(ngf=8, n_blocks=1, ndf=8, domains=['photo','anime'], pool_size=0)
    pix = small | dict(size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0, batch=2)
    flow = small | dict(dim=16, n_blocks=1, n_s=16, buffer=16)
    for_ever = dict(n_steps=10**6)
    scenes = dict(
        time = (cyclegan, 'latents', cyc | for_ever | dict(max_minutes=.01, cbs=[Slow()])),
        signal = (cyclegan, 'latents', cyc | for_ever | dict(cbs=[Signal()])),
        watcher = (otcfm, 'latents', flow | for_ever | dict(cbs=[Early()])),
        best = (cyclegan, 'latents', cyc | dict(n_steps=12, sample_every=3, evaluate=differing, best='kid')),
        alone = (cyclegan, 'latents', cyc | dict(n_steps=8, sample_every=4, evaluate=alone, best='acc')),
        pixels = (stargan_pixels, 'pictures/train', pix | for_ever | dict(cbs=[Signal()])),
        mixed = (cyclegan, 'mixed', cyc | for_ever | dict(cbs=[Signal()])),
        whole = (cyclegan, 'latents', cyc | dict(n_steps=12, log_every=12)),
        halves = (cyclegan, 'latents', cyc | dict(n_steps=12, log_every=12, cbs=[Early()])),
        halves_again = (cyclegan, 'latents', cyc | dict(n_steps=12, log_every=12)),
        messages = (cyclegan, 'latents', cyc | dict(n_steps=4, log_every=100, cbs=[Count()])))
    for name,(method,data,options) in scenes.items():
        counts,start = [],time.monotonic()
        learn = method.train(world/data, out/name.removesuffix('_again'), **options)
        seen = dict(step=learn.i, weights=digest(learn), world=learn.world, row=learn.row.get('step'), counts=counts)
        (out/f'{name}_{learn.rank}.json').write_text(json.dumps([seen, time.monotonic()-start]))

    torch.manual_seed(learn.rank)
    net = torch.nn.BatchNorm2d(3)
    net.running_mean += learn.rank
    net.weight.data += torch.randn(3)
    learn = Learner(dict(N=net), {}, None, None)
    (out/f'start_{learn.rank}.json').write_text(json.dumps([dict(weights=digest(learn)), 0.]))
''')

@pytest.fixture(scope='module')
def two(world):
    "Folder of the runs of two processes, without a word about the device"
    script,out = world/'scenes.py',world/'two'
    script.write_text(SCRIPT, encoding='utf-8')
    out.mkdir()
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
    done = subprocess.run([*launch, script, world, out], capture_output=True, text=True, env=ENV, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return out

def ended(two, name):
    "What both processes have seen, which must be the same"
    (a,seconds),(b,_) = (json.loads((two/f'{name}_{k}.json').read_text()) for k in (0,1))
    assert a == b and seconds < 60
    return a

@pytest.mark.parametrize('name', ['time','signal','watcher','best','alone','pixels','mixed'])
def test_two_processes_end_together(two, name):
    seen = ended(two, name)
    assert seen['world'] == 2
    assert checkpoints(two/name)[-1].name == f'step_{seen["step"]:08d}'
    steps = [r['step'] for r in read_log(two/name)]
    assert steps == sorted(set(steps)), 'both have written the log'

def test_a_signal_to_one_process_ends_both_two_steps_later(two):
    for name in ('signal','pixels','mixed'): assert ended(two, name)['step'] == 5
    assert ended(two, 'watcher')['step'] == 6

def test_the_best_is_what_the_first_process_has_found(two):
    assert read_best(two/'best') == dict(step=6, value=0., key='kid', sign=-1)
    assert [r['kid'] for r in read_log(two/'best') if 'kid' in r] == [3., 0., 3., 6.]
    assert ended(two, 'best')['row'] == 12
    assert read_best(two/'alone') == dict(step=4, value=1., key='acc', sign=1)

def test_the_wish_to_stop_needs_no_message_of_its_own(two):
    assert ended(two, 'messages')['counts'] == [2, 2, 2, 4]    # two updates; in the end sums and a row

def test_sums_of_all_processes_survive_a_stop_between_two_rows(two):
    assert ended(two, 'halves')['step'] == 6
    assert ended(two, 'halves_again')['weights'] == ended(two, 'whole')['weights']
    (row,),(want,) = (read_log(two/name) for name in ('halves','whole'))
    means = [k for k in want if k.startswith('loss')]
    assert means and {k: row[k] for k in means} == pytest.approx({k: want[k] for k in means}, rel=1e-5)

def test_processes_start_from_the_weights_of_the_first(two): ended(two, 'start')

def test_processes_that_cannot_share_a_batch_are_refused(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setattr('latent_style.processes.Accelerator', lambda **kw: type('Alone', (), dict(num_processes=1)))
    with pytest.raises(ValueError, match='each of them would train the whole run'): Learner({}, {}, None, None)

def test_a_launcher_that_is_interrupted_leaves_a_checkpoint(world):
    "Ctrl-C reaches the launcher, which passes it on"
    run = world/'interrupted'
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', '-m']
    train = ['latent_style', 'train', 'cyclegan', world/'latents', '--path', run]
    words = [*launch, *train, '--n_steps', '1000000', '--log_every', '1', *WORDS]
    process = subprocess.Popen(list(map(str, words)), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    start = time.monotonic()
    while not read_log(run) and time.monotonic()-start < 60: time.sleep(.1)
    process.send_signal(signal.SIGINT)
    said,_ = process.communicate(timeout=60)
    rows = [r['step'] for r in read_log(run)]
    assert rows == list(range(1, len(rows)+1)), said
    assert [p.name for p in checkpoints(run)] == [f'step_{rows[-1]:08d}'], said

# The device

def toy(**kw):
    net = torch.nn.Linear(1, 1)
    return Learner(dict(N=net), dict(N=adam(net)), None, None, **kw)

def test_the_device_asked_for_is_the_device_used(monkeypatch):
    "Call after call in one process, whatever accelerate remembers of the first"
    from accelerate.state import AcceleratorState, PartialState
    assert toy(device='cpu').device.type == 'cpu'
    monkeypatch.setattr('latent_style.devices.best_device', lambda: torch.device('meta'))
    best = toy()
    assert best.device.type == best.n.N.weight.device.type == 'meta'
    for state in (PartialState, AcceleratorState):
        monkeypatch.setitem(state._shared_state, 'device', torch.device('cuda'))
        monkeypatch.setitem(state._shared_state, '_cpu', False)
    learn = toy(device='cpu')
    assert learn.device.type == learn.n.N.weight.device.type == 'cpu'

# The run folder

def test_the_config_of_a_run_can_be_trained_from(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['train', 'cyclegan', str(world/'latents'), '--path', 'r', '--kimg', '.008', *WORDS]) == 0
    assert read_config('r')['n_steps'] == 2
    assert main(['train', '--config', 'r/config.json']) == 0
    assert main(['train', '--config', 'r/config.json', '--path', 'r2', '--kimg', '.012']) == 0
    assert read_config('r2')['n_steps'] == 3
    older = json.loads(Path('r/config.json').read_text()) | dict(kimg=.008)      # as it was written once
    Path('r/config.json').write_text(json.dumps(older))
    assert main(['train', '--config', 'r/config.json', '--path', 'r3']) == 0
    assert read_config('r3') == read_config('r') | dict(path='r3')
    small = '--size 32 --width 4 --c_max 8 --w_map 16 --n_steps 1 --batch 2 --workers 0 --sample_every 0 --no-progress'
    assert main(['train', 'pixels', str(world/'pictures/train'), '--path', 'p', *small.split()]) == 0
    assert main(['train', '--config', 'p/config.json', '--path', 'p2']) == 0
    assert read_config('p2') == read_config('p') | dict(path='p2')

def test_a_cyclegan_is_trained_longer_by_a_new_run(world, tmp_path):
    cyclegan.train(world/'latents', tmp_path/'r', n_steps=2, **SMALL)
    with pytest.raises(ValueError, match='n_steps: 2 in the run, 4 now'):
        cyclegan.train(world/'latents', tmp_path/'r', n_steps=4, **SMALL)
    learn = cyclegan.train(world/'latents', tmp_path/'r2', n_steps=0, init=tmp_path/'r', **SMALL)
    last = load_file(checkpoints(tmp_path/'r')[-1]/'weights.safetensors')
    begun = weights(learn)
    for k in begun: assert torch.equal(begun[k], last[k.replace('_ema', '')]), k
    assert cyclegan.train(world/'latents', tmp_path/'r3', n_steps=4, init=tmp_path/'r', **SMALL).i == 4

def test_after_an_explosion_the_way_out_exists(world, tmp_path, monkeypatch):
    class Boom(Callback):
        def before_step(self, learn):
            if learn.i == 12:
                for p in learn.n.G.parameters(): p.data.mul_(1e30)
    monkeypatch.chdir(tmp_path)
    how = SMALL | dict(path='r', n_steps=60, log_every=10, ckpt_every=5)
    with pytest.raises(FloatingPointError) as error: cyclegan.train(world/'latents', cbs=[Boom()], **how)
    assert [p.name for p in checkpoints('r')] == ['step_00000005','step_00000010']
    command = next(line for line in str(error.value).splitlines() if line.startswith('  latent_style '))
    assert '--init r/ckpt/step_00000010' in command and '--lr 0.0001' in command
    assert main(shlex.split(command)[1:]) == 0
    assert read_log('r_2')[-1]['step'] == 60 and read_log('r_2')[-1]['skipped_steps'] == 0

def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(world, tmp_path, capsys):
    how = SMALL | dict(path=tmp_path/'r', n_steps=4, ckpt_every=2)
    whole = cyclegan.train(world/'latents', **how)
    file = checkpoints(tmp_path/'r')[-1]/'weights.safetensors'
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r'step_00000004/weights.*Remove .* to use step 2'):
        cyclegan.translate(tmp_path/'r', torch.zeros(3,64,64))
    with pytest.warns(UserWarning, match='goes on from step 2'): again = cyclegan.train(world/'latents', **how)
    for k,v in again.n.G.state_dict().items(): assert torch.equal(v, whole.n.G.state_dict()[k])
    assert len(cyclegan.translate(tmp_path/'r', torch.zeros(3,64,64))) == 1

def test_evaluations_count_whenever_the_run_was_stopped(world, tmp_path):
    "A run in one go, and one that stopped between an evaluation and the row of the log that is due"
    class Stop(Callback):
        order = 99
        def after_step(self, learn): learn.stop = learn.i == 8
    how = SMALL | dict(n_steps=20, log_every=10, ckpt_every=8, best='q', ema=.9)
    how |= dict(sample_every=7, evaluate=lambda learn: dict(q={7: 1., 14: .5}.get(learn.i, .1)))
    cyclegan.train(world/'latents', tmp_path/'a', **how)
    cyclegan.train(world/'latents', tmp_path/'b', cbs=[Stop()], **how)
    cyclegan.train(world/'latents', tmp_path/'b', **how)
    for name in 'ab':
        assert read_best(tmp_path/name) == dict(step=7, value=1., key='q', sign=1)
        assert [r['q'] for r in read_log(tmp_path/name) if 'q' in r] == [1., .5, .1]
        assert (tmp_path/name/'ckpt/step_00000007').exists()

# Other systems

def texts_without_encoding(file):
    "Calls that read or write text in whatever encoding the system likes"
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.Call) or any(k.arg == 'encoding' for k in node.keywords): continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
        plain = name == 'open' and isinstance(node.func, ast.Name)
        binary = len(node.args) > 1 and isinstance(node.args[1], ast.Constant) and 'b' in str(node.args[1].value)
        if name in ('read_text','write_text') or plain and not binary: yield f'{file.name}, line {node.lineno}'

def test_texts_are_utf8_on_every_system(root):
    found = [line for f in (root/'latent_style').rglob('*.py') for line in texts_without_encoding(f)]
    assert not found

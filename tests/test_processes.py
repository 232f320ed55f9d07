"""Two processes that share a batch do what one process does, for every method, in float64.

In a second run the processes change places: the one that writes the log and the checkpoints then has the upper half of
every batch, and what it writes must be the same."""
import json, os, subprocess, sys, time
from functools import lru_cache
from importlib import import_module
from textwrap import dedent

import pytest, torch
from PIL import Image
from safetensors.torch import load_file

ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')
CLOCK = {'time_sec','elapsed_total_sec','samples_per_sec','eta_sec','timestamp'}
TINY = dict(n_steps=6, batch=4, device='cpu', precision='fp64', progress=False, log_every=3, sample_every=0)
STARGAN = dict(r1_every=2, health_every=3, ema=.9)

# name -> module, folder of the world, options. Both StarGANs are made so that some fakes of a batch, and not
# others, differ by more than the margin of diversity: the latent one, whose margin is the default, by a wild `lr_f`.
RUNS = dict(
    cyclegan = ('cyclegan', 'latents', TINY | dict(
        domains=['photo','anime'], ngf=8, n_blocks=1, ndf=8, w_id=.5, pool_size=5)),
    painted  = ('cyclegan', 'latents', TINY | dict(
        domains=['photo','anime'], ngf=8, n_blocks=1, ndf=8, w_id=.5, pool_size=5, noise=2, cells=2, w_tex=2., patch=3,
        filters=8, past=3)),
    stargan  = ('stargan', 'latents', TINY | STARGAN | dict(
        width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, lr=.005, lr_f=.5, ds_decay=2.)),
    brushed  = ('stargan', 'latents', TINY | STARGAN | dict(
        width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, noise=2, cells=2, w_tex=2., patch=3, filters=8,
        recent=5, he=True)),
    pixels   = ('stargan_pixels', 'pictures/train', TINY | STARGAN | dict(
        size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0, ds_margin=.2)),
    pictured = ('stargan_pixels', 'pictures/train', TINY | STARGAN | dict(
        size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0, ds_margin=.2, noise=2, smooth=True, bridges=True,
        cells=2, w_tex=2., patch=3, filters=8)),
    otcfm    = ('otcfm', 'latents', TINY | dict(
        dim=32, n_blocks=2, n_s=32, buffer=16, lr=1e-3, warmup=2)))

# Pictures of several shapes, three domains where the method takes them, and what else a step may look at.
RUNS |= dict(
    mixed_cyclegan = ('cyclegan', 'mixed latents', TINY | dict(
        domains=['photo','anime'], ngf=8, n_blocks=1, ndf=8, d_stride=1, pool_size=5, noise=2, cells=2, cells_a=3,
        w_tex=2., patch=3, filters=8, past=3, stroke=1.5, micro_batch=1)),
    mixed_stargan  = ('stargan', 'mixed latents', TINY | STARGAN | dict(
        width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, noise=2, cells=2, w_tex=2., patch=3, filters=8, recent=5,
        targets=2, lr=.005, lr_f=.5, ds_margin=1.2, ds_decay=2.)),
    mixed_pixels   = ('stargan_pixels', 'mixed pictures/train', TINY | STARGAN | dict(
        order='original', size=32, width=4, c_max=8, n_s=8, n_z=4, w_map=16, workers=0, ds_margin=.2, crop=1.)),
    mixed_otcfm    = ('otcfm', 'mixed latents', TINY | dict(
        mode='both', share=.25, coupling='sinkhorn', time='skewed', drop=.5, crop=6, dim=32, n_blocks=2, n_s=32,
        buffer=16, lr=1e-3, warmup=2)))

# What each of the two processes runs: all methods, with the processes in one order and in the other.
SCRIPT = dedent('''
    import importlib, json, sys
    from pathlib import Path
    import torch
    from latent_style.callbacks import Curves
    from latent_style.learner import Learner

    Curves.draw = lambda curves, learn: None        # they take longer than these runs

    build = Learner.__init__

    def turned(learn, *args, **kw):
        "A learner that was numbered the other way round: its share of the batch, and its place among all fakes"
        build(learn, *args, **kw)
        gather = learn.acc.gather
        learn.rank = learn.world-1-learn.rank
        learn.acc.gather = lambda x: torch.cat(gather(x).chunk(learn.world)[::-1])

    world,runs,out = Path(sys.argv[1]),json.loads(sys.argv[2]),Path(sys.argv[3])
    for name,(module,data,options) in runs.items():
        train = importlib.import_module('latent_style.'+module).train
        for order,init in dict(straight=build, turned=turned).items():
            Learner.__init__ = init
            learn = train(world/data, out/f'{name}_{order}', **options)
            seen = dict(processes=learn.acc.num_processes, rank=learn.rank, writes=learn.main, step=learn.i)
            Path(out, f'{name}_{order}_{learn.acc.process_index}.json').write_text(json.dumps(seen))
        if name.startswith('mixed'): continue
        if module == 'otcfm': options |= dict(mode='direct')       # the other mode asks for an even number anyway
        try: train(world/data, out/f'{name}_odd', **options | dict(batch=5))
        except ValueError as e: Path(out, f'{name}_odd_{learn.acc.process_index}.txt').write_text(str(e))
''')

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains and their latents"
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('processes')
    paint_folder(folder/'pictures', n_train=10, n_test=1, manners=('photo','anime'), size=64)
    encode_folder(folder/'pictures/train', folder/'latents', codec='tiny', size=64, progress=False)
    paint_folder(folder/'mixed pictures', n_train=6, n_test=1, manners=('photo','anime','swirl'), size=96)
    for i,file in enumerate(sorted((folder/'mixed pictures/train').rglob('*.png'))):
        Image.open(file).crop((0, 0, 96-16*(i % 3 == 1), 96-16*(i % 3 == 2))).save(file)
    how = dict(codec='tiny', size=None, mode='keep', progress=False)
    encode_folder(folder/'mixed pictures/train', folder/'mixed latents', **how)
    return folder

@pytest.fixture(scope='module')
def two(world):
    "Folder with the runs of two processes"
    script,out = world/'share.py',world/'two'
    script.write_text(SCRIPT)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
    words = [*launch, script, world, json.dumps(RUNS), out]
    done = subprocess.run(words, capture_output=True, text=True, env=ENV, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return out

AUTO = dedent('''
    import os, sys
    from pathlib import Path
    from latent_style import devices, learner
    for able in (0,1):
        devices.computes_bf16 = lambda device: int(os.environ['RANK']) == able
        learn = learner.Learner({}, {}, None, None, precision='auto', device='cpu', config=dict(precision='auto'))
        Path(f"{sys.argv[1]}/{able}_{os.environ['RANK']}").write_text(f"{learn.precision} {learn.config['precision']}")
''')

def test_auto_precision_is_that_of_the_first_process(tmp_path):
    "One of two machines computes in bfloat16: first the one, then the other"
    script = tmp_path/'auto.py'
    script.write_text(AUTO)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
    done = subprocess.run([*launch, script, tmp_path], capture_output=True, text=True, env=ENV, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    for able,precision in enumerate(('bf16','fp32')):
        assert [(tmp_path/f'{able}_{rank}').read_text() for rank in (0,1)] == [f'{precision} {precision}']*2

@pytest.fixture(scope='module')
def one(world):
    "Function name -> folder of the run of one process, this one"
    still = pytest.MonkeyPatch()
    still.setattr('latent_style.callbacks.Curves.draw', lambda curves, learn: None)
    @lru_cache
    def run(name):
        module,data,options = RUNS[name]
        learn = import_module('latent_style.'+module).train(world/data, world/'one'/name, **options)
        assert learn.acc.num_processes == 1 and learn.i == 6
        return world/'one'/name
    yield run
    still.undo()

def tensors(run):
    "Everything of the last checkpoint: weights, averages, moments of the optimizers, histories of fakes"
    folder = run/'ckpt/step_00000006'
    return load_file(folder/'weights.safetensors') | load_file(folder/'state.safetensors')

def rows(run): return [json.loads(line) for line in (run/'log.jsonl').read_text().splitlines()]

def close(a, b, what): torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, msg=lambda m: f'{what}: {m}')

def together(found):
    "One vector for all weights of a network, and one for each kind of its optimizer's moments, which are far below 1"
    parts = {}
    for k,v in sorted(found.items()):
        first,*_,last = k.split('.')
        name = f'{".".join(k.split(".")[:2])} {last}' if first == 'opt' else first
        parts.setdefault(name, []).append(v.double().flatten())
    return {k: torch.cat(v) for k,v in parts.items()}

@pytest.mark.parametrize('name', [name for name in RUNS if not name.startswith('mixed')])
def test_a_batch_that_cannot_be_shared_is_refused(two, name):
    for process in (0,1):
        said = (two/f'{name}_odd_{process}.txt').read_text()
        assert said == 'batch 5 cannot be shared evenly by 2 processes: take a multiple of 2'

def test_shapes_are_mixed(world):
    from latent_style.store import open_store
    assert {d.name: len(d.shapes) for d in open_store(world/'mixed latents')} == dict(anime=3, photo=3, swirl=3)

@pytest.mark.parametrize('order', ['straight','turned'])
@pytest.mark.parametrize('name', list(RUNS))
def test_two_processes_do_what_one_does(one, two, name, order):
    for process in (0,1):
        seen = json.loads((two/f'{name}_{order}_{process}.json').read_text())
        rank = process if order == 'straight' else 1-process
        assert seen == dict(processes=2, rank=rank, writes=process == 0, step=6)
    a,b = tensors(one(name)),tensors(two/f'{name}_{order}')
    assert a.keys() == b.keys()
    for k in a: close(b[k], a[k], k)
    a,b = together(a),together(b)
    for k in a: assert (b[k]-a[k]).norm() <= 1e-9*a[k].norm(), k
    for row,want in zip(rows(two/f'{name}_{order}'), rows(one(name)), strict=True):
        assert row.keys() == want.keys()
        for k in want.keys()-CLOCK: assert row[k] == pytest.approx(want[k], rel=1e-9, abs=1e-9), k

# A run on the command line, in whose second process the system strikes in the middle of step 5.
STRUCK = dedent('''
    import os, signal, sys, time
    from pathlib import Path
    from latent_style.cli import main
    from latent_style.learner import Learner

    step = Learner.one_step
    def struck(learn):
        if learn.i == 4 and learn.rank == 1:
            Path(sys.argv[1], 'struck').write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        step(learn)
    Learner.one_step = struck
    rc = main(sys.argv[2:])
    Path(sys.argv[1], os.environ['RANK']).write_text(str(rc))
    sys.exit(rc)
''')

def typed(options):
    "Options as they stand on a command line"
    for k,v in options.items():
        if v is False: yield f'--no-{k}'
        else: yield from (f'--{k}', ','.join(v) if isinstance(v, list) else str(v))

def test_a_process_that_is_killed_ends_the_run_for_all_and_the_run_goes_on(world, one, tmp_path):
    module,data,options = RUNS['cyclegan']
    script,run = tmp_path/'struck.py',tmp_path/'run'
    script.write_text(STRUCK)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', script, tmp_path]
    words = ['train', 'cyclegan', world/data, '--path', run, *typed(options | dict(ckpt_every=3))]
    done = subprocess.run([*launch, *words], capture_output=True, text=True, env=ENV, timeout=300)
    assert time.time()-float((tmp_path/'struck').read_text()) < 60
    assert done.returncode != 0
    assert 'one of the 2 processes has died' in done.stderr, done.stderr
    assert 'The last checkpoint is that of step 3; the same command goes on' in done.stderr
    assert (tmp_path/'0').read_text() == '75' and not (tmp_path/'1').exists()
    learn = import_module('latent_style.'+module).train(world/data, run, **options)
    assert learn.i == 6
    a,b = tensors(one('cyclegan')),tensors(run)
    for k in a: close(b[k], a[k], k)

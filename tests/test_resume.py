"Runs that are killed and go on, encoding that is killed and goes on, and two processes that do what one does"
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest, torch
from safetensors.torch import load_file

EXE = Path(sys.executable).parent/'latent_style'
ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains and their latents"
    from latent_style.data import encode_folder
    from latent_style.painted import paint_folder
    d = tmp_path_factory.mktemp('resume')
    paint_folder(d/'pictures', n_train=18, n_test=1, manners=('photo','anime'), size=64)
    encode_folder(d/'pictures/train', d/'latents', codec='tiny', size=64, progress=False)
    return d

def command(*words):
    if not EXE.exists(): pytest.skip('the command latent_style is not installed beside this Python: pip install -e .')
    return [str(EXE), *map(str, words)]

def finish(words):
    r = subprocess.run(words, capture_output=True, text=True, env=ENV, timeout=240)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout + r.stderr

def kill_when(words, ready, timeout=120):
    "Start a process and end it without warning as soon as `ready()`; whether it was still running"
    p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    t = time.time()
    while not ready() and p.poll() is None:
        assert time.time()-t < timeout, 'nothing to kill appeared'
        time.sleep(.002)
    running = p.poll() is None
    p.send_signal(signal.SIGKILL); p.wait()
    return running

def train_words(world, path, n_steps=60):
    return command('train', '--data', world/'latents', '--path', path, '--domains', 'photo,anime', '--n_steps', n_steps, '--batch', 4, '--ngf', 8, '--n_blocks', 1, '--ndf', 8,
                   '--lr', '1e-3', '--ckpt_every', 7, '--sample_every', 1000, '--log_every', 1, '--device', 'cpu', '--no-progress')

def test_killed_training_resumes_to_the_same_bytes(world):
    "A real kill in the middle of an epoch (4 and a half steps long), and a new process"
    finish(train_words(world, world/'whole'))
    first = world/'parts/ckpt/step_00000007/state.json'
    assert kill_when(train_words(world, world/'parts'), first.exists), 'the run was over before it was killed'
    steps = sorted(int(p.name[5:]) for p in (world/'parts/ckpt').glob('step_*'))
    assert steps and steps[-1] < 60, steps
    finish(train_words(world, world/'parts'))
    for f in ('weights.safetensors','state.safetensors'):
        a,b = ((world/p/'ckpt/step_00000060'/f).read_bytes() for p in ('whole','parts'))
        assert a == b, f
    rows = [[json.loads(l) for l in (world/p/'log.jsonl').read_text().splitlines()] for p in ('whole','parts')]
    assert [r['step'] for r in rows[0]] == [r['step'] for r in rows[1]] == list(range(1, 61))
    assert [r['loss_G'] for r in rows[0]] == [r['loss_G'] for r in rows[1]]

def test_killed_encoding_resumes_to_the_same_bytes(world):
    words = lambda dst: command('encode', world/'pictures/train', dst, '--codec', 'tiny', '--size', 64, '--batch', 2, '--no-progress')
    finish(words(world/'enc_whole'))
    part = world/'enc_parts/.parts'
    assert kill_when(words(world/'enc_parts'), lambda: part.is_dir() and len(list(part.glob('[!.]*.safetensors'))) > 2), 'encoding was over before it was killed'
    assert not list((world/'enc_parts').glob('*/index.json'))
    finish(words(world/'enc_parts'))
    names = lambda d: sorted(str(f.relative_to(d)) for f in d.rglob('*') if f.is_file())
    assert names(world/'enc_whole') == names(world/'enc_parts')
    for n in names(world/'enc_whole'): assert (world/'enc_whole'/n).read_bytes() == (world/'enc_parts'/n).read_bytes(), n

SCRIPT = '''
import json, sys
from pathlib import Path
from latent_style.cyclegan import train
world,path = sys.argv[1:]
learn = train(world+'/latents', path, ('photo','anime'), n_steps=6, batch=4, ngf=8, n_blocks=1, ndf=8, w_id=.5, device='cpu', progress=False, log_every=3)
Path(path, f'rank{learn.rank}.json').write_text(json.dumps(dict(world=learn.world, i=learn.i)))
'''

SCRIPT_STARGAN = '''
import json, sys
from pathlib import Path
from latent_style.stargan import train
world,path = sys.argv[1:]
learn = train(world+'/latents', path, n_steps=6, batch=4, width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, r1_every=2, lr=1e-5, lr_f=1e-5, device='cpu', progress=False, log_every=3, health_every=3)
Path(path, f'rank{learn.rank}.json').write_text(json.dumps(dict(world=learn.world, i=learn.i)))
'''

SCRIPT_OTCFM = '''
import json, sys
from pathlib import Path
from latent_style.otcfm import train
world,path = sys.argv[1:]
learn = train(world+'/latents', path, n_steps=6, batch=8, dim=32, n_blocks=2, n_s=32, buffer=16, lr=1e-4, warmup=2, device='cpu', progress=False, log_every=3)
Path(path, f'rank{learn.rank}.json').write_text(json.dumps(dict(world=learn.world, i=learn.i)))
'''

def one_and_two(world, name, script):
    "The same training in one process and in two: folders of both runs"
    (f := world/f'{name}.py').write_text(script); one,two = world/f'{name}_one',world/f'{name}_two'
    finish([sys.executable, str(f), str(world), str(one)])
    finish([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', str(f), str(world), str(two)])
    assert json.loads((one/'rank0.json').read_text())['world'] == 1
    for r in (0,1): assert json.loads((two/f'rank{r}.json').read_text()) == dict(world=2, i=6)
    return one,two

def test_two_processes_train_a_stargan_alike(world):
    one,two = one_and_two(world, 'stargan', SCRIPT_STARGAN)
    a,b = (load_file(p/'ckpt/step_00000006/weights.safetensors') for p in (one,two))
    for k in a: torch.testing.assert_close(a[k], b[k], atol=2e-5, rtol=1e-4, msg=lambda m: f'{k}: {m}')      # an Adam step is 1e-5 long
    rows = [[json.loads(l) for l in (p/'log.jsonl').read_text().splitlines()] for p in (one,two)]
    for a,b in zip(*rows):
        assert a.keys() == b.keys() and 'ds' in rows[0][0] and 'r1' in a
        for k in ('d_loss','g_loss','sty','cyc','r1','h_style','h_lead'): assert a[k] == pytest.approx(b[k], rel=2e-3, abs=1e-5), k

def test_two_processes_do_what_one_does(world):
    "The same batch shared by two processes (gloo) gives the same weights, averages and histories of fakes"
    one,two = one_and_two(world, 'cyclegan', SCRIPT)
    for f in ('weights.safetensors','state.safetensors'):
        a,b = (load_file(p/'ckpt/step_00000006'/f) for p in (one,two))
        assert a.keys() == b.keys()
        for k in a: torch.testing.assert_close(a[k], b[k], atol=1e-5, rtol=1e-5 if f[0] == 'w' else 1e-3, msg=lambda m: f'{k}: {m}')
    rows = [[json.loads(l) for l in (p/'log.jsonl').read_text().splitlines()] for p in (one,two)]
    for a,b in zip(*rows): assert a['loss_G'] == pytest.approx(b['loss_G'], rel=1e-4) and a['loss_D'] == pytest.approx(b['loss_D'], rel=1e-4)

def test_two_processes_train_a_flow_alike(world):
    one,two = one_and_two(world, 'otcfm', SCRIPT_OTCFM)
    a,b = (load_file(p/'ckpt/step_00000006/weights.safetensors') for p in (one,two))
    for k in a: torch.testing.assert_close(a[k], b[k], atol=2e-5, rtol=1e-4, msg=lambda m: f'{k}: {m}')
    rows = [[json.loads(l) for l in (p/'log.jsonl').read_text().splitlines()] for p in (one,two)]
    for a,b in zip(*rows):
        for k in ('loss','cost','norm'): assert a[k] == pytest.approx(b[k], rel=2e-3), k

def test_killed_flow_resumes_to_the_same_bytes(world):
    "A kill in the middle of a buffer of pairs"
    words = lambda path: command('train', 'otcfm', world/'latents', '--path', path, '--n_steps', 40, '--batch', 4, '--dim', 32, '--n_blocks', 2, '--n_s', 32, '--buffer', 20, '--lr', '1e-3',
                                 '--ckpt_every', 7, '--sample_every', 1000, '--log_every', 1, '--device', 'cpu', '--no-progress')
    finish(words(world/'flow_whole'))
    assert kill_when(words(world/'flow_parts'), (world/'flow_parts/ckpt/step_00000007/state.json').exists), 'the run was over before it was killed'
    finish(words(world/'flow_parts'))
    for f in ('weights.safetensors','state.safetensors'):
        a,b = ((world/p/'ckpt/step_00000040'/f).read_bytes() for p in ('flow_whole','flow_parts'))
        assert a == b, f

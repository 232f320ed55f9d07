"""Runs that are killed and go on, and encoding that is killed and goes on

A kill needs a process of its own, and so does going on with a training, which may know nothing but its run folder.
What is done in one go is done by this process, with as many threads."""
import json, os, signal, subprocess, sys, time
from pathlib import Path

import pytest, torch

from latent_style.cli import main

EXE = Path(sys.executable).parent/'latent_style'
ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')
TRAINING = ('--lr','1e-3','--ckpt_every',7,'--sample_every',1000,'--log_every',1,'--device','cpu','--no-progress')

@pytest.fixture(scope='module', autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Pictures of two domains and their latents"
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('resume')
    paint_folder(folder/'pictures', n_train=18, n_test=1, manners=('photo','anime'), size=64)
    encode_folder(folder/'pictures/train', folder/'latents', codec='tiny', size=64, progress=False)
    return folder

def command(*words): return list(map(str, words))

def finish(words): assert main(words) == 0

def started(words, **how):
    if not EXE.exists(): pytest.skip('the command latent_style is not installed beside this Python: pip install -e .')
    return subprocess.Popen([EXE, *words], env=ENV, **how)

def go_on(words):
    process = started(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said,_ = process.communicate(timeout=240)
    assert process.returncode == 0, said

def kill_when(words, ready, timeout=120):
    "Start the command and end it without warning as soon as `ready()`; whether it was still running"
    process = started(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start = time.time()
    while not ready() and process.poll() is None:
        assert time.time()-start < timeout, 'nothing to kill appeared'
        time.sleep(.002)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return running

def killed_and_resumed(words, path):
    "Train in one go, and in two with a kill after the first checkpoint: `words` makes the command for a run folder"
    whole,parts = path.with_name(path.name+'_whole'),path.with_name(path.name+'_parts')
    finish(words(whole))
    first = parts/'ckpt/step_00000007/state.json'
    assert kill_when(words(parts), first.exists), 'the run was over before it was killed'
    left = sorted(int(p.name[5:]) for p in (parts/'ckpt').glob('step_*'))
    go_on(words(parts))
    return whole,parts,left

def same_bytes(whole, parts, *files):
    for f in files: assert (whole/f).read_bytes() == (parts/f).read_bytes(), f

def test_killed_training_resumes_to_the_same_bytes(world):
    "A real kill in the middle of an epoch (4 and a half steps long), and a new process"
    how = ('--domains','photo,anime','--n_steps',60,'--batch',4,'--ngf',8,'--n_blocks',1,'--ndf',8,*TRAINING)
    words = lambda path: command('train', '--data', world/'latents', '--path', path, *how)
    whole,parts,left = killed_and_resumed(words, world/'gan')
    assert left and left[-1] < 60, left
    same_bytes(whole, parts, 'ckpt/step_00000060/weights.safetensors', 'ckpt/step_00000060/state.safetensors')
    rows = [[json.loads(line) for line in (p/'log.jsonl').read_text().splitlines()] for p in (whole,parts)]
    assert [r['step'] for r in rows[0]] == [r['step'] for r in rows[1]] == list(range(1, 61))
    assert [r['loss_G'] for r in rows[0]] == [r['loss_G'] for r in rows[1]]

def test_killed_flow_resumes_to_the_same_bytes(world):
    "A kill in the middle of a buffer of pairs"
    how = ('--n_steps',40,'--batch',4,'--dim',32,'--n_blocks',2,'--n_s',32,'--buffer',20,*TRAINING)
    words = lambda path: command('train', 'otcfm', world/'latents', '--path', path, *how)
    whole,parts,_ = killed_and_resumed(words, world/'flow')
    same_bytes(whole, parts, 'ckpt/step_00000040/weights.safetensors', 'ckpt/step_00000040/state.safetensors')

def test_killed_encoding_resumes_to_the_same_bytes(world):
    how = ('--codec','tiny','--size',64,'--batch',2,'--no-progress')
    words = lambda folder: command('encode', world/'pictures/train', folder, *how)
    whole,parts = world/'encoded_whole',world/'encoded_parts'
    finish(words(whole))
    pieces = lambda: list((parts/'.parts').glob('[!.]*.safetensors'))
    assert kill_when(words(parts), lambda: len(pieces()) > 2), 'encoding was over before it was killed'
    assert not list(parts.glob('*/index.json'))
    finish(words(parts))
    # hidden files hold times and places
    found = [[f for f in folder.rglob('*') if f.is_file() and f.name[0] != '.'] for folder in (whole,parts)]
    names = [sorted(f.relative_to(folder) for f in files) for files,folder in zip(found, (whole,parts))]
    assert names[0] == names[1]
    same_bytes(whole, parts, *names[0])

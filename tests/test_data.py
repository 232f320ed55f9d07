"Encoding survives being killed, needs no network, and works on real pictures where they are at hand"
import os, shutil, signal, subprocess, sys, time
from pathlib import Path
import numpy as np, pytest, torch
from latent_style.autoencoders import Latents, Pixels
from latent_style.data import load_picture, save_picture
from latent_style.folders import find_pictures
from latent_style.encoding import encode_folder
from latent_style.store import open_store

SLOW = '''
import sys, time
from latent_style.autoencoders import Pixels
from latent_style.encoding import encode_folder

class Slow(Pixels):
    def encode(self, x, **kwargs):
        time.sleep(.2)
        return super().encode(x, **kwargs)

print('ready', flush=True)
encode_folder(sys.argv[1], sys.argv[2], Slow(16), size=16, batch=2, shard_mb=.02, progress=False)
'''
ENV = dict(os.environ, OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')

def contents(folder):
    "All files but the hidden ones, which hold times and places"
    files = [f for f in sorted(folder.rglob('*')) if f.is_file() and f.name[0] != '.']
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}

def encode(src, dst, skip_bad=False):
    "What a slow encoder in a process of its own would write in the end, without its slowness"
    return encode_folder(src, dst, Pixels(16), size=16, batch=2, shard_mb=.02, progress=False, skip_bad=skip_bad)

def kill_after(n_parts, src, dst):
    "Start to encode, kill the process when so many parts are there"
    p = subprocess.Popen([sys.executable, '-c', SLOW, str(src), str(dst)], env=ENV, stdout=subprocess.DEVNULL)
    end = time.time()+60
    while p.poll() is None and time.time() < end:
        if len(list(dst.glob('.parts/*.safetensors'))) >= n_parts: break
        time.sleep(.02)
    assert p.poll() is None, 'it was over before it could be killed'
    os.kill(p.pid, signal.SIGKILL)
    p.wait()

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp('pictures')
    rng = np.random.default_rng(0)
    for d in 'ab':
        for i in range(20):
            save_picture(torch.from_numpy(rng.uniform(-1, 1, (3,20,24))).float(), root/d/f'{i:02d}.png')
    return root

def test_killed_run_resumes_to_the_same_bytes(pictures, tmp_path):
    encode(pictures, tmp_path/'whole')
    for n in (3, 9): # killed twice, each time after some more parts
        kill_after(n, pictures, tmp_path/'killed')
        assert not list((tmp_path/'killed').glob('*/index.json'))
    encode(pictures, tmp_path/'killed')
    assert contents(tmp_path/'killed') == contents(tmp_path/'whole')
    assert len(list((tmp_path/'whole'/'a').glob('*.safetensors'))) > 1
    encode(pictures, tmp_path/'whole')
    assert contents(tmp_path/'killed') == contents(tmp_path/'whole')

def test_killed_while_joining(pictures, tmp_path):
    "Shards without an index, as a kill between the two leaves them, are written again"
    encode(pictures, tmp_path/'whole')
    before = contents(tmp_path/'whole')
    (tmp_path/'whole'/'b'/'index.json').unlink()
    (tmp_path/'whole'/'b'/'latents-00000-of-00009.safetensors').write_bytes(b'torn')
    with pytest.raises(ValueError, match='unknown domain'): open_store(tmp_path/'whole', ['b'])
    encode(pictures, tmp_path/'whole')
    assert contents(tmp_path/'whole') == before

def test_bad_picture_ends_with_an_error(pictures, tmp_path, capsys):
    shutil.copytree(pictures, tmp_path/'src')
    (tmp_path/'src'/'b'/'torn.png').write_bytes((pictures/'b'/'00.png').read_bytes()[:200])
    with pytest.raises(ValueError, match='b/torn.png.*skip_bad=True'): encode(tmp_path/'src', tmp_path/'out')
    assert 'b/torn.png' in capsys.readouterr().out
    encode(tmp_path/'src', tmp_path/'out', skip_bad=True)
    assert open_store(tmp_path/'out').sizes == [20,20]
    assert 'torn.png' in (tmp_path/'out'/'report.json').read_text()

def test_changed_picture_is_encoded_again(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path/'src')
    encode(tmp_path/'src', tmp_path/'out')
    before = open_store(tmp_path/'out')['a'].take(range(20)).clone()
    save_picture(-load_picture(tmp_path/'src'/'a'/'05.png'), tmp_path/'src'/'a'/'05.png')
    encode(tmp_path/'src', tmp_path/'out')
    after = open_store(tmp_path/'out')['a'].take(range(20))
    assert [i for i in range(20) if not torch.equal(before[i], after[i])] == [5]

def test_real_pictures_through_taesd(tmp_path):
    root = Path(os.environ.get('LATENT_STYLE_SHARED') or Path(__file__).resolve().parents[2]/'shared')
    if not (root/'weights'/'taesd').is_dir():
        pytest.skip('LATENT_STYLE_SHARED with weights/taesd and data/real is not set')
    codec = Latents(root/'weights'/'taesd')
    assert (codec.scale, codec.channels, codec.factor) == (1., 4, 8)
    for d in ('cat','photo'):
        for f in find_pictures(root/'data'/'real'/d/'test')[:8]:
            save_picture(load_picture(f, 256), tmp_path/'src'/d/f'{f.stem}.png')
    encode_folder(tmp_path/'src', tmp_path/'z', codec, progress=False)
    s = open_store(tmp_path/'z', device='cpu')
    assert s['cat'].shape == (4,32,32) and s.codec().id == codec.id
    for d,least in (('cat',22),('photo',20)):
        x = torch.stack([load_picture(tmp_path/'src'/d/n) for n in s[d].names])
        y = s.codec().decode(s[d].take(range(8)))
        assert (10*torch.log10(4/(x-y).square().mean((1,2,3)))).mean() > least
        assert .5 < s[d].take(range(8)).std() < 1.1

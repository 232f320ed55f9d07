"The store: what a run remembers of its data, stores of older versions, several encoders, what is read and what is not"
import json, os, shutil, subprocess, sys, time, warnings
from importlib import import_module
from pathlib import Path

import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import save_file
import latent_style
from latent_style import cyclegan, disk, encoding, otcfm, samples, stargan
from latent_style.autoencoders import Pixels
from latent_style.encoding import encode_folder
from latent_style.method import load_run
from latent_style.run import read_config
from latent_style.store import STORE_FORMAT, open_store, pack_latents

pytestmark = pytest.mark.usefixtures('no_curves')
ENV = os.environ | dict(OMP_WAIT_POLICY='passive', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')
SMALL = dict(n_steps=2, batch=2, sample_every=0, progress=False, device='cpu')
METHODS = dict(
    cyclegan = (cyclegan, SMALL | dict(ngf=8, n_blocks=1, ndf=8)),
    stargan  = (stargan, SMALL | dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, health_every=0)),
    otcfm    = (otcfm, SMALL | dict(dim=32, n_blocks=1, n_s=16, buffer=8)))

def picture(file, seed, size=(64,64)):
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size[::-1],3), dtype=np.uint8)
    Image.fromarray(noise).save(file)

def world(folder, domains='ab', n=4):
    "A folder of pictures, all different"
    for k,d in enumerate(domains):
        for i in range(n): picture(folder/d/f'{i}.png', 100*k+i)
    return folder

def encoded(folder, **options):
    "The pictures and their store"
    encode_folder(world(folder/'pictures'), folder/'store', size=64, progress=False, **options)
    return folder/'pictures',folder/'store'

def again(folder, **options): return encode_folder(folder/'pictures', folder/'store', progress=False, **options)

def train(name, folder, **more):
    module,options = METHODS[name]
    return module.train(folder/'store', folder/'run', **options, **more)

def written(folder):
    "Bytes of a store without the hidden files, which hold times and places"
    files = [f for f in sorted(folder.rglob('*')) if f.is_file() and f.name[0] != '.']
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}

def as_before(store):
    "Turn a store into one of the older format: samples in the index, no digests"
    for file in store.glob('*/index.json'):
        index = json.loads(file.read_text())
        names = open_store(store)[file.parent.name].samples
        shards = [{k: s[k] for k in ('file','shape','sha256')} for s in index['shards']]
        old = {k: v for k,v in index.items() if k != 'digest'}
        file.write_text(json.dumps(old | dict(format='latent_style/1', shards=shards, files=list(names))))
        (file.parent/'samples.sqlite').unlink()
    return store

# A run knows its data

@pytest.mark.parametrize('name', METHODS)
def test_another_size_is_noticed(name, tmp_path):
    encoded(tmp_path)
    train(name, tmp_path)
    again(tmp_path, size=128)
    with pytest.raises(ValueError, match='4x8x8 in the run, 4x16x16 now') as e: train(name, tmp_path)
    assert 'init=' in str(e.value)

def test_other_contents_are_noticed(tmp_path):
    pictures,_ = encoded(tmp_path)
    train('cyclegan', tmp_path)
    picture(pictures/'b'/'2.png', seed=77)
    again(tmp_path, size=64)
    with pytest.raises(ValueError, match='b: 4 latents as in the run, but others'): train('cyclegan', tmp_path)
    (pictures/'b'/'2.png').unlink()
    again(tmp_path, size=64)
    with pytest.raises(ValueError, match='b: 4 latents in the run, 3 now'): train('cyclegan', tmp_path)

def test_latents_replaced_by_noise_are_noticed(tmp_path):
    "Without a word to the index, before a run begins or when it goes on"
    _,store = encoded(tmp_path)
    train('otcfm', tmp_path)
    shard = next((store/'a').glob('*.safetensors'))
    save_file(dict(latents=torch.randn(4,4,8,8).half()), shard)
    for run in ('run','new'):
        with pytest.raises(ValueError, match=f'a/{shard.name}: holds other latents'):
            otcfm.train(store, tmp_path/run, **METHODS['otcfm'][1])

def test_pictures_that_were_added_are_used_and_told(tmp_path):
    pictures,_ = encoded(tmp_path)
    train('cyclegan', tmp_path, max_minutes=1e-9)
    picture(pictures/'a'/'9.png', seed=9)
    again(tmp_path, size=64)
    with pytest.warns(UserWarning, match='a: 4 latents in the run, 5 now'): train('cyclegan', tmp_path)
    assert read_config(tmp_path/'run')['latents']['counts'] == dict(a=5, b=4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        train('cyclegan', tmp_path)
    assert not [w for w in said if 'latents' in str(w.message)]     # told once

def test_a_store_may_move(tmp_path):
    _,store = encoded(tmp_path)
    train('cyclegan', tmp_path)
    store.rename(tmp_path/'elsewhere')
    assert cyclegan.train(tmp_path/'elsewhere', tmp_path/'run', **METHODS['cyclegan'][1]).i == 2

def test_a_codec_may_move(tmp_path):
    shutil.copytree(Path(latent_style.__file__).parent/'weights'/'tiny', tmp_path/'here')
    pictures,store = encoded(tmp_path, codec=str(tmp_path/'here'))
    train('cyclegan', tmp_path)
    (tmp_path/'here').rename(tmp_path/'there')
    with pytest.raises(ValueError, match='--codec'): train('cyclegan', tmp_path)
    with pytest.raises(ValueError, match='--codec'): load_run(tmp_path/'run')
    assert load_run(tmp_path/'run', codec=tmp_path/'there', device='cpu').codec.channels == 4
    assert open_store(store, codec=tmp_path/'there').codec().channels == 4
    assert train('cyclegan', tmp_path, codec=str(tmp_path/'there')).i == 2
    load_run(tmp_path/'run', device='cpu')      # the run has learnt where it lies
    with pytest.raises(ValueError, match='codec mismatch'): open_store(store, codec=other_codec(tmp_path)).codec()

def other_codec(folder):
    "The bundled codec with another scale"
    shutil.copytree(folder/'there', folder/'other')
    file = folder/'other'/'config.json'
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | dict(remark='another one')))
    return folder/'other'

def test_the_codec_is_an_option_of_the_command_line(tmp_path):
    from latent_style.verbs import train_options
    assert 'codec' in train_options(cyclegan)
    assert 'codec' not in train_options(import_module('latent_style.stargan_pixels'))

def test_runs_of_older_versions_go_on(tmp_path):
    encoded(tmp_path)
    train('otcfm', tmp_path)
    file = tmp_path/'run'/'config.json'
    file.write_text(json.dumps({k: v for k,v in json.loads(file.read_text()).items() if k != 'latents'}))
    with pytest.warns(UserWarning, match='older version'): train('otcfm', tmp_path)
    assert read_config(tmp_path/'run')['latents']['counts'] == dict(a=4, b=4)

# Stores of older versions

def test_older_stores_are_read(tmp_path):
    _,store = encoded(tmp_path)
    new = open_store(store)
    z,names,known = new['a'].take(range(4)),list(new['a'].names),read_digests(store)
    train('cyclegan', tmp_path)
    old = open_store(as_before(store))
    assert torch.equal(old['a'].take(range(4)), z) and old['a'].names == names
    few = open_store(store, max_samples=2)['a']
    assert few.names == [names[i] for i in few.samples.rows]
    assert train('cyclegan', tmp_path).i == 2   # it is known again by its digest
    assert read_digests(store) == known

def read_digests(store):
    from latent_style.identity import identity
    return identity(open_store(store))['digests']

def test_older_stores_are_not_encoded_again(tmp_path):
    "An older index has another hash of what it was made from"
    _,store = encoded(tmp_path)
    with samples.Memory(store) as memory:
        tree,_ = encoding.picture_domains(tmp_path/'pictures')
        codec = encoding.load_codec('tiny')
        key = ['latent_style/1', codec.id, codec.tile, codec.dtype, 64, 'crop', False, 0, torch.float16]
        plan,hashes = encoding._plan_parts(tmp_path/'pictures', tree, store/'.parts', 16, key, memory)
    for file in as_before(store).glob('*/index.json'):
        before = encoding._made_before(plan, hashes, False, 256)
        file.write_text(json.dumps(json.loads(file.read_text()) | dict(made_from=before)))
    now = written(store)
    again(tmp_path, size=64)
    assert written(store) == now
    again(tmp_path, size=64, skip_bad=True)
    assert {json.loads(f.read_text())['format'] for f in store.glob('*/index.json')} == {STORE_FORMAT}

# The source and the store

def test_a_domain_that_left_the_source_leaves_the_store(tmp_path, capsys):
    pictures,store = encoded(tmp_path)
    (pictures/'b').rename(pictures/'c')
    assert again(tmp_path, size=64)['domains'] == dict(a=4, c=4)
    assert open_store(store).domains == ['a','c'] and not (store/'b').exists()
    assert 'b is no longer in' in capsys.readouterr().out

def test_a_domain_from_another_source_stays(tmp_path, capsys):
    _,store = encoded(tmp_path)
    encode_folder(world(tmp_path/'more', 'xy'), store, size=64, progress=False)
    assert open_store(store).domains == ['a','b','x','y']
    assert 'a is in the store, and not in' in capsys.readouterr().out

def test_packed_domains_leave_too(tmp_path):
    for d in 'ab':
        (tmp_path/'files'/d).mkdir(parents=True)
        torch.save(torch.zeros(3,8,8), tmp_path/'files'/d/'0.pt')
    pack_latents(tmp_path/'files', tmp_path/'store', Pixels(8), scaled=True)
    (tmp_path/'files'/'b').rename(tmp_path/'files'/'c')
    pack_latents(tmp_path/'files', tmp_path/'store', Pixels(8), scaled=True)
    assert open_store(tmp_path/'store').domains == ['a','c']

def test_unchanged_pictures_are_not_read_again(tmp_path, monkeypatch):
    pictures,store = encoded(tmp_path)
    monkeypatch.setattr(samples, 'TICK', -10**18)       # as if the pictures had been there for long
    read = []
    def counted(path):
        read.append(path.name)
        return disk.file_hash(path)
    monkeypatch.setattr(samples, 'file_hash', counted)
    before = written(store)
    for n in (8,8,9,17):
        if n == 9: picture(pictures/'a'/'1.png', seed=55)
        again(tmp_path, size=64, check='hash' if n == 17 else 'time')
        assert len(read) == n
    assert read[8] == '1.png' and written(store) != before

def test_the_same_pictures_give_the_same_files(tmp_path):
    encoded(tmp_path)
    encode_folder(tmp_path/'pictures', tmp_path/'twin', size=64, progress=False)
    assert written(tmp_path/'store') == written(tmp_path/'twin')
    assert 'a/samples.sqlite' in written(tmp_path/'twin')

ENCODE = '''
import sys, time
from latent_style.autoencoders import Pixels
from latent_style.encoding import encode_folder

class Slow(Pixels):
    def encode(self, x, **kwargs):
        time.sleep(.15)
        return super().encode(x, **kwargs)

print('ready', flush=True)
encode_folder(sys.argv[1], sys.argv[2], Slow(64), size=64, batch=2, progress=False)
'''

def test_two_encoders_do_not_disturb_each_other(tmp_path):
    "The second waits, says for whom, and finds that all is done"
    world(tmp_path/'pictures', n=6)
    encode_folder(tmp_path/'pictures', tmp_path/'alone', Pixels(64), size=64, batch=2, progress=False)
    words = [sys.executable, '-c', ENCODE, str(tmp_path/'pictures'), str(tmp_path/'both')]
    start = lambda: subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    both = [start() for _ in range(2)]
    said = [p.communicate(timeout=90)[0] for p in both]
    assert [p.returncode for p in both] == [0,0], said
    waited = [s for s in said if 'is encoding in this folder. Waiting' in s]
    assert len(waited) == 1 and 'process ' in waited[0], said
    assert written(tmp_path/'both') == written(tmp_path/'alone')

# Memory and size

def test_the_index_does_not_grow_with_the_samples(tmp_path):
    sizes = []
    for n in (2,40):
        encode_folder(world(tmp_path/str(n), n=n), tmp_path/f'z{n}', Pixels(64), size=64, progress=False)
        sizes.append((tmp_path/f'z{n}'/'a'/'index.json').stat().st_size)
    assert abs(sizes[1]-sizes[0]) < 10

def test_few_shot_reads_its_rows_only(tmp_path, monkeypatch):
    encoded(tmp_path)
    asked,records = [],samples._records
    def noted(file, rows):
        for row in rows:
            asked.append(int(row))
            yield from records(file, [row])
    monkeypatch.setattr(samples, '_records', noted)
    store = open_store(tmp_path/'store', max_samples=1, seed=3)
    assert not asked
    assert len(list(store['a'].names)) == 1 and asked == store['a'].samples.rows

def test_loading_takes_the_memory_that_was_checked(tmp_path):
    "Pictures of several shapes, few of them used: only these are loaded"
    for i in range(6): picture(tmp_path/'p'/'a'/f'{i}.png', i, size=(64, 64 if i else 640))
    for i in range(6): picture(tmp_path/'p'/'b'/f'{i}.png', 10+i, size=(96,64))
    encode_folder(tmp_path/'p', tmp_path/'store', Pixels(64), size=None, mode='keep', progress=False)
    for few in (-1,2):
        mapped,loaded = (open_store(tmp_path/'store', max_samples=few, seed=1) for _ in range(2))
        need = sum(d.held.n_bytes() for d in loaded)
        loaded.to('cpu')
        assert sum(s.numel()*s.element_size() for d in loaded for s in d.shards) == need
        for d in 'ab': assert torch.equal(mapped[d].take(range(len(mapped[d]))), loaded[d].take(range(len(mapped[d]))))

def test_batches_for_a_gpu_are_gathered_in_pinned_memory(monkeypatch):
    "A stand-in for the gathered batch notes how it leaves: once, without waiting"
    said,module = [],import_module('latent_style.gather')
    class Batch:
        def to(self, where, **how):
            said.append((where, how))
            return self
    monkeypatch.setattr(module, 'gather_rows', lambda *args: said.append(args[-1]) or Batch())
    shards,k,gpu = [torch.zeros(4,3,8,8)],torch.tensor([0,0]),torch.device('cuda')
    module.arrive(shards, k, torch.tensor([1,2]), None, None, gpu, torch.float32)
    assert said == [True, (gpu, dict(non_blocking=True)), (torch.float32, {})]

@pytest.mark.skipif(not Path('/proc/self/smaps').exists(), reason='needs /proc')
def test_mapped_shards_are_not_read_ahead(tmp_path):
    "Flags of the mapping: rr, to be read here and there; sr, from its first to its last byte"
    _,store = encoded(tmp_path)
    def flags():
        found,mine = [],False
        for line in Path('/proc/self/smaps').read_text().splitlines():
            if line.startswith('VmFlags:') and mine: found.append(line.split())
            elif not line.split()[0].endswith(':'): mine = f'{store}/' in line      # a mapping's first line
        return found
    opened = open_store(store)
    assert flags() and all('rr' in f for f in flags())
    opened.to('cpu', share=0)
    assert flags() and all('rr' in f for f in flags())
    before,held = list(opened.shards),opened.to('cpu')
    assert all('sr' in f for f in flags()) and before and held.flat is not None

def test_one_small_picture_is_named(tmp_path):
    for k,d in enumerate('ab'):
        for i in range(5): picture(tmp_path/'p'/d/f'{i}.png', 10*k+i, size=(40,40) if d+str(i) == 'b4' else (128,96))
    encode_folder(tmp_path/'p', tmp_path/'store', mode='keep', size=None, progress=False)
    said = 'crops are only 5x5 cells: b/4.png is 5 cells high'
    with pytest.warns(UserWarning, match=said): train('cyclegan', tmp_path)

def test_an_interrupted_holder_leaves_nothing_behind(tmp_path):
    start = time.time()
    with pytest.raises(ZeroDivisionError):
        with disk.locked(tmp_path/'new'): print(1/0)
    with disk.locked(tmp_path/'new', wait=True): pass
    assert time.time()-start < 5 and not (tmp_path/'new').exists()

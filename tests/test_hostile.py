"""Broken and hostile files: a clean end that names them, nothing of theirs is run, and nothing beside them changes

Every kind of damage meets every command that reads such a file. The quick half has each kind of
damage and each file once; the whole product, with a table at its end, is `make torture`."""
import faulthandler, json, os, pickle, shutil, struct, zlib
from pathlib import Path

import latent_style, numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import load_file, save_file

from latent_style.cli import main
from latent_style.disk import file_hash

pytestmark = [pytest.mark.usefixtures('no_curves'), pytest.mark.filterwarnings('ignore')]
CPU = ['--device', 'cpu', '--no-progress']
NETS = '--ngf 8 --n_blocks 1 --ndf 8 --batch 2 --n_steps 2 --ckpt_every 1 --sample_every 0'.split()
PIXELS = '--size 32 --width 4 --c_max 8 --w_map 16 --n_s 8 --n_z 4 --n_steps 1 --batch 2 --workers 0'.split()
FLOW = '--dim 16 --n_blocks 1 --n_s 16 --buffer 16 --batch 2 --n_steps 1 --sample_every 0'.split()
RAN = []      # what a hostile file managed to run

def inside(*words): return main([str(w) for w in words])

@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "Pictures, latents in every form, a store, runs, a checkpoint of another system, a cache: all of them good"
    from latent_style.encoding import encode_folder
    from latent_style.models import ResnetGenerator
    from latent_style.painted import paint_folder
    top = tmp_path_factory.mktemp('whole')/'w'
    paint_folder(top/'pics', n_train=3, n_test=8, manners=('photo','swirl'), size=64, progress=False)
    encode_folder(top/'pics/train', top/'store', size=64, progress=False)
    assert inside('train', 'cyclegan', top/'store', '--path', top/'run', *NETS, *CPU) == 0
    assert inside('train', 'pixels', top/'pics/train', '--path', top/'pixels', *PIXELS, *CPU) == 0
    for d in ('photo','swirl'):
        z = load_file(next((top/'store'/d).glob('*.safetensors')))['latents'].float()
        (top/'single'/d).mkdir(parents=True)
        for i,x in enumerate(z): torch.save(x.clone(), top/'single'/d/f'{i}.pt')
        np.save(top/'single'/d/'n.npy', z[0].numpy())
    (top/'rows').mkdir()
    save_file(dict(latents=z), top/'rows/rows.safetensors')
    torch.manual_seed(0)
    net = ResnetGenerator(4, 4, ngf=8, n_blocks=1).state_dict()
    torch.save(dict(G=net, F=net, cfg=dict(model=dict(ngf=8)), step=1), top/'old.pt')
    options = dict(data=str(top/'store'), path=str(top/'new'), n_steps=1, ngf=8, n_blocks=1, ndf=8)
    (top/'options.yaml').write_text(''.join(f'{k}: {v}\n' for k,v in options.items()))
    (top/'options.json').write_text(json.dumps(options))
    shutil.copytree(Path(latent_style.__file__).parent/'weights/tiny', top/'codec')
    assert evaluate(top, top/'run') == 0
    shutil.rmtree(top/'evaluated')
    cached = sorted((top/'cache').glob('*.safetensors'))
    cached[0].rename(top/'cache/kept.safetensors')
    (top/'name.txt').write_text(cached[0].name)
    return top

# What is done to a file

def kind(name, key=None): # of the damage; the entry that a message may name instead of the file
    "Give a function of a file a name"
    def deco(make):
        make.__name__,make.key = name,key
        return make
    return deco

class Call:
    "What pickle would run on reading"
    def __reduce__(self): return exec, ('import test_hostile; test_hostile.RAN.append("pickle")',)

def png(w, h):
    "A picture that says it has w x h pixels, and holds none"
    def chunk(name, data): return struct.pack('>I', len(data))+name+data+struct.pack('>I', zlib.crc32(name+data))
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n'+head+chunk(b'IDAT', zlib.compress(b'\0'*1000))+chunk(b'IEND', b'')

@kind('cut short')
def cut(f): f.write_bytes(f.read_bytes()[:len(f.read_bytes())//2])
@kind('zero bytes')
def empty(f): f.write_bytes(b'')
@kind('noise')
def noise(f): f.write_bytes(np.random.default_rng(0).bytes(3000))
@kind('wrong suffix')
def text(f): f.write_text('not what the suffix says\n'*20)
@kind('flipped bytes')
def flipped(f):
    data = bytearray(f.read_bytes())
    for k in range(len(data)//3, len(data)-20, 97): data[k] ^= 255
    f.write_bytes(bytes(data))
@kind('bomb')
def bomb(f): f.write_bytes(png(60000, 60000))
def instead(name, make):
    "Another thing under the file's name"
    def put(f):
        f.unlink()
        make(f)
    return kind(name)(put)
gone = instead('gone', lambda f: None)
nowhere = instead('link to nothing', lambda f: f.symlink_to('/nowhere/at/all'))
endless = instead('link to a device', lambda f: f.symlink_to('/dev/zero'))
pipe = instead('pipe', os.mkfifo)

def tiff(value, name):
    @kind(name)
    def make(f):
        a = np.full((64,64), .5, np.float32)
        a[3,3] = value
        Image.fromarray(a).save(f, 'TIFF')
    return make
nan_tiff,inf_tiff = tiff(np.nan, 'NaN'),tiff(np.inf, 'Inf')

@kind('pickle with code')
def code(f): f.write_bytes(pickle.dumps(Call()))
@kind('checkpoint with code')
def code_in_torch(f): torch.save(dict(latent=Call(), G=Call(), F={}), f)
@kind('array with code')
def code_in_npy(f): np.save(f, np.array([Call()], dtype=object), allow_pickle=True)

def tensor(name, change):
    "A latent file of the same form with another content"
    @kind(name)
    def make(f):
        x = change(torch.zeros(4, 8, 8))
        if f.suffix == '.pt': torch.save(x, f)
        elif f.suffix == '.npy': np.save(f, x.numpy())
        else: save_file(dict(latents=x[None].contiguous() if x.ndim else x), f)
    return make
def filled(name, v): return tensor(name, lambda x: x.index_fill(0, torch.tensor(0), v))
nan,inf = filled('NaN', np.nan),filled('Inf', np.inf)
flat = tensor('wrong shape', lambda x: x[0])
channels = tensor('other channels', lambda x: torch.zeros(3, 8, 8))
whole_numbers = tensor('wrong dtype', lambda x: x.long())
nothing = tensor('no cells', lambda x: torch.zeros(4, 0, 8))
scalar = tensor('a number', lambda x: torch.tensor(1.))
@kind('not a tensor')
def not_a_tensor(f): torch.save('a text', f)
@kind('lying header')
def lying_npy(f):
    np.save(f, np.zeros((4,8,8), np.float32))
    f.write_bytes(f.read_bytes().replace(b'(4, 8, 8), }       ', b'(400000, 80000, 8)}'))

def header(name, change):
    "A safetensors file whose header says something else"
    @kind(name)
    def make(f):
        data = f.read_bytes()
        n = int.from_bytes(data[:8], 'little')
        head = json.loads(data[8:8+n])
        for entry in head.values():
            if 'shape' in entry: change(entry)
        new = json.dumps(head).encode()
        f.write_bytes(len(new).to_bytes(8, 'little')+new+data[8+n:])
    return make
larger = header('lying header', lambda e: e.update(shape=[1000, *e['shape']]))
overlapping = header('overlapping', lambda e: e.update(data_offsets=[0, e['data_offsets'][1]-e['data_offsets'][0]]))
beyond = header('beyond the end', lambda e: e.update(data_offsets=[k+2**40 for k in e['data_offsets']]))
@kind('endless header')
def long_header(f): f.write_bytes((2**60).to_bytes(8, 'little')+f.read_bytes()[8:])

def told(name, change, key=None):
    "A JSON file with other content"
    @kind(name, key)
    def make(f):
        before = json.loads(f.read_text()) if f.exists() and f.read_text().strip() else {}
        f.write_text(json.dumps(change(before)))
    return make
def entry(*path, value, name=None):
    "One entry of a JSON file"
    def change(d):
        here = d
        for k in path[:-1]: here = here[k]
        here[path[-1]] = value
        return d
    return told(name or f'{path[-1]}={str(value)[:20]}', change, path[-1])
def lacking(key): return told(f'no {key}', lambda d: {k: v for k,v in d.items() if k != key}, key)
a_list,a_number = told('a list', lambda d: [d]),told('a number', lambda d: 5)
@kind('very deep')
def deep(f): f.write_text('['*100000)
@kind('very deep')
def deep_yaml(f): f.write_text('a: '+'['*20000)
@kind('billion laughs', 'domains')
def laughs(f):
    f.write_text('domains:\n- &a0 [lol, lol, lol, lol]\n' + ''.join(f'- &a{i} [{", ".join([f"*a{i-1}"]*9)}]\n'
                                                                     for i in range(1, 12)))
@kind('code in a tag')
def tagged(f): f.write_text('data: !!python/object/apply:exec ["import test_hostile; test_hostile.RAN.append(1)"]\n')
@kind('a list')
def listed(f): f.write_text('- data\n- path\n' if f.suffix == '.yaml' else '[1, 2]')
def lines(text):
    "More lines in a file of options"
    @kind(text.splitlines()[0], text.partition(':')[0])
    def make(f):
        if f.suffix == '.yaml': f.write_text(f.read_text()+text)
        else: f.write_text(json.dumps(json.loads(f.read_text()) | dict(line.split(': ') for line in text.splitlines())))
    return make
def foreign(section, key, value):
    "A file of another system with a wrong value"
    @kind(f'{section}.{key}={value!r}', key)
    def make(f):
        top = f.parent
        cfg = dict(data=dict(a_dir=str(top/'single/photo'), b_dir=str(top/'single/swirl')), model=dict(ngf=8),
                   train=dict(epochs=1, batch_size=2, checkpoint_dir=str(top/'new/model')))
        cfg[section][key] = value
        f.write_text(json.dumps(cfg))
    return make
EVIL = 'import test_hostile\ntest_hostile.RAN.append("masks")\ndef f(x): return x\n'
@kind('a name to import', 'masks')
def masked(f):
    (f.parent.parent/'evil_masks.py').write_text(EVIL)
    entry('masks', value='evil_masks:f')(f)
@kind('a name to import', 'masks')
def masked_options(f):
    (f.parent/'evil_masks.py').write_text(EVIL)
    lines('masks: evil_masks:f\nw_hpf: 1\n')(f)
HUB = dict(id=None, kind='Latents', path='somebody/some-vae', subfolder='vae', channels=4, factor=8, scale=1., shift=0.)
hub = entry('codec', value=HUB, name='hub name')
def rehashed(name, change):
    "Tensors that were exchanged along with their hash"
    @kind(name)
    def make(f):
        save_file(change(load_file(f)), f)
        state = json.loads((f.parent/'state.json').read_text())
        state['sha256'][f.name] = file_hash(f)
        (f.parent/'state.json').write_text(json.dumps(state))
    return make
other_method = rehashed('another method', lambda d: {'G.net.weight': torch.zeros(3), 'opt.X.99.exp': torch.zeros(3)})
other_shapes = rehashed('other shapes', lambda d: {k: v[..., :1].clone() for k,v in d.items()})
nan_weights = rehashed('NaN', lambda d: {k: torch.full_like(v, float('nan')) for k,v in d.items()})
@kind('NaN')
def nan_file(f): save_file({k: torch.full_like(v, float('nan')) for k,v in load_file(f).items()}, f)
@kind('no rows')
def no_rows(f): f.write_text('5\n[]\n{}\nnull\n')
def outside(name, where):
    @kind(name, 'shards')
    def make(f):
        top = f.parent.parent.parent
        shutil.copy(next(f.parent.glob('*.safetensors')), top/'outside.safetensors')
        entry('shards', 0, 'file', value=where.replace('TOP', str(top)))(f)
    return make
def pt(name, change):
    @kind(name)
    def make(f): torch.save(change(torch.load(f, weights_only=True)), f)
    return make
def each(d, change): return d | {k: {n: change(v) for n,v in d[k].items()} for k in 'GF'}
MODELS = [pt('unknown system', lambda d: dict(encoder=d['G'], step=3)), pt('a list', lambda d: [d]),
          pt('no networks', lambda d: d | dict(G=3, F=4)),
          pt('tensors missing', lambda d: d | dict(G=dict(list(d['G'].items())[:2]))),
          pt('numbers for tensors', lambda d: each(d, lambda v: 1)),
          pt('other shapes', lambda d: each(d, lambda v: v[:1])),
          pt('NaN', lambda d: each(d, lambda v: v*float('nan'))),
          pt('wrong types', lambda d: d | dict(cfg=dict(data=dict(latent_divisor='x')))),
          pt('divided by 0', lambda d: d | dict(cfg=dict(visualization=dict(vae_scaling_factor=0))))]

# Commands that read files

def evaluate(top, run, *more):
    pics = top/'pics/test'
    return inside('evaluate', run, '--source', pics/'photo', '--target', pics/'swirl', '--to', 'swirl', '--size', 64,
                  '--cache', top/'cache', '--out', top/'evaluated', '--device', 'cpu', *more)
def checkpoints(top):
    a,b = top/'pics/test/photo',top/'pics/test/swirl'
    return inside('evaluate-checkpoints', top/'run', '--source', a, '--target', b, '--to', 'swirl', '--size', 64,
                  '--cache', top/'cache', '--out', top/'evaluated', '--device', 'cpu')
def new(top, *words): return inside('train', *words, '--path', top/'new', '--sample_every', 0, *CPU)
def translate(top, run, pics, *more):
    return inside('translate', top/run, top/pics, '--out', top/'out', *CPU, *more)
def evaluate_cached(top):
    (top/'cache/kept.safetensors').rename(top/'cache'/(top/'name.txt').read_text())
    return evaluate(top, top/'run')

PHOTO = 'pics/train/photo'
READERS = dict(
    encode=lambda top: inside('encode', top/'pics/train', top/'new', '--size', 64, '--no-progress'),
    encode_again=lambda top: inside('encode', top/'pics/train', top/'store', '--size', 64, '--no-progress'),
    encode_with=lambda top: inside('encode', top/'pics/train', top/'new', '--size', 64, '--codec', top/'codec'),
    pixels=lambda top: new(top, 'pixels', top/'pics/train', '--check', *PIXELS),
    inspect=lambda top: inside('inspect', top/'pics/train', '--out', top/'looked'),
    translate=lambda top: translate(top, 'run', PHOTO),
    source=lambda top: evaluate(top, top/'run', '--source', top/PHOTO),
    pack=lambda top: inside('pack', top/'single', top/'new', 'tiny', 'yes', '--no-progress'),
    latents=lambda top: translate(top, 'run', 'single/photo'),
    rows=lambda top: translate(top, 'run', 'rows'),
    file=lambda top: translate(top, 'old.pt', PHOTO, '--codec', 'tiny', '--to', 'A'),
    file_alone=lambda top: translate(top, 'old.pt', PHOTO, '--to', 'A'),
    evaluate_file=lambda top: evaluate(top, top/'old.pt', '--domains', 'swirl,photo'),
    evaluate=lambda top: evaluate(top, top/'run'),
    checkpoints=checkpoints,
    resume=lambda top: inside('train', 'cyclegan', top/'store', '--path', top/'run', *NETS, *CPU),
    goes_on=lambda top: inside('train', '--config', top/'run/config.json', '--path', top/'new'),
    init=lambda top: new(top, 'cyclegan', top/'store', '--init', top/'run', *NETS),
    plot=lambda top: inside('plot', top/'run'),
    pixel_translate=lambda top: translate(top, 'pixels', PHOTO),
    pixel_resume=lambda top: inside('train', 'pixels', top/'pics/train', '--path', top/'pixels', *PIXELS, *CPU),
    pixel_config=lambda top: inside('train', '--config', top/'pixels/config.json', '--path', top/'new'),
    pixel_export=lambda top: inside('export', top/'pixels', top/'x.ckpt'),
    open=lambda top: new(top, 'cyclegan', top/'store', *NETS),
    flow=lambda top: new(top, 'otcfm', top/'store', *FLOW),
    config=lambda top: inside('train', '--config', top/'options.yaml'),
    json_config=lambda top: inside('train', '--config', top/'options.json'),
    cache=evaluate_cached)

# File -> what is done to it, and who reads it: the first one in the quick half. With a star: those that may go on
# without it, and then say so where it matters

JSON = [cut, empty, noise, text, deep, a_list, a_number]
ALONE = [cut, empty, noise, text, larger, beyond, long_header]     # a file with one tensor; no hash of it
SAFE = [*ALONE, overlapping]
HASHED = [*SAFE, flipped]
PICTURE = [cut, empty, noise, text, flipped, bomb, nan_tiff, inf_tiff, nowhere, pipe, endless, code]
LATENT = [cut, empty, noise, text, code, nan, inf, flat, channels, whole_numbers, nothing, scalar, pipe]
ENTRIES = [lacking('method'), entry('domains', value=3), entry('domains', value=['photo']), entry('ngf', value='many'),
           entry('ngf', value=-1), entry('ngf', value=None), entry('ngf', value=[8]), entry('gain', value='x'),
           entry('codec', value=5), entry('codec', value=dict(path='/nowhere')), hub, entry('ema', value='yes')]
METHODS = [entry('method', value=7), entry('method', value='os')]
OPTIONS = [cut, empty, noise, listed, masked_options, *map(lines, (
               'n_steps: many\n', 'domains: 7\n', 'codec: somebody/some-vae\n', 'device: nowhere\n',
               'precision: 3\n', 'compile: os.system\n', 'preset: none such\n', 'trackers: no_such_tracker\n')),
           foreign('train', 'epochs', 'many'), foreign('train', 'batch_size', 'x'), foreign('model', 'ngf', [3]),
           foreign('train', 'epochs', [1]), foreign('data', 'latent_divisor', 'x'), foreign('data', 'a_dir', [7]),
           foreign('train', 'batch_size', 0), foreign('train', 'checkpoint_dir', [1]),
           foreign('data', 'latent_divisor', 0), foreign('train', 'lr_constant_epochs', 'x'),
           foreign('model', 'out_activation', 3)]
INDEX = [lacking('shards'), lacking('codec'), lacking('format'), entry('shards', value=3), entry('shards', value=[]),
         entry('shards', 0, 'shape', value='x'), entry('codec', value=5), hub, entry('codec', value={}),
         outside('absolute path', 'TOP/outside.safetensors'), outside('path above', '../../outside.safetensors')]
CODEC = [lacking('net'), entry('net', value=5), entry('net', value=dict(ch='many')), entry('scale', value='x'),
         entry('_class_name', value='os.system'), entry('scale', value=None)]
WEIGHTS = 'run/ckpt/step_00000002/weights.safetensors','run/ckpt/step_00000002/state.safetensors'
STATE = [lacking('step'), entry('step', value='x'), entry('step', value=7), entry('sha256', value=3)]
FILES = [
    ('pics/train/photo/000001.png', PICTURE, 'encode pixels translate source inspect*'),
    ('single/photo/1.pt', [*LATENT, code_in_torch, not_a_tensor], 'pack latents'),
    ('single/photo/n.npy', [*LATENT, code_in_npy, lying_npy], 'pack latents'),
    ('rows/rows.safetensors', [*LATENT, larger, beyond, long_header], 'rows'),
    ('old.pt', [cut, empty, noise, text, code, code_in_torch, pipe, *MODELS], 'file evaluate_file'),
    ('run/config.json', JSON, 'translate resume evaluate goes_on init checkpoints plot'),
    ('run/config.json', METHODS, 'translate resume evaluate goes_on init checkpoints plot'),
    ('run/config.json', ENTRIES, 'translate resume evaluate init checkpoints'),
    (WEIGHTS[0], [*HASHED, gone, pipe], 'translate evaluate init checkpoints resume*'),
    (WEIGHTS[0], [other_method, other_shapes, nan_weights], 'translate evaluate init checkpoints resume'),
    (WEIGHTS[1], [*HASHED, gone, pipe], 'resume*'),
    (WEIGHTS[1], [other_method], 'resume'),
    ('run/ckpt/step_00000002/state.json', [*JSON, *STATE], 'translate resume*'),
    ('run/ckpt/best.json', [k for k in JSON if k is not cut], 'translate* resume*'),
    ('run/log.jsonl', [cut, empty, noise, text, deep, no_rows, pipe], 'plot* resume*'),
    ('pixels/config.json', [masked, entry('w_hpf', value='x'), entry('size', value='large')],
     'pixel_translate pixel_resume pixel_config'),
    ('pixels/config.json', [entry('w_hpf', value='x'), entry('size', value='large')], 'pixel_export'),
    ('store/photo/index.json', [*JSON, *INDEX], 'open resume flow encode_again*'),
    ('store/photo/latents-00000-of-00001.safetensors', [*ALONE, flipped, gone, nan, flat, pipe], 'open flow'),
    ('store/.memory.sqlite', [cut, empty, noise, text], 'encode_again*'),
    ('codec/config.json', [*JSON, *CODEC], 'encode_with'),
    ('codec/model.safetensors', [*SAFE, gone, nan_file], 'encode_with'),
    ('options.yaml', [*[k for k in OPTIONS if k is not cut], text, tagged, laughs, deep_yaml], 'config'),
    ('options.json', [*OPTIONS, deep], 'json_config'),
    ('cache/kept.safetensors', [*ALONE, nan, scalar], 'cache*')]
CASES = [(file, make, reader) for file,kinds,readers in FILES for make in kinds for reader in readers.split()]
FIRST = {make.__name__: (file, make, readers.split()[0])
         for file,kinds,readers in reversed(FILES) for make in reversed(kinds)}
EVERY = {file: (file, kinds[0], readers.split()[0]) for file,kinds,readers in FILES}
SLOW = {hub.__name__, "codec={'path': '/nowhere'}", 'codec: somebody/some-vae'}       # they ask what looks on the hub
QUICK = [case for case in dict.fromkeys([*FIRST.values(), *EVERY.values()]) if case[1].__name__ not in SLOW]

def key(case): return f'{case[0]}-{case[1].__name__}-{case[2]}'

def tree(folder):
    "What lies in a folder; a lock that nobody holds does not matter"
    files = (f for f in sorted(folder.rglob('*')) if f.is_file() and not f.is_symlink() and f.name != '.lock')
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}

@pytest.fixture
def copied(whole, tmp_path, monkeypatch):
    "A copy of all that, which knows where it lies, with a clock that ends what hangs"
    top = tmp_path/'w'
    shutil.copytree(whole, top)
    for name in ('options.yaml','options.json','run/config.json','pixels/config.json'):
        (top/name).write_text((top/name).read_text().replace(str(whole), str(top)))
    monkeypatch.syspath_prepend(top)
    monkeypatch.chdir(tmp_path)
    faulthandler.dump_traceback_later(300, exit=True)
    yield top
    faulthandler.cancel_dump_traceback_later()
    shutil.rmtree(tmp_path)

OUTCOMES = {}

def meet(top, case, capsys):
    "A command meets a damaged file: what comes of it"
    file,make,reader = case
    RAN.clear()
    make(top/file)
    before,kept = tree(top),('run','pixels','store','single','pics','codec')
    capsys.readouterr()
    status = READERS[reader.rstrip('*')](top)
    said = capsys.readouterr()
    after = tree(top)
    assert not RAN, f'{RAN} was run'
    assert status in ((0,2) if reader[-1] == '*' else (2,)), (status, said.err)
    OUTCOMES[case[0], case[1].__name__, reader.rstrip('*')] = 'r' if status else '.'
    if not status: return
    assert Path(file).name in said.err or make.key and make.key in said.err, said.err
    changed = [k for k in before if after.get(k) != before[k]]
    assert not changed and not [k for k in after.keys()-before.keys() if k.split('/')[0] in kept]

@pytest.mark.parametrize('case', QUICK, ids=key)
def test_a_hostile_file(copied, case, capsys): meet(copied, case, capsys)

@pytest.mark.torture
@pytest.mark.parametrize('case', CASES, ids=key)
def test_every_hostile_file_meets_every_reader(copied, case, capsys): meet(copied, case, capsys)

@pytest.mark.torture
def test_table_of_outcomes(tell):
    "Kinds x readers, in letters: r is refused, . goes on without the file"
    if not OUTCOMES: pytest.skip('the tests before this one were not run')
    readers = list(dict.fromkeys(reader for _,_,reader in OUTCOMES))
    lines = [f'{"":50} {"  "*i}{name}' for i,name in enumerate(readers)]
    for file,name in dict.fromkeys((file, name) for file,name,_ in OUTCOMES):
        letters = ' '.join(OUTCOMES.get((file, name, reader), ' ') for reader in readers)
        lines.append(f'{file[-28:]:28} {name[:20]:20}  {letters}')
    kinds = len({name for _,name,_ in OUTCOMES})
    tell('\n'.join([*lines, f'{kinds} kinds, {len(readers)} readers, {len(OUTCOMES)} meetings']))

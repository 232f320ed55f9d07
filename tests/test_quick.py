"""The command line's short way: what it prints and writes is what PyTorch's way prints and writes"""
import contextlib, io, json, os, shutil, subprocess, sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np, pytest, torch
from PIL import Image

pytest.importorskip('onnxruntime', reason="onnxruntime is not installed: pip install 'latent_style[onnx]'")
ENV = os.environ | dict(OMP_NUM_THREADS='1')

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "A folder with pictures: of odd sides, seen through, large, an example, a mask, no picture"
    from latent_style.data import save_picture
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    d = tmp_path_factory.mktemp('quick')
    pics = paint(paint_scenes(3, seed=4), 'photo', 200)
    save_picture(pics[0], d/'a.jpg')
    save_picture(pics[1][:,:91,:133], d/'odd.png')
    save_picture(pics[2], d/'b.png')
    save_picture(torch.nn.functional.interpolate(pics[:1], (790,120))[0], d/'long.png')
    veil = Image.fromarray(np.uint8(np.linspace(20, 250, 96))[None].repeat(70, 0))
    Image.merge('RGBA', [veil, veil.rotate(180), veil, veil]).save(d/'veil.png')
    veil.save(d/'mask.png')
    (d/'text.png').write_text('no picture')
    veil.resize((30, 30)).save(d/'tiny.png')
    return d

@pytest.fixture(autouse=True)
def here(place, monkeypatch): monkeypatch.chdir(place)

def command(way, *words):
    "Exit status and output of the command in this process, by one way"
    from latent_style import cli
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        patch.setenv('LATENT_STYLE_QUICK', way)
        return cli.main(list(map(str, words))),text.getvalue()

def pictures(out):
    "Every picture that a result consists of"
    files = sorted(f for f in (out.rglob('*.*') if out.is_dir() else [out]) if f.suffix != '.jsonl')
    return {f.name: np.asarray(Image.open(f)).astype(int) for f in files}

def both(*words, out='out'):
    "What both ways print; their pictures differ by 1 of 255 at most"
    found = []
    for way in ('only','no'):
        shutil.rmtree('made', ignore_errors=True)
        status,text = command(way, 'translate', *words, '--out', f'made/{out}', '--no-progress')
        assert status == 0, text
        found.append((text, pictures(Path('made', out))))
    (ours,a),(theirs,b) = found
    assert ours == theirs and a.keys() == b.keys() and a
    for name in a: assert a[name].shape == b[name].shape and abs(a[name]-b[name]).max() <= 1, name
    return ours,a

@pytest.mark.parametrize('words', [
    'demo:impressionist a.jpg', 'demo:anime odd.png --seed 3', 'demo:swirl odd.png --strength .5',
    'demo:woodcut veil.png', 'demo:anime a.jpg --to photo', 'demo:impressionist a.jpg --size 77',
    'demo:five odd.png --to woodcut --seed 2', 'demo:five a.jpg --reference b.png --to anime',
    'demo:five b.png --strength .3', 'demo:flow odd.png', 'demo:flow b.png --to swirl --strength .7 --seed 1',
    'demo:swirl a.jpg --keep-colours',
    'demo:five odd.png --mask mask.png', 'demo:flow b.png --keep-colours --mask mask.png', 'demo:anime long.png'])
def test_the_same_picture(words):
    said,made = both(*words.split())
    assert said == '1 picture in made/out\n' and len(made) == 1

def test_the_same_names():
    "Of files, of stars that no shell expands, of sources that meet in one name, in another format, of a single file"
    os.makedirs('other', exist_ok=True)
    shutil.copy('b.png', 'other/a.png')
    said,made = both('demo:anime', 'a.jpg', 'other/a.png', 'odd.png')
    assert said == '3 pictures in made/out\n' and len(made) == 3
    _,made = both('demo:anime', '[ab].*')
    assert set(made) == {'a.png','b.png'}
    _,made = both('demo:anime', 'a.jpg', '--format', 'webp')
    assert set(made) == {'a.webp'}
    said,made = both('demo:anime', 'veil.png', out='one.png')
    assert said == 'made/one.png\n' and made['one.png'].shape[2] == 4

def test_a_folder_that_both_share():
    "What one way has made the other does not make again; another seed is made again, another domain asks for a folder"
    for run in ('demo:flow','demo:swirl'):
        shutil.rmtree('shared', ignore_errors=True)
        words = ['translate', run, 'a.jpg', 'odd.png', '--out', 'shared', '--no-progress']
        texts = [command(way, *words)[1] for way in ('no','only','no')]
        assert ['2 of 2 are there already' in text for text in texts] == [False, True, True], texts
        when = Path('shared/a.png').stat().st_mtime_ns
        texts = [command(way, *words, '--seed', 1, '--keep-colours')[1] for way in ('only','no')]
        assert 'are replaced' in texts[0] and 'are there already' in texts[1]
        assert Path('shared/a.png').stat().st_mtime_ns > when
        texts = [command(way, *words, '--to', 'photo') for way in ('only','no')]
        assert texts[0] == texts[1] and texts[0][0] == 2 and 'shared_photo' in texts[0][1]

@pytest.mark.parametrize('words', [
    'demo:flow a.jpg --guidance 3', 'demo:flow a.jpg --steps 1', 'demo:five a.jpg --reference a.jpg,b.png',
    'demo:five a.jpg --psi .5', 'demo:anime a.jpg --finish demo:flow', 'demo:anime a.jpg --device cpu',
    'demo:anime a.jpg --tile 8', 'demo:anime .'])
def test_what_graphs_cannot_do(words):
    "It goes the usual way, and nothing is said of that"
    import latent_style.quick as quick
    with pytest.raises(quick.Unable): quick.Plan([*words.split(), '--out', 'usual'])

@pytest.mark.parametrize('words', [
    'demo:anime gone.jpg', 'demo:anime text.png', 'demo:anime a.jpg --to monet', 'demo:anim a.jpg',
    'demo:anime a.jpg --strength 2', 'demo:anime a.jpg --seed x', 'demo:anime a.jpg --sed 1',
    'demo:anime a.jpg --mask gone.png', 'demo:anime a.jpg --mask text.png', 'demo:anime a.jpg --format gofer',
    'demo:anime a.jpg --out a.jpg', 'demo:swirl a.jpg --reference b.png'])
def test_the_same_errors(words):
    found = [command(way, 'translate', *words.split()) for way in ('yes','no')]
    assert found[0] == found[1] and found[0][0] == 2 and found[0][1].startswith('latent_style: error: '), found

def test_graphs_of_other_weights_are_left_alone(tmp_path):
    "Of a run that was trained on, and of one whose weights were exchanged"
    from latent_style.quick import Quick, Unable
    from latent_style.shipped import run_folder
    shutil.copytree(run_folder('demo:swirl'), tmp_path/'run')
    Quick(tmp_path/'run')
    weights, = (tmp_path/'run').rglob('weights.safetensors')
    other, = run_folder('demo:anime').rglob('weights.safetensors')
    shutil.copy(other, weights)
    with pytest.raises(Unable, match='other weights'): Quick(tmp_path/'run')
    (tmp_path/'run/ckpt/step_00009999').mkdir()
    (tmp_path/'run/ckpt/step_00009999/state.json').write_text('{}')
    with pytest.raises(Unable, match='wanted is 9999'): Quick(tmp_path/'run')

def process(*words, data=None, code=0, path=None):
    "Run the command in a process of its own; its standard output, and whether PyTorch was loaded"
    call = 'import sys, latent_style.cli as c\ns = c.main(sys.argv[1:])\n'
    call += 'sys.stderr.write("torch"*("torch" in sys.modules))\nsys.exit(s)'
    r = subprocess.run([sys.executable, '-c', call, *map(str, words)], input=data, capture_output=True, env=ENV)
    assert r.returncode == code, r.stderr.decode()
    return r.stdout,r.stderr.decode().endswith('torch')

def test_without_torch():
    said,heavy = process('translate', 'demo:impressionist', 'a.jpg', '--out', 'alone.png')
    assert said == b'alone.png\n' and not heavy
    assert process('translate', 'demo:impressionist', 'a.jpg', '--out', 'alone2.png', '--device', 'cpu')[1]

LEAN = 'numpy numpy.libs PIL pillow.libs safetensors fastcore filelock onnxruntime google flatbuffers packaging'.split()

def test_installation_for_translating_alone(root, tmp_path):
    "What `tools/install.py translate` installs is enough; another verb says what it lacks, and a remedy"
    for place in map(Path, sys.path):
        for found in (place/name for name in LEAN if (place/name).exists() and not (tmp_path/name).exists()):
            (tmp_path/found.name).symlink_to(found, target_is_directory=True)
    call = f"""import sys
sys.path += [{str(root)!r}, {str(tmp_path)!r}]
from latent_style.cli import main
sys.exit(main(sys.argv[1:]))"""
    def lean(*words):
        alone = [sys.executable, '-I', '-S', '-c', call]        # -S: without the packages of this environment
        return subprocess.run([*alone, *words], capture_output=True, text=True, env=ENV)
    for words in ('translate demo:impressionist a.jpg --out lean.png', 'sheet a.jpg --out manners.png'):
        r = lean(*words.split())
        assert (r.returncode, r.stdout) == (0, words.split()[-1]+'\n'), r.stderr
    Path('album/lots').mkdir(parents=True)
    for i in range(20): shutil.copy('odd.png', f'album/lots/{i}.png')
    (Path('album')/'note.txt').touch()
    r = lean('translate', 'demo:anime', 'album', '--out', 'album/painted')
    assert (r.returncode, r.stdout) == (0, '20 pictures in album/painted\n') and '1 file left out' in r.stderr, r.stderr
    assert Path('album/painted/lots/0.png').is_file()
    for words,says in (('demo:anime nope.jpg', 'nope.jpg: there is no such file'), ('demo:anim a.jpg', "Did you mean"),
                       ('demo:anime a.jpg --to nime', "Did you mean 'anime'"), ('demo:anime a.jpg --size 0', 'size is'),
                       ('demo:anime text.png', 'text.png'), ('demo:anime a.jpg --tile 8', 'without PyTorch'),
                       ('demo:anime tiny.png', 'tiny.png: 30x30')):
        r = lean('translate', *words.split())
        assert (r.returncode, len(r.stderr.splitlines())) == (2, 1) and says in r.stderr, r.stderr
    r = lean('translate', '--help')
    assert r.returncode == 0 and '--strength' in r.stdout and '--finish' not in r.stdout
    r = lean('demo')
    assert r.returncode == 2 and 'demo needs torch here' in r.stderr, r.stderr
    assert 'pip install' in r.stderr and len(r.stderr.splitlines()) == 1

def test_without_onnxruntime(monkeypatch):
    "A base installation translates all the same"
    import latent_style.quick as quick
    monkeypatch.setattr(quick, 'find_spec', lambda name: None if name == 'onnxruntime' else find_spec(name))
    assert command('yes', 'translate', 'demo:anime', 'a.jpg', '--out', 'base.png') == (0, 'base.png\n')
    assert command('only', 'translate', 'demo:anime', 'a.jpg', '--out', 'base.png')[0] == 2

def test_pipes():
    data = Path('a.jpg').read_bytes()
    sent,heavy = process('translate', 'demo:anime', '-', '--out', '-', data=data)
    command('only', 'translate', 'demo:anime', 'a.jpg', '--out', 'file.png')
    assert sent == Path('file.png').read_bytes() and not heavy
    sent,_ = process('translate', 'demo:anime', '-', '--out=-', '--format', 'webp', '--tile', 8, data=data)
    assert Image.open(io.BytesIO(sent)).format == 'WEBP'
    process('translate', 'demo:anime', '-', '--out', '-', data=b'text', code=2)

@pytest.mark.parametrize('way', ['only','no'])
def test_lines_of_json(way):
    shutil.rmtree('lines', ignore_errors=True)
    words = ['translate', 'demo:five', 'a.jpg', 'odd.png', '--seed', 3, '--to', 'swirl', '--out', 'lines', '--json']
    words.append('--no-progress')
    rows = [json.loads(line) for line in command(way, *words)[1].splitlines()]
    want = [dict(source=name, file=f'lines/{Path(name).stem}.png', run='demo:five', domain='swirl', seed=3, strength=1.)
            for name in ('a.jpg','odd.png')]
    for row,known in zip(rows, want, strict=True):
        assert known.items() <= row.items() and row['new'] and row['seconds'] > 0
        assert row['by'] == ('onnxruntime' if way == 'only' else 'torch')
    again = [json.loads(line) for line in command(way, *words)[1].splitlines() if line[0] == '{']
    assert [(row['new'], row['seconds']) for row in again] == [(False, None)]*2

def test_masks_and_colours_of_any_source():
    "Black stays the source to the last bit; latents are shown by their codec; defaults change nothing"
    from latent_style.data import load_picture
    from latent_style.method import load_run, translate
    t,x = load_run('demo:swirl', device='cpu'),load_picture('b.png')
    plain, = translate(t, x)
    assert torch.equal(translate(t, x, keep_colours=False, mask=None)[0], plain)
    half = Image.fromarray(np.uint8([[0,255]])).resize((200,200), Image.NEAREST)
    both, = translate(t, x, mask=half)
    assert torch.equal(both[:,:,:100], x[:,:,:100]) and torch.equal(both[:,:,100:], x[:,:,100:]+(plain-x)[:,:,100:])
    z = t.codec.encode(x[None])
    torch.save(z[0], 'z.pt')
    (own,),(of_latent,) = translate(t, x, mask=Image.new('L', (1,1))),translate(t, 'z.pt', mask=Image.new('L', (1,1)))
    assert torch.equal(own, x) and torch.allclose(of_latent, t.codec.decode(z)[0], atol=1e-5)
    with pytest.raises(ValueError, match='mask: gone.png'): translate(t, x, mask='gone.png')

def test_a_sheet():
    said,heavy = process('sheet', 'a.jpg', 'demo:swirl', 'demo:five', '--size', 64, '--columns', 3)
    assert said == b'sheet.png\n' and not heavy
    assert Image.open('sheet.png').size == (3*(64+6)+6, 3*(64+32+6)+6)

def test_info():
    status,text = command('yes', 'info', 'demo:flow')
    assert status == 0 and 'otcfm' in text and 'finish' in text and 'latent_style train otcfm' in text
    found = json.loads(command('yes', 'info', 'demo:impressionist', '--json')[1])
    assert found['domains'] == ['photo','impressionist'] and found['differs'] == {} and found['steps'] == 400
    assert command('yes', 'info', '.')[0] == 2

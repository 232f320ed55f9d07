"Whatever pictures people bring: originals stay, nothing is lost in silence, one bad file costs one file"
import os, shutil
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image, ImageCms
from latent_style import cyclegan, sources
from latent_style.cli import RESUME, main
from latent_style.data import load_picture, save_picture
from latent_style.encoding import encode_folder
from latent_style.eval import as_pictures
from latent_style.method import load_run
from latent_style.painted import paint_folder
from latent_style.store import open_store

pytestmark = pytest.mark.usefixtures('no_curves')
NETS = '--ngf 8 --n_blocks 1 --ndf 8 --batch 2 --n_steps 2 --device cpu --no-progress --sample_every 0'.split()
CPU = ['--device', 'cpu', '--no-progress']

def call(*words): return main([str(w) for w in words])

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp('files')
    paint_folder(path/'w', n_train=4, n_test=12, manners=('photo','swirl'), size=64, progress=False)
    encode_folder(path/'w/train', path/'l', size=64, progress=False)
    assert call('train', 'cyclegan', path/'l', '--path', path/'r', *NETS) == 0
    return path

@pytest.fixture
def photos(world, tmp_path):
    "A copy of twelve photographs"
    return Path(shutil.copytree(world/'w/test/photo', tmp_path/'photos'))

def names(folder):
    files = (f for f in folder.rglob('*') if f.is_file() and f.name[0] != '.')
    return sorted(f.relative_to(folder).as_posix() for f in files)

def contents(folder): return {f.name: f.read_bytes() for f in folder.iterdir()}

# Results

def test_originals_stay(world, photos, capsys):
    before = contents(photos)
    one = photos/'000000.png'
    for words in ([photos, '--out', photos], [one, '--out', photos], [one, '--out', one]):
        assert call('translate', world/'r', *words, *CPU) == 2
        assert '(out)' in capsys.readouterr().err
    assert contents(photos) == before

def test_every_source_has_its_result(world, tmp_path):
    same = [world/'w/test/photo/000000.png', world/'w/test/swirl/000000.png']
    assert call('translate', world/'r', *same, '--out', tmp_path/'o', *CPU) == 0
    assert names(tmp_path/'o') == ['photo/000000.png','swirl/000000.png']
    for name in ('a.jpg', 'a.png', 'a.jpg.png'): save_picture(load_picture(same[0]), tmp_path/'three'/name)
    files = cyclegan.translate(world/'r', tmp_path/'three', out=tmp_path/'o3', device='cpu', progress=False)
    assert len(files) == 3 and sorted(f.name for f in files) == names(tmp_path/'o3')

def test_format_of_results(world, photos, tmp_path):
    one = photos/'000000.png'
    assert call('translate', world/'r', one, '--out', tmp_path/'x.webp', *CPU) == 0
    assert Image.open(tmp_path/'x.webp').format == 'WEBP'
    assert call('translate', world/'r', photos, '--out', tmp_path/'o', '--format', 'jpg', '--batch', 3, *CPU) == 0
    assert {Image.open(f).format for f in (tmp_path/'o').glob('*.jpg')} == {'JPEG'} and len(names(tmp_path/'o')) == 12
    assert call('translate', world/'r', photos, '--out', tmp_path/'x.jpg', *CPU) == 2

def test_transparency_and_orientation(world, tmp_path):
    im = Image.open(world/'w/test/photo/000000.png')
    im.putalpha(Image.linear_gradient('L').resize(im.size))
    im.save(tmp_path/'veil.png')
    exif = Image.Exif()
    exif[0x112] = 6
    im.convert('RGB').resize((64,48)).save(tmp_path/'turned.jpg', exif=exif)
    assert call('translate', world/'r', tmp_path/'veil.png', tmp_path/'turned.jpg', '--out', tmp_path/'o', *CPU) == 0
    assert Image.open(tmp_path/'o/veil.png').mode == 'RGBA' and Image.open(tmp_path/'o/turned.png').size == (48,64)

def test_several_words_and_stars(world, photos, tmp_path, monkeypatch, capsys):
    a,b = photos/'000000.png',photos/'000001.png'
    assert call('translate', world/'r', a, b, '--out', tmp_path/'two', *CPU) == 0
    assert call('translate', world/'r', photos/'00000*.png', '--out', tmp_path/'ten', *CPU) == 0
    assert len(names(tmp_path/'two')) == 2 and len(names(tmp_path/'ten')) == 10

def test_results_are_no_sources(world, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    for _ in range(3):
        assert call('translate', world/'r', '.', *CPU) == 0
        assert len(names(photos/'translated')) == 12

# A long folder

def test_one_bad_frame_and_going_on(world, photos, tmp_path, capsys):
    bad,words = photos/'000010.png',['translate', world/'r', photos, '--out', tmp_path/'o', *CPU]
    whole = bad.read_bytes()
    bad.write_bytes(whole[:500])
    assert call(*words) == 2
    said = capsys.readouterr().err
    assert '1 of 12 pictures' in said and '000010.png' in said and len(names(tmp_path/'o')) == 11
    made = {f: f.stat().st_mtime_ns for f in (tmp_path/'o').glob('*.png')}
    bad.write_bytes(whole)
    assert call(*words) == 0 and '11 of 12 are there' in capsys.readouterr().err
    assert len(names(tmp_path/'o')) == 12 and {f: f.stat().st_mtime_ns for f in made} == made
    assert call(*words, '--strength', '.5') == 0                        # another option: all anew
    assert not any(f.stat().st_mtime_ns == when for f,when in made.items())
    assert call(*words, '--strength', '.5') == 0 and '12 of 12 are there' in capsys.readouterr().err

def test_another_run_is_noticed(world, photos, tmp_path):
    assert call('train', 'cyclegan', world/'l', '--path', tmp_path/'r', '--seed', 1, *NETS) == 0
    results = []
    for run in (world/'r', tmp_path/'r'):
        assert call('translate', run, photos, '--out', tmp_path/'o', *CPU) == 0
        results.append(contents(tmp_path/'o')['000000.png'])
    assert results[0] != results[1]

def test_a_folder_in_the_memory_of_a_batch(world, photos, tmp_path, monkeypatch):
    "The iterator reads a batch ahead and no more; with `out` paths come back and no pictures"
    read = []
    def opened(path, **kw): return read.append(path) or Image.open(path).convert('RGB')
    monkeypatch.setattr(sources, 'open_picture', opened)
    pairs = cyclegan.translate(world/'r', photos, lazy=True, batch=1/8, device='cpu')
    for k,(name,x) in enumerate(pairs, 1): assert len(read) <= k+3 and x.shape == (3,64,64)
    assert k == 12 and name == '000011.png'
    files = cyclegan.translate(world/'r', photos, out=tmp_path/'o', device='cpu', progress=False)
    assert [f.name for f in files] == names(photos) and all(isinstance(f, Path) for f in files)

def test_a_run_that_exploded_writes_nothing(world, photos, tmp_path, capsys):
    t = load_run(world/'r', device='cpu')
    for p in t.nets['swirl'].parameters(): p.data.fill_(float('nan'))
    with pytest.raises(ValueError, match='not finite'):
        cyclegan.translate(t, photos, 'swirl', out=tmp_path/'o', progress=False)
    assert names(tmp_path/'o') == []
    with pytest.raises(ValueError, match='not finite'):
        save_picture(torch.full((3,8,8), float('nan')), tmp_path/'x.png')

# What is found

def test_what_is_left_out_is_told(world, tmp_path, capsys):
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    for i in range(20): shutil.copy(src/'photo/000000.png', src/f'photo/IMG_{i}.HEIC')
    words = ['--path', tmp_path/'p', '--preset', 'laptop', '--width', 8, '--c_max', 16, '--w_map', 16, '--n_steps', 1,
             '--workers', 0, '--sample_every', 0, *CPU]
    for what in (['encode', src, tmp_path/'l', '--size', 64, '--no-progress'], ['train', 'pixels', src, *words],
                 ['translate', world/'r', src/'photo', '--out', tmp_path/'o', *CPU]):
        assert call(*what) == 0
        assert '20 files left out: .heic 20' in capsys.readouterr().err, what
    for f in (src/'photo').glob('*.png'): f.unlink()
    assert call('encode', src, tmp_path/'l2', '--size', 64) == 2
    assert 'photo: no pictures in this domain, 20 files left out: .heic 20' in capsys.readouterr().err

def test_one_rule_for_all_verbs(world, photos, tmp_path):
    "Suffixes, depth and links are the same for encoding, training on pictures, translating and judging"
    from latent_style.pictures import Pictures
    for i,f in enumerate(sorted(photos.iterdir())):
        Image.open(f).save(photos/f'{i}.{("tif","gif","bmp")[i%3]}')
        f.unlink()
    (photos/'deep').mkdir()
    shutil.move(photos/'0.tif', photos/'deep')
    (tmp_path/'t').mkdir()
    for d,place in dict(a=photos, b=world/'w/test/swirl').items(): os.symlink(place, tmp_path/'t'/d)
    assert len(as_pictures(tmp_path/'t'/'a')) == 12
    assert Pictures(tmp_path/'t', size=32).sizes == [12,12]
    report = encode_folder(tmp_path/'t', tmp_path/'l', size=64, progress=False)
    assert report['domains'] == dict(a=12, b=12)
    assert len(cyclegan.translate(world/'r', tmp_path/'t'/'a', device='cpu')) == 12

def test_links_that_lead_nowhere(world, tmp_path, capsys):
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    os.symlink('/nowhere/x.png', src/'photo/gone.png')
    assert call('encode', src, tmp_path/'l', '--size', 64, '--no-progress') == 2
    assert 'photo/gone.png' in capsys.readouterr().err
    assert call('encode', src, tmp_path/'l', '--size', 64, '--no-progress', '--skip_bad') == 0
    assert open_store(tmp_path/'l').sizes == [4,4]
    assert call('translate', world/'r', src/'photo', '--out', tmp_path/'o', *CPU) == 2
    assert len(names(tmp_path/'o')) == 4 and 'gone.png' in capsys.readouterr().err

def test_hidden_folders_are_no_domains(world, tmp_path, capsys):
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    (src/'.ipynb_checkpoints').mkdir()
    o = f'--w_hpf 0 --train_img_dir {src} --checkpoint_dir {tmp_path}/r --img_size 64 --batch_size 2 --total_iters 1 '
    o += '--width 8 --c_max 16 --w_map 16 --workers 0 --device cpu --sample_every 0 --no-progress'
    assert call('--mode', 'train', '--num_domains', 3, *o.split()) == 2
    assert 'has 2 folders' in capsys.readouterr().err
    assert call('--mode', 'train', '--num_domains', 2, *o.split()) == 0

def test_one_folder_too_high(world, tmp_path, capsys):
    assert call('encode', world/'w', tmp_path/'l', '--size', 64, '--no-progress') == 0
    assert 'one folder too high' in capsys.readouterr().err
    for d in ('photo','swirl'):
        for split in ('train','test'): shutil.copytree(world/'w'/split/d, tmp_path/'inside'/d/split)
    assert call('encode', tmp_path/'inside', tmp_path/'l2', '--size', 64, '--no-progress', '--skip_bad') == 0
    assert 'all domains hold the same folders, test, train' in capsys.readouterr().err

def test_a_store_among_the_pictures(world, tmp_path, capsys):
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    for _ in range(2): assert call('encode', src, src/'latents', '--size', 64, '--no-progress') == 0
    assert open_store(src/'latents').sizes == [4,4]
    assert call('encode', src, src, '--size', 64) == 2
    assert 'folder of the pictures' in capsys.readouterr().err

# What is in a file

def test_twelve_bits(tmp_path, capsys):
    ramp = np.linspace(0, 1, 64)[None].repeat(64, 0)
    for i in range(4):
        (tmp_path/'cells'/'ab'[i%2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray((ramp*(4000-300*i)).astype(np.uint16)).save(tmp_path/'cells'/'ab'[i%2]/f'{i}.tif')
    assert load_picture(tmp_path/'cells/a/0.tif').max() > .9
    assert call('encode', tmp_path/'cells', tmp_path/'l', '--size', 64, '--no-progress') == 0
    assert '"0 to 4095": 4' in (tmp_path/'l/report.json').read_text()
    Image.fromarray((ramp*9).astype(np.float32)).save(tmp_path/'odd.tif')
    with pytest.raises(ValueError, match='from 0 to 9'): load_picture(tmp_path/'odd.tif')

def test_profiles(tmp_path):
    b = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
    for k in range(int.from_bytes(b[128:132], 'big')):               # a profile whose red is blue
        at = 132+12*k
        b[at:at+4] = {b'rXYZ': b'bXYZ', b'bXYZ': b'rXYZ'}.get(bytes(b[at:at+4]), bytes(b[at:at+4]))
    Image.new('RGB', (32,32), (200,40,0)).save(tmp_path/'p.png', icc_profile=bytes(b))
    seen = ((load_picture(tmp_path/'p.png')[:,0,0]+1)*127.5).round().int().tolist()
    assert max(abs(a-b) for a,b in zip(seen, (0,40,200))) <= 3

def test_a_damaged_picture_costs_no_steps(world, tmp_path, capsys):
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    f = src/'photo/000003.png'
    f.write_bytes(f.read_bytes()[:-3000])
    o = '--size 64 --width 8 --c_max 16 --w_map 16 --batch 2 --n_steps 6 --sample_every 0 --preset laptop'.split()
    o += ['--workers', 0]
    assert call('train', 'pixels', src, '--path', tmp_path/'p', *o, *CPU) == 0
    said = capsys.readouterr()
    assert 'step 6 of 6' in said.out and '000003.png' in said.err
    assert call('train', 'pixels', src, '--path', tmp_path/'p2', '--check', *o, *CPU) == 2
    assert 'photo/000003.png' in capsys.readouterr().err

def test_pixel_runs_know_their_pictures(world, tmp_path, capsys):
    "Wherever they lie; fewer or others are an error, more are used"
    src = Path(shutil.copytree(world/'w/train', tmp_path/'w'))
    nets = '--size 32 --width 4 --c_max 8 --w_map 16 --batch 2 --sample_every 0 --workers 0'.split()
    def train(folder, *more): return call('train', 'pixels', folder, '--path', tmp_path/'p', *nets, *CPU, *more)
    (tmp_path/'few.yaml').write_text('method: pixels\nn_steps: 2\nmax_samples: {photo: 2, swirl: -1}\n')
    assert train(src, '--config', tmp_path/'few.yaml', '--max_minutes', '1e-9') == RESUME
    moved = src.rename(tmp_path/'moved')
    Image.open(moved/'photo/000000.png').save(moved/'photo/new.png')
    assert train(moved) == 0 and 'photo: 4 pictures in the run, 5 now' in capsys.readouterr().err
    (moved/'photo/new.png').write_bytes((moved/'photo/000001.png').read_bytes())
    assert train(moved) == 2 and 'photo: 5 pictures as in the run, but others' in capsys.readouterr().err
    (moved/'photo/new.png').unlink()
    assert train(moved) == 2 and 'photo: 5 pictures in the run, 4 now' in capsys.readouterr().err

# What others bring

def test_a_checkpoint_file_translates(photos, tmp_path):
    from latent_style.models import ResnetGenerator
    torch.manual_seed(0)
    net = ResnetGenerator(4, 4, ngf=8, n_blocks=1)
    torch.save(dict(G=net.state_dict(), F=net.state_dict()), tmp_path/'latest.pt')
    words = ['translate', tmp_path/'latest.pt', photos, '--codec', 'tiny', '--to', 'B', '--out', tmp_path/'o', *CPU]
    assert call(*words, '--format', 'webp', '--strength', '.5') == 0
    assert names(tmp_path/'o') == [f'{i:06d}.webp' for i in range(12)]

def test_pictures_of_telephones(tmp_path, monkeypatch):
    "Once pillow-heif is installed, its suffixes are known; here a stand-in for it"
    from latent_style.picture_files import picture_suffixes
    (tmp_path/'pillow_heif.py').write_text("def register_heif_opener():\n    from PIL import Image\n"
                                           "    Image.register_extension('PNG', '.heic')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Image, 'EXTENSION', dict(Image.registered_extensions()))
    assert '.heic' in picture_suffixes.__wrapped__()

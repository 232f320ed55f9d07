"`latent_style inspect` on folders with planted faults, and what `train --dry-run` foretells"
import csv, shutil

import numpy as np, pytest, yaml
from PIL import Image, ImageOps

pytestmark = pytest.mark.usefixtures('no_curves')

def call(*words):
    from latent_style.cli import main
    return main(list(map(str, words)))

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "A painted world with a fault of every kind in its training pictures"
    from latent_style.painted import paint_folder
    d = tmp_path_factory.mktemp('inspect')
    paint_folder(d/'p', n_train=8, n_test=2, manners=('photo','anime'), size=64, progress=False)
    photo = d/'p/train/photo'
    one = Image.open(photo/'000000.png')
    one.save(photo/'copy.webp', quality=95)
    ImageOps.expand(one.resize((44,64)), (10,0), 'white').save(photo/'pillars.png')
    Image.open(photo/'000001.png').convert('L').save(photo/'grey.png')
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    Image.open(photo/'000002.png').rotate(180).save(photo/'camera.jpg', exif=upside_down)
    (photo/'IMG_7.heic').write_bytes(b'no picture that anybody here can read')
    (photo/'broken.png').write_bytes((photo/'000003.png').read_bytes()[:500])
    shutil.copy(d/'p/test/anime/000001.png', d/'p/train/anime/leak.png')
    for f in (d/'p/train/anime').iterdir(): Image.eval(Image.open(f), lambda v: v//3).save(f)
    return d

def test_every_planted_fault_is_named(world, capsys):
    assert call('inspect', world/'p/train', '--size', 64, '--out', world/'out', '--no-progress') == 0
    said = capsys.readouterr().out
    line = {row.partition('  ')[0]: row for row in said.splitlines()}
    for what,name in {'left out, not read as pictures': '.heic 1: train/photo/IMG_7.heic',
                      'unreadable': 'train/photo/broken.png', 'frame of one colour': 'train/photo/pillars.png',
                      'grey': 'train/photo/grey.png', 'turned by EXIF, read upright': 'train/photo/camera.jpg',
                      'look alike, in one domain': 'train/photo/000000.png = train/photo/copy.webp',
                      'look alike, in train and test': 'train/anime/leak.png = test/anime/000001.png'}.items():
        assert name in line[what], (what, said)
    for advice in ('HEIC files', 'few pictures', 'test set', 'train/anime is much darker', 'are grey'):
        assert advice in said, (advice, said)
    assert 'train/photo' in said and '64x64' in said

def test_files_of_an_inspection(world):
    out = world/'out'
    assert {p.name for p in out.iterdir()} == {'report.html','contact_sheet.png','inspection.txt','pictures.csv'}
    page = (out/'report.html').read_text(encoding='utf-8')
    assert 'pillars.png' in page and 'data:image/png' in page and 'http' not in page
    with open(out/'pictures.csv', newline='', encoding='utf-8') as f: rows = {r['name']: r for r in csv.DictReader(f)}
    assert len(rows) == 25 and rows['train/photo/camera.jpg']['turned'] == '3'
    assert np.asarray(Image.open(out/'contact_sheet.png')).std() > 10

def test_clean_and_mistaken_folders(world, tmp_path, capsys):
    "No fault where there is none; train and test one folder too high; nothing to look at"
    quiet = ['--size', 64, '--out', tmp_path/'out', '--no-progress']
    for d,part in (('photo',range(4, 6)), ('anime',range(6, 8))):
        (tmp_path/'clean'/d).mkdir(parents=True)
        for i in part: shutil.copy(world/'p/train'/d/f'{i:06d}.png', tmp_path/'clean'/d)
    assert call('inspect', tmp_path/'clean', *quiet) == 0
    assert 'nothing stands out' in capsys.readouterr().out
    assert call('inspect', world/'p', *quiet) == 0
    assert f"one folder too high: test, train would be taken for domains. Encode and train with {world/'p/train'}" in \
        capsys.readouterr().out
    (tmp_path/'empty').mkdir()
    assert call('inspect', tmp_path/'empty', *quiet) == 2
    assert 'no pictures here' in capsys.readouterr().err
    assert call('inspect', world/'p/test', '--size', 128, *quiet[2:]) == 0
    assert 'smaller than 128 pixels' in capsys.readouterr().out

@pytest.fixture(scope='module')
def latents(world):
    from latent_style.encoding import encode_folder
    encode_folder(world/'p/test', world/'latents', size=64, progress=False)
    return world/'latents'

TINY = '--preset laptop --ngf 8 --n_blocks 1 --ndf 8 --batch 2 --device cpu'.split()

def test_dry_run_foretells(world, latents, tmp_path, capsys):
    "Options and facts in one file that --config reads; the run's folder is not made"
    words = ['train', 'cyclegan', latents, '--path', tmp_path/'run', '--n_steps', 3000, *TINY]
    assert call(*words, '--dry-run') == 0
    said = capsys.readouterr().out
    assert not (tmp_path/'run').exists()
    facts = [line for line in said.splitlines() if line[:2] == '# ']
    for start in ('3,000 steps of 2 samples on cpu', 'parameters: G ', 'a step takes ', '3,000 steps take ', 'a check'):
        assert any(line.startswith(f'# {start}') for line in facts), (start, said)
    file = tmp_path/'mine.yaml'
    file.write_text(said)
    o = yaml.safe_load(said)
    assert (o['n_steps'], o['ngf'], o['method']) == (3000, 8, 'cyclegan')
    assert call('train', '--config', file, '--n_steps', 2, '--no-progress', '--sample_every', 0) == 0
    capsys.readouterr()
    state = {f: f.stat().st_mtime_ns for f in (tmp_path/'run').rglob('*')}
    assert call('train', 'cyclegan', latents, '--path', tmp_path/'run', '--dry-run', '--no-progress') == 0
    said = capsys.readouterr().out       # what is left out is the run's
    assert '# 2 steps of 2 samples on cpu, 2 of them done' in said and yaml.safe_load(said)['ngf'] == 8
    assert state == {f: f.stat().st_mtime_ns for f in (tmp_path/'run').rglob('*')}

def test_dry_run_for_pixels_and_without_data(world, tmp_path, capsys):
    clean = tmp_path/'pictures'
    for d in ('photo','anime'): shutil.copytree(world/'p/test'/d, clean/d)
    nets = '--size 64 --width 8 --batch 2 --workers 0 --device cpu'.split()
    assert call('train', 'pixels', clean, '--path', tmp_path/'px', '--n_steps', 10, *nets, '--dry-run') == 0
    said = capsys.readouterr().out
    assert '# 10 steps of 2 samples on cpu' in said and not (tmp_path/'px').exists(), said
    assert call('train', 'cyclegan', '--data', tmp_path/'nowhere', '--path', tmp_path/'x', *TINY, '--dry-run') == 0
    said = capsys.readouterr().out
    assert '# not measured' in said and yaml.safe_load(said)['ngf'] == 8 and not (tmp_path/'x').exists()

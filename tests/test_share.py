"A run in other people's hands: the verb, a name on the hub without a network, what a copy does not tell"
import contextlib, io, json, shutil

import pytest, torch

pytestmark = pytest.mark.usefixtures('no_curves')
SMALL = '--preset laptop --ngf 8 --n_blocks 1 --ndf 8 --batch 2 --device cpu --no-progress'.split()

def call(*words, code=0):
    "Run the command in this process; what it says"
    from latent_style.cli import main
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said): status = main(list(map(str, words)))
    text = said.getvalue()
    assert status == code, text
    return text

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "A folder with a small run, trained by the command, and pictures"
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('share')
    paint_folder(folder/'pictures', n_train=6, n_test=2, manners=('photo','anime'), size=64, progress=False)
    call('encode', folder/'pictures/train', folder/'latents', '--size', 64, '--no-progress')
    call('train', 'cyclegan', folder/'latents', '--path', folder/'run', '--n_steps', 3, *SMALL)
    return folder

@pytest.fixture
def hub(tmp_path, monkeypatch):
    "A folder that takes the hub's place"
    monkeypatch.setenv('LATENT_STYLE_HUB', str(tmp_path/'hub'))
    return tmp_path/'hub'

@pytest.fixture
def cache(tmp_path, monkeypatch):
    "The hub's own cache, empty, and no network"
    from huggingface_hub import constants
    monkeypatch.delenv('LATENT_STYLE_HUB', raising=False)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path/'cache'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    return tmp_path/'cache'

def picture(place, out, run):
    "Bytes of a picture that the command translates"
    call('translate', run, place/'pictures/test/photo/000000.png', '--to', 'anime', '--out', out, '--device', 'cpu')
    return out.read_bytes()

def test_by_command_and_by_name(place, hub, tmp_path):
    said = call('share', place/'run', '--repo', 'someone/flat', '--out', tmp_path/'flat', '--data-licence',
                'cc0-1.0', '--space')
    assert str(hub/'someone/flat') in said
    assert picture(place, tmp_path/'a.png', place/'run') == picture(place, tmp_path/'b.png', 'hf:someone/flat')
    assert (hub/'spaces/someone/flat/requirements.txt').exists()

def test_from_the_cache_of_the_hub(place, cache, tmp_path):
    call('share', place/'run', '--out', tmp_path/'flat')
    assert 'hf download someone/cached' in call('translate', 'hf:someone/cached', 'a.png', code=2)
    home = cache/'models--someone--cached'
    shutil.copytree(tmp_path/'flat', home/'snapshots'/('0a'*20))
    (home/'refs').mkdir()
    (home/'refs/main').write_text('0a'*20)
    assert picture(place, tmp_path/'a.png', place/'run') == picture(place, tmp_path/'b.png', 'hf:someone/cached')

def test_a_licence_is_asked_for(place, hub, tmp_path):
    said = call('share', place/'run', '--repo', 'someone/flat', '--out', tmp_path/'flat', code=2)
    assert 'under which licence' in said and not hub.exists() and not (tmp_path/'flat').exists()
    assert 'licence of the training pictures is unknown' in call('share', place/'run', '--out', tmp_path/'flat')
    assert 'Licence of the pictures: **unknown. Ask the author' in (tmp_path/'flat/README.md').read_text()

def test_a_copy_tells_nothing_of_the_machine(place, tmp_path):
    call('share', place/'run', '--out', tmp_path/'flat', '--title', 'Flat')
    for file in (tmp_path/'flat').rglob('*'):
        if file.suffix not in ('.json','.md'): continue
        text = file.read_text()
        assert str(tmp_path) not in text and str(place) not in text and 'digests' not in text, file
    assert not [f for f in (tmp_path/'flat').rglob('*') if f.suffix in ('.pt','.pkl','.bin','.ckpt')]
    assert '| ngf | 8 | 96 |' in (tmp_path/'flat/README.md').read_text()

@pytest.mark.parametrize('path, told', [(None, 'it is not known where it lies'),
                                        ('someone/autoencoder', 'hf download someone/autoencoder')])
def test_a_foreign_codec_is_named(place, tmp_path, path, told):
    call('share', place/'run', '--out', tmp_path/'flat')
    file = tmp_path/'flat/config.json'
    config = json.loads(file.read_text())
    config['codec'] |= dict(id='AutoencoderKL-0123456789ab', path=path)
    file.write_text(json.dumps(config))
    said = call('translate', tmp_path/'flat', place/'pictures/test/photo', '--device', 'cpu', code=2)
    assert 'AutoencoderKL-0123456789ab' in said and told in said

def test_what_is_no_run_is_refused(hub, tmp_path):
    assert 'a run on the hub is called' in call('translate', 'hf:../../etc', 'a.png', code=2)
    (hub/'someone/pickle').mkdir(parents=True)
    (hub/'someone/pickle/pytorch_model.bin').write_bytes(b'cos\nsystem\n')
    assert 'no run of latent_style' in call('translate', 'hf:someone/pickle', 'a.png', code=2)

def test_what_a_copy_is_good_for(place, hub, tmp_path):
    "It knows its step and translates like the run in 16 bits; no training begins with it"
    call('share', place/'run', '--repo', 'someone/flat', '--out', tmp_path/'flat', '--half', '--data_licence',
         'unknown')
    from latent_style.method import load_run
    from latent_style.judge import note_of
    assert note_of('hf:someone/flat') == dict(run='hf:someone/flat', step=3)
    said = call('train', 'cyclegan', place/'latents', '--path', tmp_path/'new', *SMALL, '--init', 'hf:someone/flat',
                code=2)
    assert 'no weights of a network' in said        # judges stay at home
    z = torch.randn(1, 4, 8, 8)
    one,two = (load_run(run, device='cpu')(z, 'anime') for run in (place/'run','hf:someone/flat'))
    assert 0 < (one-two).abs().max() < 1e-2

def test_a_card_says_only_what_is_known_of_its_pictures(place, tmp_path):
    "Training pictures, others, and pictures of a run whose store has gone"
    def line(run, part, out):
        call('share', run, '--out', tmp_path/out, '--pictures', place/'pictures'/part/'photo')
        card = (tmp_path/out/'README.md').read_text()
        return next(text for text in card.splitlines() if text.startswith('*Pictures'))
    assert line(place/'run', 'train', 'a') == '*Pictures of photo, 4 of 4 from its training, and what becomes of them*'
    assert 'none of the files of its training' in line(place/'run', 'test', 'b')
    assert line(tmp_path/'a', 'train', 'c') == '*Pictures of photo, and what becomes of them*'

def test_graphs_go_along(place, hub, tmp_path, monkeypatch):
    "What was exported translates without PyTorch in the copy too, and by its name"
    for name in ('onnxscript','onnxruntime'): pytest.importorskip(name)
    shutil.copytree(place/'run', tmp_path/'run')
    call('export', tmp_path/'run', '--to', 'onnx')
    call('share', tmp_path/'run', '--repo', 'someone/flat', '--out', tmp_path/'flat', '--data-licence', 'mit')
    call('share', tmp_path/'run', '--out', tmp_path/'beside', '--space')
    assert (tmp_path/'beside-space/run/onnx/to_anime.onnx').exists()
    assert 'pip install numpy pillow safetensors' in (tmp_path/'flat/README.md').read_text()
    monkeypatch.setenv('LATENT_STYLE_QUICK', 'only')
    file = place/'pictures/test/photo/000000.png'
    made = []
    for k,run in enumerate((tmp_path/'run', tmp_path/'flat', 'hf:someone/flat')):
        call('translate', run, file, '--to', 'anime', '--out', tmp_path/f'{k}.png')
        made.append((tmp_path/f'{k}.png').read_bytes())
    assert made[0] == made[1] == made[2]

def test_what_is_missing_is_asked_for(place, tmp_path):
    "Licences and numbers; a run of the package knows its own licences"
    said = call('share', place/'run', '--out', tmp_path/'a', '--data-licence', 'cc0-1.0')
    assert '--licence' in said and '--data_licence' not in said and '--evaluation evaluation' in said
    assert 'license: "unknown"' in (tmp_path/'a/README.md').read_text()
    said = call('share', 'demo:five', '--out', tmp_path/'five')
    card = (tmp_path/'five/README.md').read_text()
    assert 'licence' not in said and 'license: "apache-2.0"' in card and 'Ask the author' not in card
    assert 'translate FOLDER picture.jpg' in card and 'the folder that you downloaded' in card

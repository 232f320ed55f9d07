"""The installed command, as a user calls it: encode, train, translate, errors, and files of other systems

The command's own `main` reads the words in this process; `process` starts the real command where that is the point."""
import contextlib, io, json, os, shutil, subprocess, sys
from pathlib import Path

import pytest, torch, yaml

pytestmark = pytest.mark.usefixtures('no_curves')
EXE = Path(sys.executable).parent/'latent_style'
ENV = os.environ | dict(OMP_NUM_THREADS='2', HF_HUB_OFFLINE='1')
NETS = '--ngf 8 --n_blocks 1 --ndf 8 --batch 4 --device cpu --no-progress'.split()

def process(*words, code=0):
    "Run the installed command; its whole output, after a look at its exit status"
    if not EXE.exists(): pytest.skip('the command latent_style is not installed beside this Python: pip install -e .')
    r = subprocess.run([str(EXE), *map(str, words)], capture_output=True, text=True, env=ENV, timeout=240)
    text = r.stdout + r.stderr
    assert r.returncode == code, text
    if code: assert 'Traceback' not in text, text
    return text

def inside(*words):
    "Run the command in this process; its exit status"
    from latent_style.cli import main
    return main(list(map(str, words)))

def call(*words, code=0):
    "The same as `process`, in this process"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said): status = inside(*words)
    text = said.getvalue()
    assert status == code, text
    if code: assert 'Traceback' not in text, text
    return text

def options(run): return json.loads((run/'config.json').read_text())

@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "Small painted pictures of two domains"
    from latent_style.painted import paint_folder
    d = tmp_path_factory.mktemp('cli')
    paint_folder(d/'pictures', n_train=10, n_test=2, manners=('photo','anime'), size=64)
    return d

@pytest.fixture(scope='module')
def latents(world):
    "Their latents, made by the command itself in the presence of a broken picture"
    bad = world/'pictures/train/photo/broken.png'
    bad.write_bytes((world/'pictures/train/photo/000000.png').read_bytes()[:900])
    words = ['encode', world/'pictures/train', world/'latents', '--codec', 'tiny', '--size', 64, '--no-progress']
    said = process(*words, code=2)
    assert 'photo/broken.png' in said and 'latent_style: error: 1 bad picture' in said, said
    said = call(*words, '--skip_bad')
    assert 'photo 10' in said and 'anime 10' in said, said
    return world/'latents'

@pytest.fixture(scope='module')
def run(world, latents):
    "A run trained from a YAML file, with an option of the command line that wins"
    file = world/'mine.yaml'
    o = dict(method='cyclegan', data=str(latents), domains=['photo','anime'], preset='laptop', n_steps=50, lr='1e-4')
    o['w_cyc'] = 3
    file.write_text(yaml.safe_dump(o))
    process('train', '--config', file, '--path', world/'run', '--n_steps', 3, *NETS)
    return world/'run'

def test_help():
    said = process('--help')
    for verb in 'encode pack paint train translate plot demo evaluate-all'.split(): assert f'\n  {verb} ' in said, said
    said = call('train', '--help')
    for words in ('--w_cyc', 'weight of the cycle term', '--config', '--max_minutes'): assert words in said, said

def test_every_option_has_words(world, run, monkeypatch):
    "In the help of every verb, for every method, and of a run's own"
    from latent_style import cli, options
    from latent_style.method import METHODS
    seen,parser = {},options.parser
    def noted(known, name, *rest):
        seen[name] = known
        return parser(known, name, *rest)
    monkeypatch.setattr(options, 'parser', noted)
    for verb in cli.VERBS: call(verb, '--help')
    assert len(seen) == len(cli.VERBS)
    for name in METHODS: call('train', name, '--help')
    call('translate', run, '--help')
    silent = [f'{name} --{k}' for name,known in seen.items() for k,option in known.items() if not option.says.strip()]
    assert not silent

def test_help_names_the_presets():
    from latent_style.method import METHODS, module_of
    for name in METHODS:
        said = call('train', name, '--help')
        for preset in module_of(name).PRESETS: assert f'\n  {preset} ' in said, said

def test_help_is_quick():
    "The command line itself loads nothing heavy"
    code = "import sys, latent_style.cli as c; c.main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, env=ENV).returncode == 0

def test_version():
    from latent_style import __version__
    assert process('--version').split() == ['latent_style', __version__]
    r = subprocess.run([sys.executable, '-m', 'latent_style', '--version'], capture_output=True, text=True, env=ENV)
    assert r.returncode == 0 and __version__ in r.stdout, r.stderr

def test_train_from_yaml(run):
    o = options(run)
    want = dict(n_steps=3, lr=1e-4, w_cyc=3, ema=.99, ngf=8, method='cyclegan')
    assert {k: o[k] for k in want} == want
    assert json.loads((run/'log.jsonl').read_text().splitlines()[-1])['step'] == 3
    assert (run/'ckpt/step_00000003/weights.safetensors').exists()
    assert list((run/'samples').glob('*.png')) and (run/'losses.png').exists()

def test_train_from_the_command_line(world, latents):
    words = ['--domains', 'anime,photo', '--n_steps=2', '--w-id', '0', '--sn', 'false', '--no_compile']
    call('train', 'cyclegan', latents, '--path', world/'plain', *words, *NETS)
    o = options(world/'plain')
    assert (o['domains'], o['w_id'], o['sn'], o['n_steps']) == (['anime','photo'], 0, False, 2)

def test_going_on_needs_no_options(world, latents, run):
    "What is left out is the run's; what is given must be the run's"
    said = call('train', 'cyclegan', latents, '--path', run, '--no-progress')
    assert 'step 3 of 3' in said and 'nothing was trained' in said and f'init={run}' in said, said
    said = call('train', 'cyclegan', latents, '--path', run, '--w_cyc', 7, code=2)
    assert 'w_cyc: 3.0 in the run, 7.0 now' in said, said
    said = call('train', 'cyclegan', latents, '--path', run, '--n_steps', 5, code=2)
    assert 'n_steps: 3 in the run, 5 now' in said and f'init={run}' in said, said

def test_names_stay_names(tmp_path, monkeypatch):
    "Domains that look like numbers and words, folders that look like years and lists"
    from latent_style.painted import paint_folder
    paint_folder(tmp_path/'w', 4, 1, ('photo','swirl','anime'), 64)
    for part in ('train','test'):
        for old,new in (('photo','01'), ('swirl','no'), ('anime','none')):
            (tmp_path/'w'/part/old).rename(tmp_path/'w'/part/new)
    monkeypatch.chdir(tmp_path)
    call('encode', 'w/train', 'my,data', '--size', 64, '--no-progress')
    words = ['--path', '2024', '--domains', '01,none', '--n_steps', 1, *NETS]
    call('train', 'cyclegan', 'my,data', *words)
    (tmp_path/'o.yaml').write_text('method: cyclegan\ndata: my,data\npath: 2025\ndomains: [no, 01]\nn_steps: 1\n')
    call('train', '--config', 'o.yaml', *NETS)
    assert options(tmp_path/'2024')['domains'] == ['01','none'] and options(tmp_path/'2025')['domains'] == ['no','01']
    call('translate', '2024', 'w/test/01', '--to', 'none', '--out', 'out', '--device', 'cpu')
    assert len(list((tmp_path/'out').glob('*.png'))) == 1
    said = call('translate', '2025', 'w/test/01', '--to', '1', '--device', 'cpu', code=2)
    assert "not '1'" in said, said

def test_stargan(world, latents):
    "Train from the command line; translate in the style of an example, of two, and of noise"
    nets = '--width 16 --n_blocks 1 --w_map 16 --w_enc 8 --ndf 8 --batch 4 --device cpu --no-progress'.split()
    words = '--n_steps 12 --preset laptop --no-residual --lr .02 --lr_f .02 --ema 0'.split()
    call('train', 'stargan', latents, '--path', world/'star', *words, *nets)
    o = options(world/'star')
    assert (o['method'], o['domains'], o['n_steps'], o['width']) == ('stargan', ['anime','photo'], 12, 16)
    photo,anime = world/'pictures/test/photo/000000.png',world/'pictures/test/anime'
    words = ['translate', world/'star', photo, '--to', 'anime', '--device', 'cpu', '--out']
    call(*words, world/'like.png', '--reference', anime/'000001.png')
    for reference,says in (('gone.png', 'gone.png: no such file'), (anime, f'{anime}: a folder')):
        said = call(*words, world/'no.png', '--reference', reference, code=2)
        assert f'--reference {says}' in said and 'Errno' not in said, said
    call(*words, world/'mixed.png', '--reference', f"{anime/'000000.png'},{anime/'000001.png'}")
    call(*words, world/'noise.png', '--seed', 4)
    call(*words, world/'mean.png', '--seed', 4, '--psi', 0)
    assert len({(world/f'{n}.png').read_bytes() for n in ('like','mixed','noise','mean')}) == 4
    said = call('translate', world/'star', photo, '--to', 'anima', code=2)
    assert "Did you mean 'anime'" in said, said
    said = call('train', 'stargan', latents, '--path', world/'star', '--w_style', 3, code=2)
    assert 'w_sty' in said, said

def test_otcfm(world, latents):
    "Train both kinds of flow; translate directly and by inversion, under our flags and those of older scripts"
    nets = '--dim 32 --n_blocks 2 --n_s 32 --gamma .5 --batch 4 --device cpu --no-progress'.split()
    words = '--n_steps 8 --preset laptop --lr .01 --ema 0'.split()
    call('train', 'otcfm', latents, '--path', world/'flow', *words, *nets)
    o = options(world/'flow')
    want = dict(method='otcfm', domains=['anime','photo'], n_steps=8, coupling='exact', mode='both')
    assert {k: o[k] for k in want} == want
    call('train', '--config', world/'flow'/'config.json', '--path', world/'flow_again', '--n_steps', 1)
    assert options(world/'flow_again')['amounts'] == o['amounts'] and set(o['amounts']) == {'anime','photo'}
    photo = world/'pictures/test/photo/000000.png'
    words = ['translate', world/'flow', photo, '--to', 'anime', '--device', 'cpu', '--out']
    call(*words, world/'painted.png')
    for name,how in (('other',['--seed', 1]), ('far',['--back', '.3']), ('direct',['--mode', 'direct'])):
        call(*words, world/f'{name}.png', *how)
    assert len({(world/f'{n}.png').read_bytes() for n in ('painted','other','far','direct')}) == 4
    inverse = '--mode inversion --source photo --steps 2 --method heun --guidance 3'.split()
    call(*words, world/'inverted.png', *inverse)
    older = ['--checkpoint', world/'flow', '--input', photo, '--output', world/'older.png', '--device', 'cpu']
    words = '--source_style photo --target_style anime --num_steps 2 --cfg_scale 3 --mode inversion --method=heun'
    call('translate', *older, *words.split())
    a,b,c = ((world/f'{n}.png').read_bytes() for n in ('direct','inverted','older'))
    assert a != b and b == c
    said = call('translate', world/'flow', photo, '--method', 'eular', code=2)
    assert "Did you mean 'euler'" in said, said
    said = call('translate', world/'flow', photo, '--psi', '.5', code=2)
    assert "unknown option 'psi'. That is an option of stargan and pixels (this is otcfm)" in said, said
    (world/'other.yaml').write_text('method: otcfm\nngf: 8\n')
    for words in (['otcfm', latents, '--ngf', 8], ['--config', world/'other.yaml', '--data', latents]):
        said = call('train', *words, '--path', world/'no', code=2)
        assert "unknown option 'ngf'. That is an option of cyclegan (this is otcfm)" in said, said

def test_finish(world, latents, run):
    "A flow paints over the results of another method"
    nets = '--dim 32 --n_blocks 2 --n_s 32 --batch 4 --device cpu --no-progress --n_steps 2 --sample_every 0'.split()
    call('train', 'otcfm', latents, '--path', world/'brush', *nets)
    photo = world/'pictures/test/photo/000000.png'
    words = ['translate', run, photo, '--to', 'anime', '--device', 'cpu', '--out']
    call(*words, world/'bare.png')
    for name,how in (('once',[]), ('again',[]), ('deep',['--back', '.4']), ('sharp',['--detail', '1'])):
        call(*words, world/f'{name}.png', '--finish', world/'brush', *how)
    made = {n: (world/f'{n}.png').read_bytes() for n in ('bare','once','again','deep','sharp')}
    assert made['once'] == made['again'] and len(set(made.values())) == 4
    said = call(*words, world/'no.png', '--finish', run, code=2)
    assert 'does not paint' in said, said
    said = call(*words, world/'no.png', '--back', '.4', code=2)
    assert 'say with which run, finish=' in said, said

def test_flows_have_verbs(world, latents):
    "Pairs for reflow, and new pictures from noise"
    nets = '--dim 32 --n_blocks 2 --n_s 32 --batch 4 --device cpu --no-progress --n_steps 2 --sample_every 0'.split()
    call('train', 'otcfm', latents, '--path', world/'flow2', *nets)
    words = ['--n_noise', 2, '--steps', 1, '--device', 'cpu']
    said = call('make-pairs', world/'flow2', latents, world/'p.safetensors', *words)
    assert said.strip() == str(2*2+2*10), said
    words = ['--pairs', world/'p.safetensors', '--init', world/'flow2']
    call('train', 'otcfm', latents, '--path', world/'flow3', *words, *nets)
    assert options(world/'flow3')['mode'] == 'both'
    words = ['--to', 'anime', '--n', 2, '--size', 64, '--steps', 1, '--out', world/'new', '--device', 'cpu']
    call('generate', world/'flow2', *words)
    assert len(list((world/'new').iterdir())) == 2
    words = ['--size', 64, '--steps', 1, '--device', 'cpu', '--out', world/'new.png']
    said = call('generate', world/'flow2', *words, code=2)
    assert 'new.png is the name of one file, and 4 pictures' in said and not (world/'new.png').exists(), said
    call('generate', world/'flow2', '--n', 1, *words)
    assert (world/'new.png').is_file()

def test_translate(world, run):
    from PIL import Image
    process('translate', run, world/'pictures/test/photo', '--to', 'anime', '--out', world/'out', '--device', 'cpu')
    names = sorted(p.name for p in (world/'pictures/test/photo').iterdir())
    assert sorted(p.name for p in (world/'out').glob('*.png')) == names
    assert Image.open(world/'out'/names[0]).size == (64, 64)

def test_another_target_replaces_nothing(world, run, monkeypatch):
    "Results to one domain and to the other, in the folder that is taken when none is given"
    (world/'here').mkdir()
    monkeypatch.chdir(world/'here')
    words = ['translate', run, world/'pictures/test/photo', '--device', 'cpu', '--to']
    call(*words, 'anime')
    made = {f.name: f.read_bytes() for f in Path('translated').glob('*.png')}
    said = call(*words, 'photo', code=2)
    assert 'translated to anime' in said and 'translated_photo' in said, said
    call(*words, 'photo', '--out', 'translated_photo')
    assert {f.name: f.read_bytes() for f in Path('translated').glob('*.png')} == made
    assert '2 of 2 are there already' in call(*words, 'anime')
    said = call(*words, 'anime', '--strength', '2', code=2)
    assert 'strength=2' in said and 'replaced' not in said, said
    assert '2 results of earlier calls' in call(*words, 'anime', '--strength', '.5')

@pytest.mark.parametrize('name, words', [('demo:flow', ['--steps',0]), ('demo:flow', ['--back',2,'--mode','paint']),
                                         ('demo:five', ['--strength','2']), ('demo:swirl', ['--strength','-1'])])
def test_numbers_are_checked_before_anything_is_said(world, tmp_path, name, words, monkeypatch):
    "Of results that the same call in another way would replace"
    monkeypatch.setenv('LATENT_STYLE_QUICK', 'no')
    source = world/'pictures/test/photo'
    asked = ['translate', name, source, '--to', 'swirl', '--out', tmp_path/'out', '--device', 'cpu']
    call(*asked)
    made = {f.name: f.read_bytes() for f in (tmp_path/'out').glob('*.png')}
    said = call(*asked, *words, code=2)
    assert f'{words[0][2:]}={words[1]}' in said and 'replaced' not in said, said
    assert {f.name: f.read_bytes() for f in (tmp_path/'out').glob('*.png')} == made

def test_translate_in_process(world, run):
    from PIL import Image
    one,two = (world/f'pictures/test/photo/00000{i}.png' for i in (0,1))
    words = ['--strength', '.5', '--size', 96, '--out', world/'one.png', '--device', 'cpu']
    assert inside('translate', run, one, *words) == 0
    assert Image.open(world/'one.png').size == (96, 96)
    assert inside('translate', run, one, two, '--out', world/'both', '--device', 'cpu') == 0
    assert len(list((world/'both').glob('*.png'))) == 2
    assert inside('translate', run, one, '--to', 'anima', '--out', world/'no', '--device', 'cpu') == 2
    assert inside('plot', run, '--save', world/'curves.png') == 0 and (world/'curves.png').stat().st_size > 1000

def test_errors(world, latents, capsys):
    said = call('train', '--data', latents, '--path', world/'no', '--w_cic', 3, code=2)
    assert "unknown option 'w_cic'" in said and "Did you mean 'w_cyc'?" in said, said
    (world/'wrong.yaml').write_text('data: x\nn_step: 3\n')
    (world/'old.yaml').write_text('data: {a_dir: x, b_dir: y}\ntrain: {lamda_cyc: 3}\n')
    cases = [(['trian'], "Did you mean 'train'?"), (['train','cyclgan'], "Did you mean 'cyclegan'?"),
             (['train'], 'missing: --data'), (['train','--config',world/'wrong.yaml'], "Did you mean 'n_steps'?"),
             (['train','--config',world/'old.yaml'], "Did you mean 'lambda_cyc'?"),
             (['train','--config',world/'none.yaml'], 'no such configuration file'),
             (['train','--data','x','--n_steps','many'], 'expected a whole number'),
             (['train','cyclegan',latents,'--path',world/'no','--device','gpu'], 'finds no such device'),
             (['translate',world/'pictures','x.png'], 'neither a run folder'), (['encode'], 'required: src, dst'),
             (['evaluate',world/'pictures'], 'missing: --source, --target'),
             (['encode',world/'pictures/train/photo',world/'no'], f"folder above it, {world/'pictures/train'},"),
             (['train',world/'nowhere'], 'the method comes first, one of cyclegan, stargan'),
             (['train','cyclegan',world/'pictures/train','--path',world/'no'], 'latent_style encode')]
    for words,says in cases:
        assert inside(*words) == 2, words
        assert says in capsys.readouterr().err, words
    assert not (world/'no').exists()

def test_a_damaged_checkpoint_is_an_error(world, run, capsys):
    shutil.copytree(run, world/'damaged')
    file = world/'damaged/ckpt/step_00000003/weights.safetensors'
    file.write_bytes(file.read_bytes()[:500])
    assert inside('translate', world/'damaged', world/'pictures/test/photo', '--device', 'cpu') == 2
    said = capsys.readouterr().err
    assert 'weights.safetensors' in said and 'Traceback' not in said, said

def test_faults_of_ours_are_not_hidden(monkeypatch):
    "A KeyError is no message for a user: it shows where it comes from"
    from latent_style import cli
    monkeypatch.setitem(cli.VERBS, 'plot', cli.Verb('verbs:plot', ''))
    def broken(words): raise KeyError('x')
    monkeypatch.setattr(cli, 'call', broken)
    with pytest.raises(KeyError): cli.main(['plot', 'x'])

# Files of older latent CycleGANs, unchanged

@pytest.fixture(scope='module')
def old_latents(world):
    "Raw latents as those systems stored them, one file each"
    g = torch.Generator().manual_seed(0)
    for d in ('city','sketch'):
        (world/'old'/d/'sub').mkdir(parents=True)
        for i in range(8):
            z = 5*torch.randn(4, 8, 8, generator=g)
            torch.save(dict(latent=z) if i % 2 else z[None], world/'old'/d/('sub' if i > 5 else '')/f'{i}.pt')
    return world/'old'

def first_file(old, out):
    return dict(
        data=dict(a_dir=str(old/'city'), b_dir=str(old/'sketch'), latents_scaled=False, latent_divisor=10.0),
        model=dict(in_channels=4, out_channels=4, ngf=8, ndf=8, n_res_blocks=1, d_layers=3, out_activation='tanh'),
        train=dict(device='cuda', seed=1, epochs=1, batch_size=4, num_workers=2, amp=True, lr=2e-4, beta1=.5,
                   beta2=.999, lr_constant_epochs=1, lr_decay_epochs=1, lambda_cyc=5.0, lambda_id=.2, d_loss_scale=.5,
                   fake_buffer_size=50, fake_buffer_prob=.5, checkpoint_dir=str(out/'model'), resume=True,
                   resume_path='', resume_restore_rng=True),
        logging=dict(use_tqdm=False, log_dir=str(out/'logs'), log_file='train_log.jsonl'),
        visualization=dict(out_dir=str(out/'vis'), every_epochs=5, num_samples=4, vae_model_name_or_path='tiny',
                           vae_subfolder='', vae_scaling_factor=.18215),
        eval=dict(testA_dir='a', testB_dir='b', image_size=256, batch_size=8, clip_model_name='none'))

def later_file(old, out):
    return dict(
        exp_root=str(out), style_a='city', style_b='sketch',
        shared=dict(vae_model_name_or_path='tiny', vae_subfolder='', cleanfid_inception_path=''),
        data=dict(path=str(old), latents_scaled=False, latent_divisor=1, max_samples_a=-1, max_samples_b=5),
        model=dict(in_channels=4, out_channels=4, ngf=8, ndf=8, n_res_blocks=1, d_layers=3, use_discriminator_sn=True,
                   out_activation='none', use_global_residual=True, use_pointwise_only=False),
        train=dict(device='cuda', seed=42, batch_size=2, total_kimg=.004, num_workers=4, amp=True, log_every_steps=1,
                   ckpt_every_kimg=20, vis_every_kimg=20, checkpoint_dir='', resume=True, resume_path='',
                   fake_buffer_size=50, fake_buffer_prob=.5, lr=2e-4, beta1=.5, beta2=.999, lr_constant_kimg=.002,
                   lr_decay_kimg=.002, d_loss_scale=.5, lambda_cyc=.5, lambda_id=.1),
        logging=dict(use_tqdm=False, tqdm_ncols=120, log_dir='', log_file='train_log.jsonl'),
        visualization=dict(scan_root='x', out_dir='', num_samples=2, vae_scaling_factor=.18215),
        cyclegan_eval=dict(max_eval_samples=30, skip_clip=True))

WANTED = [(first_file, dict(conv='dense', act='tanh', residual=False, d_stride=1, gain=1/1.8215, w_cyc=5, w_id=.2,
                            n_steps=2)),
          (later_file, dict(conv='separable', act=None, residual=True, d_stride=2, gain=1/.18215, w_cyc=.5, w_id=.1,
                            n_steps=2))]

@pytest.mark.parametrize('make,want', WANTED)
def test_older_configuration_files(world, old_latents, make, want):
    "They load unchanged, train two steps on .pt files, and the run translates"
    out,file = world/make.__name__,world/f'{make.__name__}.yaml'
    file.write_text(yaml.safe_dump(make(old_latents, out)))
    said = call('train', '--config', file)
    assert 'num_workers' in said and 'packing latents' in said, said
    o = options(out)
    assert all(o[k] == (pytest.approx(v) if isinstance(v, float) else v) for k,v in want.items()), o
    last = json.loads((out/'log.jsonl').read_text().splitlines()[-1])
    assert o['domains'] == ['city','sketch'] and last['step'] == 2
    words = ['--to', 'sketch', '--out', out/'translated', '--device', 'cpu']
    assert inside('translate', out, world/'pictures/test/photo', *words) == 0
    assert len(list((out/'translated').glob('*.png'))) == 2

def test_dry_run_converts(world, old_latents, capsys):
    "What --dry_run prints for an older file is a file of ours with the same options"
    file,new = world/'later.yaml',world/'new.yaml'
    file.write_text(yaml.safe_dump(later_file(old_latents, world/'dry')))
    def dry(f):
        capsys.readouterr()
        assert inside('train', '--config', f, '--dry_run') == 0
        return capsys.readouterr().out
    said = dry(file)
    new.write_text(said[said.index('method:'):])
    a,b = (yaml.safe_load(text[text.index('method:'):]) for text in (said, dry(new)))
    assert a == b and a['conv'] == 'separable' and not (world/'dry').exists()

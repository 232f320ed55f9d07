"The installed command, as a user calls it: encode, train, translate, errors, and the files of the older latent CycleGAN"
import json, os, shutil, subprocess, sys
from pathlib import Path

import pytest, torch, yaml

EXE = Path(sys.executable).parent/'latent_style'
ENV = os.environ | dict(OMP_NUM_THREADS='2', HF_HUB_OFFLINE='1')
NETS = '--ngf 8 --n_blocks 1 --ndf 8 --batch 4 --device cpu --no-progress'.split()

def call(*words, code=0, cwd=None):
    "Run the command; its whole output, after a look at its exit status"
    if not EXE.exists(): pytest.skip('the command latent_style is not installed beside this Python: pip install -e .')
    r = subprocess.run([str(EXE), *map(str, words)], capture_output=True, text=True, cwd=cwd, env=ENV, timeout=240)
    text = r.stdout + r.stderr
    assert r.returncode == code, text
    if code: assert 'Traceback' not in text, text
    return text

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
    said = call(*words, code=2)
    assert 'photo/broken.png' in said and 'latent_style: error: 1 bad picture' in said, said
    said = call(*words, '--skip_bad')
    assert 'photo 10' in said and 'anime 10' in said, said
    return world/'latents'

@pytest.fixture(scope='module')
def run(world, latents):
    "A run trained from a YAML file, with an option of the command line that wins"
    f = world/'mine.yaml'
    f.write_text(yaml.safe_dump(dict(method='cyclegan', data=str(latents), domains=['photo','anime'], preset='laptop', n_steps=50, lr='1e-4', w_cyc=3)))
    call('train', '--config', f, '--path', world/'run', '--n_steps', 3, *NETS)
    return world/'run'

def test_help():
    said = call('--help')
    assert all(f'\n  {c} ' in said for c in 'encode pack paint train translate plot demo'.split()), said
    said = call('train', '--help')
    assert '--w_cyc' in said and 'weight of the cycle term' in said and '--config' in said, said

def test_help_of_each_command(capsys):
    from latent_style.cli import COMMANDS, main
    for c in COMMANDS:
        assert main([c, '--help']) == 0
        assert capsys.readouterr().out.startswith(f'usage: latent_style {c}')

def test_help_is_quick():
    "The command line itself loads nothing heavy"
    code = "import sys, latent_style.cli as c; c.main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, env=ENV).returncode == 0

def test_train_from_yaml(run):
    c = json.loads((run/'config.json').read_text())
    assert (c['n_steps'], c['lr'], c['w_cyc'], c['ema'], c['ngf'], c['method']) == (3, 1e-4, 3, .99, 8, 'cyclegan')
    assert json.loads((run/'log.jsonl').read_text().splitlines()[-1])['step'] == 3
    assert (run/'ckpt/step_00000003/weights.safetensors').exists() and list((run/'samples').glob('*.png')) and (run/'losses.png').exists()

def test_train_from_the_command_line(world, latents):
    call('train', 'cyclegan', latents, '--path', world/'plain', '--domains', 'anime,photo', '--n_steps=2', '--w-id', '0', '--sn', 'false', '--no_compile', *NETS)
    c = json.loads((world/'plain/config.json').read_text())
    assert (c['domains'], c['w_id'], c['sn'], c['n_steps']) == (['anime','photo'], 0, False, 2)

def test_stargan(world, latents):
    "Train from the command line; translate in the style of an example, of two, and of noise"
    nets = '--width 16 --n_blocks 1 --w_map 16 --w_enc 8 --ndf 8 --batch 4 --device cpu --no-progress'.split()
    call('train', 'stargan', latents, '--path', world/'star', '--n_steps', 12, '--preset', 'laptop', '--no-residual', '--lr', '.02', '--lr_f', '.02', '--ema', '0', *nets)
    c = json.loads((world/'star/config.json').read_text())
    assert (c['method'], c['domains'], c['n_steps'], c['width']) == ('stargan', ['anime','photo'], 12, 16)
    photo,anime = world/'pictures/test/photo/000000.png',world/'pictures/test/anime'
    words = ['translate', world/'star', photo, '--to', 'anime', '--device', 'cpu', '--out']
    call(*words, world/'like.png', '--reference', anime/'000001.png')
    call(*words, world/'mixed.png', '--reference', f"{anime/'000000.png'},{anime/'000001.png'}")
    call(*words, world/'noise.png', '--seed', 4); call(*words, world/'mean.png', '--seed', 4, '--psi', 0)
    assert len({(world/f'{n}.png').read_bytes() for n in ('like','mixed','noise','mean')}) == 4
    said = call('translate', world/'star', photo, '--to', 'anima', code=2)
    assert "Did you mean 'anime'" in said, said
    said = call('train', 'stargan', latents, '--path', world/'star', '--w_style', 3, code=2)
    assert 'w_sty' in said, said

def test_otcfm(world, latents):
    "Train both kinds of flow; translate directly and by inversion, under our flags and those of older scripts"
    nets = '--dim 32 --n_blocks 2 --n_s 32 --gamma .5 --batch 4 --device cpu --no-progress'.split()
    call('train', 'otcfm', latents, '--path', world/'flow', '--n_steps', 8, '--preset', 'laptop', '--lr', '.01', '--ema', '0', *nets)
    c = json.loads((world/'flow/config.json').read_text())
    assert (c['method'], c['domains'], c['n_steps'], c['coupling'], c['mode']) == ('otcfm', ['anime','photo'], 8, 'exact', 'both')
    photo = world/'pictures/test/photo/000000.png'; words = ['translate', world/'flow', photo, '--to', 'anime', '--device', 'cpu', '--out']
    call(*words, world/'direct.png'); call(*words, world/'inverted.png', '--mode', 'inversion', '--source', 'photo', '--steps', 2, '--method', 'heun', '--guidance', 3)
    call('translate', '--checkpoint', world/'flow', '--input', photo, '--source_style', 1, '--target_style', 0, '--output', world/'older.png', '--num_steps', 2, '--cfg_scale', 3, '--method=heun', '--mode', 'inversion', '--device', 'cpu')
    a,b,c = ((world/f'{n}.png').read_bytes() for n in ('direct','inverted','older'))
    assert a != b and b == c
    said = call('translate', world/'flow', photo, '--method', 'eular', code=2); assert "Did you mean 'euler'" in said, said
    said = call('translate', world/'flow', photo, '--psi', '.5', code=2); assert 'psi' in said, said

def test_translate(world, run):
    from PIL import Image
    call('translate', run, world/'pictures/test/photo', '--to', 'anime', '--out', world/'out', '--device', 'cpu')
    names = sorted(p.name for p in (world/'pictures/test/photo').iterdir())
    assert sorted(p.name for p in (world/'out').iterdir()) == names
    assert Image.open(world/'out'/names[0]).size == (64, 64)

def test_translate_in_process(world, run):
    from latent_style.cli import main
    from PIL import Image
    one = world/'pictures/test/photo/000000.png'
    assert main(['translate', str(run), str(one), '--strength', '.5', '--size', '96', '--out', str(world/'one.png'), '--device', 'cpu']) == 0
    assert Image.open(world/'one.png').size == (96, 96)
    assert main(['translate', str(run), str(one), '--to', 'anima', '--out', str(world/'no'), '--device', 'cpu']) == 2
    assert main(['plot', str(run), '--save', str(world/'curves.png')]) == 0 and (world/'curves.png').stat().st_size > 1000

def test_errors(world, latents, capsys):
    said = call('train', '--data', latents, '--path', world/'no', '--w_cic', 3, code=2)
    assert "unknown option 'w_cic'" in said and "Did you mean 'w_cyc'?" in said, said
    from latent_style.cli import main
    f = world/'wrong.yaml'; f.write_text('data: x\nn_step: 3\n')
    old = world/'wrong_old.yaml'; old.write_text('data: {a_dir: x, b_dir: y}\ntrain: {lamda_cyc: 3}\n')
    for words,says in ((['trian'], "Did you mean 'train'?"), (['train','cyclgan'], "Did you mean 'cyclegan'?"), (['train'], 'missing: --data'),
                       (['train','--config',str(f)], "Did you mean 'n_steps'?"), (['train','--config',str(old)], "Did you mean 'lambda_cyc'?"),
                       (['train','--config',str(world/'none.yaml')], 'no such configuration file'), (['train','--data','x','--n_steps','many'], 'expected a whole number'),
                       (['translate',str(world/'pictures'),'x.png'], 'neither a run folder'), (['encode'], 'required: src, dst')):
        assert main(words) == 2, words
        assert says in capsys.readouterr().err, words
    assert not (world/'no').exists()

# Files of the older latent CycleGAN, unchanged

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

def seed_file(old, out):
    return dict(
        data=dict(a_dir=str(old/'city'), b_dir=str(old/'sketch'), latents_scaled=False, latent_divisor=10.0),
        model=dict(in_channels=4, out_channels=4, ngf=8, ndf=8, n_res_blocks=1, d_layers=3, out_activation='tanh'),
        train=dict(device='cuda', seed=1, epochs=1, batch_size=4, num_workers=2, amp=True, lr=2e-4, beta1=.5, beta2=.999, lr_constant_epochs=1, lr_decay_epochs=1,
                   lambda_cyc=5.0, lambda_id=.2, d_loss_scale=.5, fake_buffer_size=50, fake_buffer_prob=.5, checkpoint_dir=str(out/'model'), resume=True, resume_path='', resume_restore_rng=True),
        logging=dict(use_tqdm=False, log_dir=str(out/'logs'), log_file='train_log.jsonl'),
        visualization=dict(out_dir=str(out/'vis'), every_epochs=5, num_samples=4, vae_model_name_or_path='tiny', vae_subfolder='', vae_scaling_factor=.18215),
        eval=dict(testA_dir='a', testB_dir='b', image_size=256, batch_size=8, clip_model_name='none', save_images=True, device='cuda'))

def head_file(old, out):
    return dict(
        exp_root=str(out), style_a='city', style_b='sketch', shared=dict(vae_model_name_or_path='tiny', vae_subfolder='', cleanfid_inception_path=''),
        data=dict(path=str(old), latents_scaled=False, latent_divisor=1, max_samples_a=-1, max_samples_b=5),
        model=dict(in_channels=4, out_channels=4, ngf=8, ndf=8, n_res_blocks=1, d_layers=3, use_discriminator_sn=True, out_activation='none', use_global_residual=True, use_pointwise_only=False),
        train=dict(device='cuda', seed=42, batch_size=2, total_kimg=.004, num_workers=4, amp=True, log_every_steps=1, ckpt_every_kimg=20, vis_every_kimg=20, checkpoint_dir='',
                   resume=True, resume_path='', resume_restore_rng=True, fake_buffer_size=50, fake_buffer_prob=.5, lr=2e-4, beta1=.5, beta2=.999,
                   lr_constant_kimg=.002, lr_decay_kimg=.002, d_loss_scale=.5, lambda_cyc=.5, lambda_id=.1),
        logging=dict(use_tqdm=False, tqdm_ncols=120, tqdm_bar_len=30, log_dir='', log_file='train_log.jsonl', text_log_file='train_console.log'),
        visualization=dict(scan_root='x', out_dir='', num_samples=2, vae_scaling_factor=.18215),
        image_export=dict(model_path='', output_dir='', eval_image_size=256), cyclegan_eval=dict(max_eval_samples=30, skip_clip=True), pixel_cyclegan_eval=dict(direction_mode='both'))

@pytest.mark.parametrize('make,want', [(seed_file, dict(conv='dense', act='tanh', residual=False, d_stride=1, gain=1/1.8215, w_cyc=5, w_id=.2, kimg=None)),
                                       (head_file, dict(conv='separable', act=None, residual=True, d_stride=2, gain=1/.18215, w_cyc=.5, w_id=.1, kimg=.004))])
def test_older_configuration_files(world, old_latents, make, want):
    "They load unchanged, train two steps on .pt files, and the run translates"
    out,f = world/make.__name__,world/f'{make.__name__}.yaml'
    f.write_text(yaml.safe_dump(make(old_latents, out)))
    said = call('train', '--config', f)
    assert 'train.num_workers' in said and 'packing latents' in said, said
    c = json.loads((out/'config.json').read_text())
    assert all(c[k] == (pytest.approx(v) if isinstance(v, float) else v) for k,v in want.items()), c
    assert c['domains'] == ['city','sketch'] and json.loads((out/'log.jsonl').read_text().splitlines()[-1])['step'] == 2
    from latent_style.cli import main
    assert main(['translate', str(out), str(world/'pictures/test/photo'), '--to', 'sketch', '--out', str(out/'translated'), '--device', 'cpu']) == 0
    assert len(list((out/'translated').glob('*.png'))) == 2

def test_dry_run_converts(world, old_latents):
    "What --dry_run prints for an older file is a file of ours with the same options"
    import contextlib, io
    from latent_style.cli import _resolve, main, resolved
    f = world/'head.yaml'; f.write_text(yaml.safe_dump(head_file(old_latents, world/'dry')))
    with contextlib.redirect_stdout(io.StringIO()) as out: assert main(['train', '--config', str(f), '--dry_run']) == 0
    new = world/'new.yaml'; new.write_text(out.getvalue())
    m,a,*_ = _resolve(config=str(f)); b = _resolve(config=str(new))[1]
    assert resolved(m, a) == resolved(m, b) and not (world/'dry').exists()

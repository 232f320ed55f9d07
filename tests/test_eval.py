"Evaluation from end to end: real processes, one cache, every direction"
import csv, json, os, shutil, subprocess, sys
from functools import partial

import numpy as np, pytest, torch
from safetensors.torch import load_file

PRECOMPUTE = '''import sys
from latent_style.judge import precompute
folder,cache,stats = sys.argv[1:]
precompute(folder, size=64, cache=cache, stats=stats)'''
ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    "Test pictures of three manners; the n-th of each shows the same scene"
    from latent_style.data import save_picture
    from latent_style.painted import paint
    from latent_style.scenes import paint_scenes
    folder,scenes = tmp_path_factory.mktemp('eval'),paint_scenes(8, seed=3)
    for m in ('photo','impressionist','swirl'):
        for i,p in enumerate(paint(scenes, m, 64)): save_picture(p, folder/'test'/m/f'{i:02d}.png')
    return folder

def test_two_processes_share_a_cache(pictures):
    "Both start with an empty cache, both succeed, one whole file remains, and it is what one process computes"
    from latent_style.features import features_from, net_from
    folder,cache = pictures/'test/photo',pictures/'cache'
    words = [sys.executable, '-c', PRECOMPUTE, str(folder), str(cache)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    both = [subprocess.Popen([*words, str(pictures/f'{i}.npz')], env=ENV, **pipes) for i in range(2)]
    said = [p.communicate(timeout=200)[0] for p in both]
    assert [p.returncode for p in both] == [0,0], said
    kept = list(cache.iterdir())
    assert len(kept) == 1 and not kept[0].name.startswith('.'), kept
    f = features_from(folder, net_from('random'), 64)
    assert torch.allclose(load_file(kept[0])['features'], f, atol=1e-5)
    with np.load(pictures/'1.npz') as s:
        assert np.allclose(s['mu'], f.double().mean(0), atol=1e-5)
        assert np.allclose(s['sigma'], np.cov(f.double().T), atol=1e-5)

@pytest.fixture(scope='module')
def run(pictures):
    "A StarGAN of two steps"
    from latent_style import stargan
    from latent_style.encoding import encode_folder
    encode_folder(pictures/'test', pictures/'latents', size=64, progress=False)
    tiny = dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, batch=2)
    quiet = dict(device='cpu', progress=False, sample_every=0, health_every=0)
    return stargan.train(pictures/'latents', pictures/'run', n_steps=2, **tiny, **quiet).path

def loaded(*runs):
    from latent_style.method import load_run
    return {r.name: load_run(r, device='cpu') for r in runs}

def test_every_direction(pictures, run):
    "Each cell of the matrix equals the one direction judged alone, to the features' rounding"
    from latent_style.judge import evaluate, evaluate_all
    test,common = pictures/'test',dict(size=64, cache=pictures/'cache')
    evaluate_all(loaded(run), test, truth=test, spare=test, out=pictures/'all', **common)
    cells = json.loads((pictures/'all/summary.json').read_text())['matrix_breakdown']
    assert sum(map(len, cells.values())) == 6
    evaluate(loaded(run), test/'photo', test/'swirl', truth=test/'swirl', out=pictures/'one', **common)
    one = json.loads((pictures/'one/summary.json').read_text())['rows'][0]
    for k in ('kid','truth','content','style_probe'): assert abs(cells['photo']['swirl'][k]-one[k]) < 1e-5, k
    with open(pictures/'all/pairs.csv') as f:
        rows = [r for r in csv.DictReader(f) if (r['source'],r['target']) == ('photo','swirl')]
    assert [r['row'] for r in rows] == ['translated','identity','recolour','truth, codec','codec floor','real',
                                          'real, codec']
    assert float(rows[1]['truth']) == pytest.approx(0, abs=1e-6)

def test_seeds_form_a_group(pictures, run):
    "Two seeds of one method are summed up, and a third run with another option is not"
    from latent_style.judge import evaluate
    runs = [run]
    for name,change in (('second',dict(seed=1)),('other',dict(seed=2, lr=.5))):
        runs.append(shutil.copytree(run, pictures/name))
        config = json.loads((runs[-1]/'config.json').read_text())
        (runs[-1]/'config.json').write_text(json.dumps(config | change))
    test = pictures/'test'
    evaluate(loaded(*runs), test/'photo', test/'swirl', size=64, n=6, cache=pictures/'cache', out=pictures/'seeds')
    seeds = json.loads((pictures/'seeds/summary.json').read_text())['seeds']
    assert {s['method'] for s in seeds} == {'run (2 seeds)'} and all(s['runs'] == 2 for s in seeds)
    kid = next(s for s in seeds if s['metric'] == 'kid')
    assert kid['sd'] == pytest.approx(0, abs=1e-9)      # the same weights twice

def test_several_answers(pictures, run):
    "The files of the original protocol, named after the step, with a number for each direction and their mean"
    from latent_style.features import net_from
    from latent_style.judge import evaluate_styles, note_of
    test = pictures/'test'
    evaluate_styles(loaded(run), test, test, 2, features=net_from('random'), size=64, n=4, cache=pictures/'cache',
                    out=pictures/'answers', notes=dict(run=note_of(run)))
    values = json.loads((pictures/'answers/LPIPS_00002_latent.json').read_text())
    assert len(values) == 7 and values['LPIPS_latent/mean'] >= 0

def test_device_reaches_every_net(pictures, run, monkeypatch):
    "Whatever verb, every net that has a name goes where the translators are"
    from latent_style import features
    from latent_style.cli import main
    from latent_style.eval import RandomFeatures
    moved = []
    class Noted(RandomFeatures):
        "Notes where it is asked to go"
        def __init__(self, name):
            super().__init__()
            self.name = name
        def to(self, device):
            moved.append((self.name, str(device)))
            return self
        def forward(self, x):
            last = self.taps(x)[-1].flatten(2)
            return last.transpose(1, 2) if self.name == 'dino' else last.mean(2)
    for name in ('random','alex','clip','dino'): monkeypatch.setitem(features.NETS, name, partial(Noted, name))
    monkeypatch.setenv('XDG_CACHE_HOME', str(pictures/'home'))
    test,all_nets = pictures/'test','--perceptual alex --clip clip --tokens dino'.split()
    one_way,every_way = ['--source', test/'photo', '--target', test/'swirl'],['--source', test]
    calls = {('evaluate', *one_way, *all_nets): 4, ('evaluate-checkpoints', *one_way, *all_nets): 4,
             ('evaluate-all', *every_way, *all_nets): 4,
             ('evaluate-one', '--picture', test/'photo/00.png', *all_nets): 3,
             ('evaluate-styles', *every_way, '--target', test, '--answers', 2, '--perceptual', 'alex'): 2}
    for (verb,*words),nets in calls.items():
        moved.clear()
        common = ['--device', 'cpu', '--size', 64, '--out', pictures/'devices'/verb]
        assert main(list(map(str, [verb, run, *words, *common]))) == 0, verb
        assert len(moved) == nets and {d for _,d in moved} == {'cpu'}, (verb, moved)
    moved.clear()
    assert main(['precompute', str(test/'photo'), '--device', 'cpu']) == 0 and moved == [('random','cpu')]

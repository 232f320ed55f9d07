"Evaluation as a user runs it: real processes, one cache, every direction"
import csv, json, os, subprocess, sys
from pathlib import Path

import numpy as np, pytest, torch
from safetensors.torch import load_file

EXE = Path(sys.executable).parent/'latent_style'
ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1')

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    "Test pictures of three manners; the n-th of each shows the same scene"
    from latent_style.data import save_picture
    from latent_style.painted import paint, paint_scenes
    d,scenes = tmp_path_factory.mktemp('eval'),paint_scenes(8, seed=3)
    for m in ('photo','impressionist','swirl'):
        for i,p in enumerate(paint(scenes, m, 64)): save_picture(p, d/'test'/m/f'{i:02d}.png')
    return d

def test_two_processes_share_a_cache(pictures):
    "Both start with an empty cache, both succeed, one whole file remains, and it is what one process computes"
    if not EXE.exists(): pytest.skip('the command latent_style is not installed beside this Python: pip install -e .')
    from latent_style.compare import features_from
    from latent_style.metrics import net_from
    folder,cache = pictures/'test/photo',pictures/'cache'
    words = [str(EXE), 'precompute', str(folder), '--features', 'random', '--size', '64', '--cache', str(cache)]
    both = [subprocess.Popen(words + ['--stats', str(pictures/f'{i}.npz')], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for i in range(2)]
    said = [p.communicate(timeout=200)[0] for p in both]
    assert [p.returncode for p in both] == [0,0], said
    kept = list(cache.iterdir()); assert len(kept) == 1 and not kept[0].name.startswith('.'), kept
    f = features_from(folder, net_from('random'), 64)
    assert torch.allclose(load_file(kept[0])['features'], f, atol=1e-5)
    with np.load(pictures/'1.npz') as s: assert np.allclose(s['mu'], f.double().mean(0), atol=1e-5) and np.allclose(s['sigma'], np.cov(f.double().T), atol=1e-5)

@pytest.fixture(scope='module')
def run(pictures):
    from latent_style import stargan
    from latent_style.data import encode_folder
    encode_folder(pictures/'test', pictures/'latents', size=64, progress=False)
    tiny = dict(width=16, n_blocks=1, w_map=16, w_enc=8, ndf=8, batch=2, device='cpu', progress=False, sample_every=0, health_every=0)
    return stargan.train(pictures/'latents', pictures/'run', n_steps=2, **tiny).path

def test_every_direction(pictures, run):
    "Each cell of the matrix equals the one direction judged alone, to the features' rounding"
    from latent_style.cli import evaluate
    test = pictures/'test'
    evaluate(str(run), source=str(test), truth=str(test), spare=str(test), size=64, cache=str(pictures/'cache'), out=str(pictures/'all'), device='cpu')
    cells = json.loads((pictures/'all/summary.json').read_text())['matrix_breakdown']
    assert sum(map(len, cells.values())) == 6
    evaluate(str(run), source=str(test/'photo'), target=str(test/'swirl'), truth=str(test/'swirl'), to='swirl', size=64, cache=str(pictures/'cache'), out=str(pictures/'one'), device='cpu')
    one = json.loads((pictures/'one/summary.json').read_text())['rows'][0]
    for k in ('kid','truth','content','style_probe'): assert abs(cells['photo']['swirl'][k]-one[k]) < 1e-5, k
    with open(pictures/'all/pairs.csv') as f: rows = [r for r in csv.DictReader(f) if (r['source'],r['target']) == ('photo','swirl')]
    assert [r['row'] for r in rows] == ['translated','identity','truth, codec','codec floor','real','real, codec']
    assert float(rows[1]['truth']) == pytest.approx(0, abs=1e-6)

def test_seeds_form_a_group(pictures, run, capsys):
    "Two seeds of one method are summed up, and a third run with another option is not"
    import shutil
    from latent_style.cli import evaluate
    for name,change in (('second',dict(seed=1)),('other',dict(seed=2, lr=.5))):
        d = Path(shutil.copytree(run, pictures/name)); c = json.loads((d/'config.json').read_text()); (d/'config.json').write_text(json.dumps(c | change))
    test = pictures/'test'
    evaluate(','.join(map(str, (run, pictures/'second', pictures/'other'))), source=str(test/'photo'), target=str(test/'swirl'), to='swirl', size=64, n=6, cache=str(pictures/'cache'), out=str(pictures/'seeds'), device='cpu')
    seeds = json.loads((pictures/'seeds/summary.json').read_text())['seeds']
    assert {s['method'] for s in seeds} == {'run (2 seeds)'} and all(s['runs'] == 2 for s in seeds)
    assert next(s for s in seeds if s['metric'] == 'kid')['sd'] == pytest.approx(0, abs=1e-9)      # the same weights twice

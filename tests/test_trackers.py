"The trackers that are installed here, each without an account and without a network: rows, options, sample grids"
import json, os, subprocess, sys
from importlib import util
from textwrap import dedent

import pytest

TRAIN = dedent('''
    import sys
    from latent_style.cyclegan import train

    tracker,data,path = sys.argv[1:]
    small = dict(ngf=8, n_blocks=1, ndf=8, batch=2, device='cpu', progress=False)
    train(data, path, trackers=tracker, n_steps=3, log_every=1, sample_every=3, n_samples=2, **small)
''')

@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    from latent_style.encoding import encode_folder
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('tracked')
    paint_folder(folder/'pictures', n_train=4, n_test=1, manners=('photo','anime'), size=64, progress=False)
    encode_folder(folder/'pictures/train', folder/'latents', progress=False)
    return folder/'latents'

@pytest.fixture
def tracked(latents, tmp_path):
    "Train in a process of its own, which keeps what trackers write in its folder; the folder"
    def run(tracker, **env):
        for name in tracker.split(','):
            if not util.find_spec(name): pytest.skip(f'{name} is not installed: pip install {name}')
        env = os.environ | dict(TRACKIO_DIR=str(tmp_path/'trackio'), HF_HUB_OFFLINE='1') | env
        done = subprocess.run([sys.executable, '-c', TRAIN, tracker, latents, tmp_path/'run'], cwd=tmp_path, env=env,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path
    return run

def losses(folder):
    "The first loss of the log: its key, and its values"
    from latent_style.run import CLOCK, read_log
    rows = read_log(folder/'run')
    name = next(k for k in rows[0] if k not in CLOCK)
    return name,[row[name] for row in rows]

def test_tensorboard(tracked):
    folder = tracked('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    place, = {file.parent for file in folder.rglob('*tfevents*')}        # once, under the folder's name
    assert place == folder/'run'
    kept = EventAccumulator(str(place), size_guidance=dict(images=0)).Reload()
    name,values = losses(folder)
    assert [e.value for e in kept.Scalars(name)] == pytest.approx(values, rel=1e-5)
    assert [e.step for e in kept.Images('samples')] == [0, 3]

def test_trackio(tracked):
    folder = tracked('trackio')
    look = dedent('''
        import json
        from trackio.sqlite_storage import SQLiteStorage
        run, = SQLiteStorage.get_runs('latent_style')
        print(json.dumps([run, SQLiteStorage.get_logs('latent_style', run)], default=str))
    ''')
    done = subprocess.run([sys.executable, '-c', look], capture_output=True, text=True, timeout=120,
                          env=os.environ | dict(TRACKIO_DIR=str(folder/'trackio')))
    assert done.returncode == 0, done.stderr
    called,rows = json.loads(done.stdout.strip().splitlines()[-1])
    name,values = losses(folder)
    assert called.endswith('-run')
    assert [row[name] for row in rows if name in row] == pytest.approx(values, rel=1e-5)
    assert [row['step'] for row in rows if 'samples' in row] == [0, 3]
    assert len(list((folder/'trackio').rglob('*.png'))) == 2

def test_wandb(tracked):
    folder = tracked('wandb', WANDB_MODE='offline')
    assert list((folder/'run').rglob('*.wandb')) and len(list((folder/'run').rglob('samples*.png'))) == 2

def test_mlflow(tracked):
    folder = tracked('mlflow', MLFLOW_TRACKING_URI=f'file:{os.curdir}/mlruns', MLFLOW_ALLOW_FILE_STORE='true')
    assert len(list(folder.rglob('artifacts/samples/step_*.png'))) == 2
    assert losses(folder)[0] in {file.name for file in folder.rglob('metrics/*')}

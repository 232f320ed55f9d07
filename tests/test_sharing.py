"""Two processes that torchrun has started share encoding, translating and judging: what they leave is what one leaves.

One pair of processes calls the verbs one after the other, as the command line would."""
import io, json, os, shutil, subprocess, sys
from contextlib import redirect_stderr, redirect_stdout
from textwrap import dedent

import pytest
from PIL import Image

ENV = os.environ | dict(OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', CUDA_VISIBLE_DEVICES='')

# name -> what is typed; `OUT` is the folder of the results
JUDGED = '--out OUT/{} --size 64 --batch 2 --cache OUT/cache --device cpu'
VERBS = dict(
    encode    = 'encode pictures/train OUT/latents --size 64 --batch 2 --no-progress',
    bad       = 'encode messy OUT/bad --size 64 --batch 2 --no-progress',
    skipped   = 'encode messy OUT/skipped --size 64 --batch 2 --skip_bad --no-progress',
    nothing   = 'encode nowhere OUT/nothing',
    translate = 'translate demo:impressionist holiday --out OUT/made --batch 1 --no-progress --device cpu',
    again     = 'translate demo:impressionist holiday --out OUT/made --batch 1 --no-progress --device cpu',
    damaged   = 'translate demo:impressionist damaged --out OUT/part --no-progress --device cpu',
    evaluate  = 'evaluate demo:impressionist --source pictures/test/photo --target pictures/test/impressionist '
                '--truth pictures/test/impressionist --n 5 ' + JUDGED.format('one_way'),
    all       = 'evaluate-all demo:impressionist --source pictures/test ' + JUDGED.format('all_ways'))

SCRIPT = dedent('''
    import io, json, os, sys
    from contextlib import redirect_stderr, redirect_stdout
    from pathlib import Path
    from latent_style.cli import main

    told = {}
    for name,words in json.loads(sys.argv[1]).items():
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err: rc = main(words)
        told[name] = rc,out.getvalue(),err.getvalue()
    Path(f"told_{os.environ['RANK']}.json").write_text(json.dumps(told))
''')

def words_for(out): return {name: line.replace('OUT', out).split() for name,line in VERBS.items()}

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "Folders of pictures: whole ones, some of other shapes, some damaged"
    from latent_style.painted import paint_folder
    folder = tmp_path_factory.mktemp('sharing')
    paint_folder(folder/'pictures', n_train=5, n_test=7, manners=('photo','impressionist'), size=64, progress=False)
    shutil.copytree(folder/'pictures/test/photo', folder/'holiday')
    for i in (2,3,5):
        file = folder/f'holiday/{i:06d}.png'
        Image.open(file).crop((0, 0, 64, 48)).save(file)
    shutil.copytree(folder/'holiday', folder/'damaged')
    for i in (1,4): (folder/f'damaged/{i:06d}.png').write_bytes(b'nothing')
    shutil.copytree(folder/'pictures/train', folder/'messy')
    (folder/'messy/photo/000003.png').write_bytes(b'nothing')
    Image.new('RGB', (64,64), 'teal').save(folder/'messy/impressionist/teal.png')
    shutil.copy(folder/'messy/photo/000001.png', folder/'messy/photo/copy.png')
    return folder

@pytest.fixture(scope='module')
def two(place):
    "What each of two processes has said: verb -> exit status, output, errors"
    (place/'share.py').write_text(SCRIPT)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', 'share.py']
    verbs = json.dumps(words_for('two') | dict(plot=['plot', 'demo:impressionist']))
    done = subprocess.run([*launch, verbs], cwd=place, capture_output=True, text=True, env=ENV, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((place/f'told_{k}.json').read_text()) for k in (0,1)]

@pytest.fixture(scope='module')
def one(place):
    "What this process alone says"
    from latent_style.cli import main
    told,here = {},os.getcwd()
    os.chdir(place)
    try:
        for name,words in words_for('one').items():
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err: rc = main(words)
            told[name] = rc,out.getvalue(),err.getvalue()
    finally: os.chdir(here)
    return told

def notes_and_errors(text): return [line for line in text.splitlines() if line.startswith('latent_style:')]

@pytest.mark.parametrize('name', list(VERBS))
def test_the_first_says_what_one_says(one, two, name):
    (rc,out,err),(rc_two,out_two,err_two) = one[name],two[0][name]
    assert (rc_two, out_two.replace('two/', 'one/')) == (rc, out)
    assert notes_and_errors(err_two.replace('two/', 'one/')) == notes_and_errors(err)

@pytest.mark.parametrize('name', list(VERBS))
def test_the_second_is_silent_and_ends_alike(two, name):
    (rc,_,_),(rc_two,out,err) = two[0][name],two[1][name]
    assert (rc_two, out) == (rc, '') and 'error' not in err

def test_errors_are_about_all_pictures(two):
    assert two[0]['bad'][0] == 2 and '3 bad pictures' in two[0]['bad'][2]
    rc,_,err = two[0]['damaged']
    assert rc == 2 and '2 of 7 pictures could not be translated' in err
    assert err.index('000001.png') < err.index('000004.png')
    assert '7 of 7 are there already' in two[0]['again'][2]

def tree(folder):
    "All but hidden files, which hold times"
    files = [f.relative_to(folder) for f in sorted(folder.rglob('*')) if f.is_file()]
    return {f.as_posix(): (folder/f).read_bytes() for f in files if not any(part[0] == '.' for part in f.parts)}

@pytest.mark.parametrize('name', ['latents','skipped','made','part'])
def test_the_same_bytes(place, one, two, name):
    a,b = tree(place/'one'/name),tree(place/'two'/name)
    assert a and a.keys() == b.keys()
    assert [k for k in a if a[k] != b[k]] == []

def test_the_record_knows_every_result(place, two):
    lines = (place/'two/made/.translated.jsonl').read_text().splitlines()
    assert sorted(json.loads(line)[0] for line in lines) == [f'{i:06d}.png' for i in range(7)]

def numbers(folder):
    found = json.loads((folder/'summary.json').read_text())
    return {k: found[k] for k in ('rows','differences','means','confusion') if k in found}

@pytest.mark.parametrize('name', ['one_way','all_ways'])
def test_the_same_tables(place, one, two, name):
    a,b = numbers(place/'one'/name),numbers(place/'two'/name)
    assert a.keys() == b.keys() and len(a) == 2
    for k in a:
        assert len(a[k]) == len(b[k])
        for row,want in zip(b[k], a[k]):
            assert row.keys() == want.keys()
            for c in row: assert row[c] == want[c] or row[c] == pytest.approx(want[c], rel=1e-9, nan_ok=True), c

def test_what_is_not_shared_is_refused(two):
    for told in two: assert told['plot'][0] == 2 and 'start it without torchrun' in told['plot'][2]

"What must be true of any input: plans of processes, names, configurations, batches of latents, names of results"
import json, tempfile
from pathlib import Path

import pytest, torch

hypothesis = pytest.importorskip('hypothesis', reason="hypothesis is not installed: pip install -e '.[dev]'")
from hypothesis import HealthCheck, given, settings, strategies as st

from latent_style.autoencoders import load_codec
from latent_style.data import save_picture
from latent_style.options import Option, as_yaml, config_file, from_file, given as words_given
from latent_style.pictures import picture_plan
from latent_style.run import check_config, read_config
from latent_style.samples import Records
from latent_style.results import result_names
from latent_style.store import Entry, SD15, multidomain_plan, open_store, unpaired_plan, write_domain

always_the_same = settings(derandomize=True, deadline=None, max_examples=40, database=None,
                           suppress_health_check=list(HealthCheck))

# Plans

plans = dict(
    unpaired=lambda sizes, *how, **rank: unpaired_plan(*sizes[:2], *how, **rank),
    multidomain=multidomain_plan,
    pictures=lambda *how, **rank: [torch.as_tensor(v) for v in picture_plan(*how, **rank)])

@pytest.mark.parametrize('name', plans)
@always_the_same
@given(sizes=st.lists(st.integers(2, 40), min_size=2, max_size=5), each=st.integers(1, 4), world=st.integers(1, 5),
       seed=st.integers(0, 2**40), step=st.integers(0, 10**6))
def test_plans_of_processes_partition_the_plan_of_one(name, sizes, each, world, seed, step):
    plan,batch = plans[name],each*world
    one = plan(sizes, batch, seed, step)
    parts = [plan(sizes, batch, seed, step, rank=rank, world=world) for rank in range(world)]
    for k,whole in enumerate(one): assert torch.equal(torch.cat([part[k] for part in parts]), whole)

# Names: whatever a file system takes, 1 to 255 bytes

def is_name(text): return 1 <= len(text.encode()) <= 255 and text not in ('.','..')
names = st.text(st.characters(codec='utf-8', exclude_characters='/\0'), min_size=1, max_size=255).filter(is_name)
exactly_255 = st.sampled_from(['a'*255, 'é'*127+'x', '木'*85])
names = names | exactly_255

@settings(always_the_same, max_examples=20)
@given(names=st.lists(names, min_size=1, max_size=6, unique=True))
def test_any_name_survives_the_store(names):
    z = torch.zeros(4, 8, 8)
    with tempfile.TemporaryDirectory() as folder:
        write_domain(Path(folder)/'d', [Entry(dict(name=name), (4,8,8), lambda: z) for name in names],
                     dict(codec=SD15, scale=1., shift=0.))
        assert list(open_store(folder)['d'].names) == sorted(names)

@settings(always_the_same, max_examples=20)
@given(domain=names.filter(lambda name: name[0] != '.'))
def test_any_domain_survives_the_store_and_the_configuration(domain):
    z = torch.zeros(4, 8, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        entry = Entry(dict(name='x'), (4,8,8), lambda: z)
        write_domain(path/'store'/domain, [entry], dict(codec=SD15, scale=1., shift=0.))
        assert open_store(path/'store', [domain]).domains == [domain]
        check_config(path/'run', dict(domains=[domain]))
        assert read_config(path/'run') == dict(domains=[domain])

OPTIONS = dict(to=Option(None, str, '', False), run=Option(None, str, '', True))

@always_the_same
@given(name=names)
def test_any_name_survives_the_command_line(name):
    assert words_given([f'--to={name}', 'r'], OPTIONS)['to'] == name
    if name[0] != '-': assert words_given(['--to', name, name], OPTIONS) == dict(to=name, run=name)

# Configurations

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.none() | st.booleans() | st.integers(-10**9, 10**9) | finite | names
several = st.lists(values, max_size=3) | st.dictionaries(names, values, max_size=3)
KINDS = dict(flag=Option(True, bool, '', False), n=Option(3, int, '', False), x=Option(.5, float, '', False),
             text=Option(None, str, '', False), several=Option(('a','b'), tuple, '', False))
texts = names.filter(lambda name: name.lower() not in ('null','none','~'))
options = st.fixed_dictionaries({}, optional=dict(
    flag=st.booleans(), n=st.integers(-10**9, 10**9), x=finite, text=texts,
    several=st.lists(texts.filter(lambda name: ',' not in name and name.strip() == name), max_size=3).map(tuple)))

@always_the_same
@given(config=st.dictionaries(names, values | several))
def test_a_configuration_saved_and_loaded_is_equal(config):
    config.pop('method', None)
    config.pop('preset', None)
    with tempfile.TemporaryDirectory() as folder:
        check_config(folder, config)
        assert read_config(folder) == json.loads(json.dumps(config))

@always_the_same
@given(config=options)
def test_options_written_as_yaml_are_read_back(config):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/'o.yaml'
        file.write_text(as_yaml(config), encoding='utf-8')
        assert from_file(config_file(file), KINDS, file) == config

# Latents

@pytest.fixture(scope='module')
def store(tmp_path_factory):
    "A domain of two shapes in several shards, and one of a single shape"
    path,g = tmp_path_factory.mktemp('store'),torch.Generator().manual_seed(0)
    for d,shapes in dict(a=[(4,8,8)]*5+[(4,8,12)]*4, b=[(4,8,8)]*6).items():
        zs = [torch.randn(shape, generator=g) for shape in shapes]
        entries = [Entry(dict(name=f'{i}'), z.shape, lambda z=z: z) for i,z in enumerate(zs)]
        write_domain(path/d, entries, dict(codec=SD15, scale=1., shift=0.), shard_mb=.002)
    return open_store(path)

@always_the_same
@given(name=st.sampled_from('ab'), i=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_rows_of_a_batch_are_those_taken_alone(store, name, i):
    whole = store[name].take(torch.tensor(i))
    for j,one in enumerate(i): assert torch.equal(whole[j], store[name].take(torch.tensor([one]))[0])

@always_the_same
@given(pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=12))
def test_rows_of_a_mixed_batch_are_those_of_the_domains(store, pairs):
    y,i = (torch.tensor(v) for v in zip(*pairs))
    whole = store.take(y, i)
    for j in range(len(pairs)): assert torch.equal(whole[j], store[int(y[j])].take(i[j:j+1], whole.shape[-2:])[0])

@settings(always_the_same, max_examples=12)
@given(order=st.permutations(range(5)), cuts=st.sets(st.integers(1, 4)))
def test_encoding_is_the_same_in_any_order_and_batch(codec, order, cuts):
    x = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))*2-1
    want = codec.encode(x)
    ends = [0, *sorted(cuts), 5]
    got = torch.cat([codec.encode(x[list(order)][a:b]) for a,b in zip(ends, ends[1:])])
    assert torch.allclose(got, want[list(order)], atol=1e-5)

@pytest.fixture(scope='module')
def codec(): return load_codec('tiny')

@settings(always_the_same, max_examples=4)
@given(batch=st.integers(1, 6), order=st.permutations(range(4)))
def test_a_store_is_the_same_for_any_batch_of_its_making(codec, batch, order):
    "And in whatever order the files were written"
    from PIL import Image
    from latent_style.encoding import encode_folder
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for d in 'ab':
            (path/'pics'/d).mkdir(parents=True)
            for i in order: Image.effect_noise((32,32), 10+i+5*(d == 'b')).save(path/'pics'/d/f'{i}.png')
        encode_folder(path/'pics', path/'one', codec, size=32, progress=False)
        encode_folder(path/'pics', path/'other', codec, size=32, batch=batch, progress=False)
        one,other = open_store(path/'one'),open_store(path/'other')
        for d in 'ab':
            assert list(one[d].names) == list(other[d].names)
            assert torch.allclose(one[d].take(range(4)), other[d].take(range(4)), atol=2e-3)

# Results

alike = st.sampled_from('a.jpg a.png a.jpg.png A.JPG a a_2 .a'.split())
paths = st.lists(names, min_size=1, max_size=3).map('/'.join)

@always_the_same
@given(sources=st.lists(st.none() | paths | alike, max_size=12))
def test_names_of_results_are_distinct(sources):
    found = result_names(sources)
    assert len(found) == len(sources) and len({name.casefold() for name in found}) == len(sources)
    assert all(len(part.encode()) <= 255 for name in found for part in name.split('/'))

@settings(always_the_same, max_examples=20)
@given(name=names.map(lambda name: name.encode()[:251].decode(errors='ignore')).filter(is_name))
def test_a_picture_is_written_under_any_name(name):
    "Though it has another one, a little longer, while it is written"
    with tempfile.TemporaryDirectory() as folder:
        save_picture(torch.zeros(3, 8, 8), Path(folder)/f'{name}.png')
        assert [f.name for f in Path(folder).iterdir()] == [f'{name}.png']

@always_the_same
@given(i=st.lists(st.integers(0, 9), max_size=8), column=st.sampled_from(['name','sha256',None]))
def test_records_are_those_of_their_rows(i, column):
    source = [dict(name=f'{k}', sha256='00') for k in range(10)]
    assert list(Records(source, i, column)) == [source[k] if column is None else source[k][column] for k in i]

"""A thousand domains: what must not grow with their number, counted, in a store that is never written"""
from types import SimpleNamespace
import pytest, torch
from latent_style import otcfm, pairing, stargan_step as stargan
from latent_style.autoencoders import load_codec
from latent_style.data import generator
from latent_style.eval import RandomFeatures
from latent_style.grids import evenly
from latent_style.health import look
from latent_style.matrix import MOST, matrix
from latent_style.store import Domain, Store

def store_of(n):
    "Latents (4,8,8), three of each domain"
    z = torch.randn(n, 3, 4, 8, 8, generator=generator(0, n, 'domains'))
    return Store([Domain(f'd{i:04d}', [x], samples=None) for i,x in enumerate(z)], dict(id='none'))

@pytest.fixture(scope='module', params=[10, 1000])
def store(request): return store_of(request.param)

def learner(i=0, rank=0, world=1):
    return SimpleNamespace(i=i, rank=rank, world=world, put=lambda x: x, rng=lambda s: generator(0, i, s))

def share_alone(cells): # of the rows (n,)
    counts = cells.unique(return_counts=True)[1]
    return (counts == 1).sum().item()/len(cells)

@pytest.mark.parametrize('n', [2, 10, 23, 100, 1000])
def test_no_row_of_a_buffer_is_alone(n):
    for kind in ('noise','direct'):
        for k in range(5):
            cells = pairing.cells_of(k, 512, n, kind, 8, seed=3)
            source,target = pairing.ends_of(512, n, kind, cells)
            assert share_alone(source*n+target) == 0
            assert kind == 'noise' or (source != target).all()

@pytest.mark.parametrize('n', [23, 100])
def test_every_pair_of_domains_has_its_turn(n):
    "In one round of buffers all cells equally often, but for the last one begun"
    rounds = -(-n*(n-1)//64)
    cells = [pairing.cells_of(k, 512, n, 'direct', 8, seed=3) for k in range(rounds)]
    source,target = (torch.cat(v) for v in zip(*cells))
    met = (source*n+target)[:n*(n-1)].bincount(minlength=n*n).view(n, n)
    assert torch.equal(met, 1-torch.eye(n, dtype=torch.long))
    for ends in (source,target): # and every domain, within one turn of all of them
        seen = ends.bincount(minlength=n)
        assert seen.max()-seen.min() <= 2

def test_processes_share_a_buffer_of_some_cells(store):
    "Those of three processes together are the rows of one"
    how = dict(mode='both', buffer=24, per_cell=4, coupling='independent')
    whole = pairing.batches(store, 12, **how)
    parts = [pairing.batches(store, 12, **how) for _ in range(3)]
    for i in (0, 5, 7):
        for one,some in zip(whole(learner(i)), zip(*(part(learner(i, r, 3)) for r,part in enumerate(parts)))):
            assert torch.equal(one, torch.cat(some))

def test_a_buffer_reads_no_more_domains_than_it_has_cells():
    store,asked = store_of(1000),[]
    take = store.take
    store.take = lambda y, *args: asked.append(len(y.unique())) or take(y, *args)
    pairing.buffers(store, 64, 'direct', 'exact', 1, 0, 1., None, 8).make(3)
    assert asked == [8, 8]                                   # ends and starts of eight cells

def test_a_sheet_of_a_flow_is_no_larger(store):
    N,codec,calls = len(store),load_codec('tiny'),[]
    V = otcfm.networks(N, dim=16, n_blocks=1, n_s=8)['V'].eval()
    V.register_forward_hook(lambda net, args, out: calls.append(len(args[0])))
    o = SimpleNamespace(domains=store.domains, gain=1., n_samples=4, ema=0, mode='direct')
    fig = otcfm.sample_grid(SimpleNamespace(n=SimpleNamespace(V=V), codec=codec, put=lambda x: x), o, store)
    names = [o.domains[i] for i in evenly(N, 8)]
    assert [ax.get_ylabel() for ax in fig.axes if ax.get_ylabel()][1:] == [f'as {d}' for d in names]
    assert sum(calls) == 8*8*8-8*8                           # eight to eight, eight calls each, but not to themselves

def test_a_look_at_the_health_takes_as_much(store, monkeypatch):
    taken = []
    take = Domain.take
    monkeypatch.setattr(Domain, 'take', lambda self, i, *args: taken.append(len(i)) or take(self, i, *args))
    nets = SimpleNamespace(**stargan.networks(len(store), width=8, n_blocks=1, w_map=8, w_enc=4, ndf=4))
    with torch.no_grad(): signs = look(nets, list(store), 6, 0, lambda x: x)
    assert taken == [3]*8 and all(v.isfinite() for v in signs.values())

def test_a_matrix_measures_some_directions():
    g = generator(0, 0, 'pictures')
    pics = {f'd{i:04d}': torch.rand(4, 3, 16, 16, generator=g)*2-1 for i in range(1000)}
    asked = []
    def translate(x, a, b): return asked.append((a, b)) or x
    with pytest.warns(UserWarning, match='1000 domains have 999000 directions: those between 3 of them'):
        m = matrix(translate, pics, RandomFeatures(8), most=3)
    assert sorted(set(asked)) == [(a,b) for a in m.sources for b in m.sources if a != b] and len(m.sources) == 3
    assert MOST*(MOST-1) == 132

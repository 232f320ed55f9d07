"Losses and gradients against textbook training steps, in float64"
import importlib.util
from types import SimpleNamespace
import pytest, torch
from latent_style import cyclegan, otcfm, stargan
from latent_style.models import PatchDiscriminator, ResnetGenerator

@pytest.fixture(scope='module')
def ref(shared):
    f = shared/'reference'/'objectives.py'
    if not f.exists(): pytest.skip(f'{f.name} is not there')
    spec = importlib.util.spec_from_file_location('objectives', f); m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    return m

def grads(loss, nets):
    ps = [p for n in nets for p in n.parameters()]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, ps)])

def error(a, b): return ((a-b).norm()/b.norm()).item()

@pytest.mark.parametrize('conv,residual,act,stride,sn', [('separable',True,None,2,True), ('dense',False,'tanh',1,True), ('pointwise',True,None,2,False)])
def test_cyclegan(ref, conv, residual, act, stride, sn):
    torch.manual_seed(0)
    G,F = (ResnetGenerator(ngf=32, n_blocks=3, conv=conv, residual=residual, act=act).double() for _ in range(2))
    for n in (G,F):
        for p in n.parameters(): torch.nn.init.normal_(p, std=.1)      # no zero-initialised head: every gradient counts
    D_A,D_B = (PatchDiscriminator(ndf=16, stride=stride, sn=sn).double().eval() for _ in range(2))   # eval: spectral norm as it stands
    n,w = SimpleNamespace(G=G, F=F, D_A=D_A, D_B=D_B),SimpleNamespace(cyc=10., id=.5, adv='lsgan', d_scale=.5)
    a,b = torch.randn(2, 4, 4, 32, 32, dtype=torch.float64)
    loss,terms,(fake_a,fake_b) = cyclegan.g_loss(n, a, b, w)
    want,t = ref.cyclegan_g_loss(G, F, D_A, D_B, a, b, 10., .5)
    e_loss,e_g = abs(loss-want).item()/want.item(),error(grads(loss, (G,F)), grads(want, (G,F)))
    loss_d,_ = cyclegan.d_loss(n, a, fake_a, b, fake_b, w)
    want_d = ref.cyclegan_d_loss(D_A, D_B, a, b, t['fake_a'], t['fake_b'], .5)
    e_d = error(grads(loss_d, (D_A,D_B)), grads(want_d, (D_A,D_B)))
    print(f'relative errors: loss {e_loss:.1e}, generators {e_g:.1e}, discriminators {e_d:.1e}')
    assert max(e_loss, e_g, e_d) < 1e-9

@pytest.mark.parametrize('norm,sn,residual', [('in',True,False), ('gn',True,True), ('gn',False,False)])
@pytest.mark.parametrize('w_id', [1., 0.])
def test_stargan(ref, norm, sn, residual, w_id):
    "With z1 = z our step, which makes each fake once, has the textbook's losses and gradients"
    torch.manual_seed(0)
    nets = {k: v.double() for k,v in stargan.networks(3, width=32, n_blocks=2, norm=norm, residual=residual, w_map=32, w_enc=16, ndf=16, sn=sn).items()}
    for k in 'GFE':
        for p in nets[k].parameters(): torch.nn.init.normal_(p, std=.1)      # styles that matter, no zero-initialised layer
    nets['D'].eval()                                                         # spectral norm as it stands
    G,M,E,D = (nets[k] for k in 'GFED')
    x,x_ref = torch.randn(2, 4, 4, 16, 16, dtype=torch.float64); z,z2 = torch.randn(2, 4, 16, dtype=torch.float64)
    y_src,y_trg = torch.tensor([0,1,2,0]),torch.tensor([1,2,0,2])
    b,n = stargan.Batch(x, x_ref, y_src, y_trg, z, z2),SimpleNamespace(**nets)
    w = SimpleNamespace(adv=1., sty=.7, cyc=1.3, id=w_id, margin=1.5, game='hinge')
    s = stargan.styles(n, b); fake = stargan.fakes(n, b, s, w, .8)
    loss_d = stargan.d_loss(n, b, fake, w)[0] + 2.*16*stargan.r1_loss(D, x_ref, y_trg)
    want_d = ref.stargan_d_loss(G, M, E, D, x, x_ref, y_trg, z)
    loss_g,t = stargan.g_loss(n, b, s, fake, w, .8)
    want_g,u = ref.stargan_g_loss(G, M, E, D, x, x_ref, y_src, y_trg, z, z, z2, w_sty=.7, w_cyc=1.3, w_id=w_id, lambda_ds=.8)
    e = dict(d=abs(loss_d-want_d).item()/want_d.item(), g=abs(loss_g-want_g).item()/abs(want_g.item()),
             grad_d=error(grads(loss_d, (D,)), grads(want_d, (D,))), grad_g=error(grads(loss_g, (G,M,E)), grads(want_g, (G,M,E))))
    print('relative errors: ' + ', '.join(f'{k} {v:.1e}' for k,v in e.items()))
    assert max(e.values()) < 1e-9
    assert abs(t['ds']-u['ds']) < 1e-9 and abs(t['g_adv']-u['adv']) < 1e-9

@pytest.mark.parametrize('plain', [False, True])
def test_otcfm(ref, plain):
    "Loss, gradients and a translation with guidance, by the fused layers and by PyTorch's own"
    from contextlib import nullcontext
    from latent_style.kernels import plain_kernels
    torch.manual_seed(0)
    V = otcfm.networks(2, dim=32, n_blocks=4, n_s=32)['V'].double()
    for p in V.parameters(): torch.nn.init.normal_(p, std=.1)
    x0,x1 = torch.randn(2, 6, 4, 16, 16, dtype=torch.float64); t,y = torch.rand(6, dtype=torch.float64),torch.tensor([0,1,0,1,0,1])
    labels,null = otcfm.flow_labels(y, 'noise', 2); drop = torch.tensor([True,False,False,True,False,False])
    with plain_kernels() if plain else nullcontext():
        loss = otcfm.cfm_loss(V, otcfm.Batch(x0, x1, t, torch.where(drop, null, labels))).mean(); mine = grads(loss, (V,))
    with plain_kernels(): want = ref.otcfm_loss(V, x0, x1, t, labels, drop, V.null); theirs = grads(want, (V,))
    e = dict(loss=abs(loss-want).item()/want.item(), grad=error(mine, theirs))
    with torch.no_grad():
        pair = lambda y: otcfm.flow_labels(y, 'noise', 2)
        with plain_kernels() if plain else nullcontext(): a = otcfm.by_inversion(V, x1, pair(y), pair(1-y), 5, 'euler', scale=2.)
        with plain_kernels(): b = ref.otcfm_transfer(V, x1, y, 1-y, V.null, 5, 2.)
    e['transfer'] = error(a, b); assert error(b, x1) > 1e-3
    print('relative errors: ' + ', '.join(f'{k} {v:.1e}' for k,v in e.items()))
    assert max(e.values()) < 1e-9

def pixel_setup(w_hpf=0):
    torch.manual_seed(0)
    nets = {k: v.double() for k,v in stargan.pixel_networks(3, 32, w_hpf, width=8, c_max=16, n_s=8, n_z=4, w_map=16).items()}
    x,x_ref,x_ref2 = torch.rand(3, 4, 3, 32, 32, dtype=torch.float64)*2-1; z,z2 = torch.randn(2, 4, 4, dtype=torch.float64)
    b = stargan.PixelBatch(x, torch.tensor([0,1,2,0]), x_ref, x_ref2, torch.tensor([1,1,0,2]), z, z2)
    return nets,b,SimpleNamespace(sty=.7, cyc=1.3, r1=.9, r1_every=1, margin=None, ds=lambda i: 1.5-.5*i, masks=None)

class Pixels:
    "The textbook's four turns on its own copy of the networks, with PyTorch's Adam"
    def __init__(self, ref, nets, w):
        import copy
        self.ref,self.w,self.n = ref,w,{k: copy.deepcopy(v) for k,v in nets.items()}
        self.opts = {k: torch.optim.Adam(v.parameters(), lr=1e-2 if k != 'F' else 1e-3, betas=(0.,.99), weight_decay=1e-4) for k,v in self.n.items()}
    def move(self, loss, *names):
        for k in self.n: self.n[k].zero_grad()
        loss.backward(); [self.opts[k].step() for k in names]
    def losses(self, b, lam, which, s, s2=None):
        G,M,E,D = (self.n[k] for k in 'GFED'); w = self.w
        if which == 'd': return self.ref.pixel_d_loss(G, D, b.x, b.y_src, b.y_trg, s, w.r1)
        return self.ref.pixel_g_loss(G, E, D, b.x, b.y_src, b.y_trg, s, s2, w.sty, lam, w.cyc)[0]
    def step(self, b, i):
        M,E = self.n['F'],self.n['E']; lam,y = self.w.ds(i),b.y_trg
        with torch.no_grad(): s,r = M(b.z1, y),E(b.x_ref, y)
        self.move(self.losses(b, lam, 'd', s), 'D'); self.move(self.losses(b, lam, 'd', r), 'D')
        self.move(self.losses(b, lam, 'g', M(b.z1, y), M(b.z2, y)), 'G','F','E')
        self.move(self.losses(b, lam, 'g', E(b.x_ref, y), E(b.x_ref2, y)), 'G')

@pytest.mark.parametrize('plain', [False, True])
def test_pixel_stargan_in_the_original_order(ref, plain):
    "Four turns that share fakes and the way down move every network as the textbook's four separate ones do, step after step"
    from contextlib import nullcontext
    from latent_style.kernels import plain_kernels
    from latent_style.learner import Learner, adam
    nets,b,w = pixel_setup(); book = Pixels(ref, nets, w)
    opts = {k: adam(v, 1e-2 if k != 'F' else 1e-3, (0.,.99), 1e-4, decoupled=False) for k,v in nets.items()}
    learn = Learner(nets, opts, lambda l,b: stargan.four_updates(l, b, w), lambda l: b, 3, device='cpu')
    before = {k: torch.cat([p.detach().flatten() for p in v.parameters()]) for k,v in nets.items()}
    with plain_kernels() if plain else nullcontext(): learn.fit()
    for i in range(3): book.step(b, i)
    move = lambda n,k: torch.cat([p.detach().flatten() for p in n[k].parameters()])-before[k]
    e = {k: error(move(nets, k), move(book.n, k)) for k in 'FED'}
    # biases before an instance norm have gradients of rounding errors, which Adam makes as large as any: they change nothing, so the generator is compared by what it makes
    s = torch.randn(4, 8, dtype=torch.float64); start = pixel_setup()[0]['G'](b.x, s); e['G'] = error(nets['G'](b.x, s)-start, book.n['G'](b.x, s)-start)
    print('relative errors of three steps of Adam: ' + ', '.join(f'{k} {v:.1e}' for k,v in e.items()))
    assert max(e.values()) < 1e-9

@pytest.mark.parametrize('order', ['original','joint'])
def test_pixel_stargan_gradients(ref, order):
    "Every gradient of the first step, without the optimizers in between"
    nets,b,w = pixel_setup(); n = SimpleNamespace(**nets); got = []
    class Still(SimpleNamespace):
        def update(self, loss, *names): got.append((loss.item(), torch.cat([g.flatten() for g in torch.autograd.grad(loss, [p for k in names for p in nets[k].parameters()], retain_graph=True, materialize_grads=True)])))
    stargan.ORDERS[order](Still(n=n, i=0), b, w)
    book = Pixels(ref, nets, w); book.n = nets; M,E = nets['F'],nets['E']; y = b.y_trg
    with torch.no_grad(): s,s2,r,r2 = M(b.z1, y),M(b.z2, y),E(b.x_ref, y),E(b.x_ref2, y)
    d = [book.losses(b, 1.5, 'd', v) for v in (s, r)]; lat,path = book.losses(b, 1.5, 'g', M(b.z1, y), M(b.z2, y).detach()),book.losses(b, 1.5, 'g', r, r2)
    g = lambda loss, names: torch.cat([v.flatten() for v in torch.autograd.grad(loss, [p for k in names for p in nets[k].parameters()], retain_graph=True, materialize_grads=True)])
    G,FE = g(lat, 'G')+g(path, 'G'),g(lat, 'FE')
    want = [(d[0], g(d[0], 'D')), (d[1], g(d[1], 'D')), (lat, g(lat, 'GFE')), (path, g(path, 'G'))] if order == 'original' else [((d[0]+d[1])/2, (g(d[0], 'D')+g(d[1], 'D'))/2), (lat+path, torch.cat([G, FE]))]
    e = [(abs(a-v.item())/abs(v.item()), error(x, y)) for (a,x),(v,y) in zip(got, want)]
    print(f'{order}: relative errors of losses and gradients ' + ', '.join(f'{a:.1e} {v:.1e}' for a,v in e))
    assert len(got) == len(want) and max(max(p) for p in e) < 1e-9
